"""What the causes are looked for in: blocks of features on each day, and the next day's return.

Everything of row d was available at T(d), the midnight that ends d; the target is crypto's
return from T(d) to T(d + 1), so that nothing on the two sides shares an hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features import Dataset, FeatureConfig, build_dataset
from features import windows as rolling
from features.clock import point_in_time
from features.momentum import LARGE, SMALL
from features.quotes import steps
from features.registry import Tables
from sources.errors import DataUnavailableError
from sources.market import Market

SMALL_CAPS: Mapping[str, tuple[str, ...]] = {
    "small-cap highs": ("high_decay_20s", "nearness_log_52w"),
    "fund flows": ("flow_pressure_5s", "flow_pressure_40s"),
    "small-cap breadth": ("breadth_above_50s", "breadth_net_highs_10s"),
}
"""Blocks of small caps, beside their returns, and the registry's features that stand for them."""

CONTROLS: Mapping[str, tuple[str, ...]] = {
    "VIX": ("vix_level_log", "vix_change_20s"),
    "net liquidity": ("net_liquidity_change_28d", "net_liquidity_change_91d"),
    "dollar": ("dollar_change_28d", "dollar_change_91d"),
    "rates": ("rate_scaled_20s", "rate_scaled_60s"),
}
"""Drivers that both sides may share, beside the returns of large caps and of high yield."""

OWN = ("own_scaled_1d", "own_scaled_5d", "own_scaled_20d", "own_scaled_60d")
"""Crypto's own momentum."""

TOGETHER = "highs with inflows"
PRODUCT = ("high_decay_20s", "flow_pressure_40s")
"""An interaction that the claims name (C6), and that no sum of blocks can show."""

SMALL_RETURNS, LARGE_RETURNS, CREDIT = "small-cap returns", "S&P 500", "credit"
PRICED: Mapping[str, tuple[str, ...]] = {
    SMALL_RETURNS: SMALL.symbols,
    LARGE_RETURNS: LARGE.symbols,
    CREDIT: ("HYG", "JNK"),
}
"""Blocks made of one price: its session's return, and decayed means of them."""

DECAYS = (10, 40)
LARGEST = 5.0
"""Deviations that a day's return counts at most: one crash does not decide a decade."""
LEAST_DAYS = 500


@dataclass(frozen=True)
class Drivers:
    """Blocks of features and the return that follows, a row a calendar day.

    Attributes
    ----------
    days : (n,) as-of days.
    assets : crypto symbols.
    small, controls : block -> (n, k) float64, known at T(d); NaN where not.
    own : (n, 4) float64, mean over the assets of own returns over 1 to 60 days, in deviations.
    own_each : (n, a, 4), by asset.
    target : (n,) log return from T(d) to T(d + 1) over the volatility known at T(d), the mean
        over the assets that have one; cut at 5 deviations.
    targets : (n, a), by asset.
    volatility : (n, a) deviation of daily log returns, known at T(d).
    lacking : block -> the file that the market lacks.
    dataset : what they were read from.
    """

    days: pd.DatetimeIndex
    assets: tuple[str, ...]
    small: Mapping[str, np.ndarray]
    controls: Mapping[str, np.ndarray]
    own: np.ndarray
    own_each: np.ndarray
    target: np.ndarray
    targets: np.ndarray
    volatility: np.ndarray
    lacking: Mapping[str, str]
    dataset: Dataset


def read_drivers(market: Market, assets: Sequence[str] = ("BTC", "ETH")) -> Drivers:
    """Read the blocks of a market, as of its end.

    Parameters
    ----------
    market : with prices of a small-cap index or fund, and of the assets; what else it has.
    assets : those that it has not are left out, at least one must be there.

    Raises
    ------
    DataUnavailableError
        Where none of the assets is there, or no small-cap price.
    """
    there = tuple(asset for asset in assets if asset in market.crypto)
    if not there:
        raise DataUnavailableError(
            f"{market.name}: needed prices of {' or '.join(assets)}; found "
            f"{', '.join(market.crypto) or 'no crypto at all'}",
            source="prices",
        )
    named = {**SMALL_CAPS, **CONTROLS}
    wanted = (*(name for features in named.values() for name in features), *OWN)
    dataset = build_dataset(market, there, FeatureConfig(blocks=(), include=wanted))
    blocks = {
        name: dataset.values[:, 0, [dataset.names.index(f) for f in features]]
        for name, features in named.items()
        if all(f in dataset.names for f in features)
    }
    if all(name in dataset.names for name in PRODUCT):
        fresh, flow = (dataset.values[:, 0, dataset.names.index(name)] for name in PRODUCT)
        blocks[TOGETHER] = (fresh * flow)[:, None]
    lacking = {name: f"features {', '.join(named[name])}" for name in named if name not in blocks}
    for name, symbols in PRICED.items():
        made = price_pressures(market, symbols, dataset.days)
        if made is None:
            lacking[name] = f"prices/{' or '.join(symbols)}.csv"
        else:
            blocks[name] = made
    if SMALL_RETURNS in lacking:
        raise DataUnavailableError(
            f"{market.name}: the study of causes needed {lacking[SMALL_RETURNS]}; found "
            f"{', '.join(sorted(market.prices))}",
            source="prices",
        )
    own = np.stack([dataset.values[:, :, dataset.names.index(name)] for name in OWN], axis=2)
    targets = np.stack([standardised_ahead(dataset, asset, 1) for asset in dataset.assets], axis=1)
    return Drivers(
        days=dataset.days,
        assets=dataset.assets,
        small={
            name: blocks[name] for name in (SMALL_RETURNS, *SMALL_CAPS, TOGETHER) if name in blocks
        },
        controls={
            name: blocks[name] for name in (LARGE_RETURNS, CREDIT, *CONTROLS) if name in blocks
        },
        own=mean_there(own),
        own_each=own,
        target=mean_there(targets),
        targets=targets,
        volatility=dataset.volatility,
        lacking=lacking,
        dataset=dataset,
    )


def standardised_ahead(dataset: Dataset, asset: str, horizon_days: int) -> np.ndarray:
    """Return (n,) log returns over the next h days, over volatility x root(h), cut at +-5.

    The closes are at T(d) and T(d + h), the volatility is known at T(d); NaN where one is not.
    """
    ahead = np.log1p(dataset.labels(asset, horizon_days).forward_return)
    volatility = dataset.volatility[:, dataset.assets.index(asset)]
    usual = np.where(volatility > 0, volatility, np.nan) * np.sqrt(horizon_days)
    return np.clip(ahead / usual, -LARGEST, LARGEST)


def price_pressures(
    market: Market, symbols: Sequence[str], days: pd.DatetimeIndex
) -> np.ndarray | None:
    """Return (n, 3) of the first price there is: its last session's return and decayed means.

    Log returns are in deviations of their time (exponentially weighted, half-life 60 sessions,
    through the session before) and cut at 5; decays are 10 and 40 sessions. As known at T(d).
    """
    found = [market.prices[symbol] for symbol in symbols if symbol in market.prices]
    if not found:
        return None
    values, _ = point_in_time(_pressures, {"price": found[0]}, days)
    return values.to_numpy("float64")


def pressures_of(step: pd.Series) -> pd.DataFrame:
    """Return a step in deviations and its decayed means; a NaN step adds nothing."""
    usual = step.ewm(halflife=60, min_periods=60).std().shift(1)
    scaled = (step / usual.where(usual > 0)).clip(-LARGEST, LARGEST)
    return rolling.side_by_side(
        {"last": scaled} | {f"decay_{k}": scaled.ewm(alpha=1 / k).mean() for k in DECAYS}
    )


def _pressures(tables: Tables) -> pd.DataFrame:
    return pressures_of(steps(tables["price"]))


def mean_there(values: np.ndarray) -> np.ndarray:
    """Return the mean over axis 1 of what is not NaN; NaN where all is."""
    there = np.isfinite(values)
    count = there.sum(axis=1)
    total = np.where(there, values, 0.0).sum(axis=1)
    mean: np.ndarray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean
