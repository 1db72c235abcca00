"""How two returns go together over the last year, day by day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.study.profiles import LEAST_DEVIATION, influence_of
from training.study.projections import bartlett
from training.study.sessions import Sessions

ROLLING = 252


@dataclass(frozen=True)
class Rolling:
    """Correlation and slope over the last 252 sessions, crypto from session to session.

    Attributes
    ----------
    dates : last session of each window.
    correlation, beta : with pointwise 90 % intervals ``_lower``, ``_upper`` (Newey and West).
    """

    asset: str
    dates: np.ndarray
    correlation: np.ndarray
    correlation_lower: np.ndarray
    correlation_upper: np.ndarray
    beta: np.ndarray
    beta_lower: np.ndarray
    beta_upper: np.ndarray


def together(sessions: Sessions, asset: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (m,) small caps from close to close, and crypto from session to session."""
    log = np.nancumsum(sessions.crypto[asset])
    known = np.isfinite(sessions.crypto[asset])
    place = sessions.place()
    level = np.where((place >= known.argmax()) & (place >= 0), log[place], np.nan)
    return sessions.close_to_close, np.diff(level, prepend=np.nan)


def rolling_of(sessions: Sessions, asset: str) -> Rolling:
    """Slide a window; variances by Bartlett's weights over 5 lags, from sums of products."""
    small, own = together(sessions, asset)
    there = np.isfinite(small) & np.isfinite(own)
    x, y, dates = small[there], own[there], sessions.dates[there]
    found = np.full((6, max(len(x) - ROLLING + 1, 0)), np.nan)
    for row in range(found.shape[1]):
        found[:, row] = link_of(x[row : row + ROLLING], y[row : row + ROLLING])
    return Rolling(asset, dates[ROLLING - 1 :], *found)


def link_of(x: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    """Return correlation and slope of a window, each with its interval."""
    r, influence = influence_of(x, y)
    error = _error(influence)
    # On Fisher's scale, so that an interval stays within -1 and 1.
    inside = float(np.clip(r, -1 + LEAST_DEVIATION, 1 - LEAST_DEVIATION))
    middle, reach = np.arctanh(inside), 1.645 * error / max(1 - r**2, LEAST_DEVIATION)
    around = x - x.mean()
    slope = float(around @ (y - y.mean()) / (around @ around))
    rest = y - y.mean() - slope * around
    wide = 1.645 * _error(around * rest) / around.var()
    return (
        r,
        float(np.tanh(middle - reach)),
        float(np.tanh(middle + reach)),
        slope,
        slope - wide,
        slope + wide,
    )


def _error(influence: np.ndarray, lags: int = 5) -> float:
    return float(np.sqrt(max(bartlett(influence, lags), 0.0))) / len(influence)
