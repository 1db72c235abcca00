"""What could have been found: power, the least detectable effect, and the events it would take."""

from __future__ import annotations

from math import ceil, inf

import numpy as np
from scipy import stats


def power_of(draws: np.ndarray, effect: float, level: float) -> float:
    """Return the chance that a one-sided randomisation test finds an effect of a given size.

    The effect shifts what is drawn under the null; nothing else is assumed.

    Parameters
    ----------
    draws : (r,) centred means under the null, ascending.
    level : of the test, after the correction for all others.
    """
    critical = _critical(draws, level)
    return float(np.mean(draws + effect > critical))


def least_detectable(draws: np.ndarray, level: float, power: float) -> float:
    """Return the effect that the test finds with a given chance."""
    return float(_critical(draws, level) - np.quantile(draws, 1 - power))


def _critical(draws: np.ndarray, level: float) -> float:
    return float(np.quantile(draws, 1 - max(level, 1 / (1 + len(draws)))))


def events_needed(deviation: float, effect: float, level: float, power: float) -> float:
    """Return how many independent events would find an effect, by the normal approximation.

    ``((z_level + z_power) * deviation / effect) ** 2``, rounded up; inf where the effect is 0.

    Parameters
    ----------
    deviation : of one event's outcome.

    Examples
    --------
    Of outcomes as wide as the effect, (1.645 + 0.842)^2 = 6.2 events are needed at 5 %:

    >>> events_needed(1.0, 1.0, 0.05, 0.8)
    7.0
    """
    if effect == 0 or not np.isfinite(deviation):
        return inf
    quantiles = stats.norm.isf(level) + stats.norm.ppf(power)
    return float(ceil((quantiles * deviation / abs(effect)) ** 2))


def share_test(
    rises: int, rates: np.ndarray, asserted: float
) -> tuple[float, float, tuple[float, float]]:
    """Test a number of rises against base rates, and against a rate that is asserted.

    Parameters
    ----------
    rises : of the events.
    rates : (n,) base rate of each event.
    asserted : rate that the claim asserts.

    Returns
    -------
    p of at least as many by the base rates (Poisson-binomial), p of at most as many at the
    asserted rate (binomial), and the 95 % interval of the rate (Clopper and Pearson).

    Examples
    --------
    Three of three at a base rate of one half is a chance of one in eight:

    >>> share_test(3, np.full(3, 0.5), 0.95)[0]
    0.125
    """
    n = len(rates)
    chances = poisson_binomial(rates)
    low = 0.0 if rises == 0 else float(stats.beta.ppf(0.025, rises, n - rises + 1))
    high = 1.0 if rises == n else float(stats.beta.ppf(0.975, rises + 1, n - rises))
    above = float(min(chances[rises:].sum(), 1.0))
    return above, float(stats.binom.cdf(rises, n, asserted)), (low, high)


def poisson_binomial(rates: np.ndarray) -> np.ndarray:
    """Return (n + 1,) the chance of each number of successes among unequal chances."""
    chances = np.ones(1)
    for rate in rates:
        chances = np.append(chances * (1 - rate), 0.0) + np.append(0.0, chances * rate)
    return chances


def share_power(rates: np.ndarray, asserted: float, level: float) -> float:
    """Return the chance that the exact test finds the asserted rate above the base rates."""
    enough = _enough(rates, level)
    return float(stats.binom.sf(enough - 1, len(rates), asserted)) if enough else 0.0


def share_detectable(rates: np.ndarray, level: float, power: float) -> float:
    """Return the least rate that the exact test finds with a given chance; NaN where none is."""
    enough = _enough(rates, level)
    if not enough:
        return float("nan")
    grid = np.linspace(0.0, 1.0, 1001)
    found = grid[stats.binom.sf(enough - 1, len(rates), grid) >= power]
    return float(found[0])


def _enough(rates: np.ndarray, level: float) -> int:
    """Return the least number of successes that the base rates exclude; 0 where none is."""
    tail = np.cumsum(poisson_binomial(rates)[::-1])[::-1]
    enough = np.flatnonzero(tail <= level)
    return int(enough[0]) if len(enough) else 0


def share_events_needed(base: float, asserted: float, level: float, power: float) -> float:
    """Return how many events would tell the asserted rate from the base rate; inf above 5000."""
    n = np.arange(1, 5001)
    enough = stats.binom.isf(level, n, base) + 1
    found = n[(stats.binom.sf(enough - 1, n, asserted) >= power) & (enough <= n)]
    return float(found[0]) if len(found) else inf
