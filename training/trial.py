"""One trial: a configuration walked forward through the inner folds, and given up where it is poor.

What trials have in common is kept: the dataset, the signals of a setting, the classifiers of a
setting, and the binned rows that all trees of a day learn from. A trial that differs in the
mixture alone fits nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from features import Dataset
from models import Cell, CellRows, ModelConfig, initial_state, log_loss, run_path
from models.calibration import calibrated, initial_calibration
from models.cells import OnlineRows
from models.experts import Expert, fit_experts
from models.online import cell_rows, online_rows
from sources.errors import RiskonError
from training.evaluation import MNAT
from training.splits import DAY, Span
from training.walkforward import refit_days

Prune = Callable[[int, float], bool]
"""Told the fold and the mean gain up to it, says whether to give the trial up."""

Signals = dict[tuple[str, int], OnlineRows]
KEPT_SIGNALS = 32


@dataclass(frozen=True)
class Arena:
    """What trials are scored on.

    Attributes
    ----------
    dataset : as known when the search's last day was over; nothing later is in it.
    cells : those with enough outcomes there.
    folds : the inner folds.
    seeds : a trial is scored by its mean over them.
    """

    dataset: Dataset
    cells: tuple[Cell, ...]
    folds: tuple[Span, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """How a trial did.

    Attributes
    ----------
    gains : mean gain over climatology in each fold that was run, mnat a day.
    pruned : it was given up after the last of them.
    failure : why there is no value, if there is none.
    """

    gains: tuple[float, ...]
    pruned: bool = False
    failure: str | None = None

    @property
    def whole(self) -> bool:
        """Whether it ran through all folds."""
        return not self.pruned and self.failure is None

    @property
    def value(self) -> float:
        """The mean over folds."""
        return float(np.mean(self.gains))


class Evaluator:
    """Scores configurations on an arena, and keeps what later ones may share."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self._signals: dict[str, Signals] = {}
        self._experts: dict[tuple[str, Cell, np.datetime64], tuple[Expert, ...]] = {}
        self._plain: dict[tuple[str, Cell], CellRows] = {}
        self._binned: dict[Any, Any] = {}

    def evaluate(self, config: ModelConfig, prune: Prune | None = None) -> Outcome:
        """Walk a configuration through the folds, one after the other.

        The value does not depend on what was evaluated before.
        """
        try:
            walks = [
                [_Walk(rows, chosen, self._fit) for rows in self._rows(chosen)]
                for seed in self.arena.seeds
                for chosen in (config.model_copy(update={"seed": seed}),)
            ]
            gains: list[float] = []
            for step, span in enumerate(self.arena.folds):
                found = [_pooled([walk.gains(span) for walk in one], span) for one in walks]
                gains.append(MNAT * float(np.mean(found)))
                if not np.isfinite(gains[-1]):
                    reason = f"fold {step}: needed a finite gain; found {gains[-1]}"
                    return Outcome(tuple(gains[:-1]), failure=reason)
                last = step == len(self.arena.folds) - 1
                if prune is not None and not last and prune(step, float(np.mean(gains))):
                    return Outcome(tuple(gains), pruned=True)
        except RiskonError as error:
            return Outcome((), failure=str(error))
        return Outcome(tuple(gains))

    def _rows(self, config: ModelConfig) -> list[CellRows]:
        signals = self._said(config)
        found: list[CellRows] = []
        for cell in self.arena.cells:
            key = (str(config.classifier_features), cell)
            if key not in self._plain:
                self._plain[key] = cell_rows(self.arena.dataset, cell, {}, config)
            plain, said = self._plain[key], signals.get((cell.asset, cell.horizon_days))
            level = plain.reference and replace(plain.reference, online=said)
            found.append(replace(plain, online=said, reference=level))
        return found

    def _said(self, config: ModelConfig) -> Signals:
        if config.signals is None:
            return {}
        key = config.signals.model_dump_json()
        if key not in self._signals:
            if len(self._signals) >= KEPT_SIGNALS:
                self._signals.pop(next(iter(self._signals)))
            said = online_rows(self.arena.dataset, self.arena.cells, config)
            # Forecasts read the sum; what each signal adds is for explanations alone.
            self._signals[key] = {
                at: replace(
                    rows,
                    parts=rows.parts.sum(axis=1, keepdims=True),
                    values=rows.values[:, :0],
                    names=("all",),
                )
                for at, rows in said.items()
            }
        return self._signals[key]

    def _fit(self, rows: CellRows, day: np.datetime64, config: ModelConfig) -> tuple[Expert, ...]:
        """Fit the classifiers of a day, each once for all trials with its settings."""
        level = (rows.reference or rows).cell
        found: list[Expert] = []
        for name in ("logistic", "boosting"):
            if getattr(config, name) is None:
                continue
            alone = {"logistic": None, "boosting": None, name: getattr(config, name)}
            one = config.model_copy(update=alone)
            key = (
                f"{alone} {config.seed} {config.least_labels} {config.classifier_features}",
                level,
                day,
            )
            if key not in self._experts:
                self._experts[key] = fit_experts(rows, day, one, self._binned)
            found += self._experts[key]
        return tuple(found)


Fit = Callable[[CellRows, np.datetime64, ModelConfig], tuple[Expert, ...]]


class _Walk:
    """A cell on its way through the folds: each goes on where the one before stood.

    It says what :func:`training.walkforward.run_cell` says, to the bit.
    """

    def __init__(self, rows: CellRows, config: ModelConfig, fit: Fit) -> None:
        self.rows, self.config, self.fit = rows, config, fit
        self.refits = np.array(refit_days(rows, config))
        first = self.refits[0]
        self.last: tuple[np.datetime64, Sequence[Expert]] | None = None
        self.state = initial_state(rows, first, config)
        self.calibration = initial_calibration(first, rows.cell.horizon_days, config)

    def gains(self, span: Span) -> tuple[np.ndarray, np.ndarray]:
        """Return the days of a fold with a known outcome, and the gain of each, nats."""
        due = self.refits[self.refits < span.end]
        if self.last is not None:
            due = due[due > self.last[0]]
        fits = [] if self.last is None else [self.last]
        fits += [(day, self.fit(self.rows, day, self.config)) for day in due]
        if not fits:
            return np.empty(0, dtype="datetime64[D]"), np.empty(0)
        through = min(span.end - DAY, self.rows.days[-1])
        mixed, states = run_path(self.rows, self.state, fits, through, self.config)
        keep = [day for day, _ in fits]
        path, calibrations = calibrated(self.rows, mixed, self.calibration, keep, self.config)
        self.last, self.state, self.calibration = fits[-1], states[-1], calibrations[-1]
        at = np.searchsorted(self.rows.days, path.days)
        outcome = self.rows.outcome[at]
        known = self.rows.usable[at] & ~np.isnan(outcome) & span.holds(path.days)
        outcome = outcome[known]
        gain = log_loss(outcome, path.base_rate[known]) - log_loss(outcome, path.probability[known])
        return path.days[known], gain


def _pooled(found: Sequence[tuple[np.ndarray, np.ndarray]], span: Span) -> float:
    """Return the mean over the days of a fold of the mean over cells; 0 without any."""
    length = int((span.end - span.begin) / DAY)
    total, count = np.zeros(length), np.zeros(length)
    for days, gain in found:
        at = ((days - span.begin) / DAY).astype("int64")
        total[at] += gain
        count[at] += 1
    scored = count > 0
    return float((total[scored] / count[scored]).mean()) if scored.any() else 0.0
