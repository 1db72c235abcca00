"""Conditions (claims C6, C7, C12, C13): does it matter in what company a high comes.

Forward returns of crypto after highs of small caps with inflows and with outflows, with strong
and with weak breadth, with loose and with tight liquidity; of all days with loose and with
tight liquidity; and after divergences of the two. Every condition of day d is as it was known
at T(d), and every return begins there.

Highs come in clusters and returns over months overlap, so that a hundred days may be three
events. An *episode* is a run of days of one kind of which none is more than the horizon after
the one before; where a side has fewer than five, the answer is "too few events", whatever the
figures look like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from features import FeatureConfig, build_dataset
from sources.errors import DataUnavailableError
from sources.market import Market
from training.bootstrap import StationaryBootstrap
from training.significance import DETECTABLE_DEVIATIONS, holm
from training.study.plain import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HORIZONS = (20, 60, 180)
LEAST_EPISODES = 5
RESAMPLES = 2000
SHIFTS = 999
TAILS = (0.05, 0.95)
ALL_DAYS, HIGHS, FIRST_HIGHS = "all days", "days at a high", "first highs in 60 sessions"
FEATURES = (
    "high_flag",
    "high_first",
    "flow_60s",
    "breadth_negative_252s",
    "net_liquidity_change_91d",
    "divergence_60s",
    "small_return_60s",
)
TOO_FEW, NOT_SHOWN = "too few events", "no difference shown"
ALPHA = 0.05
MOST_NEEDED = 999
WEAK = 0.4
"""Share of constituents with a negative year from which breadth is weak: the article's 40 %."""
APART = 1.0
"""Deviations of the gap between two returns over 60 sessions from which they diverge."""


@dataclass(frozen=True)
class Condition:
    """A way to tell two kinds of days apart.

    Attributes
    ----------
    claim : id in the ledger.
    name : what is asked.
    first, second : names of the sides; the difference is the first's return less the second's.
    events : which days are told apart.
    feature : that tells them apart, known at T(d).
    low, high : the second side is at or below ``low``, the first above ``high``.
    turned : the sides change places: low values are the first.
    """

    claim: str
    name: str
    first: str
    second: str
    events: str
    feature: str
    low: float
    high: float
    turned: bool = False


def _both(
    claim: str, name: str, first: str, second: str, feature: str, at: float, *, turned: bool = False
) -> tuple[Condition, ...]:
    return tuple(
        Condition(claim, name, first, second, events, feature, at, at, turned)
        for events in (FIRST_HIGHS, HIGHS)
    )


CONDITIONS = (
    *_both("C6", "highs by fund flows", "inflows", "outflows", "flow_60s", 0.0),
    *_both("C7", "highs by breadth", "strong breadth", "weak breadth", "breadth_negative_252s",
           WEAK, turned=True),
    *_both("C13", "highs by liquidity", "loose", "tight", "net_liquidity_change_91d", 0.0),
    Condition("C13", "liquidity alone", "loose", "tight", ALL_DAYS, "net_liquidity_change_91d",
              0.0, 0.0),
    Condition("C12", "gap between the two", "small caps ahead", "crypto ahead", ALL_DAYS,
              "divergence_60s", -APART, APART),
)  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """Forward returns on the two kinds of days.

    Attributes
    ----------
    condition, target, horizon_days : what is compared; the target is a crypto symbol.
    mean_first, mean_second : log return over the horizon, mean of each side's days.
    difference, lower, upper : of the two, with its 90 % interval (stationary bootstrap in blocks
        of twice the horizon; reflected). Where there are too few events the interval is too
        narrow to be believed, and ``least_detectable`` too small.
    p_value : two-sided, rank of the difference among those of the same days moved in time
        against the returns, all gaps and clusters kept; NaN where there are too few events.
    p_corrected : Holm's, over all comparisons that have enough events; NaN for the others.
    days_first, days_second : days of each side that have an outcome.
    episodes_first, episodes_second : of each side; see the module.
    least_detectable : difference that a one-sided test at 5 % would find four times in five.
    answer : ``first better``, ``second better``, ``no difference shown``, or ``too few events``.
    needed : episodes of the lesser side, at the least, that a difference as large as the one found
        would need to be shown; None where that is more than 999, or nothing was found.
    """

    condition: Condition
    target: str
    horizon_days: int
    mean_first: float
    mean_second: float
    difference: float
    lower: float
    upper: float
    p_value: float
    p_corrected: float
    days_first: int
    days_second: int
    episodes_first: int
    episodes_second: int
    least_detectable: float
    answer: str
    needed: int | None


@dataclass(frozen=True)
class Conditional:
    """What was found.

    Attributes
    ----------
    differences : by condition, target and horizon.
    missing : claim and condition, and what the market lacks for it.
    """

    differences: tuple[Difference, ...]
    missing: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; NaN is null."""
        return dict(plain(self))


def compare_conditions(
    market: Market,
    assets: Sequence[str] = ("BTC", "ETH"),
    horizons: Sequence[int] = HORIZONS,
    *,
    conditions: Sequence[Condition] = CONDITIONS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Conditional:
    """Compare forward returns on the two sides of each condition.

    Parameters
    ----------
    horizons : calendar days.
    conditions : fixed before outcomes are looked at.

    Raises
    ------
    DataUnavailableError
        Where none of the assets is there.

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap; the rank among shifts is a randomisation
    test that keeps autocorrelation (Besag and Diggle 1977, Simple Monte Carlo tests for spatial
    pattern).
    """
    there = tuple(asset for asset in assets if asset in market.crypto)
    if not there:
        raise DataUnavailableError(
            f"{market.name}: needed prices of {' or '.join(assets)}; found "
            f"{', '.join(market.crypto) or 'no crypto at all'}",
            source="prices",
        )
    dataset = build_dataset(market, there, FeatureConfig(blocks=(), include=FEATURES))
    found: list[Difference] = []
    missing: list[str] = []
    needs = {FIRST_HIGHS: "high_first", HIGHS: "high_flag"}
    for condition in conditions:
        wanted = [condition.feature, needs.get(condition.events, condition.feature)]
        lacking = [name for name in wanted if name not in dataset.names]
        if lacking:
            missing.append(f"{condition.claim}, {condition.name}: {', '.join(lacking)}")
            continue
        for at, asset in enumerate(there):
            table = pd.DataFrame(dataset.values[:, at, :], dataset.days, list(dataset.names))
            sides = _sides(condition, table, _sessions(dataset.ages[:, at, :], dataset.groups))
            for horizon in horizons:
                ahead = np.log1p(dataset.labels(asset, horizon).forward_return)
                found.append(_difference(condition, asset, horizon, sides, ahead, resamples, seed))
    return Conditional(_answered(found), tuple(dict.fromkeys(missing)))


Sides = tuple[np.ndarray, np.ndarray]
"""(n,) bool each: days of the first and of the second side."""


def _sessions(ages: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Tell (n,) on which days a session's high is news, and not carried over a weekend."""
    fresh: np.ndarray = ages[:, groups.index("small_cap_highs")] == 0
    return fresh


def _sides(condition: Condition, table: pd.DataFrame, fresh: np.ndarray) -> Sides:
    value = table[condition.feature].to_numpy()
    eligible = np.isfinite(value)
    if condition.events == HIGHS:
        eligible &= (table["high_flag"].to_numpy() == 1) & fresh
    elif condition.events == FIRST_HIGHS:
        eligible &= (table["high_first"].to_numpy() == 1) & fresh
    above, below = eligible & (value > condition.high), eligible & (value <= condition.low)
    return (below, above) if condition.turned else (above, below)


def episodes(days: np.ndarray, horizon_days: int) -> int:
    """Count runs of flagged days in which none is more than the horizon after the one before.

    Examples
    --------
    >>> flags = np.array([1, 1, 0, 0, 1, 0, 0, 0, 0, 1], dtype=bool)
    >>> episodes(flags, 3), episodes(flags, 2)
    (2, 3)
    """
    rows = np.flatnonzero(days)
    return 0 if len(rows) == 0 else 1 + int((np.diff(rows) > horizon_days).sum())


def _difference(
    condition: Condition,
    asset: str,
    horizon: int,
    sides: Sides,
    ahead: np.ndarray,
    resamples: int,
    seed: int,
) -> Difference:
    known = np.isfinite(ahead)
    span = slice(int(known.argmax()), len(known) - int(known[::-1].argmax()))
    there = known[span]
    returns = np.where(there, ahead[span], 0.0)
    first, second = (side[span] & there for side in sides)
    counts = int(first.sum()), int(second.sum())
    runs = episodes(first, horizon), episodes(second, horizon)
    nan = float("nan")
    if min(counts) == 0:
        means = [float(returns[s].mean()) if s.any() else nan for s in (first, second)]
        return Difference(
            condition, asset, horizon, means[0], means[1], nan, nan, nan, nan, nan,
            *counts, *runs, nan, TOO_FEW, None,
        )  # fmt: skip
    means = [float(returns[side].mean()) for side in (first, second)]
    gap = means[0] - means[1]
    moved = _resampled(first, second, returns, horizon, resamples, seed)
    low, high = np.quantile(moved, TAILS)
    error = float(moved.std())
    few = min(runs) < LEAST_EPISODES
    p_value = nan if few else _rank_among_shifts(first, second, returns, there, gap, horizon, seed)
    least = DETECTABLE_DEVIATIONS * error
    lower, upper = 2 * gap - float(high), 2 * gap - float(low)
    needed = max(LEAST_EPISODES, int(np.ceil(min(runs) * (least / max(abs(gap), 1e-4)) ** 2)))
    return Difference(
        condition=condition,
        target=asset,
        horizon_days=horizon,
        mean_first=means[0],
        mean_second=means[1],
        difference=gap,
        lower=lower,
        upper=upper,
        p_value=p_value,
        p_corrected=nan,
        days_first=counts[0],
        days_second=counts[1],
        episodes_first=runs[0],
        episodes_second=runs[1],
        least_detectable=least,
        answer=TOO_FEW if few else NOT_SHOWN,
        # The error falls with the root of the number of episodes.
        needed=needed if needed <= MOST_NEEDED else None,
    )


def _answered(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """Correct the p-values of those that have enough events, and say which side is better."""
    enough = [one for one in differences if one.answer != TOO_FEW]
    corrected = iter(holm([one.p_value for one in enough]) if enough else ())
    found = []
    for one in differences:
        if one.answer == TOO_FEW:
            found.append(one)
            continue
        p = float(next(corrected))
        shown = p <= ALPHA and (one.lower > 0 or one.upper < 0)
        better = "first better" if one.difference > 0 else "second better"
        found.append(replace(one, p_corrected=p, answer=better if shown else NOT_SHOWN))
    return tuple(found)


def _resampled(
    first: np.ndarray,
    second: np.ndarray,
    returns: np.ndarray,
    horizon: int,
    resamples: int,
    seed: int,
) -> np.ndarray:
    """Return differences of the sides' means in resamples that hold days of both."""
    block = float(min(2 * horizon, len(returns) / 4))
    draws = StationaryBootstrap(len(returns), block_length=block, resamples=resamples, seed=seed)
    columns = np.column_stack([first * returns, first, second * returns, second])
    top, count, other, others = draws.means(columns.astype("float64")).T
    least = 0.5 / len(returns)
    both = (count > least) & (others > least)
    if both.sum() < 2:
        return np.zeros(2)
    found: np.ndarray = top[both] / count[both] - other[both] / others[both]
    return found


def _rank_among_shifts(
    first: np.ndarray,
    second: np.ndarray,
    returns: np.ndarray,
    there: np.ndarray,
    gap: float,
    horizon: int,
    seed: int,
) -> float:
    """Return the two-sided p-value of the difference among those of days moved in time.

    All shifts by at least the horizon are worked out at once, as circular correlations.
    """
    n = len(returns)
    moves = np.arange(horizon, n - horizon + 1)
    if len(moves) > SHIFTS:
        moves = np.random.default_rng(seed).choice(moves, SHIFTS, replace=False)
    spectrum = [np.conj(np.fft.rfft(values)) for values in (returns, there.astype("float64"))]

    def means(side: np.ndarray) -> np.ndarray:
        # Entry k: over the days of the side moved by -k, circularly.
        moved = np.fft.rfft(side.astype("float64"))
        total, count = (np.fft.irfft(moved * other, n=n) for other in spectrum)
        return total / np.maximum(count.round(), 1.0)

    null = (means(first) - means(second))[moves]
    centre = float(np.mean(null))
    as_far = (np.abs(null - centre) >= abs(gap - centre) - 1e-12).sum()
    return float((1 + as_far) / (1 + len(null)))


def figure(result: Conditional) -> Figure:
    """Draw the differences with their intervals and numbers of episodes."""
    from training.study.conditional_figure import draw

    return draw(result)
