"""The experts of a cell: how they are fitted, what they say, how they are kept and brought back.

Every expert moves the centre of one predictive law, so that all of them speak
of every threshold: climatology leaves it at the base rate; the signals move it
by what they expect; the claims' rules by what they assert; the classifiers by
the log-odds that they learned at threshold 0.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.boosting import SmallBoosting
from models.cells import CellRows
from models.claims import signs_of
from models.config import ModelConfig
from models.logistic import PenalisedLogistic
from models.predictive import shift_of_odds, spread_of

Model = PenalisedLogistic | SmallBoosting
Centres = dict[str, tuple[np.ndarray, np.ndarray]]

SEAM = "\f\n"
"""Between the models of several seeds in one text; LightGBM's own text has no form feed."""


@dataclass(frozen=True)
class Expert:
    """A fitted classifier of one asset and horizon, with its name."""

    name: str
    model: Model

    def state(self) -> tuple[dict[str, Any], str | None]:
        """Return what is learned, as plain JSON and, for trees, LightGBM's own text."""
        model = self.model
        if isinstance(model, SmallBoosting):
            learned = {"params": model.get_params(), "intercept": model.intercept_}
            return learned, SEAM.join(booster.model_to_string() for booster in model.boosters_)
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
            texts = (trees or "").split(SEAM)
            model.boosters_ = [lightgbm.Booster(model_str=text) for text in texts]
            model.n_features_in_ = model.boosters_[0].num_feature()
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
    wanted = {
        "signals": config.signals,
        "rules": config.rules,
        "logistic": config.logistic,
        "boosting": config.boosting,
    }
    return ("climatology", *(name for name, settings in wanted.items() if settings is not None))


def fit_experts(
    rows: CellRows,
    as_of: np.datetime64,
    config: ModelConfig,
    binned: MutableMapping[Any, Any] | None = None,
) -> tuple[Expert, ...]:
    """Fit the classifiers of a cell on what was known at T(as_of).

    Rows train when all features are there and ``known_on <= as_of``; each
    weighs 1/h. With fewer than ``least_labels`` of them, or one class only,
    there are no classifiers, and the others speak without them.

    Parameters
    ----------
    binned : what was binned for the trees of the same dataset before, kept for the next fit.
    """
    rows = rows.reference or rows
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
        boosting = SmallBoosting(
            **config.boosting.model_dump(), seed=config.seed, signs=list(signs_of(rows.names))
        )
        experts.append(Expert("boosting", boosting))
    features = rows.features[train]
    for expert in experts:
        if binned is None or not isinstance(expert.model, SmallBoosting):
            expert.model.fit(features, outcome, sample_weight=weight)
            continue
        key = (rows.cell, as_of, rows.names, config.seed)
        if key not in binned:
            binned[key] = expert.model.binned(features, outcome, weight)
        expert.model.fit(features, outcome, weight, binned=binned[key])
    return tuple(experts)


def expert_centres(
    rows: CellRows,
    at: np.ndarray,
    base: np.ndarray,
    experts: Sequence[Expert],
    config: ModelConfig,
) -> Centres:
    """Return expert -> (mask, centre) on some rows: where it speaks, and what it says there.

    Parameters
    ----------
    at : (m,) rows of ``rows``.
    base : (m,) centre that gives the base rate.

    Returns
    -------
    mask : (m,) bool.
    centre : (rows where it speaks,) in units of the standard Student law of the horizon.
    """
    h = rows.cell.horizon_days
    said: Centres = {}
    if rows.online is not None:
        spread = spread_of(h)
        usable = rows.usable[at] & (rows.volatility[at] > 0)
        here = at[usable]
        if config.signals is not None:
            w = config.signals.drift_weight
            pulled = spread * rows.online.parts[here].sum(axis=1)
            quiet = w * drift_centre(rows, here) + (1 - w) * base[usable]
            said["signals"] = (usable, quiet + pulled)
        if config.rules is not None:
            moved = spread * config.rules.effect * rows.online.rule[here]
            said["rules"] = (usable, base[usable] + moved)
    complete = rows.complete()[at]
    for expert in experts:
        margin = expert.model.margin(rows.features[at[complete]])
        said[expert.name] = (complete, base[complete] + shift_of_odds(margin, h))
    return said


def drift_centre(rows: CellRows, at: np.ndarray) -> np.ndarray:
    """Return the centre that the drift alone gives on some rows, less the hurdle.

    The hurdle is the threshold in deviations of the h-day return; 0 at threshold 0.
    """
    if rows.online is None:
        raise ValueError("a drift needs rows with signals")
    h = rows.cell.horizon_days
    hurdle = np.log1p(rows.cell.threshold) / (rows.volatility[at] * np.sqrt(h))
    return spread_of(h) * (np.sqrt(h) * rows.online.drift[at] - hurdle)


def speaks(
    rows: CellRows,
    fits: Sequence[tuple[np.datetime64, Sequence[Expert]]],
    days: np.ndarray,
    span: np.ndarray,
) -> np.ndarray:
    """Return (n,) bool: is there anyone but climatology to speak on the days of the span."""
    fitted = np.zeros(len(days), dtype=bool)
    for begin, experts in fits:
        fitted[days >= begin] = bool(experts)
    classifiers = fitted & rows.complete()[span]
    if rows.online is None:
        return classifiers
    return classifiers | (rows.usable & np.isfinite(rows.volatility))[span]
