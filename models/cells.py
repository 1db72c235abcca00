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
    online : what the signals say of this asset and horizon, or None where there are none.
    reference : the rows of the same asset and horizon at threshold 0, or None at threshold 0.
        Experts and weights are learned there, and moved to the threshold.
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
    online: OnlineRows | None = None
    reference: CellRows | None = None

    def labelled_by(self, as_of: np.datetime64) -> np.ndarray:
        """Return (n,) bool: rows whose outcome is known at T(as_of)."""
        rows: np.ndarray = self.usable & (self.known_on <= as_of) & ~np.isnan(self.outcome)
        return rows

    def settled_in_time(self, first: np.datetime64, count: int) -> np.ndarray:
        """Return (h + count,) outcomes from h days before ``first``; NaN if known after h days."""
        h = self.cell.horizon_days
        there = self.usable & (self.known_on <= self.days + np.timedelta64(h, "D"))
        # No forecast is older than the rows, so what lies before them is not missed.
        known = np.concatenate([np.full(h, np.nan), np.where(there, self.outcome, np.nan)])
        begin = int(np.searchsorted(self.days, first))
        return known[begin : begin + h + count]

    def complete(self) -> np.ndarray:
        """Return (n,) bool: rows with every feature present."""
        rows: np.ndarray = self.usable & np.isfinite(self.features).all(axis=1)
        return rows


@dataclass(frozen=True)
class OnlineRows:
    """What the signals say of one asset and horizon, a row an as-of day.

    Attributes
    ----------
    drift : (n,) expected daily return without signals, in volatilities.
    parts : (n, k) what each signal adds to the h-day return, in its deviations.
    values : (n, k) of the signals, in deviations from their past; 0 where missing.
    names : (k,) of the signals.
    rule : (n,) what the claims' rules assert, as ``parts``.
    """

    drift: np.ndarray
    parts: np.ndarray
    values: np.ndarray
    names: tuple[str, ...]
    rule: np.ndarray


def cells_of(
    assets: Sequence[str], horizons: Sequence[int], thresholds: Sequence[float] = (0.0,)
) -> tuple[Cell, ...]:
    """Return the cells of all combinations, in a fixed order, each once."""
    cells = [Cell(a, h, t) for a in assets for h in horizons for t in thresholds]
    return tuple(dict.fromkeys(cells))


def rows_of(
    dataset: Dataset,
    cell: Cell,
    online: OnlineRows | None = None,
    classifier_features: Sequence[str] | None = None,
) -> CellRows:
    """Cut the rows of one cell out of a dataset.

    Parameters
    ----------
    online : what the signals say of the cell's asset and horizon.
    classifier_features : those the classifiers are fitted on; all by default.
    """
    at = dataset.assets.index(cell.asset)
    labels = dataset.labels(cell.asset, cell.horizon_days, cell.threshold)
    chosen = [n for n in dataset.names if classifier_features is None or n in classifier_features]
    reference = None
    if cell.threshold != 0:
        level = Cell(cell.asset, cell.horizon_days)
        reference = rows_of(dataset, level, online, classifier_features)
    return CellRows(
        cell=cell,
        days=dataset.days.to_numpy("datetime64[D]"),
        features=np.ascontiguousarray(
            dataset.values[:, at, [dataset.names.index(name) for name in chosen]]
        ),
        names=tuple(chosen),
        usable=dataset.has_close[:, at],
        volatility=dataset.volatility[:, at],
        outcome=labels.outcome,
        forward_return=labels.forward_return,
        known_on=labels.known_on,
        online=online,
        reference=reference,
    )
