"""Location: what a day's return says about drift, with fat tails and assets that move together.

Arrays have a row a day t and a column an asset. The return of row t runs from
the close of t to that of t + 1 and is known at T(t + 1), so every sum is taken
over the rows before t where it is used at T(t).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.carried import before, running
from models.config import SignalConfig

START_DAYS = 50.0
"""Days' worth of a Student law that running scales start from."""


@dataclass(frozen=True)
class LocationScores:
    """One-step M-estimates of each day's location, and how much they tell.

    Attributes
    ----------
    u : (t, a) float64, estimate in daily volatilities; 0 where there is no return.
    known : (t, a) bool, there is a return.
    precision : (t,) of one estimate, running.
    correlation : (t,) of two assets' estimates on a day, running, in [0, 0.95].
    """

    u: np.ndarray
    known: np.ndarray
    precision: np.ndarray
    correlation: np.ndarray

    def weights(self, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return q, c of the inverse covariance ``q (I - c 11')`` of equally correlated assets."""
        c = self.correlation / (1 + (np.maximum(count, 1) - 1) * self.correlation)
        return self.precision / (1 - self.correlation), c

    def product(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return (t,) the day's ``a' Omega b`` over the assets that have a return."""
        a, b = np.where(self.known, a, 0.0), np.where(self.known, b, 0.0)
        q, c = self.weights(self.known.sum(axis=1))
        return q * ((a * b).sum(axis=1) - c * a.sum(axis=1) * b.sum(axis=1))


def location_scores(z: np.ndarray, tail: float) -> LocationScores:
    """Score each day's return for its location under a Student law.

    ``psi = (nu + 1) z / (nu + z^2)``, divided by its mean slope: unbiased for a
    small shift, while a crash of ten deviations counts no more than a common day.

    Parameters
    ----------
    z : (t, a) returns over the volatility known at T(t); NaN where there is none.
    tail : degrees of freedom nu of a day.

    References
    ----------
    Huber (1964), Robust estimation of a location parameter (one-step).
    """
    known = np.isfinite(z)
    z = np.where(known, z, 0.0)
    psi = (tail + 1) * z / (tail + z**2)
    slope = (tail + 1) * (tail - z**2) / (tail + z**2) ** 2
    count = running(known.sum(axis=1)) + START_DAYS
    mean_slope = (running((slope * known).sum(axis=1)) + 0.9 * START_DAYS) / count
    return _described(np.where(known, psi / mean_slope[:, None], 0.0), known)


def without_index(scores: LocationScores, index_z: np.ndarray) -> LocationScores:
    """Take out what the equity index's return of the same day explains.

    Noise that both share goes, and with it the bias of regressing on features
    of the index whose innovations move both (Stambaugh, 1999).

    Parameters
    ----------
    index_z : (t,) the index's return from t to t + 1 over its volatility; NaN on days without.
    """
    have = np.isfinite(index_z)
    z = np.clip(np.where(have, index_z, 0.0), -3, 3)
    both = scores.known & have[:, None]
    cross = before(running((both * scores.u * z[:, None]).sum(axis=1)))
    square = before(running((both * (z**2)[:, None]).sum(axis=1)))
    slope = cross / (square + 4 * START_DAYS)
    return _described(np.where(scores.known, scores.u - (slope * z)[:, None], 0.0), scores.known)


def _described(u: np.ndarray, known: np.ndarray) -> LocationScores:
    count = running(known.sum(axis=1)) + START_DAYS
    mean = running((u * known).sum(axis=1)) / count
    variance = (running((u**2 * known).sum(axis=1)) + START_DAYS / 1.1) / count - mean**2
    centred = np.where(known, u - mean[:, None], 0.0)
    pairs = running(known.sum(axis=1) * (known.sum(axis=1) - 1.0)) + START_DAYS
    products = running(centred.sum(axis=1) ** 2 - (centred**2).sum(axis=1))
    correlation = (products + 0.6 * START_DAYS * variance) / pairs / variance
    return LocationScores(u, known, 1 / variance, np.clip(correlation, 0.0, 0.95))


def drift(scores: LocationScores, config: SignalConfig) -> np.ndarray:
    """Return (t, a) the posterior mean of each asset's daily drift, in volatilities.

    Prior N(0, drift_deviation^2), of which ``drift_shared`` is common to all
    assets; days are discounted, as drifts do not last for ever. Row t reads
    returns known at T(t).

    References
    ----------
    West and Harrison (1997), Bayesian forecasting and dynamic models, ch. 6.
    """
    days, assets = scores.u.shape
    known = scores.known.astype("float64")
    q, c = scores.weights(known.sum(axis=1))
    outer = known[:, :, None] * known[:, None, :]
    information = q[:, None, None] * (known[:, :, None] * np.eye(assets) - c[:, None, None] * outer)
    pull = (information * scores.u[:, None, :]).sum(axis=2)
    pull = before(running(pull, config.drift_discount))
    total = before(running(information.reshape(days, -1), config.drift_discount))
    shared = config.drift_shared * np.ones((assets, assets))
    prior = config.drift_deviation**2 * (shared + (1 - config.drift_shared) * np.eye(assets))
    precision = total.reshape(days, assets, assets) + np.linalg.inv(prior)
    return np.linalg.solve(precision, pull[:, :, None])[:, :, 0]
