"""Breadth: how many constituents take part in what the index does."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.registry import REGISTRY, Feature, Role, Tables
from sources.market import Panel

PANEL = Role("panel", "constituents", ("closes",))

YEAR = 252
LEAST_SYMBOLS = 20
"""Below this many counted constituents a share says nothing, and is missing."""


@REGISTRY.group(
    "constituent_breadth",
    block="breadth",
    roles=[PANEL],
    features=[
        Feature("breadth_above_50s", "share above their 50-session mean", "1", 50),
        Feature("breadth_above_200s", "share above their 200-session mean", "1", 200),
        Feature("breadth_high_minus_low", "share at a 252-session high minus low", "1", YEAR),
        Feature("breadth_negative_252s", "share with a negative 252-session return", "1", YEAR + 1),
        Feature("breadth_dispersion_20s", "deviation across names of 20-session returns", "1", 21),
        Feature("breadth_coverage", "share of listed names with a full 252 sessions", "1", YEAR),
    ],
)
def constituent_breadth(tables: Tables) -> pd.DataFrame:
    """Pass on the daily breadth that :func:`breadth_table` computed from the panel."""
    return tables["panel"]


def breadth_table(panel: Panel) -> pd.DataFrame:
    """Compute breadth by session from the constituents' closes.

    Row t reads closes up to t. A constituent counts in a share when it has
    all the sessions that the share looks back on; where fewer than
    ``LEAST_SYMBOLS`` count, the share is NaN.

    Returns
    -------
    frame with ``date``, ``available_at`` and a column a feature; shares in [0, 1].
    """
    closes = np.where(_is_member(panel), panel.closes, np.nan)
    counted, year_ago = ~np.isnan(closes), np.full(closes.shape, np.nan)
    year_ago[YEAR:] = closes[:-YEAR] if len(closes) > YEAR else year_ago[YEAR:]
    month_ago = np.full(closes.shape, np.nan)
    month_ago[20:] = closes[:-20] if len(closes) > 20 else month_ago[20:]
    top, bottom = _rolling_extreme(closes, np.fmax), _rolling_extreme(closes, np.fmin)
    full_year = _rolling_sum(counted.astype("float64"), YEAR) == YEAR
    built = {
        "breadth_above_50s": _share(closes > _rolling_mean(closes, 50), _full(counted, 50)),
        "breadth_above_200s": _share(closes > _rolling_mean(closes, 200), _full(counted, 200)),
        "breadth_high_minus_low": _share(closes >= top, full_year)
        - _share(closes <= bottom, full_year),
        "breadth_negative_252s": _share(closes < year_ago, counted & ~np.isnan(year_ago)),
        "breadth_dispersion_20s": _dispersion(closes, month_ago),
        "breadth_coverage": _share(full_year, counted),
    }
    stamps = pd.Series(panel.available_at.astype("datetime64[us]")).dt.tz_localize("UTC")
    return pd.DataFrame(
        {"date": panel.dates.astype("datetime64[us]"), **built, "available_at": stamps}
    )


def _is_member(panel: Panel) -> np.ndarray:
    """Return (n, m) bool: was the symbol a member on the date."""
    if panel.members is None:
        return np.ones(panel.closes.shape, dtype=bool)
    member = np.zeros(panel.closes.shape, dtype=bool)
    column = {symbol: i for i, symbol in enumerate(panel.symbols)}
    for symbol, start, end in panel.members[["symbol", "start", "end"]].itertuples(index=False):
        if symbol in column:
            last = np.datetime64("9999-12-31") if pd.isna(end) else np.datetime64(end)
            inside = (panel.dates >= np.datetime64(start)) & (panel.dates <= last)
            member[inside, column[symbol]] = True
    return member


def _rolling_sum(values: np.ndarray, window: int) -> np.ndarray:
    """Sum the last ``window`` rows; NaN where there are fewer."""
    total = np.full(values.shape, np.nan)
    if len(values) >= window:
        running = np.cumsum(values, axis=0)
        total[window - 1 :] = running[window - 1 :]
        total[window:] -= running[:-window]
    return total


def _full(counted: np.ndarray, window: int) -> np.ndarray:
    full: np.ndarray = _rolling_sum(counted.astype("float64"), window) == window
    return full


def _rolling_mean(closes: np.ndarray, window: int) -> np.ndarray:
    return _rolling_sum(np.where(np.isnan(closes), 0.0, closes), window) / window


def _rolling_extreme(closes: np.ndarray, pick: np.ufunc) -> np.ndarray:
    """Maximum or minimum of the last year, by doubling: 252 = 128 + 124 overlapping rows."""
    span, extreme = 1, closes
    while span * 2 <= YEAR:
        extreme = _with_earlier(extreme, span, pick)
        span *= 2
    return _with_earlier(extreme, YEAR - span, pick)


def _with_earlier(values: np.ndarray, lag: int, pick: np.ufunc) -> np.ndarray:
    joined = np.full(values.shape, np.nan)
    if len(values) > lag:
        joined[lag:] = pick(values[lag:], values[:-lag])
    return joined


def _share(hit: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Share of the counted symbols that are hit, by row; NaN where too few count."""
    total = counted.sum(axis=1)
    hits = (hit & counted).sum(axis=1)
    return np.where(total >= LEAST_SYMBOLS, hits / np.maximum(total, 1), np.nan)


def _dispersion(closes: np.ndarray, month_ago: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = np.log(closes / month_ago)
    counted = np.isfinite(returns)
    total = np.maximum(counted.sum(axis=1), 1)
    centred = np.where(counted, returns, 0.0)
    mean = centred.sum(axis=1) / total
    squares = np.where(counted, (returns - mean[:, None]) ** 2, 0.0).sum(axis=1)
    return np.where(counted.sum(axis=1) >= LEAST_SYMBOLS, np.sqrt(squares / total), np.nan)
