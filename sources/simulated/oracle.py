"""The true probability that an asset rises above a threshold.

Given everything knowable at T(d), the sum of the next h drifts is a mixture of Gaussians (or of
points) and independent of the sum of the next h shocks, a mixture of centred Gaussians. So

    p* = sum_c w_c sum_k v_k Phi((h m + b S_c - ln(1 + theta)) / sqrt(b^2 V_c + s^2 V_k)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# numpy has no normal cdf; scipy's is a compiled ufunc exact to 1e-15, and comes with the
# project anyway (models/ stands on it). A rational approximation of our own would be slower.
from scipy.special import ndtr

from sources.simulated.noise import VolatilityRegime

_TABLE_STEP = 2.5e-4
"""Of the table of the mixture's cdf, in standard deviations of the horizon's noise."""


@dataclass(frozen=True)
class DriftSum:
    """What is known at T(d) about the sum of the driver over the next h days.

    Attributes
    ----------
    weights : (n, c) float64, rows summing to 1.
    means : (n, c) float64.
    variances : (n,) float64, of each component of a row; 0 where they are points.
    """

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray


@dataclass(frozen=True)
class Law:
    """The law of one asset: ``log return = mean + loading * driver + scale * shock``, a day.

    Attributes
    ----------
    mean : daily log return when the driver is 0.
    loading : daily log return a unit of the driver.
    scale : standard deviation of a day's shock in the long run.
    """

    mean: float
    loading: float
    scale: float


def rise_probability(
    drift: DriftSum,
    law: Law,
    regime: VolatilityRegime,
    state: np.ndarray,
    horizon_days: int,
    *,
    threshold: float = 0.0,
) -> np.ndarray:
    """Return P(close[d+h] / close[d] - 1 > threshold), given everything knowable at T(d).

    Parameters
    ----------
    drift : of the n days, over the same horizon.
    state : (n,) int, volatility state of day d.
    horizon_days : h.
    threshold : fractional return, above -1.

    Returns
    -------
    (n,) float64 in (0, 1). Where there are several drift components the cdf is interpolated
    linearly; with the step d = 2.5e-4 the error is at most ``d^2 / 8 x max|Phi''| / 0.55``,
    below 4e-9.
    """
    shift = horizon_days * law.mean - np.log1p(threshold)
    centres = shift + law.loading * drift.means
    spread = law.loading**2 * drift.variances
    step = _TABLE_STEP * law.scale * float(np.sqrt(horizon_days))
    chance = np.empty(len(state))
    for now in (0, 1):
        weights, variances = regime.sums(now, horizon_days)
        noise = law.scale**2 * variances
        # Few distinct variances (the weekday's and the holidays') share their square roots.
        for extra in np.unique(spread[state == now]):
            rows = np.flatnonzero((state == now) & (spread == extra))
            scales = np.sqrt(noise + extra)
            values = _mixture_cdf(centres[rows], weights, scales, step)
            chance[rows] = (drift.weights[rows] * values).sum(axis=1)
    return chance


def _mixture_cdf(
    centres: np.ndarray, weights: np.ndarray, scales: np.ndarray, step: float
) -> np.ndarray:
    """Return sum_k weights_k Phi(centres / scales_k), elementwise in ``centres``.

    Sums run row by row and the table lies on multiples of ``step``, not through BLAS or from
    the least to the largest centre: a day's truth is the same to the bit in a longer market.
    """
    rows, components = centres.shape
    points = centres.ravel()
    if components == 1:
        chance = (ndtr(points[:, None] / scales) * weights).sum(axis=1)
    else:
        low, high = np.floor(points.min() / step), np.ceil(points.max() / step)
        grid = np.arange(low, high + 1) * step
        chance = np.interp(points, grid, (ndtr(grid[:, None] / scales) * weights).sum(axis=1))
    mixed: np.ndarray = chance.reshape(rows, components)
    return mixed


def two_points(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two points that have given raw moments 0 to 3.

    Parameters
    ----------
    moments : (n, 4) float64.

    Returns
    -------
    weights, points : (n, 2) float64 each. A variance below 1e-9 is rounding: a certain sum has
        no skewness.
    """
    _, first, second, third = moments.T
    variance = np.maximum(second - first**2, 0.0)
    deviation = np.sqrt(variance)
    certain = variance < 1e-9
    central = third - 3 * first * second + 2 * first**3
    tilt = np.where(certain, 0.0, central / np.where(certain, 1.0, variance * deviation) / 2)
    half = np.sqrt(1 + tilt**2)
    signs = np.array([-1.0, 1.0])
    weights = 0.5 * (1 - signs * (tilt / half)[:, None])
    points = first[:, None] + deviation[:, None] * (tilt[:, None] + signs * half[:, None])
    return weights, points
