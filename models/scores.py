"""Proper scores of probability forecasts, and the reliability of a set of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_PROBABILITY = 1e-6


def log_loss(outcome: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return the logarithmic loss of each forecast, in nats: ``-ln`` of what happened.

    Parameters
    ----------
    outcome : (n,) 0 or 1.
    probability : (n,) or (n, k) in [0, 1]; cut to [1e-6, 1 - 1e-6].

    Returns
    -------
    Array shaped as ``probability``, in [1e-6, 13.8].

    References
    ----------
    Good (1952), Rational decisions.

    Examples
    --------
    >>> log_loss(np.array([1.0]), np.array([0.5])).round(4).tolist()
    [0.6931]
    """
    p = np.clip(probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    y = outcome if probability.ndim == 1 else outcome[:, None]
    return -np.log(np.where(y == 1, p, 1 - p))


def expected_log_loss(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return the log loss in expectation under the true probability, in nats.

    Examples
    --------
    >>> expected_log_loss(np.array([0.5]), np.array([0.5])).round(4).tolist()
    [0.6931]
    """
    p = np.clip(probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    loss: np.ndarray = -truth * np.log(p) - (1 - truth) * np.log(1 - p)
    return loss


def brier_score(outcome: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return the squared error of each forecast, in [0, 1].

    References
    ----------
    Brier (1950), Verification of forecasts expressed in terms of probability.

    Examples
    --------
    >>> brier_score(np.array([1.0]), np.array([0.8])).round(4).tolist()
    [0.04]
    """
    error: np.ndarray = (outcome - probability) ** 2
    return error


def brier_skill_score(outcome: np.ndarray, probability: np.ndarray, reference: np.ndarray) -> float:
    """Return 1 minus the ratio of mean Brier scores; positive beats the reference.

    Examples
    --------
    >>> brier_skill_score(np.array([1.0, 0.0]), np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    1.0
    """
    base = float(brier_score(outcome, reference).mean())
    return 1.0 - float(brier_score(outcome, probability).mean()) / base


@dataclass(frozen=True)
class Reliability:
    """Forecasts against what happened, by bins of equal count.

    Attributes
    ----------
    forecast, observed : (b,) mean probability and frequency in each bin.
    count : (b,) forecasts in each bin.
    lower, upper : (b,) band in which ``observed`` lies nine times in ten if the
        forecasts are calibrated and ``count / h`` of them independent.
    """

    forecast: np.ndarray
    observed: np.ndarray
    count: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @property
    def expected_calibration_error(self) -> float:
        """Return the mean distance of forecast and frequency, weighted by count."""
        gap = np.abs(self.forecast - self.observed)
        return float((gap * self.count).sum() / self.count.sum())


def reliability(
    outcome: np.ndarray, probability: np.ndarray, *, horizon_days: int = 1, bins: int = 10
) -> Reliability:
    """Compare forecasts with frequencies in bins of equal count.

    References
    ----------
    Broecker and Smith (2007), Increasing the reliability of reliability diagrams.
    """
    parts = np.array_split(np.argsort(probability, kind="stable"), min(bins, len(outcome)))
    forecast = np.array([probability[part].mean() for part in parts])
    observed = np.array([outcome[part].mean() for part in parts])
    count = np.array([len(part) for part in parts], dtype="float64")
    deviation = np.sqrt(forecast * (1 - forecast) / np.maximum(count / horizon_days, 1))
    return Reliability(
        forecast,
        observed,
        count,
        np.clip(forecast - 1.645 * deviation, 0, 1),
        np.clip(forecast + 1.645 * deviation, 0, 1),
    )


@dataclass(frozen=True)
class BrierParts:
    """Murphy's parts of a mean Brier score: ``reliability - resolution + uncertainty``.

    Attributes
    ----------
    reliability : mean squared distance of forecasts from frequencies, by bins; small is good.
    resolution : how far frequencies part from the base rate, less what forecasts that differ
        within a bin get wrong there; great is good.
    uncertainty : variance of the outcome, which no forecast can help.
    """

    reliability: np.ndarray
    resolution: np.ndarray
    uncertainty: np.ndarray


def brier_parts(
    share: np.ndarray, forecast: np.ndarray, hits: np.ndarray, score: np.ndarray
) -> BrierParts:
    """Split mean Brier scores by Murphy, so that the parts add up exactly.

    Parameters
    ----------
    share, forecast, hits : (..., b) of each bin, over all rows: mean of one in the bin, mean of
        the probability there, mean of the outcome there.
    score : (...) mean Brier score.

    References
    ----------
    Murphy (1973), A new vector partition of the probability score; Stephenson, Coelho and
    Jolliffe (2008), Two extra components in the Brier score decomposition.

    Examples
    --------
    Said 0.2 and 0.8, and found 0 and 1, half of the time each: 0.04 - 0.25 + 0.25.

    >>> parts = brier_parts(np.array([.5, .5]), np.array([.1, .4]), np.array([0., .5]), .04)
    >>> [round(float(x), 6) for x in (parts.reliability, parts.resolution, parts.uncertainty)]
    [0.04, 0.25, 0.25]
    """
    filled = np.where(share > 0, share, 1.0)
    reliability = ((forecast - hits) ** 2 / filled).sum(axis=-1)
    rate = hits.sum(axis=-1)
    between = (hits**2 / filled).sum(axis=-1) - rate**2
    uncertainty = rate * (1 - rate)
    within = score - (reliability - between + uncertainty)
    return BrierParts(reliability, between - within, uncertainty)


def bins_of(probability: np.ndarray, bins: int = 10) -> np.ndarray:
    """Return (n,) the bin of each forecast; bins hold equal counts, in the order of forecasts.

    Examples
    --------
    >>> bins_of(np.array([0.5, 0.1, 0.7, 0.2]), 2).tolist()
    [1, 0, 1, 0]
    """
    parts = np.array_split(np.argsort(probability, kind="stable"), min(bins, len(probability)))
    found = np.empty(len(probability), dtype="int64")
    for number, part in enumerate(parts):
        found[part] = number
    return found


def roc_auc(outcome: np.ndarray, probability: np.ndarray) -> float:
    """Return the area under the ROC curve; NaN where only one outcome happened.

    Examples
    --------
    >>> roc_auc(np.array([0.0, 1.0]), np.array([0.2, 0.7]))
    1.0
    """
    from scipy.stats import rankdata

    positive = outcome == 1
    n, p = len(outcome), int(positive.sum())
    if p in (0, n):
        return float("nan")
    rank = rankdata(probability)
    return float((rank[positive].sum() - p * (p + 1) / 2) / (p * (n - p)))
