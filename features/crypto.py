"""The asset's own past: the benchmark that any small-cap signal has to beat."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.highs import quoted_price
from features.registry import REGISTRY, Feature, Role, Tables

ASSET = Role("asset", "prices", ("@asset",))

WINDOWS = (1, 5, 20, 60, 120)


def daily(prices: pd.DataFrame) -> pd.Series:
    """Return the log close on every calendar day; NaN where the bar is missing."""
    price = np.log(quoted_price(prices))
    if len(price) == 0:
        return price
    return price.reindex(pd.date_range(price.index[0], price.index[-1], freq="D", unit="us"))


@REGISTRY.group(
    "own_momentum",
    block="crypto",
    roles=[ASSET],
    features=[
        *(Feature(f"own_return_{k}d", f"log return over {k} days", "1", k + 1) for k in WINDOWS),
        Feature("own_volatility_20d", "deviation of daily log returns, 20 days", "1", 21),
        Feature("own_volatility_change", "log of 20-day over 120-day volatility", "1", 121),
        Feature("own_scaled_return_60d", "60-day return / (volatility x root 60)", "1", 61),
        Feature("own_drawdown_365d", "log close minus its 365-day maximum", "1", 365),
    ],
)
def own_momentum(tables: Tables) -> pd.DataFrame:
    """Build the asset's returns, volatility and drawdown."""
    observed = tables["asset"].index
    price = daily(tables["asset"])
    step = price.diff()
    built: dict[str, pd.Series] = {f"own_return_{k}d": price.diff(k) for k in WINDOWS}
    # A few missing bars leave a usable deviation; a window with many does not.
    short = step.rolling(20, min_periods=15).std()
    long = step.rolling(120, min_periods=90).std()
    built["own_volatility_20d"] = short
    built["own_volatility_change"] = (short.where(short > 0) / long.where(long > 0)).map(np.log)
    quarter = step.rolling(60, min_periods=45).std() * np.sqrt(60)
    built["own_scaled_return_60d"] = price.diff(60) / quarter.where(quarter > 0)
    built["own_drawdown_365d"] = price - price.rolling(365, min_periods=300).max()
    return pd.DataFrame(built).loc[observed]
