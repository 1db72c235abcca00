"""How returns are spread over the constituents, session by session."""

from __future__ import annotations

import numpy as np

from features.universe import Universe

MONTH, YEAR = 20, 252
TENTHS = (0.1, 0.5, 0.9)
NORMAL_SPAN = 2.563
"""From the first tenth of a normal law to the last, in its deviations."""
CUT = 5.0
ROWS = 32
"""Sessions worked on at once; they and their copies stay in the processor's cache."""

SPREADS = ("dispersion_1", "returned_20", "dispersion_20", "skew", "returned_252", "median")


def cross_sections(universe: Universe) -> dict[str, np.ndarray]:
    """Describe the returns of the members over 1, 20 and 252 sessions.

    Returns
    -------
    name -> (t,) float64 for each of ``SPREADS``; row t reads sessions t, t - 1, t - 20 and t - 252.
    """
    found = {
        name: np.full(len(universe.rows), 0.0 if name.startswith("returned") else np.nan)
        for name in SPREADS
    }
    for first in range(0, len(universe.rows), ROWS):
        stop = min(first + ROWS, len(universe.rows))
        closes, member = universe.sessions(first, stop)
        closes[~member] = np.nan
        for lag, describe in DESCRIBED.items():
            if stop > lag:
                skip = max(lag - first, 0)
                earlier, _ = universe.sessions(first + skip - lag, stop - lag)
                for name, values in describe(closes[skip:], earlier).items():
                    found[name][first + skip : stop] = values
    return found


def over_a_session(closes: np.ndarray, earlier: np.ndarray) -> dict[str, np.ndarray]:
    """Return the deviation of the log returns in each row, the far ones cut.

    On one session in twenty a single name, taken over or unadjusted for a split, would be more
    than half of the variance of two thousand: what lies beyond ``CUT`` deviations of the middle
    four fifths from the median counts as if it lay there.
    """
    returns, count = _log_returns(closes, earlier)
    low, middle, high = (_quantile(returns, count, share) for share in TENTHS)
    reach = CUT * (high - low) / NORMAL_SPAN
    with np.errstate(invalid="ignore"):
        cut = np.clip(returns, (middle - reach)[:, None], (middle + reach)[:, None])
    return {"dispersion_1": _deviation(cut, count)}


def over_a_month(closes: np.ndarray, earlier: np.ndarray) -> dict[str, np.ndarray]:
    """Return the number, deviation and skewness of the log returns in each row.

    Parameters
    ----------
    closes, earlier : (s, c) closes of the session and of 20 sessions before; NaN does not count.

    Returns
    -------
    ``dispersion_20`` is their standard deviation; ``skew`` is Kelly's, the 90th percentile plus
    the 10th minus twice the median, over the 90th minus the 10th: in [-1, 1], so that one bad
    price cannot move it far, and NaN where these two are equal.
    """
    returns, count = _log_returns(closes, earlier)
    low, middle, high = (_quantile(returns, count, share) for share in TENTHS)
    with np.errstate(invalid="ignore", divide="ignore"):
        skew = np.where(high > low, (high + low - 2 * middle) / (high - low), np.nan)
    return {
        "returned_20": count.astype("float64"),
        "dispersion_20": _deviation(returns, count),
        "skew": skew,
    }


def over_a_year(closes: np.ndarray, earlier: np.ndarray) -> dict[str, np.ndarray]:
    """Return the number and the median of the simple returns in each row."""
    ordered, count = _ordered(closes, earlier)
    return {"returned_252": count.astype("float64"), "median": _quantile(ordered, count, 0.5) - 1}


DESCRIBED = {1: over_a_session, MONTH: over_a_month, YEAR: over_a_year}
"""Sessions that a return goes over -> what describes the returns of the members."""


def _log_returns(closes: np.ndarray, earlier: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ordered, count = _ordered(closes, earlier)
    with np.errstate(invalid="ignore"):
        return np.log(ordered), count


def _deviation(returns: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the first ``count`` of each ordered row."""
    some = np.maximum(count, 1)
    inside = np.arange(returns.shape[1]) < count[:, None]
    mean = np.where(inside, returns, 0.0).sum(axis=1) / some
    square = np.where(inside, returns - mean[:, None], 0.0)
    square *= square
    return np.asarray(np.sqrt(square.sum(axis=1) / some))


def _ordered(closes: np.ndarray, earlier: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort the ratios in each row, so that no result depends on the order of the symbols."""
    ratio = closes / earlier
    ratio.sort(axis=1)
    return ratio, np.count_nonzero(~np.isnan(ratio), axis=1)


def _quantile(ordered: np.ndarray, count: np.ndarray, share: float) -> np.ndarray:
    """Interpolate a quantile of the first ``count`` of each ordered row; NaN where none."""
    if not ordered.shape[1]:
        return np.full(len(ordered), np.nan)
    place = share * np.maximum(count - 1, 0)
    below = place.astype("int64")
    row = np.arange(len(ordered))
    low = ordered[row, below]
    high = ordered[row, np.minimum(below + 1, np.maximum(count - 1, 0))]
    return low + (place - below) * (high - low)
