"""Sums over explicit windows: row t depends on its own window to the last bit, and on nothing else.

A running sum carries the rounding of everything before it, so that the same day
computed from a year of data and from thirty years differs. Here each window is
summed by itself, in one order. A window that is not full is NaN, unless ``least``
says how many of its values suffice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view


def logarithm(values: pd.Series) -> pd.Series:
    """Return the natural logarithm; NaN where the value is not above 0."""
    there = values.to_numpy("float64")
    return pd.Series(np.log(np.where(there > 0, there, np.nan)), values.index)


def only(values: pd.Series, kept: pd.Series | np.ndarray) -> pd.Series:
    """Return the values where a condition on the same rows holds, NaN elsewhere."""
    return pd.Series(np.where(np.asarray(kept), values.to_numpy(), np.nan), values.index)


def side_by_side(
    columns: Mapping[str, pd.Series | np.ndarray], index: pd.Index | None = None
) -> pd.DataFrame:
    """Return columns on the same rows, those of ``index`` or of the first series, as a frame.

    pandas would align each with the others first, which takes eight times as long as this.
    """
    if index is None:
        index = next(v.index for v in columns.values() if isinstance(v, pd.Series))
    stacked = np.column_stack([np.asarray(v, dtype="float64") for v in columns.values()])
    return pd.DataFrame(stacked, index, list(columns))


def limited(values: pd.Series, low: float, high: float) -> pd.Series:
    """Return the values cut at two limits; NaN stays."""
    return pd.Series(np.clip(values.to_numpy("float64"), low, high), values.index)


def total(values: pd.Series, window: int) -> pd.Series:
    """Sum the last ``window`` rows."""
    return _apply(values, window, lambda rows: np.ascontiguousarray(rows).sum(axis=1))


def highest(values: pd.Series, window: int, least: int | None = None) -> pd.Series:
    """Return the maximum of the last ``window`` rows."""
    top = values.to_numpy("float64")
    pick = np.maximum if least is None else np.fmax
    span = 1
    while span < window:
        # Two overlapping spans make a longer one; a maximum has no rounding.
        more = min(span, window - span)
        joined = np.full(len(top), np.nan)
        joined[more:] = pick(top[more:], top[:-more])
        top, span = joined, span + more
    top = np.where(np.arange(len(top)) >= window - 1, top, np.nan)
    if least is not None:
        count = share(values.notna().astype("float64"), window).to_numpy() * window
        top = np.where(count > least - 0.5, top, np.nan)
    return pd.Series(top, values.index)


def share(flags: pd.Series, window: int) -> pd.Series:
    """Return the mean of the last ``window`` rows of 0 and 1, whose running sums are exact."""
    flag = flags.to_numpy("float64")
    known = ~np.isnan(flag)
    sums = np.cumsum([np.where(known, flag, 0.0), known], axis=1)
    found = np.full(len(flag), np.nan)
    if len(flag) >= window:
        sums[:, window:] -= sums[:, :-window].copy()
        hits, full = sums[0, window - 1 :], sums[1, window - 1 :] == window
        found[window - 1 :] = np.where(full, hits / window, np.nan)
    return pd.Series(found, flags.index)


def mean(values: pd.Series, window: int, least: int | None = None) -> pd.Series:
    """Return the mean of the last ``window`` rows."""
    return _apply(values, window, lambda rows: _moments(rows, least)[0])


def deviation(values: pd.Series, window: int, least: int | None = None) -> pd.Series:
    """Return the sample standard deviation of the last ``window`` rows; NaN where it is 0.

    A constant has no deviation to divide by: what is scaled by it is missing.
    """
    found = spread(values, window, least)
    return only(found, found > 0)


def spread(values: pd.Series, window: int, least: int | None = None) -> pd.Series:
    """Return the sample standard deviation of the last ``window`` rows, 0 for a constant."""
    return _apply(values, window, lambda rows: _moments(rows, least)[1])


def zscore(values: pd.Series, window: int, limit: float = 5.0) -> pd.Series:
    """Return (value - mean) / deviation over the last ``window`` rows, cut at +-``limit``."""
    scaled = (values - mean(values, window)) / deviation(values, window)
    return limited(scaled, -limit, limit)


def trend(values: pd.Series, window: int) -> pd.Series:
    """Return the correlation of the last ``window`` rows with time, in [-1, 1]."""
    time = np.arange(window) - (window - 1) / 2

    def correlation(rows: np.ndarray) -> np.ndarray:
        centred = rows - _moments(rows, None)[0][:, None]
        return _ratio(
            (centred * time).sum(axis=1),
            np.sqrt((centred**2).sum(axis=1) * (time**2).sum()),
        )

    return limited(_apply(values, window, correlation), -1, 1)


def correlation(one: pd.Series, other: pd.Series, window: int) -> pd.Series:
    """Return Pearson's correlation over the last ``window`` rows; NaN where one is constant."""
    return linked(one, other, window)[0]


def linked(response: pd.Series, driver: pd.Series, window: int) -> tuple[pd.Series, pd.Series]:
    """Return correlation and slope of a regression over the last ``window`` rows."""
    product, first, second = _products(response, driver, window)
    together = pd.Series(_ratio(product, np.sqrt(first * second)), response.index)
    return limited(together, -1, 1), pd.Series(_ratio(product, second), response.index)


def _apply(values: pd.Series, window: int, reduce: Callable[[np.ndarray], np.ndarray]) -> pd.Series:
    found = np.full(len(values), np.nan)
    if len(values) >= window:
        rows = sliding_window_view(values.to_numpy("float64"), window)
        found[window - 1 :] = reduce(rows)
    return pd.Series(found, values.index)


def _moments(rows: np.ndarray, least: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation by row, measured from a value of the row.

    Measured from zero, a constant that is no binary fraction has a deviation of 1e-17.
    """
    if least is None:
        base = rows[:, -1]
        offset = rows - base[:, None]
        count: np.ndarray | int = rows.shape[1]
        centre = offset.sum(axis=1) / count
        square = ((offset - centre[:, None]) ** 2).sum(axis=1)
    else:
        there = ~np.isnan(rows)
        count = there.sum(axis=1)
        last = rows.shape[1] - 1 - there[:, ::-1].argmax(axis=1)
        base = rows[np.arange(len(rows)), last]
        offset = np.where(there, rows - base[:, None], 0.0)
        count = np.where(count >= max(least, 2), count, 2)
        centre = offset.sum(axis=1) / count
        square = np.where(there, offset - centre[:, None], 0.0)
        square = (square**2).sum(axis=1)
    middle, deviate = base + centre, np.sqrt(square / (count - 1))
    if least is not None:
        middle, deviate = _enough(rows, middle, least), _enough(rows, deviate, least)
    return middle, deviate


def _enough(rows: np.ndarray, found: np.ndarray, least: int) -> np.ndarray:
    return np.where((~np.isnan(rows)).sum(axis=1) >= least, found, np.nan)


def _products(
    one: pd.Series, other: pd.Series, window: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sums of xy, xx and yy about the means, over the windows full of both."""
    found = np.full((3, len(one)), np.nan)
    if len(one) >= window:
        both = one.notna() & other.notna()
        pair = [
            sliding_window_view(x.where(both).to_numpy("float64"), window) for x in (one, other)
        ]
        x, y = (rows - _moments(rows, None)[0][:, None] for rows in pair)
        sums = [(x * y).sum(axis=1), (x * x).sum(axis=1), (y * y).sum(axis=1)]
        found[:, window - 1 :] = sums
    return found[0], found[1], found[2]


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    found = np.full(len(above), np.nan)
    return np.divide(above, below, out=found, where=below > 0)
