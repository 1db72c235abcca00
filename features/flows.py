"""Creations and redemptions of small-cap funds, over their assets."""

from __future__ import annotations

import pandas as pd

from features.registry import REGISTRY, Feature, Role, Tables

FUND = Role("fund", "flows", ("IWM",))

WINDOWS = (1, 5, 20, 60)


@REGISTRY.group(
    "fund_flows",
    block="flows",
    roles=[FUND],
    features=[
        *(
            Feature(f"flow_{k}s", f"flow of {k} sessions / assets before them", "1", k + 1)
            for k in WINDOWS
        ),
        Feature("flow_decayed_20s", "exponentially weighted daily flow / assets", "1", None),
        Feature("flow_zscore_20s", "20-session flow against its own last 252 sessions", "1", 273),
        Feature("flow_persistence_20s", "share of the last 20 sessions with inflow", "1", 20),
    ],
)
def fund_flows(tables: Tables) -> pd.DataFrame:
    """Build flows over assets, restated figures as they were known."""
    fund = tables["fund"]
    assets = fund["aum_usd"].where(fund["aum_usd"] > 0)
    share = fund["flow_usd"] / assets.shift(1)
    built = {f"flow_{k}s": fund["flow_usd"].rolling(k).sum() / assets.shift(k) for k in WINDOWS}
    decayed = share.ewm(halflife=20, min_periods=60).mean()
    summed = share.rolling(20).sum()
    deviation = summed.rolling(252).std()
    built["flow_decayed_20s"] = decayed
    built["flow_zscore_20s"] = (
        (summed - summed.rolling(252).mean()) / deviation.where(deviation > 0)
    ).clip(-5, 5)
    inflow = (share > 0).astype("float64").where(share.notna())
    built["flow_persistence_20s"] = inflow.rolling(20).mean()
    return pd.DataFrame(built)
