"""The point-in-time dataset: one row for each as-of day and asset."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from features.breadth import breadth_table
from features.clock import first_day_known, point_in_time, utc
from features.crypto import daily
from features.labels import Labels, first_known_close, forward_labels
from features.registry import REGISTRY, Group, Role, Tables
from sources.errors import DataUnavailableError, UnknownNameError
from sources.market import Market

VOLATILITY_HALFLIFE_DAYS = 30.0


class FeatureConfig(BaseModel):
    """Which features a model sees (science: frozen, hashed, kept in the bundle)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    blocks: tuple[str, ...] = ("momentum", "highs", "flows", "breadth", "crypto")
    fund: str = "IWM"


@dataclass(frozen=True)
class Input:
    """A table that features read, and how fresh it was on the last as-of day."""

    name: str
    available_at: pd.Timestamp
    age_days: float


@dataclass(frozen=True)
class Dataset:
    """Features of all as-of days and assets, as they were known at T(d).

    Attributes
    ----------
    days : (n,) consecutive calendar days, datetime64[us].
    assets : (a,) crypto symbols.
    names : (f,) feature names.
    values : (n, a, f) float64; NaN where a feature cannot be known.
    ages : (n, a, g) float64, days between the as-of day and the last row of each group.
    groups : (g,) names of the groups.
    has_close : (n, a) bool: the close of day d was known at T(d), so d can be scored.
    volatility : (n, a) float64, deviation of daily log returns known at T(d).
    omitted : groups left out because the market lacks their folder or symbols, and why.
    inputs : freshness of each table read, as of the last day.
    """

    days: pd.DatetimeIndex
    assets: tuple[str, ...]
    names: tuple[str, ...]
    values: np.ndarray
    ages: np.ndarray
    groups: tuple[str, ...]
    has_close: np.ndarray
    volatility: np.ndarray
    omitted: Mapping[str, str]
    inputs: tuple[Input, ...]
    prices: Mapping[str, pd.DataFrame] = field(repr=False)

    def labels(self, asset: str, horizon_days: int, threshold: float = 0.0) -> Labels:
        """Return the outcomes of an asset on ``days``; see :class:`features.labels.Labels`."""
        return forward_labels(self.prices[asset], self.days, horizon_days, threshold)

    def position(self, day: pd.Timestamp) -> int:
        """Return the row of an as-of day.

        Raises
        ------
        DataUnavailableError
            If the day lies outside the dataset.
        """
        row = int(self.days.searchsorted(day))
        if row >= len(self.days) or self.days[row] != day:
            raise DataUnavailableError(
                f"as of {day:%Y-%m-%d}: needed a day from {self.days[0]:%Y-%m-%d} "
                f"to {self.days[-1]:%Y-%m-%d}; found none",
                source="dataset",
                as_of=f"{day:%Y-%m-%d}",
            )
        return row

    def frame(self, asset: str, horizon_days: int, threshold: float = 0.0) -> pd.DataFrame:
        """Return one asset's rows as a table: features, ages, label, its end and its weight.

        ``weight`` is 1/h: h overlapping windows hold about one independent outcome.
        """
        at = self.assets.index(asset)
        labels = self.labels(asset, horizon_days, threshold)
        table = pd.DataFrame(self.values[:, at, :], self.days, list(self.names))
        ages = pd.DataFrame(
            self.ages[:, at, :], self.days, [f"age_days_{group}" for group in self.groups]
        )
        table = pd.concat([table, ages], axis=1)
        table.insert(0, "asset", asset)
        known = labels.known_on < np.datetime64("9999-12-31")
        table["forward_return"] = labels.forward_return
        table["outcome"] = labels.outcome
        table["label_end"] = labels.label_end.astype("datetime64[us]")
        table["label_known_on"] = np.where(
            known, labels.known_on, np.datetime64("NaT", "D")
        ).astype("datetime64[us]")
        table["weight"] = 1.0 / horizon_days
        table.index.name = "date"
        return table[self.has_close[:, at]].reset_index()

    @cached_property
    def digest(self) -> str:
        """Return the sha256 of names, days and values."""
        head = json.dumps([self.assets, self.names, self.groups])
        total = hashlib.sha256(head.encode())
        total.update(self.days.to_numpy("datetime64[us]").view("i8").tobytes())
        total.update(np.ascontiguousarray(self.values).tobytes())
        total.update(np.ascontiguousarray(self.has_close).tobytes())
        return total.hexdigest()


def build_dataset(
    market: Market, assets: Sequence[str], config: FeatureConfig | None = None
) -> Dataset:
    """Build the features of some assets on every calendar day since the first of their bars.

    Row (d, asset) reads what was available at T(d) and nothing else, so a market
    cut at T(d) gives the same row.

    Raises
    ------
    UnknownNameError
        For an asset that the market has no prices of; lists those it has.
    DataUnavailableError
        Where a folder is there but lacks the table that a block needs.
    """
    config = config or FeatureConfig()
    for asset in assets:
        if asset not in market.crypto:
            raise UnknownNameError("asset", asset, market.crypto)
    days = _days(market, assets)
    groups, omitted = _available(REGISTRY.select(config.blocks), market, config)
    columns: list[np.ndarray] = []
    ages: list[np.ndarray] = []
    for group in groups:
        per_asset = [
            point_in_time(group.build, _tables(group, market, config, asset), days)
            for asset in (assets if group.per_asset else assets[:1])
        ]
        names = [feature.name for feature in group.features]
        built = np.stack([values[names].to_numpy("float64") for values, _ in per_asset], axis=1)
        built = np.where(np.isfinite(built), built, np.nan)
        columns.append(np.broadcast_to(built, (len(days), len(assets), len(names))))
        age = np.stack([age for _, age in per_asset], axis=1)[:, :, None]
        ages.append(np.broadcast_to(age, (len(days), len(assets), 1)))
    shape = (len(days), len(assets), 0)
    return Dataset(
        days=days,
        assets=tuple(assets),
        names=tuple(feature.name for group in groups for feature in group.features),
        values=np.concatenate([np.empty(shape), *columns], axis=2),
        ages=np.concatenate([np.empty(shape), *ages], axis=2),
        groups=tuple(group.name for group in groups),
        has_close=_has_close(market, assets, days),
        volatility=np.stack([_volatility(market.prices[a], days) for a in assets], axis=1),
        omitted=omitted,
        inputs=_inputs(groups, market, assets, config, days),
        prices={asset: market.prices[asset] for asset in assets},
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


def _volatility(prices: pd.DataFrame, days: pd.DatetimeIndex) -> np.ndarray:
    def build(tables: Tables) -> pd.DataFrame:
        step = daily(tables["asset"]).diff()
        square = step.pow(2).ewm(halflife=VOLATILITY_HALFLIFE_DAYS, min_periods=20).mean()
        return np.sqrt(square).to_frame("volatility").loc[tables["asset"].index]

    values, _ = point_in_time(build, {"asset": prices}, days)
    return values["volatility"].to_numpy("float64")


def _symbol(role: Role, market: Market, config: FeatureConfig, asset: str) -> str | None:
    """Return the best symbol of a role that the market has."""
    symbols = (config.fund,) if role.folder == "flows" else role.symbols
    tables: Mapping[str, object] = getattr(market, role.folder, {})
    for symbol in symbols:
        name = asset if symbol == "@asset" else symbol
        if name in tables:
            return name
    return None


def _available(
    groups: Sequence[Group], market: Market, config: FeatureConfig
) -> tuple[tuple[Group, ...], dict[str, str]]:
    """Keep the groups whose inputs exist.

    A folder that is absent is a choice, and its groups are left out, by name.
    A folder that is there without the table a whole block needs is a fault.
    """
    kept: list[Group] = []
    omitted: dict[str, str] = {}
    for group in groups:
        for role in group.roles:
            if role.folder == "constituents":
                missing = None if market.panel is not None else "constituents/closes.parquet"
            elif _symbol(role, market, config, "@asset") or "@asset" in role.symbols:
                missing = None
            else:
                wanted = (config.fund,) if role.folder == "flows" else role.symbols
                missing = f"{role.folder}/{' or '.join(wanted)}.csv"
            if missing is not None:
                omitted[group.name] = missing
        if group.name not in omitted:
            kept.append(group)
    for block in dict.fromkeys(group.block for group in groups):
        members = [group for group in groups if group.block == block]
        if any(group in kept for group in members):
            continue
        missing = omitted[members[0].name]
        folder = missing.split("/")[0]
        if folder == "constituents" or not getattr(market, folder):
            continue
        raise DataUnavailableError(
            f"{market.name}: feature block {block!r} needed {missing}; found "
            f"{', '.join(sorted(getattr(market, folder)))}",
            source=missing,
        )
    return tuple(kept), omitted


def _tables(
    group: Group, market: Market, config: FeatureConfig, asset: str
) -> dict[str, pd.DataFrame]:
    tables: dict[str, pd.DataFrame] = {}
    for role in group.roles:
        if role.folder == "constituents" and market.panel is not None:
            tables[role.name] = breadth_table(market.panel)
        else:
            symbol = _symbol(role, market, config, asset)
            tables[role.name] = getattr(market, role.folder)[symbol]
    return tables


def _inputs(
    groups: Sequence[Group],
    market: Market,
    assets: Sequence[str],
    config: FeatureConfig,
    days: pd.DatetimeIndex,
) -> tuple[Input, ...]:
    """Say how fresh each table was on the last as-of day."""
    end = days[-1] + pd.Timedelta(days=1)
    found: dict[str, Input] = {}
    for group in groups:
        for role in group.roles:
            for asset in assets if "@asset" in role.symbols else assets[:1]:
                if role.folder == "constituents" and market.panel is not None:
                    name, stamps = "constituents/closes", market.panel.available_at
                else:
                    symbol = _symbol(role, market, config, asset)
                    name = f"{role.folder}/{symbol}"
                    stamps = utc(getattr(market, role.folder)[symbol]["available_at"])
                past = stamps[stamps <= end.to_datetime64()]
                if len(past):
                    last = pd.Timestamp(past.max())
                    age = (end - last) / pd.Timedelta(days=1)
                    found[name] = Input(name, last.tz_localize("UTC"), float(age))
    return tuple(found[name] for name in sorted(found))
