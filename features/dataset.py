"""The point-in-time dataset: one row for each as-of day and asset."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from features.labels import NEVER, Labels, average_uniqueness, forward_labels
from features.schema import DatasetSchema
from sources.errors import DataUnavailableError


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
    prices : asset -> its bitemporal prices, for labels.
    columns : what each feature is; see :meth:`schema`.
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
    columns: DatasetSchema = field(default=DatasetSchema(columns=()), repr=False)

    def labels(self, asset: str, horizon_days: int, threshold: float = 0.0) -> Labels:
        """Return the outcomes of an asset on ``days``; see :class:`features.labels.Labels`."""
        return forward_labels(self.prices[asset], self.days, horizon_days, threshold)

    def schema(self) -> DatasetSchema:
        """Return names, units, versions, types and missing-value policies of the features."""
        return self.columns

    def drift(self, stored: DatasetSchema | Mapping[str, Any]) -> tuple[str, ...]:
        """Name each difference from a stored schema; see :meth:`DatasetSchema.drift`."""
        return self.columns.drift(stored)

    def only(self, names: Sequence[str]) -> Dataset:
        """Return the dataset with these of its features alone, in this order."""
        at = [self.names.index(name) for name in names]
        columns = {column.name: column for column in self.columns.columns}
        return replace(
            self,
            names=tuple(names),
            values=np.ascontiguousarray(self.values[:, :, at]),
            columns=DatasetSchema(columns=tuple(columns[n] for n in names if n in columns)),
        )

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

        ``weight`` is 1/h: h overlapping windows hold about one independent
        outcome. ``uniqueness`` is what each window of the table in fact shares
        with the others; see :func:`features.labels.average_uniqueness`.
        """
        at = self.assets.index(asset)
        labels = self.labels(asset, horizon_days, threshold)
        table = pd.DataFrame(self.values[:, at, :], self.days, list(self.names))
        ages = pd.DataFrame(
            self.ages[:, at, :], self.days, [f"age_days_{group}" for group in self.groups]
        )
        table = pd.concat([table, ages], axis=1)
        table.insert(0, "asset", asset)
        known = (labels.known_on < NEVER) & self.has_close[:, at]
        table["forward_return"] = labels.forward_return
        table["outcome"] = labels.outcome
        table["label_end"] = labels.label_end.astype("datetime64[us]")
        table["label_known_on"] = np.where(
            known, labels.known_on, np.datetime64("NaT", "D")
        ).astype("datetime64[us]")
        table["weight"] = 1.0 / horizon_days
        uniqueness = np.full(len(self.days), np.nan)
        day = self.days.to_numpy("datetime64[D]")
        uniqueness[known] = average_uniqueness(day[known], labels.label_end[known])
        table["uniqueness"] = uniqueness
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
