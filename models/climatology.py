"""Climatology: the base rate so far, the forecast that all others have to beat."""

from __future__ import annotations

import numpy as np

PRIOR_OUTCOMES = 2.0
"""Effective outcomes of the prior, half of them 1."""


def base_rate(hits: np.ndarray, total: np.ndarray, horizon_days: int) -> np.ndarray:
    """Return the regularised frequency of 1.

    Outcomes of overlapping windows count 1/h each, against a prior of two
    outcomes, one of each kind (Laplace's rule of succession).

    Parameters
    ----------
    hits, total : (n,) labels known so far that are 1, and all of them.

    Returns
    -------
    (n,) float64 in (0, 1); one half where nothing is known.
    """
    rate: np.ndarray = (hits / horizon_days + PRIOR_OUTCOMES / 2) / (
        total / horizon_days + PRIOR_OUTCOMES
    )
    return rate
