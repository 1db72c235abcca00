"""A small market on which every known mistake shows: late bars, revisions, memberships."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from features import FeatureConfig
from models import ModelConfig
from sources import Market
from sources.simulated import simulate_market

FEATURES = FeatureConfig(
    blocks=(),
    include=(
        "flow_pressure_10s", "high_decay_20s", "small_scaled_20s", "breadth_above_50s",
        "vix_level_log", "liquidity_scaled_4w", "credit_pressure_40s", "small_pressure_40s",
        "relative_scaled_20s",
        "own_scaled_1d", "small_return_1s", "small_return_20s", "own_return_5d", "net_liquidity",
    ),
)  # fmt: skip
"""A few of each kind of input, and of each clock."""
PLAIN = ModelConfig(features=FEATURES, logistic=None, boosting=None)
"""Climatology, signals and rules: what is learned from day to day."""
FITTED = ModelConfig(
    features=FEATURES, boosting=None, classifier_features=("small_return_20s", "own_return_5d")
)
"""And a classifier, fitted anew every three months."""

REFIT = np.datetime64("2015-10-01")
MIDWEEK = np.datetime64("2015-11-11")
"""Wednesday, Veterans' Day: stocks trade, bonds do not."""
WARMING = np.datetime64("2013-04-10")
"""Many features are still missing."""
CUTS = (REFIT, MIDWEEK)


def suspect_market() -> Market:
    """Return three years in which flows foretell crypto, with all that tempts to look ahead.

    Around the days of the tests bars of BTC come late, bars and the VIX are restated, and
    of the constituents those that fell leave, and those that rose join.
    """
    market = simulate_market("flow", seed=3, years=3.0, horizons=(1,), constituent_count=60).market
    prices = {**market.prices, "BTC": _restated(_late(market.prices["BTC"]), "close", "adj_close")}
    macro = {**market.macro, "VIXCLS": _restated(market.macro["VIXCLS"], "value")}
    panel = market.panel
    assert panel is not None
    grown = pd.DataFrame(panel.closes).ffill().iloc[-1] / pd.DataFrame(panel.closes).bfill().iloc[0]
    order = np.argsort(grown.to_numpy())
    start = pd.Series(pd.Timestamp("2000-01-01"), range(len(order)))
    end = pd.Series(pd.NaT, range(len(order)), dtype="datetime64[us]")
    start[order[-15:]] = pd.Timestamp("2015-10-20")
    end[order[:15]] = pd.Timestamp("2015-12-01")
    members = pd.DataFrame({"symbol": panel.symbols, "start": start, "end": end})
    members = members.astype({"start": "datetime64[us]", "end": "datetime64[us]"})
    return replace(market, prices=prices, macro=macro, panel=replace(panel, members=members))


def _late(table: pd.DataFrame) -> pd.DataFrame:
    """Let the bars of the days before the cuts come three days late."""
    late = table["date"].isin([pd.Timestamp(day) - pd.Timedelta(days=1) for day in CUTS])
    known = table["available_at"].mask(late, table["available_at"] + pd.Timedelta(days=3))
    return table.assign(available_at=known)


def _restated(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Restate a few rows before each cut by 5 %, twenty days later."""
    near = pd.concat(
        [
            table[(table["date"] > day - np.timedelta64(9, "D")) & (table["date"] < day)]
            for day in map(pd.Timestamp, CUTS)
        ]
    )
    again = near.assign(
        **{name: near[name] * 1.05 for name in columns},
        available_at=near["available_at"] + pd.Timedelta(days=20),
    )
    both = pd.concat([table, again])
    return both.sort_values(["date", "available_at"], ignore_index=True)
