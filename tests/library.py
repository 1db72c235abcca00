"""A generated market with every input the library can read, and the registry as a list."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from markets import random_market

from features import REGISTRY, FeatureConfig, Registry
from sources import Market
from sources.calendars import available_at_macro, sessions_between

ASSETS = ("BTC", "ETH")
EVERYTHING = FeatureConfig(selection="all")
FEATURES = [(group.name, feature.name) for group in REGISTRY for feature in group.features]

EQUITIES = ("IWN", "IWO", "IJR", "GSPC", "QQQ", "RSP", "HYG", "LQD")
DAILY = {
    "RRPONTSYD": 500.0, "DGS10": 3.0, "DGS2": 2.0, "T10Y2Y": 1.0, "T10YIE": 2.2, "EFFR": 1.5,
    "DTWEXBGS": 110.0, "VIXCLS": 20.0, "VXVCLS": 21.0,
}  # fmt: skip
WEEKLY = {"WALCL": 7e6, "WTREGEN": 5e5}


def full_market(
    *, start: str = "2019-01-02", end: str = "2022-12-30", seed: int = 0, symbols: int = 30
) -> Market:
    """Return the small random market with all indices, funds and series beside it.

    Like real feeds it has holes: a row of IJR is missing, one of ETH, and one of
    the VIX comes late; IWN and IWO have an adjusted close only; IJR's fund
    reports a day after the others for a month and restates a figure.
    """
    market = random_market(start=start, end=end, seed=seed, symbols=symbols)
    generator = np.random.default_rng(seed + 1)
    sessions = pd.DatetimeIndex(sessions_between(pd.Timestamp(start), pd.Timestamp(end)))
    prices = dict(market.prices)
    for symbol in ("RUT", *EQUITIES):
        # A rise in waves of a year, so that there are highs, and quiet before some of them.
        row = np.arange(len(sessions))
        wave = 0.0008 * row + 0.12 * np.sin(row / 40)
        close = 100 * np.exp(wave + np.cumsum(generator.normal(0, 0.005, len(sessions))))
        prices[symbol] = prices["IWM"].assign(close=close, adj_close=close * 0.98)
    for symbol in ("IWN", "IWO"):
        prices[symbol] = prices[symbol].assign(close=np.nan)
    for symbol in ASSETS:
        volume = 1e9 * np.exp(generator.normal(0, 0.5, len(prices[symbol])))
        prices[symbol] = prices[symbol].assign(volume=volume)
    prices["IJR"] = prices["IJR"].drop(index=250).reset_index(drop=True)
    prices["ETH"] = prices["ETH"].drop(index=300).reset_index(drop=True)
    flows = dict(market.flows)
    flow = generator.normal(0, 1e8, len(sessions))
    other = flows["IWM"].assign(flow_usd=flow, aum_usd=2e10 + np.cumsum(flow))
    other.loc[320:340, "available_at"] += pd.Timedelta(days=1)
    restated = other.iloc[[330]].assign(
        flow_usd=5e8, available_at=other["available_at"].iloc[330] + pd.Timedelta(days=5)
    )
    flows["IJR"] = pd.concat([other, restated]).sort_values(
        ["date", "available_at"], ignore_index=True
    )
    macro = {name: _series(name, sessions, level, generator) for name, level in DAILY.items()}
    wednesdays = pd.date_range(start, end, freq="W-WED", unit="us")
    macro |= {name: _series(name, wednesdays, level, generator) for name, level in WEEKLY.items()}
    late = macro["VIXCLS"]
    late.loc[310, "available_at"] += pd.Timedelta(days=9)
    return replace(market, prices=prices, flows=flows, macro=macro)


def _series(
    name: str, dates: pd.DatetimeIndex, level: float, generator: np.random.Generator
) -> pd.DataFrame:
    walk = level * np.exp(np.cumsum(generator.normal(0, 0.01, len(dates))))
    stamps = available_at_macro(name, dates)
    return pd.DataFrame({"date": dates, "value": walk, "available_at": stamps})


def undeclared(registry: Registry) -> list[str]:
    """Name what a feature has to declare for the suite, and does not."""
    return [
        f"{feature.name} declares no {part}"
        for group in registry
        for feature in group.features
        for part in ("formula", "unit", "scaling", "missing")
        if not getattr(feature, part)
    ]
