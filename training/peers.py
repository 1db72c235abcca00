"""Plain learners on the same markets: what others would have forecast from the same features."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from features import build_dataset
from models import ModelConfig, cells_of, rows_of
from training.job import HORIZONS
from training.limit import Capture, captures
from training.walkforward import CellRun, refit_days, run_cell
from training.worlds import ASSETS, Trial, simulated_market

CLIMATOLOGY = {
    "signals": None, "rules": None, "logistic": None, "boosting": None, "calibration": None,
}  # fmt: skip
"""A configuration with these has no expert but the base rate."""

LEAST_PROBABILITY = 1e-6

YEARLY = frozenset({"lightgbm_defaults"})
"""Peers fitted once a year, as each fit takes seconds: a loss of 230 thousandths of a nat a day
ahead, and of 710 over twenty, where fits on each of our refits lost 180 and 640 and took four
times as long (BTC, six years of ``flow``)."""


def _boosted(**settings: float) -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_jobs=1, verbosity=-1, **settings)


def _logistic() -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        SimpleImputer(keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=1e-4, max_iter=200),
    )


PEERS: Mapping[str, Callable[[], Any]] = {
    "lightgbm_defaults": _boosted,
    "lightgbm_shrunk": lambda: _boosted(
        n_estimators=60,
        num_leaves=7,
        learning_rate=0.01,
        min_child_samples=100,
        reg_lambda=10.0,
        colsample_bytree=0.5,
        max_bin=63,
    ),
    "lightgbm_qlib": lambda: _boosted(
        num_leaves=210,
        max_depth=8,
        learning_rate=0.2,
        subsample=0.8789,
        colsample_bytree=0.8879,
        reg_alpha=205.6999,
        reg_lambda=580.9768,
    ),
    "logistic_strong_penalty": _logistic,
}
"""Name -> a new learner: LightGBM as it comes; small and shrunk; with the parameters that Microsoft
Qlib publishes for its Alpha158 benchmark; and logistic regression with a strong penalty."""


def run_peers(trial: Trial, config: ModelConfig) -> dict[str, tuple[Capture, ...]]:
    """Simulate a market and walk every peer forward in it; score each against the truth.

    They learn from all core features, on each of our refits from the rows known then, but for
    those in ``YEARLY``.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    plain = config.model_copy(update=CLIMATOLOGY)
    with threadpool_limits(1):
        simulated = simulated_market(trial)
        dataset = build_dataset(simulated.market, ASSETS, config.features)
        cells = cells_of(ASSETS, HORIZONS)
        quiet = {cell: run_cell(rows_of(dataset, cell), plain) for cell in cells}
        return {
            name: captures(
                {
                    cell: _said(run, walk_peer(run, make, _refits(name, run, config)))
                    for cell, run in quiet.items()
                },
                simulated.truth,
            )
            for name, make in PEERS.items()
        }


def walk_peer(run: CellRun, make: Callable[[], Any], refits: Sequence[np.datetime64]) -> np.ndarray:
    """Fit a peer on what was known on each refit; return (n,) what it says on the path's days.

    Where outcomes of one kind alone are known it says the base rate.
    """
    rows, days = run.rows, run.path.days
    probability = run.path.base_rate.copy()
    for begin, end in zip(refits, [*refits[1:], days[-1] + 1], strict=True):
        train = rows.labelled_by(begin)
        if len(np.unique(rows.outcome[train])) < 2:
            continue
        now = (days >= begin) & (days < end)
        model = make()
        with warnings.catch_warnings():
            # LightGBM names columns of an array, and scikit-learn then misses the names.
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            model.fit(rows.features[train], rows.outcome[train])
            at = np.searchsorted(rows.days, days[now])
            said = model.predict_proba(rows.features[at])[:, 1]
        probability[now] = np.clip(said, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return probability


def yearly(refits: Sequence[np.datetime64]) -> list[np.datetime64]:
    """Return the first refit of each calendar year."""
    first: dict[np.datetime64, np.datetime64] = {}
    for day in refits:
        first.setdefault(day.astype("datetime64[Y]"), day)
    return list(first.values())


def _refits(name: str, run: CellRun, config: ModelConfig) -> list[np.datetime64]:
    refits = refit_days(run.rows, config)
    return yearly(refits) if name in YEARLY else refits


def _said(run: CellRun, probability: np.ndarray) -> CellRun:
    """Put a peer's forecast in the place of ours."""
    return replace(run, path=replace(run.path, probability=probability))
