"""Inference for few, clustered events whose outcomes overlap.

The reference is randomisation: the events' dates are drawn anew among the days of the same
regime, and what follows them is compared with what followed the events. It assumes no law of
the returns and no independence of neighbouring days. Three other views stand beside it: ranks,
a portfolio in calendar time, and a block bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from training.bootstrap import StationaryBootstrap
from training.study.outcomes import LEAST_REGIME_DAYS

DRAWS = 20_000


@dataclass(frozen=True)
class Randomised:
    """What the events' mean would have been on other days of the same regime.

    Attributes
    ----------
    n : events with an outcome.
    observed : mean outcome after them.
    base : its expectation over dates drawn from the same regimes.
    draws : (r,) means of drawn dates less ``base``, ascending.
    rank : mean rank of the events among the days of their regimes, 0 to 1.
    rank_draws : (r,) the same of drawn dates, ascending; empty where ranks were not asked for.
    shown : share of a true effect that the comparison shows: the days after events are among
        those that they are compared with.
    """

    n: int
    observed: float
    base: float
    draws: np.ndarray
    rank: float
    rank_draws: np.ndarray
    shown: float = 1.0

    @property
    def effect(self) -> float:
        """What follows the events beyond what follows such days."""
        return self.observed - self.base

    def p_above(self, effect: float = 0.0) -> float:
        """Return the chance of an effect as large as the one seen where the true one is given."""
        return _upper(self.draws, self.effect - effect)

    def p_below(self, effect: float) -> float:
        """Return the chance of an effect as small as the one seen where the true one is given."""
        return _upper(-self.draws[::-1], effect - self.effect)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the effects that randomisation does not reject at ``1 - level``, two-sided."""
        low, high = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2])
        return self.effect - float(high), self.effect - float(low)


def _upper(ascending: np.ndarray, value: float) -> float:
    """Return (1 + draws at or above) / (1 + draws), which is a valid p-value."""
    above = len(ascending) - int(np.searchsorted(ascending, value - 1e-12, side="left"))
    return (1 + above) / (1 + len(ascending))


def randomise(
    outcome: np.ndarray,
    rows: np.ndarray,
    stratum: np.ndarray,
    generator: np.random.Generator,
    *,
    horizon_days: int,
    draws: int = DRAWS,
    ranks: bool = False,
) -> Randomised | None:
    """Compare what follows events with what follows days drawn from the same strata.

    Parameters
    ----------
    outcome : (n,) what follows each day, NaN where it is not known.
    rows : (e,) rows of the events.
    stratum : (n,) of each day, -1 where it is not known. A stratum with less than 60 days
        of known outcome, and -1, are compared with all days.
    horizon_days : that an outcome looks ahead.
    ranks : also rank the events among the days of their strata.

    Returns
    -------
    None where no event has a known outcome, or no day has.
    """
    known = ~np.isnan(outcome)
    events = rows[known[rows]] if len(rows) else rows
    if len(events) == 0:
        return None
    everything = np.flatnonzero(known)
    labels, counts = np.unique(stratum[events], return_counts=True)
    total, places = np.zeros(draws), np.zeros(draws)
    base, rank_seen, days = 0.0, 0.0, 0
    for label, count in zip(labels, counts, strict=True):
        own = np.flatnonzero(known & (stratum == label))
        pool = own if label >= 0 and len(own) >= LEAST_REGIME_DAYS else everything
        values = outcome[pool]
        drawn = generator.integers(0, len(pool), size=(int(count), draws))
        total += values[drawn].sum(axis=0)
        base += float(values.mean()) * int(count)
        days += len(pool)
        if ranks:
            places += ((stats.rankdata(values) - 0.5) / len(values))[drawn].sum(axis=0)
            mine = np.searchsorted(np.sort(values), outcome[events[stratum[events] == label]])
            rank_seen += float((mine + 0.5).sum()) / len(values)
    n = len(events)
    return Randomised(
        n=n,
        observed=float(outcome[events].mean()),
        base=base / n,
        draws=np.sort(total / n - base / n),
        rank=rank_seen / n,
        rank_draws=np.sort(places / n) if ranks else np.zeros(0),
        shown=1.0 - min(n * horizon_days / days, 0.9),
    )


def difference(one: Randomised, other: Randomised, generator: np.random.Generator) -> Randomised:
    """Return the difference of two sides of a split; their dates are drawn independently."""
    return Randomised(
        n=one.n + other.n,
        observed=one.observed - other.observed,
        base=one.base - other.base,
        draws=np.sort(generator.permutation(one.draws) - generator.permutation(other.draws)),
        rank=float("nan"),
        rank_draws=np.zeros(0),
        shown=min(one.shown, other.shown),
    )


@dataclass(frozen=True)
class CalendarTime:
    """A portfolio that holds the target on the days after events, against the other days.

    Attributes
    ----------
    days : days on which it holds.
    effect : mean daily log return on those days less that on others.
    p_above : one-sided, heteroscedasticity- and autocorrelation-robust.
    lower, upper : 95 % interval by stationary bootstrap, blocks of one horizon.
    """

    days: int
    effect: float
    p_above: float
    lower: float
    upper: float


def calendar_time(
    level: np.ndarray, rows: np.ndarray, horizon_days: int, *, seed: int = 0
) -> CalendarTime | None:
    """Hold the target for a horizon after each event, once however many events are open.

    Returns
    -------
    None where it would hold on no day, or on all.

    References
    ----------
    Fama (1998), Market efficiency, long-term returns, and behavioral finance; Newey and West
    (1987); Politis and Romano (1994).
    """
    step = np.diff(level, prepend=np.nan)
    held = np.zeros(len(level), dtype=bool)
    for row in rows:
        held[row + 1 : row + 1 + horizon_days] = True
    known = ~np.isnan(step)
    step, held = step[known], held[known]
    if held.all() or not held.any():
        return None
    inside = held.astype("float64")
    share = inside.mean()
    effect = float(step[held].mean() - step[~held].mean())
    # The difference of means is a mean of these, so its variance is a long-run variance.
    residual = step - np.where(held, step[held].mean(), step[~held].mean())
    influence = residual * (inside / share - (1 - inside) / (1 - share))
    lags = int(4 * (len(step) / 100) ** (2 / 9))
    variance = float(influence @ influence) / len(step)
    for lag in range(1, lags + 1):
        shared = float(influence[lag:] @ influence[:-lag]) / len(step)
        variance += 2 * (1 - lag / (lags + 1)) * shared
    error = float(np.sqrt(max(variance, 1e-18) / len(step)))
    columns = np.column_stack([inside, inside * step, 1 - inside, (1 - inside) * step])
    length = min(float(horizon_days), len(step) / 4)
    means = StationaryBootstrap(len(step), block_length=length, resamples=1000, seed=seed).means(
        columns
    )
    means = means[(means[:, 0] > 0) & (means[:, 2] > 0)]
    spread = means[:, 1] / means[:, 0] - means[:, 3] / means[:, 2]
    low, high = np.quantile(spread, [0.025, 0.975])
    return CalendarTime(
        days=int(held.sum()),
        effect=effect,
        p_above=float(stats.norm.sf(effect / error)),
        lower=float(low),
        upper=float(high),
    )
