"""Drivers: what moves the drift of crypto, and what its next h days hold.

A driver is the path of a quantity that was published by T(d), together with the exact law of
its sum over the days d, ..., d+h-1 given everything knowable at T(d). The driver of day d acts
on the return from the close of d to the close of d+1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sources.simulated.oracle import DriftSum
from sources.simulated.timeline import Timeline


class Driver(Protocol):
    """What the engine and the oracle ask of a driver."""

    def path(self) -> np.ndarray:
        """Return the (days,) driver, each value a function of what was published by T(d)."""

    def ahead(self, horizon_days: int) -> DriftSum:
        """Return the law of the sum over days d..d+h-1, for each of the market's days."""


@dataclass(frozen=True)
class NoDriver:
    """Nothing to find."""

    days: int

    def path(self) -> np.ndarray:
        """Return zeros."""
        return np.zeros(self.days)

    def ahead(self, horizon_days: int) -> DriftSum:  # noqa: ARG002  the protocol's
        """Return the sum, which is 0."""
        return DriftSum(np.ones((self.days, 1)), np.zeros((self.days, 1)), np.zeros(self.days))


FLOW_PERSISTENCE = 0.975
"""Autocorrelation of investors' appetite from session to session: 0.983 a calendar day."""
FLOW_GAIN = 0.06
"""Share of a flow's surprise that lasts; the rest is one day's noise."""


def appetite(surprises: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn surprises into flows and the appetite that they reveal.

    The flow is ARMA(1, 1) in innovations form, the stationary Kalman filter of a slow AR(1)
    seen through noise: ``flow = phi a + e`` and ``a' = phi a + gain e``, with ``a`` the best
    estimate from all flows so far. Hence ``a`` is an AR(1) and, being a decayed mean of the
    flows, known to whoever has read them.

    Parameters
    ----------
    surprises : (n,) float64 standard normal, one a session.

    Returns
    -------
    flows : (n,) float64, in units of the surprise.
    estimates : (n,) float64, variance 1 in the long run; row s uses flows up to s.
    """
    flows = np.empty(len(surprises))
    estimates = np.empty(len(surprises))
    now = 0.0
    for session, surprise in enumerate(surprises.tolist()):
        flows[session] = FLOW_PERSISTENCE * now + surprise
        now = FLOW_PERSISTENCE * now + FLOW_GAIN * surprise
        estimates[session] = now
    return flows, estimates * (np.sqrt(1 - FLOW_PERSISTENCE**2) / FLOW_GAIN)


@dataclass(frozen=True)
class FlowDriver:
    """The appetite that published flows reveal; it stands still until the next is published.

    Attributes
    ----------
    timeline : says which flow is the last one published by T(d).
    estimates : (m,) float64, AR(1) over sessions with unit variance.
    """

    timeline: Timeline
    estimates: np.ndarray

    def path(self) -> np.ndarray:
        """Return the estimate from the flows published by T(d); 0, its mean, before any."""
        known = self.timeline.published[: self.timeline.days]
        path: np.ndarray = np.concatenate([[0.0], self.estimates])[known]
        return path

    def ahead(self, horizon_days: int) -> DriftSum:
        """Propagate mean and variance of the sum along the actual calendar."""
        days = self.timeline.days
        # One new flow (1), or none (0), between T(d+j) and T(d+j+1). Two never: each has its day.
        news = np.diff(self.timeline.published)
        kick = 1.0 - FLOW_PERSISTENCE**2
        level, total = np.ones(days), np.zeros(days)  # multiples of today's driver
        variance, covariance, total_variance = np.zeros(days), np.zeros(days), np.zeros(days)
        for step in range(horizon_days):
            total = total + level
            total_variance = total_variance + 2 * covariance + variance
            fresh = news[step : step + days]
            decay = np.where(fresh, FLOW_PERSISTENCE, 1.0)
            covariance = decay * (covariance + variance)
            variance = decay**2 * variance + kick * fresh
            level = level * decay
        return DriftSum(
            np.ones((days, 1)), (total * self.path())[:, None], total_variance.round(12)
        )
