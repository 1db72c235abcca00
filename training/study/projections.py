"""Local projections: what follows a shock, day by day, with bands that respect overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BAND = 1.645
"""Deviations of a pointwise band of 90 %."""


@dataclass(frozen=True)
class Response:
    """The cumulated response to a shock of one deviation.

    Attributes
    ----------
    name : of the question.
    controlled : whether the common drivers are held.
    steps : (h,) days, or sessions, from the shock on.
    effect, lower, upper : (h,) per cent, with a pointwise 90 % band.
    n : shocks.
    """

    name: str
    controlled: bool
    steps: tuple[int, ...]
    effect: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    n: int


def project(
    name: str,
    shock: np.ndarray,
    cumulated: np.ndarray,
    given: np.ndarray,
    steps: Sequence[int],
    *,
    controlled: bool,
) -> Response:
    """Regress the return over each number of steps on a shock, and on what is given.

    Parameters
    ----------
    shock : (n,) in deviations.
    cumulated : (n, h) per cent, the return from after the shock to each step; NaN where its
        end is not there.
    given : (n, q), known with the shock or before; a constant is added.
    steps : (h,) rows that a return overlaps with, at most: lags of Newey and West's variance.

    References
    ----------
    Jorda (2005), Estimation and inference of impulse responses by local projections; Newey and
    West (1987), A simple, positive semi-definite, heteroskedasticity and autocorrelation
    consistent covariance matrix.
    """
    effect, error = np.full(len(steps), np.nan), np.full(len(steps), np.nan)
    known = np.isfinite(shock) & np.isfinite(given).all(axis=1)
    for place, step in enumerate(steps):
        rows = known & np.isfinite(cumulated[:, place])
        n = int(rows.sum())
        if n < 10 * given.shape[1] + 2 * step:
            continue
        basis, _ = np.linalg.qr(np.column_stack([np.ones(n), given[rows]]))
        x = shock[rows] - basis @ (basis.T @ shock[rows])
        y = cumulated[rows, place]
        y -= basis @ (basis.T @ y)
        effect[place] = x @ y / (x @ x)
        error[place] = np.sqrt(bartlett(x * (y - effect[place] * x), step)) / (x @ x)
    return Response(
        name=name,
        controlled=controlled,
        steps=tuple(steps),
        effect=effect,
        lower=effect - BAND * error,
        upper=effect + BAND * error,
        n=int(known.sum()),
    )


def bartlett(score: np.ndarray, lags: int) -> float:
    """Return the long-run variance of a sum of scores, by Bartlett's weights.

    Examples
    --------
    Scores 1, 1, 1, 1 with one lag: 4 + 2 * (1 / 2) * 3.

    >>> bartlett(np.ones(4), 1)
    7.0
    """
    total = float(score @ score)
    for lag in range(1, min(lags, len(score) - 1) + 1):
        total += 2 * (1 - lag / (lags + 1)) * float(score[lag:] @ score[:-lag])
    return total
