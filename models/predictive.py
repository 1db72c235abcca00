"""The predictive law of an h-day return: Student, with a centre that experts move."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr, stdtrit

DAILY_TAIL = 5.0
"""Degrees of freedom of a day."""


def tail_of(horizon_days: int) -> float:
    """Return the degrees of freedom of h days: h Student-5 days have excess kurtosis 6/h."""
    return DAILY_TAIL - 1 + horizon_days


def spread_of(horizon_days: int) -> float:
    """Return a deviation of the h-day return in units of the standard Student law."""
    nu = tail_of(horizon_days)
    return float(np.sqrt(nu / (nu - 2)))


def centre_of(probability: np.ndarray, horizon_days: int) -> np.ndarray:
    """Return the centre of the law that gives a probability of exceeding the hurdle."""
    return np.asarray(stdtrit(tail_of(horizon_days), probability))


def chance_of(centre: np.ndarray, horizon_days: int) -> np.ndarray:
    """Return the probability of exceeding the hurdle, for a centre relative to it.

    Examples
    --------
    >>> chance_of(np.array([0.0]), 5).tolist()
    [0.5]
    """
    return np.asarray(stdtr(tail_of(horizon_days), centre))


def shift_of_odds(odds: np.ndarray, horizon_days: int) -> np.ndarray:
    """Return the move of the centre that moves a probability of one half by these log-odds."""
    return centre_of(1 / (1 + np.exp(-odds)), horizon_days)
