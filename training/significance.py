"""Is a difference of losses more than luck: one pair, all candidates, all trials.

Losses of forecasts over h days depend on their h - 1 neighbours, and the best of many is
good by luck. Each test here states which of the two it takes care of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sources.errors import InsufficientHistoryError
from training.bootstrap import StationaryBootstrap

DETECTABLE_DEVIATIONS = 1.645 + 0.842
"""Normal quantiles of a one-sided test at 5 %, and of a power of 80 %."""
RESAMPLES = 10_000
LEAST_DEVIATION = 1e-15


@dataclass(frozen=True)
class DieboldMariano:
    """The test that two forecasts are equally good.

    Attributes
    ----------
    mean : what the second gains on the first, in units of the loss; above 0 it is better.
    standard_error : of the mean, from h - 1 autocovariances.
    statistic : Harvey, Leybourne and Newbold's, Student with n - 1 degrees under equality.
    p_value : two-sided.
    p_better : one-sided, that the second is no better.
    effective_n : outcomes that do not depend on each other and would say as much.
    """

    mean: float
    standard_error: float
    statistic: float
    p_value: float
    p_better: float
    n: int
    effective_n: float

    @property
    def least_detectable(self) -> float:
        """The gain that a one-sided test at 5 % would find four times in five."""
        return DETECTABLE_DEVIATIONS * self.standard_error


def diebold_mariano(
    first: np.ndarray, second: np.ndarray, *, horizon_days: int = 1
) -> DieboldMariano:
    """Test whether two forecasts of the same outcomes are equally good.

    The variance of the mean difference is the sum of its autocovariances to lag h - 1, as
    optimal forecasts over h days have errors that depend no further. Where that sum is not
    positive, which it may be in small samples, Bartlett's weights make it so.

    Parameters
    ----------
    first, second : (n,) losses on the same consecutive days.
    horizon_days : h, of the forecasts.

    Raises
    ------
    InsufficientHistoryError
        For no more than 2 h rows.

    References
    ----------
    Diebold and Mariano (1995), Comparing predictive accuracy; Harvey, Leybourne and Newbold
    (1997), Testing the equality of prediction mean squared errors.

    Examples
    --------
    Differences 1, 1, 1, -1 have mean 1/2 and variance 3/4, so DM is (1/2) / sqrt(3/16) = 1.1547,
    and the correction at h = 1 is sqrt(3/4):

    >>> found = diebold_mariano(np.array([1.0, 1.0, 1.0, -1.0]), np.zeros(4))
    >>> round(found.statistic, 6)
    1.0
    """
    from scipy.stats import t

    n, h = len(first), horizon_days
    if n <= 2 * h:
        raise InsufficientHistoryError(
            "Diebold-Mariano: days on which both have a loss",
            needed=2 * h + 1,
            found=n,
            unit="days",
        )
    difference = first - second
    mean = float(difference.mean())
    around = difference - mean
    variance = float(around @ around) / n
    lagged = np.array([around[lag:] @ around[:-lag] / n for lag in range(1, h)])
    long_run = variance + 2 * lagged.sum()
    if long_run <= 0:
        long_run = variance + 2 * float(((1 - np.arange(1, h) / h) * lagged).sum())
    if long_run <= LEAST_DEVIATION**2:
        # The same losses every day, or the same difference: nothing that varies, nothing to test.
        certain = 0.0 if mean else 1.0
        better = 0.0 if mean > 0 else 1.0
        return DieboldMariano(mean, 0.0, 0.0, certain, better, n, n / h)
    error = float(np.sqrt(long_run / n))
    correction = np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    statistic = float(mean / error * correction)
    return DieboldMariano(
        mean=mean,
        standard_error=error,
        statistic=statistic,
        p_value=float(2 * t.sf(abs(statistic), n - 1)),
        p_better=float(t.sf(statistic, n - 1)),
        n=n,
        effective_n=n * variance / float(long_run),
    )


@dataclass(frozen=True)
class SuperiorAbility:
    """Hansen's test that no candidate beats the benchmark.

    Attributes
    ----------
    p_value : consistent; candidates that are clearly worse do not hide those that are better.
    p_lower, p_upper : a liberal one, and White's conservative one, between which it lies.
    best : position of the candidate with the greatest studentised gain.
    """

    p_value: float
    p_lower: float
    p_upper: float
    best: int


def superior_ability(
    benchmark: np.ndarray,
    candidates: np.ndarray,
    *,
    block_length: float,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> SuperiorAbility:
    """Test whether the best of many candidates beats the benchmark, all of them counted.

    Parameters
    ----------
    benchmark : (n,) losses.
    candidates : (n, k) losses of all that were tried, on the same days.
    block_length : mean block of the stationary bootstrap, in rows.

    References
    ----------
    Hansen (2005), A test for superior predictive ability.
    """
    gain = benchmark[:, None] - candidates
    n = len(gain)
    means = StationaryBootstrap(n, block_length=block_length, resamples=resamples, seed=seed).means(
        gain
    )
    mean, deviation = gain.mean(axis=0), means.std(axis=0)
    # A candidate that is the benchmark itself can neither win nor lose.
    real = deviation > LEAST_DEVIATION
    if not real.any():
        return SuperiorAbility(1.0, 1.0, 1.0, 0)
    student = np.where(real, mean / np.where(real, deviation, 1.0), -np.inf)
    found = max(0.0, float(student.max()))
    hopeless = student < -np.sqrt(2 * np.log(np.log(max(n, 3))))
    centres = {
        "p_value": np.where(hopeless, 0.0, mean),
        "p_lower": np.maximum(mean, 0.0),
        "p_upper": mean,
    }
    p = {
        name: _share(
            np.maximum(((means - centre)[:, real] / deviation[real]).max(axis=1), 0.0), found
        )
        for name, centre in centres.items()
    }
    return SuperiorAbility(**p, best=int(student.argmax()))


def model_confidence_set(
    losses: np.ndarray, *, block_length: float, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Return (k,) the p-value with which each candidate is among the best.

    Those with a p-value of at least alpha are a set that holds all of the best with
    probability ``1 - alpha``. The worst is taken out as long as equality of those left is
    implausible (statistic T_max); the p-value of a candidate is the greatest met until then.

    Parameters
    ----------
    losses : (n, k) on the same days.

    References
    ----------
    Hansen, Lunde and Nason (2011), The model confidence set.
    """
    n, k = losses.shape
    draws = StationaryBootstrap(n, block_length=block_length, resamples=resamples, seed=seed)
    mean = losses.mean(axis=0)
    around = draws.means(losses) - mean
    left, worst_yet = list(range(k)), 0.0
    p_values = np.ones(k)
    while len(left) > 1:
        here = mean[left] - mean[left].mean()
        strayed = around[:, left] - around[:, left].mean(axis=1, keepdims=True)
        deviation = strayed.std(axis=0)
        if (deviation <= LEAST_DEVIATION).all():
            break
        deviation = np.maximum(deviation, LEAST_DEVIATION)
        student = here / deviation
        p = _share((strayed / deviation).max(axis=1), float(student.max()))
        worst_yet = max(worst_yet, p)
        p_values[left.pop(int(student.argmax()))] = worst_yet
    return p_values


def corrected_p_value(p_value: float, trials: int) -> float:
    """Return a p-value corrected for the number of trials it was chosen from (Bonferroni).

    It holds however the trials depend on each other, and needs nothing of those that were
    not kept but their number: pruned, failed and deleted ones count.

    Raises
    ------
    ValueError
        For fewer than 1 trial.

    Examples
    --------
    >>> corrected_p_value(0.001, 20)
    0.02
    """
    if trials < 1:
        raise ValueError(f"trials counted: needed at least 1; found {trials}")
    return min(1.0, p_value * trials)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Return p-values of a family of tests, corrected for their number by Holm's steps.

    Examples
    --------
    The least is multiplied by 3, the next by 2, and none falls below one before it:

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype="float64")
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(steps, 1.0)
    return corrected


def pairwise(
    losses: Mapping[str, np.ndarray], *, horizon_days: int
) -> dict[tuple[str, str], DieboldMariano]:
    """Test each pair once, in the order of names; the second's gain on the first."""
    names = list(losses)
    return {
        (a, b): diebold_mariano(losses[a], losses[b], horizon_days=horizon_days)
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    }


def _share(simulated: np.ndarray, found: float) -> float:
    return float((1 + (simulated >= found).sum()) / (1 + len(simulated)))
