"""New highs of the small-cap index, on the price as quoted, not on total return."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.registry import REGISTRY, Feature, Role, Tables

INDEX = Role("index", "prices", ("RUT", "IWM", "IJR", "IWN"))

YEAR = 252
QUIET_SESSIONS = 60
"""Sessions without a high after which the next one is called a first high."""
DECAY_SESSIONS = 20.0


def quoted_price(prices: pd.DataFrame) -> pd.Series:
    """Return the close, or the adjusted close where there is no quoted one."""
    return prices["close"].where(prices["close"].notna(), prices["adj_close"])


def is_all_time_high(price: pd.Series) -> pd.Series:
    """Flag closes above every earlier close, once a year of history stands behind them.

    Row t reads rows up to t. The first ``YEAR`` rows are NaN: the maximum of a
    short history is not an all-time high.
    """
    flag = (price > price.cummax().shift(1)).astype("float64")
    flag.iloc[:YEAR] = np.nan
    return flag


def sessions_since(flag: pd.Series) -> pd.Series:
    """Count rows since the last row with flag 1 (0 on it); NaN before the first."""
    row = pd.Series(np.arange(len(flag), dtype="float64"), flag.index)
    return row - row.where(flag == 1).ffill()


@REGISTRY.group(
    "small_cap_highs",
    block="highs",
    roles=[INDEX],
    features=[
        Feature("high_flag", "close above all earlier closes", "0/1", None),
        Feature("high_first", f"such a close after {QUIET_SESSIONS} sessions without", "0/1", None),
        Feature(
            "high_freshness", "exp(-sessions since the last high / 20); 0 before any", "1", None
        ),
        Feature("high_share_60s", "share of the last 60 sessions at a high", "1", None),
        Feature("nearness_all_time", "close / running maximum", "1", None),
        Feature("nearness_52w", "close / 252-session maximum", "1", YEAR),
    ],
)
def small_cap_highs(tables: Tables) -> pd.DataFrame:
    """Build flags, freshness and nearness of new highs."""
    price = quoted_price(tables["index"])
    flag = is_all_time_high(price)
    since = sessions_since(flag)
    known = flag.notna()
    # Before any high its age is unbounded, and the limit of the decay is zero.
    freshness = np.exp(-since / DECAY_SESSIONS).where(since.notna(), 0.0)
    first = flag.where(since.shift(1).fillna(np.inf) >= QUIET_SESSIONS, 0.0)
    return pd.DataFrame(
        {
            "high_flag": flag,
            "high_first": first.where(known),
            "high_freshness": freshness.where(known),
            "high_share_60s": flag.rolling(60).mean(),
            "nearness_all_time": (price / price.cummax()).where(known),
            "nearness_52w": price / price.rolling(YEAR).max(),
        }
    )
