"""Profiles of correlation over lags, with bands for one lag, and for all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sources.errors import InsufficientHistoryError
from training.bootstrap import StationaryBootstrap
from training.study.sessions import Sessions, deviations

LAGS = tuple(range(-20, 61))
WEEKLY_LAGS = tuple(range(-8, 13))
WINDOWS = (1, 5, 20, 60)
"""Days over which lags are summed on either side; 60 after small caps alone."""
WEEKLY_WINDOWS = (1, 4, 8)
BLOCK_SESSIONS = 20.0
BLOCK_WEEKS = 8.0
LEAST_SESSIONS = 120
TAILS = (0.05, 0.95)
LEAST_DEVIATION = 1e-12


@dataclass(frozen=True)
class Lead:
    """Correlations summed over one side of the profile.

    Attributes
    ----------
    side : ``crypto follows`` (positive lags), ``crypto leads`` (negative), or ``difference``.
    window : lags 1 to this, days or weeks.
    total, lower, upper : sum of correlations, 90 % interval.
    p_value : two-sided, of this sum alone.
    p_corrected : likewise, against the largest of all sums of the profile (sup-type).
    """

    side: str
    window: int
    total: float
    lower: float
    upper: float
    p_value: float
    p_corrected: float


@dataclass(frozen=True)
class Profile:
    """Correlation of an asset's returns with those of small caps at every lag.

    Attributes
    ----------
    asset, step : symbol; ``day`` or ``week``.
    lags : (k,) above 0 crypto comes after.
    correlation, lower, upper : (k,) with a pointwise 90 % band (stationary bootstrap).
    sup : (k,) half-width of the band that all correlations but lag 0 stay within, nine times in
        ten, if none of them is there.
    p_lags : that the largest correlation away from lag 0 is luck, all lags counted.
    strongest_lag : where it is.
    leads : sums on either side.
    verdict : who leads, by the sums and the lags at 5 % corrected: ``small caps``, ``crypto``,
        ``both``, or ``neither shown``.
    n : sessions, or weeks.
    least_detectable : correlation at one lag that a two-sided test at 5 % finds four times in five.
    """

    asset: str
    step: str
    lags: tuple[int, ...]
    correlation: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    sup: np.ndarray
    p_lags: float
    strongest_lag: int
    leads: tuple[Lead, ...]
    verdict: str
    n: int
    least_detectable: float


Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(m,) small caps from close to close and from open to close, (m, lags) crypto beside each."""


def daily_pairs(sessions: Sessions, asset: str) -> Pairs:
    """Lay the bars of 20 days before to 60 days after beside each session."""
    bars = deviations(sessions.crypto[asset])
    beside = np.full((len(sessions.dates), len(LAGS)), np.nan)
    for column, lag in enumerate(LAGS):
        place = sessions.place(lag)
        beside[:, column] = np.where(place >= 0, bars[place], np.nan)
    opened = deviations(sessions.open_to_close)
    return deviations(sessions.close_to_close), opened, beside


def weekly_pairs(sessions: Sessions, asset: str) -> Pairs:
    """Lay weeks beside weeks: small caps to Friday's close, crypto to the end of Friday.

    The two share all but the three or four hours after Friday's close, one fiftieth of a week,
    in which only crypto trades: neighbouring weeks are all but free of each other.
    """
    friday = np.datetime64("2000-01-07", "D")
    first = sessions.days[0] + (friday - sessions.days[0]).astype("int64") % 7
    ends = np.arange(first, sessions.days[-1] + 1, np.timedelta64(7, "D"))
    log = np.concatenate([[0.0], np.nancumsum(sessions.crypto[asset])])
    began = np.isfinite(sessions.crypto[asset]).argmax()
    row = (ends - sessions.days[0]).astype("int64") + 1
    crypto = np.diff(np.where(row > began, log[row], np.nan))
    level = np.concatenate([[0.0], np.nancumsum(sessions.close_to_close)])
    at = np.searchsorted(sessions.dates, ends, side="right")
    small = np.diff(np.where((at > 0) & (ends <= sessions.dates[-1] + 6), level[at], np.nan))
    scaled = [deviations(x, halflife=26) for x in (small, crypto)]
    beside = np.full((len(small), len(WEEKLY_LAGS)), np.nan)
    for column, lag in enumerate(WEEKLY_LAGS):
        rows = np.arange(max(0, -lag), len(small) - max(0, lag))
        beside[rows, column] = scaled[1][rows + lag]
    return scaled[0], scaled[0], beside


def influence_of(one: np.ndarray, other: np.ndarray) -> tuple[float, np.ndarray]:
    """Return a correlation, and how far each row moves it, of mean 0."""
    x = (one - one.mean()) / max(one.std(), LEAST_DEVIATION)
    y = (other - other.mean()) / max(other.std(), LEAST_DEVIATION)
    r = float((x * y).mean())
    return r, x * y - r * (x**2 + y**2) / 2


def correlations(lags: Sequence[int], pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Return (k,) correlations, and the (n, k) influence of each row on them.

    Only rows on which every lag is there count, so that all lags are of the same sessions.
    Without opens the lags below 0 are NaN.

    Raises
    ------
    InsufficientHistoryError
        For fewer than 120 such rows.
    """
    closed, opened, beside = pairs
    usable = opened if np.isfinite(opened).sum() >= LEAST_SESSIONS else np.full_like(opened, np.nan)
    middle = list(lags).index(0)
    there = np.isfinite(closed) & np.isfinite(beside).all(axis=1)
    if np.isfinite(usable).any():
        there &= np.isfinite(usable)
    n = int(there.sum())
    if n < LEAST_SESSIONS:
        raise InsufficientHistoryError(
            "lead and lag: sessions with crypto's bars at every lag",
            needed=LEAST_SESSIONS,
            found=n,
            unit="sessions",
        )
    correlation, influence = np.full(len(lags), np.nan), np.zeros((n, len(lags)))
    for column in range(len(lags)):
        small = closed if column >= middle else usable
        if np.isfinite(small[there]).all():
            correlation[column], influence[:, column] = influence_of(
                small[there], beside[there, column]
            )
    return correlation, influence


def profile_of(
    asset: str,
    step: str,
    lags: Sequence[int],
    pairs: Pairs,
    block: float,
    windows: Sequence[int],
    resamples: int,
    seed: int,
) -> Profile:
    """Return the profile over some lags, with bands by the stationary bootstrap.

    Parameters
    ----------
    block : mean length of its blocks, rows.
    windows : lags over which sums are taken on either side.
    """
    correlation, influence = correlations(lags, pairs)
    n = len(influence)
    draws = StationaryBootstrap(n, block_length=block, resamples=resamples, seed=seed)
    moved = draws.means(influence)
    error = np.maximum(moved.std(axis=0), LEAST_DEVIATION)
    low, high = np.quantile(moved, TAILS, axis=0)
    away = (np.array(lags) != 0) & np.isfinite(correlation)
    largest = (np.abs(moved) / error)[:, away].max(axis=1)
    student = np.where(away, np.abs(correlation) / error, -np.inf)
    sums = sums_over(lags, windows)
    usable = {
        name: weights
        for name, weights in sums.items()
        if np.isfinite(correlation[weights != 0]).all()
    }
    leads = _leads(usable, correlation, moved)
    p_lags = float((1 + (largest >= student.max()).sum()) / (1 + resamples))
    return Profile(
        asset=asset,
        step=step,
        lags=tuple(lags),
        correlation=correlation,
        # The bootstrap of what a row moves, mirrored about the figure (basic bootstrap).
        lower=correlation - high,
        upper=correlation - low,
        sup=np.where(away, np.quantile(largest, 0.9) * error, np.nan),
        p_lags=p_lags,
        strongest_lag=int(np.array(lags)[student.argmax()]),
        leads=leads,
        verdict=_who(leads, p_lags, int(np.array(lags)[student.argmax()])),
        n=n,
        least_detectable=float((1.96 + 0.842) * np.median(error[away])),
    )


def sums_over(lags: Sequence[int], windows: Sequence[int]) -> dict[tuple[str, int], np.ndarray]:
    """Return (side, window) -> (k,) weights of lags: after, before, and their difference."""
    at = np.array(lags)
    found = {}
    for window in windows:
        after, before = ((at >= 1) & (at <= window)), ((at <= -1) & (at >= -window))
        found["crypto follows", window] = after.astype("float64")
        if -window >= at[0]:
            found["crypto leads", window] = before.astype("float64")
            found["difference", window] = after.astype("float64") - before
    return found


def _leads(
    sums: Mapping[tuple[str, int], np.ndarray], correlation: np.ndarray, moved: np.ndarray
) -> tuple[Lead, ...]:
    if not sums:
        return ()
    weights = np.stack(list(sums.values()), axis=1)
    # Lags without a correlation have no weight in these sums; but NaN times nought is NaN.
    total = np.where(np.isnan(correlation), 0.0, correlation) @ weights
    drawn = moved @ weights
    error = np.maximum(drawn.std(axis=0), LEAST_DEVIATION)
    largest = (np.abs(drawn) / error).max(axis=1)
    low, high = np.quantile(drawn, TAILS, axis=0)
    found = []
    for column, (side, window) in enumerate(sums):
        student = abs(total[column]) / error[column]
        alone = np.abs(drawn[:, column]) / error[column]
        found.append(
            Lead(
                side=side,
                window=window,
                total=float(total[column]),
                lower=float(total[column] - high[column]),
                upper=float(total[column] - low[column]),
                p_value=float((1 + (alone >= student).sum()) / (1 + len(moved))),
                p_corrected=float((1 + (largest >= student).sum()) / (1 + len(moved))),
            )
        )
    return tuple(found)


def _who(leads: Sequence[Lead], p_lags: float, strongest: int) -> str:
    after = any(one.side == "crypto follows" and one.p_corrected <= 0.05 for one in leads)
    before = any(one.side == "crypto leads" and one.p_corrected <= 0.05 for one in leads)
    after |= p_lags <= 0.05 and strongest > 0
    before |= p_lags <= 0.05 and strongest < 0
    if after and before:
        return "both"
    return "small caps" if after else "crypto" if before else "neither shown"


def sum_of(
    correlation: np.ndarray, moved: np.ndarray, weights: np.ndarray
) -> tuple[float, float, float]:
    """Return a weighted sum of correlations and its 90 % interval."""
    used = weights != 0
    total = float(correlation[used] @ weights[used])
    low, high = np.quantile(moved @ weights, TAILS)
    return total, float(total - high), float(total - low)
