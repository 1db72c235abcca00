"""Nested forecasts: what a block adds out of sample to what a smaller model knew already.

Bayesian linear regressions of volatility-standardised returns, refitted each quarter on the
labels known by then: row t is forecast from rows whose label had ended, and been known, by the
day of the refit. Features are standardised by the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sources.errors import InsufficientHistoryError
from training.significance import DETECTABLE_DEVIATIONS, diebold_mariano

PRIOR_DEVIATION = 0.02
"""Of a coefficient, in deviations of a day's return for one of the feature: R2 of 0.04 % each."""
REFIT_DAYS = 91
LEAST_TRAINING = 500
LEAST_DEVIATION = 1e-10


@dataclass(frozen=True)
class Outcomes:
    """What is to be forecast.

    Attributes
    ----------
    value : (n,) return over h days in its deviations; NaN where there is none.
    known_on : (n,) int64, first row at which it was known; n or more where never.
    horizon_days : h.
    """

    value: np.ndarray
    known_on: np.ndarray
    horizon_days: int


def expanding_forecasts(features: np.ndarray, outcomes: Outcomes, usable: np.ndarray) -> np.ndarray:
    """Return (n,) forecasts, NaN before 500 outcomes are known and where a feature is missing.

    Ridge with the penalty that a prior deviation of 0.02 stands for. A label over h days counts
    1/h, and effects over h days are root(h) times as large: the two cancel, so that the penalty
    in rows is the same at every horizon. The mean is that of the training outcomes.

    Parameters
    ----------
    features : (n, k); k may be 0, for the mean alone.
    usable : (n,) bool, rows on which all that is compared is known.
    """
    n, k = features.shape
    rows = usable & np.isfinite(features).all(axis=1)
    labelled = np.flatnonzero(rows & np.isfinite(outcomes.value) & (outcomes.known_on < n))
    labelled = labelled[np.argsort(outcomes.known_on[labelled], kind="stable")]
    learned = np.column_stack(
        [np.ones(len(labelled)), features[labelled], outcomes.value[labelled]]
    )
    begins = np.arange(0, n, REFIT_DAYS)
    ends = np.searchsorted(outcomes.known_on[labelled], begins, side="right")
    found = np.full(n, np.nan)
    moments = np.zeros((k + 2, k + 2))
    seen = 0
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        moments += learned[seen:end].T @ learned[seen:end]
        seen = end
        if end < LEAST_TRAINING:
            continue
        here = begin + np.flatnonzero(rows[begin : begin + REFIT_DAYS])
        found[here] = _forecast(features[here], moments)
    return found


def _forecast(features: np.ndarray, moments: np.ndarray) -> np.ndarray:
    count, mean = moments[0, 0], moments[0] / moments[0, 0]
    around = moments[1:, 1:] - count * np.outer(mean[1:], mean[1:])
    spread = np.sqrt(np.maximum(np.diag(around)[:-1] / count, 0.0))
    scale = np.where(spread > LEAST_DEVIATION, spread, np.inf)
    gram = around[:-1, :-1] / np.outer(scale, scale)
    penalty = float(around[-1, -1]) / count / PRIOR_DEVIATION**2
    slopes = np.linalg.solve(gram + penalty * np.eye(len(gram)), around[:-1, -1] / scale)
    forecast: np.ndarray = mean[-1] + (features - mean[1:-1]) / scale @ slopes
    return forecast


@dataclass(frozen=True)
class Increment:
    """What the larger of two nested models gains.

    Attributes
    ----------
    r2, lower, upper : share of the smaller model's squared error that the larger saves, out of
        sample, with its 90 % interval; below 0 it costs.
    r2_adjusted : likewise, less the noise of estimating what may be nothing (Clark and West).
    statistic, p_value : Clark and West's, with h - 1 autocovariances; one-sided.
    n, effective_n : forecasts, and those that would say as much without overlap.
    least_detectable : r2_adjusted that the test at 5 % finds four times in five.
    """

    r2: float
    lower: float
    upper: float
    r2_adjusted: float
    statistic: float
    p_value: float
    n: int
    effective_n: float
    least_detectable: float


def compare_nested(
    value: np.ndarray, small: np.ndarray, large: np.ndarray, *, horizon_days: int
) -> Increment:
    """Test whether the larger of two nested forecasts is better in the long run.

    Parameters
    ----------
    value, small, large : (n,) outcomes and forecasts; rows with NaN in any are left out.

    Raises
    ------
    InsufficientHistoryError
        For no more than 10 h rows.

    References
    ----------
    Clark and West (2007), Approximately normal tests for equal predictive accuracy in nested
    models; Campbell and Thompson (2008), Predicting excess stock returns out of sample.
    """
    there = np.isfinite(value) & np.isfinite(small) & np.isfinite(large)
    n = int(there.sum())
    if n <= 10 * horizon_days:
        raise InsufficientHistoryError(
            "nested forecasts: outcomes after 500 to learn from",
            needed=10 * horizon_days + 1,
            found=n,
            unit="days",
        )
    y, first, second = value[there], small[there], large[there]
    loss, other = (y - first) ** 2, (y - second) ** 2
    plain = diebold_mariano(loss, other, horizon_days=horizon_days)
    adjusted = diebold_mariano(loss, other - (first - second) ** 2, horizon_days=horizon_days)
    whole = float(loss.mean())
    reach = 1.645 * plain.standard_error
    return Increment(
        r2=plain.mean / whole,
        lower=(plain.mean - reach) / whole,
        upper=(plain.mean + reach) / whole,
        r2_adjusted=adjusted.mean / whole,
        statistic=adjusted.statistic,
        p_value=adjusted.p_better,
        n=n,
        effective_n=adjusted.effective_n,
        least_detectable=DETECTABLE_DEVIATIONS * adjusted.standard_error / whole,
    )
