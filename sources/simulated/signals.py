"""Signals: what published values reveal, as autoregressions that anyone can compute."""

from __future__ import annotations

import numpy as np

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


def decayed_mean(news: np.ndarray, persistence: float) -> np.ndarray:
    """Return ``x' = persistence x + sqrt(1 - persistence^2) news``, from 0.

    Parameters
    ----------
    news : (n,) float64 of unit variance and no memory.

    Returns
    -------
    (n,) float64, an AR(1) of unit variance in the long run; row s uses news up to s.
    """
    path = np.empty(len(news))
    kick = float(np.sqrt(1 - persistence**2))
    now = 0.0
    for row, one in enumerate(news.tolist()):
        now = persistence * now + kick * one
        path[row] = now
    return path
