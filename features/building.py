"""Building a dataset: every chosen group on every as-of day, or on the last few alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from features.clock import (
    Vintages,
    day_by_day,
    first_day_known,
    instants_of,
    point_in_time,
    utc,
)
from features.crypto import daily
from features.dataset import Dataset, Input
from features.flows import combine_funds
from features.labels import first_known_close
from features.panel_vintages import breadth_as_known
from features.registry import REGISTRY, Group, Registry, Role, Tables
from features.schema import schema_of
from features.selection import FeatureConfig, available_groups, select_groups, symbols_of
from sources.errors import DataUnavailableError, UnknownNameError
from sources.market import Market

VOLATILITY_HALFLIFE_DAYS = 15.0
"""Short: what matters is the next days, and a slow one wastes a fifth of the evidence."""


def build_dataset(
    market: Market,
    assets: Sequence[str],
    config: FeatureConfig | None = None,
    *,
    last_days: int | None = None,
    breadth: pd.DataFrame | None = None,
    registry: Registry = REGISTRY,
) -> Dataset:
    """Build the features of some assets on every calendar day since the first of their bars.

    Row (d, asset) reads what was available at T(d) and nothing else, so a market
    cut at T(d) gives the same row.

    Parameters
    ----------
    market : tables in any order of rows.
    assets : crypto symbols of the market.
    config : which features; the curated core by default.
    last_days : only the last so many days, from the look-backs alone. They equal
        the last rows of the whole dataset to the bit.
    breadth : :func:`features.breadth.breadth_table` of the market's panel, where a state
        carried from day to day has it; computed from the whole panel otherwise.
    registry : features there are.

    Raises
    ------
    UnknownNameError
        For an asset that the market has no prices of, a block or a feature that
        does not exist; lists those there are.
    DataUnavailableError
        Where the assets have no bar yet, or a folder lacks the table that a block needs.
    """
    config = config or FeatureConfig()
    for asset in assets:
        if asset not in market.crypto:
            raise UnknownNameError("asset", asset, market.crypto)
    market = _in_order(market)
    days = _days(market, assets)
    days = days if last_days is None else days[-last_days:]
    groups, omitted = available_groups(select_groups(registry, config), market, config)
    tables = _TableReader(market, config, breadth)
    vintages = Vintages(instants_of(days)[-1])
    columns: list[np.ndarray] = []
    ages: list[np.ndarray] = []
    for group in groups:
        per_asset = [
            _evaluate(group, tables.of(group, asset), days, vintages)
            for asset in (assets if group.per_asset else assets[:1])
        ]
        names = [feature.name for feature in group.features]
        built = np.stack([_in_columns(values, names) for values, _ in per_asset], axis=1)
        built = np.where(np.isfinite(built), built, np.nan)
        columns.append(np.broadcast_to(built, (len(days), len(assets), len(names))))
        age = np.stack([age for _, age in per_asset], axis=1)[:, :, None]
        ages.append(np.broadcast_to(age, (len(days), len(assets), 1)))
    shape = (len(days), len(assets), 0)
    schema = schema_of(groups)
    return Dataset(
        days=days,
        assets=tuple(assets),
        names=schema.names,
        values=np.concatenate([np.empty(shape), *columns], axis=2),
        ages=np.concatenate([np.empty(shape), *ages], axis=2),
        groups=tuple(group.name for group in groups),
        has_close=_has_close(market, assets, days),
        volatility=np.stack(
            [_volatility(market.prices[a], days, vintages) for a in assets], axis=1
        ),
        omitted=omitted,
        inputs=_inputs(groups, market, assets, config, days),
        prices={asset: market.prices[asset] for asset in assets},
        columns=schema,
    )


def _evaluate(
    group: Group, tables: Mapping[str, pd.DataFrame], days: pd.DatetimeIndex, vintages: Vintages
) -> tuple[pd.DataFrame, np.ndarray]:
    if group.clock == "days":
        return day_by_day(group.build, tables, days, group.lookback)
    return point_in_time(group.build, tables, days, group.lookback, vintages)


def _in_columns(values: pd.DataFrame, names: list[str]) -> np.ndarray:
    # Picking columns by name costs more than most features of one day.
    ordered = values if list(values.columns) == names else values[names]
    return ordered.to_numpy("float64")


class _TableReader:
    """The tables of each role: read from the market, or made of it once."""

    def __init__(self, market: Market, config: FeatureConfig, breadth: pd.DataFrame | None) -> None:
        self.market, self.config = market, config
        self._made = {} if breadth is None else {"panel": breadth}

    def of(self, group: Group, asset: str) -> dict[str, pd.DataFrame]:
        """Return role -> bitemporal table."""
        return {role.name: self._table(role, asset) for role in group.roles}

    def _table(self, role: Role, asset: str) -> pd.DataFrame:
        if role.folder == "constituents" and self.market.panel is not None:
            if "panel" not in self._made:
                self._made["panel"] = breadth_as_known(self.market.panel)
            return self._made["panel"]
        symbols = symbols_of(role, self.market, self.config, asset)
        tables: Mapping[str, pd.DataFrame] = getattr(self.market, role.folder)
        if not role.combined:
            return tables[symbols[0]]
        name = ",".join(symbols)
        if name not in self._made:
            self._made[name] = combine_funds({symbol: tables[symbol] for symbol in symbols})
        return self._made[name]


def _in_order(market: Market) -> Market:
    """Sort each table by date, then by when it was known, where it is not."""

    def in_order(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        found: dict[str, pd.DataFrame] = {}
        for name, table in tables.items():
            date = table["date"].to_numpy("datetime64[us]")
            known = utc(table["available_at"])
            step = np.diff(date)
            late = (step == np.timedelta64(0)) & (np.diff(known) < np.timedelta64(0))
            found[name] = table
            if (step < np.timedelta64(0)).any() or late.any():
                found[name] = table.sort_values(["date", "available_at"], ignore_index=True)
        return found

    return replace(
        market,
        prices=in_order(market.prices),
        flows=in_order(market.flows),
        macro=in_order(market.macro),
    )


def _days(market: Market, assets: Sequence[str]) -> pd.DatetimeIndex:
    tables = [market.prices[asset] for asset in assets if len(market.prices[asset])]
    if not tables:
        raise DataUnavailableError(
            f"{market.name}: needed a bar of {' or '.join(assets)}; found none", source="prices"
        )
    first = min(table["date"].iloc[0] for table in tables)
    last = max(first_day_known(utc(table["available_at"])).max() for table in tables)
    return pd.date_range(first, pd.Timestamp(last), freq="D", unit="us")


def _has_close(market: Market, assets: Sequence[str], days: pd.DatetimeIndex) -> np.ndarray:
    day = days.to_numpy("datetime64[D]")
    return np.stack([first_known_close(market.prices[a], days) <= day for a in assets], axis=1)


def _volatility(prices: pd.DataFrame, days: pd.DatetimeIndex, vintages: Vintages) -> np.ndarray:
    def build(tables: Tables) -> pd.DataFrame:
        step = daily(tables["asset"]).diff()
        square = step.pow(2).ewm(halflife=VOLATILITY_HALFLIFE_DAYS, min_periods=20).mean()
        return np.sqrt(square).to_frame("volatility").loc[tables["asset"].index]

    values, _ = point_in_time(build, {"asset": prices}, days, None, vintages)
    return values["volatility"].to_numpy("float64")


def _inputs(
    groups: Sequence[Group],
    market: Market,
    assets: Sequence[str],
    config: FeatureConfig,
    days: pd.DatetimeIndex,
) -> tuple[Input, ...]:
    """Say how fresh each table was on the last as-of day."""
    end = instants_of(days)[-1]
    stamps: dict[str, np.ndarray] = {}
    for role in {role for group in groups for role in group.roles}:
        if role.folder == "constituents" and market.panel is not None:
            stamps["constituents/closes"] = market.panel.available_at
            continue
        for asset in assets if "@asset" in role.symbols else assets[:1]:
            for symbol in symbols_of(role, market, config, asset):
                name = f"{role.folder}/{symbol}"
                if name not in stamps:
                    stamps[name] = utc(getattr(market, role.folder)[symbol]["available_at"])
    found: list[Input] = []
    for name in sorted(stamps):
        past = stamps[name][stamps[name] <= end]
        if len(past):
            last = pd.Timestamp(past.max())
            age = (pd.Timestamp(end) - last) / pd.Timedelta(days=1)
            found.append(Input(name, last.tz_localize("UTC"), float(age)))
    return tuple(found)
