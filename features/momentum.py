"""Small-cap momentum: returns, trend, and strength against large caps."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.registry import REGISTRY, Feature, Role, Tables

SMALL = Role("small", "prices", ("IWM", "RUT", "IJR", "IWN"))
LARGE = Role("large", "prices", ("SPY", "GSPC"))
VALUE = Role("value", "prices", ("IWN",))
GROWTH = Role("growth", "prices", ("IWO",))

RETURN_WINDOWS = (5, 20, 60, 120, 252)


def log_price(prices: pd.DataFrame) -> pd.Series:
    """Return the log of the adjusted close, or of the close where there is no adjusted one."""
    price = prices["adj_close"].where(prices["adj_close"].notna(), prices["close"])
    log: pd.Series = np.log(price)
    return log


@REGISTRY.group(
    "small_cap_momentum",
    block="momentum",
    roles=[SMALL],
    features=[
        *(
            Feature(f"small_return_{k}s", f"log return over {k} sessions", "1", k + 1)
            for k in RETURN_WINDOWS
        ),
        Feature("small_volatility_20s", "deviation of daily log returns, 20 sessions", "1", 21),
        Feature("small_scaled_return_60s", "60-session return / (volatility x root 60)", "1", 61),
        Feature("small_mean_distance_200s", "log price minus its 200-session mean", "1", 200),
    ],
)
def small_cap_momentum(tables: Tables) -> pd.DataFrame:
    """Build trend and volatility of the small-cap fund."""
    price = log_price(tables["small"])
    daily = price.diff()
    built = {f"small_return_{k}s": price.diff(k) for k in RETURN_WINDOWS}
    built["small_volatility_20s"] = daily.rolling(20).std()
    volatility_60s = daily.rolling(60).std() * np.sqrt(60)
    built["small_scaled_return_60s"] = price.diff(60) / volatility_60s.where(volatility_60s > 0)
    built["small_mean_distance_200s"] = price - price.rolling(200).mean()
    return pd.DataFrame(built)


@REGISTRY.group(
    "small_minus_large",
    block="momentum",
    roles=[SMALL, LARGE],
    features=[
        Feature("small_minus_large_20s", "20-session return, small minus large caps", "1", 21),
        Feature("small_minus_large_120s", "120-session return, small minus large caps", "1", 121),
    ],
)
def small_minus_large(tables: Tables) -> pd.DataFrame:
    """Build the strength of small against large caps."""
    ratio = log_price(tables["small"]) - log_price(tables["large"])
    return pd.DataFrame({f"small_minus_large_{k}s": ratio.diff(k) for k in (20, 120)})


@REGISTRY.group(
    "value_minus_growth",
    block="momentum",
    roles=[VALUE, GROWTH],
    features=[
        Feature("value_minus_growth_60s", "60-session return, small value minus growth", "1", 61)
    ],
)
def value_minus_growth(tables: Tables) -> pd.DataFrame:
    """Build the strength of small value against small growth."""
    ratio = log_price(tables["value"]) - log_price(tables["growth"])
    return pd.DataFrame({"value_minus_growth_60s": ratio.diff(60)})
