"""Our forecasts beside those of plain learners, on markets whose truth is known; one JSON line.

All learn from the same datasets, refit on the same days from the rows known then, and are
scored by expectation under the true probability: gain over climatology in thousandths of a nat,
by world, forecaster and horizon. Besides, how long our walk-forward and one day's scores take.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from features import Dataset, build_dataset
from models import Cell, ModelConfig, cells_of, rows_of
from sources.simulated import simulate_market
from training.job import HORIZONS
from training.limit import Capture, captures, correlation, slope, total_capture
from training.walkforward import CellRun, bundle_of, refit_days, walk_forward
from training.worlds import ASSETS

WORLDS = ("null", "flow", "high")
PEERS: dict[str, Callable[[], Any]] = {
    "lightgbm_defaults": lambda: LGBMClassifier(n_jobs=1, verbosity=-1),
    "lightgbm_7_leaves_shrunk": lambda: LGBMClassifier(
        n_estimators=60,
        num_leaves=7,
        learning_rate=0.01,
        min_child_samples=100,
        reg_lambda=10.0,
        colsample_bytree=0.5,
        max_bin=63,
        n_jobs=1,
        verbosity=-1,
    ),
    "logistic_strong_penalty": lambda: make_pipeline(
        SimpleImputer(keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=1e-4, max_iter=200),
    ),
}
SCORED_DAYS = 20


def main() -> None:
    """Run all worlds, then the clock, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--years", type=float, default=6.0)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    begun = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    tasks = [(w, seed, chosen.years) for w in chosen.worlds for seed in range(chosen.seeds)]
    with ProcessPoolExecutor(chosen.workers, mp_context=context) as pool:
        found = list(pool.map(compare, tasks))
    print(
        json.dumps(
            {
                "benchmark": "forecasters",
                "seeds": chosen.seeds,
                "years": chosen.years,
                "gain_mnat": {
                    world: table([f for task, f in zip(tasks, found, strict=True)
                                  if task[0] == world])
                    for world in chosen.worlds
                },
                "seconds": clock(chosen.workers),
                "seconds_in_all": round(time.perf_counter() - begun, 1),
            }
        )
    )  # fmt: skip


def compare(task: tuple[str, int, float]) -> dict[str, tuple[Capture, ...]]:
    """Score ours and every peer on one market."""
    world, seed, years = task
    config = ModelConfig()
    with threadpool_limits(1):
        simulated = simulate_market(world, seed=seed, years=years)
        dataset = build_dataset(simulated.market, ASSETS, config.features)
        runs = walk_forward(dataset, cells_of(ASSETS, HORIZONS), config)
        sides = {
            "ours": runs,
            "climatology": {c: said(r, r.path.base_rate) for c, r in runs.items()},
        }
        for name, make in PEERS.items():
            sides[name] = {
                cell: said(run, walk_peer(dataset, cell, run, make, config))
                for cell, run in runs.items()
            }
        return {name: captures(side, simulated.truth) for name, side in sides.items()}


def said(run: CellRun, probability: np.ndarray) -> CellRun:
    """Put another forecast in the place of ours."""
    return replace(run, path=replace(run.path, probability=probability))


def walk_peer(
    dataset: Dataset, cell: Cell, run: CellRun, make: Callable[[], Any], config: ModelConfig
) -> np.ndarray:
    """Fit a peer on each of our refit days, on all core features, and forecast until the next."""
    rows = rows_of(dataset, cell)
    days = run.path.days
    refits = refit_days(rows, config)
    probability = run.path.base_rate.copy()
    for begin, end in zip(refits, [*refits[1:], days[-1] + 1], strict=True):
        train = rows.labelled_by(begin)
        if len(np.unique(rows.outcome[train])) < 2:
            continue
        model = make()
        at = np.searchsorted(rows.days, days[(days >= begin) & (days < end)])
        with warnings.catch_warnings():
            # LightGBM names columns of an array, and scikit-learn then misses the names.
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            model.fit(rows.features[train], rows.outcome[train])
            forecast = model.predict_proba(rows.features[at])[:, 1]
        probability[(days >= begin) & (days < end)] = np.clip(forecast, 1e-6, 1 - 1e-6)
    return probability


def table(found: list[dict[str, tuple[Capture, ...]]]) -> dict[str, dict[str, Any]]:
    """Return by forecaster and horizon the figures of several markets together."""
    rows: dict[str, dict[str, Any]] = {}
    for name in found[0]:
        rows[name] = {}
        for horizon in HORIZONS:
            cells = [c for side in found for c in side[name] if c.cell.horizon_days == horizon]
            rows[name][str(horizon)] = {
                "gain": rounded(sum(c.gain_mnat for c in cells) / len(cells)),
                "worst": rounded(min(c.gain_mnat for c in cells)),
                "limit": rounded(sum(c.limit_mnat for c in cells) / len(cells)),
                "capture": rounded(total_capture(cells)),
                "slope": rounded(slope(cells)),
                "correlation": rounded(correlation(cells)),
            }
    return rows


def clock(workers: int) -> dict[str, float]:
    """Time our walk-forward of 8 years and the scoring of one day, from a dataset."""
    config = ModelConfig()
    market = simulate_market("flow", seed=0, years=8).market
    begun = time.perf_counter()
    dataset = build_dataset(market, ASSETS, config.features)
    built = time.perf_counter()
    runs = walk_forward(dataset, cells_of(ASSETS, HORIZONS), config, workers=workers)
    walked = time.perf_counter()
    bundle = bundle_of(runs, dataset, config, market.digest())
    days = dataset.days.to_numpy("datetime64[D]")[-SCORED_DAYS:]
    scored = []
    for day in days:
        start = time.perf_counter()
        bundle.forecast(dataset, bundle.cells, day)
        scored.append(time.perf_counter() - start)
    return {
        "dataset": round(built - begun, 2),
        "walk_forward_2_assets_3_horizons_8_years": round(walked - built, 2),
        "score_one_day_6_cells": round(float(np.median(scored)), 4),
    }


def rounded(value: float) -> float | None:
    """Round for the eye; nothing where there is no figure."""
    return round(value, 3) if np.isfinite(value) else None


if __name__ == "__main__":
    main()
