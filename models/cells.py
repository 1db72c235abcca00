"""A cell is one question, asked every day: an asset, a horizon and a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from features import Dataset


@dataclass(frozen=True, order=True)
class Cell:
    """An asset, a horizon in calendar days, and a threshold as a fractional return."""

    asset: str
    horizon_days: int
    threshold: float = 0.0

    def __str__(self) -> str:
        """Return a short name, for runs and files."""
        suffix = f"_gt{self.threshold!r}" if self.threshold else ""
        return f"{self.asset}_{self.horizon_days}d{suffix}"


@dataclass(frozen=True)
class CellRows:
    """What a forecaster of one cell may look at, a row an as-of day.

    Attributes
    ----------
    cell : the question.
    days : (n,) datetime64[D], consecutive.
    features : (n, f) float64, known at T(d); NaN where missing.
    names : (f,) feature names.
    usable : (n,) bool: the close of d is known at T(d).
    volatility : (n,) float64, daily, known at T(d).
    outcome, forward_return : (n,) float64, NaN where there is no label.
    known_on : (n,) datetime64[D], first as-of day that may learn from the row.
    """

    cell: Cell
    days: np.ndarray
    features: np.ndarray
    names: tuple[str, ...]
    usable: np.ndarray
    volatility: np.ndarray
    outcome: np.ndarray
    forward_return: np.ndarray
    known_on: np.ndarray

    def labelled_by(self, as_of: np.datetime64) -> np.ndarray:
        """Return (n,) bool: rows whose outcome is known at T(as_of)."""
        rows: np.ndarray = self.usable & (self.known_on <= as_of) & ~np.isnan(self.outcome)
        return rows

    def complete(self) -> np.ndarray:
        """Return (n,) bool: rows with every feature present."""
        rows: np.ndarray = self.usable & np.isfinite(self.features).all(axis=1)
        return rows


def cells_of(
    assets: Sequence[str], horizons: Sequence[int], thresholds: Sequence[float] = (0.0,)
) -> tuple[Cell, ...]:
    """Return the cells of all combinations, in a fixed order, each once."""
    cells = [Cell(a, h, t) for a in assets for h in horizons for t in thresholds]
    return tuple(dict.fromkeys(cells))


def rows_of(dataset: Dataset, cell: Cell) -> CellRows:
    """Cut the rows of one cell out of a dataset."""
    at = dataset.assets.index(cell.asset)
    labels = dataset.labels(cell.asset, cell.horizon_days, cell.threshold)
    return CellRows(
        cell=cell,
        days=dataset.days.to_numpy("datetime64[D]"),
        features=np.ascontiguousarray(dataset.values[:, at, :]),
        names=dataset.names,
        usable=dataset.has_close[:, at],
        volatility=dataset.volatility[:, at],
        outcome=labels.outcome,
        forward_return=labels.forward_return,
        known_on=labels.known_on,
    )
