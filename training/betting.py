"""What forecasts would have earned by a stated rule after costs, and how much of it is choice.

The rule, at threshold 0: each day one h-th of the capital is placed for h days, in the asset
where the forecast is above one half, else in cash that earns nothing; no leverage, no short
sales. When an h-th comes due it is placed anew, and what changes hands costs ``COST`` of
its amount, commission and half the spread. Buying and holding is the same rule with a
forecast that is always above one half, and pays once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

COST = 0.001
"""Of what changes hands: ten basis points, a fee and half the spread on a large exchange."""
DAYS_A_YEAR = 365.0
EULER = 0.5772156649015329
PARTS = 16
LEAST_ROWS_A_PART = 2
EVEN = 0.5


def bet_returns(
    probability: np.ndarray,
    forward_return: np.ndarray,
    *,
    horizon_days: int,
    cost: float = COST,
) -> np.ndarray:
    """Return what each day's bet earns by the rule, as a fraction of its stake.

    Parameters
    ----------
    probability : (n,) or (n, k) forecasts on consecutive days.
    forward_return : (n,) simple return over the h days that follow.
    cost : fraction of what changes hands.

    Returns
    -------
    Array shaped as ``probability``. A bet pays for the change from the one h days before; the
    first h pay for going in.

    Examples
    --------
    In, still in, and out again, at a cost of one percent:

    >>> said, earned = np.array([0.6, 0.6, 0.4]), np.array([0.1, 0.2, 0.3])
    >>> bet_returns(said, earned, horizon_days=1, cost=0.01).round(3).tolist()
    [0.09, 0.2, -0.01]
    """
    position = (probability > EVEN).astype("float64")
    before = np.zeros_like(position)
    before[horizon_days:] = position[:-horizon_days]
    earned = forward_return if probability.ndim == 1 else forward_return[:, None]
    returns: np.ndarray = position * earned - cost * np.abs(position - before)
    return returns


def sharpe_ratio(returns: np.ndarray, *, periods_a_year: float = 1.0) -> float:
    """Return mean over deviation, times the root of the periods a year; 0 where nothing varies.

    Examples
    --------
    >>> sharpe_ratio(np.array([0.0, 2.0]))
    1.0
    """
    deviation = float(returns.std())
    if deviation <= 0:
        return 0.0
    return float(returns.mean()) / deviation * float(np.sqrt(periods_a_year))


def probabilistic_sharpe_ratio(
    ratio: float, benchmark: float, *, n: float, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Return the probability that the true Sharpe ratio is above a benchmark.

    Parameters
    ----------
    ratio, benchmark : a period, not annualised.
    n : periods that do not overlap, above 1.
    skewness, kurtosis : of the returns; 0 and 3 for normal ones.

    References
    ----------
    Bailey and Lopez de Prado (2012), The Sharpe ratio efficient frontier.
    """
    from scipy.special import ndtr

    variance = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    return float(ndtr((ratio - benchmark) * np.sqrt((n - 1) / variance)))


def expected_best_sharpe(trials: int, variance: float) -> float:
    """Return the Sharpe ratio to expect of the best of many trials without any skill.

    Parameters
    ----------
    trials : tried, at least 1; of one nothing is expected.
    variance : of the ratios of the trials, a period.

    References
    ----------
    Bailey and Lopez de Prado (2014), The deflated Sharpe ratio.
    """
    from scipy.special import ndtri

    if trials < 1:
        raise ValueError(f"trials counted: needed at least 1; found {trials}")
    if trials == 1:
        return 0.0
    best = (1 - EULER) * ndtri(1 - 1 / trials) + EULER * ndtri(1 - 1 / (trials * np.e))
    return float(np.sqrt(variance) * best)


def deflated_sharpe_ratio(
    returns: np.ndarray,
    *,
    trials: int,
    horizon_days: int = 1,
    variance: float | None = None,
) -> float:
    """Return the probability that a strategy chosen from many trials has any skill.

    Parameters
    ----------
    returns : (n,) of overlapping bets of h days; n / h of them count.
    trials : all that were tried to find this one.
    variance : of the trials' Sharpe ratios; by default 1 over the outcomes that do not
        overlap, what it is among trials without skill.

    References
    ----------
    Bailey and Lopez de Prado (2014), The deflated Sharpe ratio.
    """
    from scipy.stats import kurtosis, skew

    ratio = sharpe_ratio(returns)
    effective = max(len(returns) / horizon_days, 2.0)
    if ratio == 0:
        skewness, heavy = 0.0, 3.0
    else:
        skewness, heavy = float(skew(returns)), float(kurtosis(returns, fisher=False))
    best = expected_best_sharpe(trials, 1 / effective if variance is None else variance)
    return probabilistic_sharpe_ratio(ratio, best, n=effective, skewness=skewness, kurtosis=heavy)


@dataclass(frozen=True)
class Overfitting:
    """How a choice of the best candidate does out of the sample it was made in.

    Attributes
    ----------
    probability : of backtest overfitting: the chosen one is below the median elsewhere.
    logits : (splits,) log-odds of its rank elsewhere; below 0 it is below the median.
    """

    probability: float
    logits: np.ndarray


def backtest_overfitting(returns: np.ndarray, *, parts: int = PARTS) -> Overfitting:
    """Choose the best Sharpe ratio on every half of the parts, and rank it on the other half.

    Parameters
    ----------
    returns : (n, k) of all candidates on the same days, k at least 2.
    parts : contiguous, an even number; 16 make 12,870 splits.

    Raises
    ------
    ValueError
        For fewer than 2 candidates, an odd number of parts, or fewer than 2 rows a part.

    References
    ----------
    Bailey, Borwein, Lopez de Prado and Zhu (2017), The probability of backtest overfitting.
    """
    n, k = returns.shape
    if k < 2 or parts % 2 or n < LEAST_ROWS_A_PART * parts:
        raise ValueError(
            f"backtest overfitting: needed at least 2 candidates, an even number of parts and "
            f"{LEAST_ROWS_A_PART} rows in each; found {k}, {parts} and {n} rows"
        )
    pieces = np.array_split(returns, parts)
    sums = np.array([piece.sum(axis=0) for piece in pieces])
    squares = np.array([(piece**2).sum(axis=0) for piece in pieces])
    counts = np.array([len(piece) for piece in pieces], dtype="float64")
    chosen = np.array(list(combinations(range(parts), parts // 2)))
    inside = np.zeros((len(chosen), parts))
    np.put_along_axis(inside, chosen, 1.0, axis=1)
    best = _ratios(inside, sums, squares, counts).argmax(axis=1)
    elsewhere = _ratios(1 - inside, sums, squares, counts)
    mine = elsewhere[np.arange(len(best)), best][:, None]
    # The middle of those that tie, of k, in (0, 1).
    rank = (elsewhere < mine).sum(axis=1) + ((elsewhere == mine).sum(axis=1) + 1) / 2
    relative = rank / (k + 1)
    logits = np.log(relative / (1 - relative))
    below, level = float((logits < 0).mean()), float((logits == 0).mean())
    return Overfitting(below + level / 2, logits)


def _ratios(
    weight: np.ndarray, sums: np.ndarray, squares: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    total = (weight @ counts)[:, None]
    mean = weight @ sums / total
    variance = np.maximum(weight @ squares / total - mean**2, 0.0)
    ratio: np.ndarray = np.divide(
        mean, np.sqrt(variance), out=np.zeros_like(mean), where=variance > 0
    )
    return ratio
