"""The experts of a cell: how they are fitted, kept as JSON and text, and brought back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.boosting import SmallBoosting
from models.cells import CellRows
from models.config import ModelConfig
from models.logistic import PenalisedLogistic

Model = PenalisedLogistic | SmallBoosting

LEAST_EXPERT_PROBABILITY = 0.02
"""No expert is surer than this, so that no single day can cost more than 3.9 nats."""


@dataclass(frozen=True)
class Expert:
    """A fitted model of one cell, with its name."""

    name: str
    model: Model

    def probability(self, features: np.ndarray, base_rate: np.ndarray) -> np.ndarray:
        """Return (n,) P(outcome 1) of complete rows, in [0.02, 0.98].

        The model moves the log-odds of today's base rate; its own intercept,
        learned from fewer rows and up to a quarter old, is left out.

        Parameters
        ----------
        features : (n, f) finite, known at T(d).
        base_rate : (n,) climatology from labels known at T(d).
        """
        odds = np.log(base_rate) - np.log1p(-base_rate) + self.model.margin(features)
        p = 1.0 / (1.0 + np.exp(-odds))
        return np.clip(p, LEAST_EXPERT_PROBABILITY, 1 - LEAST_EXPERT_PROBABILITY)

    def state(self) -> tuple[dict[str, Any], str | None]:
        """Return what is learned, as plain JSON and, for trees, LightGBM's own text."""
        model = self.model
        if isinstance(model, SmallBoosting):
            learned = {"params": model.get_params(), "intercept": model.intercept_}
            return learned, model.booster_.model_to_string()
        return {
            "params": model.get_params(),
            "center": model.center_.tolist(),
            # Infinity, of a constant feature, is no JSON.
            "scale": [s if np.isfinite(s) else None for s in model.scale_.tolist()],
            "coef": model.coef_.tolist(),
            "intercept": model.intercept_,
        }, None

    @classmethod
    def restore(cls, name: str, state: Mapping[str, Any], trees: str | None) -> Expert:
        """Bring an expert back from its state; executes no code from it."""
        model: Model
        if name == "boosting":
            import lightgbm

            model = SmallBoosting(**state["params"])
            model.booster_ = lightgbm.Booster(model_str=trees)
            model.n_features_in_ = model.booster_.num_feature()
        else:
            model = PenalisedLogistic(**state["params"])
            model.center_ = np.array(state["center"], dtype="float64")
            model.scale_ = np.array([np.inf if s is None else s for s in state["scale"]])
            model.coef_ = np.array(state["coef"], dtype="float64")
            model.n_features_in_ = len(model.coef_)
        model.intercept_ = float(state["intercept"])
        model.classes_ = np.array([0.0, 1.0])
        return cls(name, model)


def expert_names(config: ModelConfig) -> tuple[str, ...]:
    """Return the names of the experts that a configuration asks for, climatology first."""
    wanted = {"logistic": config.logistic, "boosting": config.boosting}
    return ("climatology", *(name for name, settings in wanted.items() if settings is not None))


def fit_experts(rows: CellRows, as_of: np.datetime64, config: ModelConfig) -> tuple[Expert, ...]:
    """Fit the experts of a cell on what was known at T(as_of).

    Rows train when all features are there and ``known_on <= as_of``; each
    weighs 1/h. With fewer than ``least_labels`` of them, or one class only,
    there are no experts, and climatology speaks alone.
    """
    train = rows.labelled_by(as_of) & rows.complete()
    outcome = rows.outcome[train]
    if len(outcome) < config.least_labels or outcome.min() == outcome.max():
        return ()
    weight = np.full(len(outcome), 1.0 / rows.cell.horizon_days)
    experts: list[Expert] = []
    if config.logistic is not None:
        logistic = PenalisedLogistic(**config.logistic.model_dump())
        experts.append(Expert("logistic", logistic))
    if config.boosting is not None:
        boosting = SmallBoosting(**config.boosting.model_dump(), seed=config.seed)
        experts.append(Expert("boosting", boosting))
    for expert in experts:
        expert.model.fit(rows.features[train], outcome, sample_weight=weight)
    return tuple(experts)
