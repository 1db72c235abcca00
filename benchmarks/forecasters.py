"""Our forecasts beside those of plain learners, on markets whose truth is known; one JSON line.

All learn from the same datasets and from the rows known then, and are scored by expectation
under the true probability: gain over climatology in thousandths of a nat, by world, forecaster
and horizon. Besides, how long our walk-forward and one day's scores take. ``riskon evaluate
--worlds all`` prints the same of every world.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from features import build_dataset
from models import ModelConfig, cells_of
from sources.simulated import simulate_market
from training.job import HORIZONS
from training.peers import PEERS, run_peers
from training.walkforward import bundle_of, walk_forward
from training.worlds import ASSETS, Trial, WorldScore, run_trial, run_trials, score_worlds

WORLDS = ("null", "flow", "high")
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
    config = ModelConfig()
    trials = [Trial(w, seed, chosen.years) for w in chosen.worlds for seed in range(chosen.seeds)]
    ours = run_trials(trials, config, job=run_trial, workers=chosen.workers)
    theirs = run_trials(trials, config, job=run_peers, workers=chosen.workers)
    sides = {
        "ours": score_worlds(ours),
        **{name: score_worlds({t: said[name] for t, said in theirs.items()}) for name in PEERS},
    }
    print(
        json.dumps(
            {
                "benchmark": "forecasters",
                "seeds": chosen.seeds,
                "years": chosen.years,
                "gain_mnat": {
                    world: {name: table(scores, world) for name, scores in sides.items()}
                    for world in chosen.worlds
                },
                "seconds": clock(chosen.workers),
                "seconds_in_all": round(time.perf_counter() - begun, 1),
            }
        )
    )


def table(scores: Sequence[WorldScore], world: str) -> dict[str, dict[str, Any]]:
    """Return a forecaster's figures in a world, by horizon."""
    return {
        str(score.horizon): {
            "gain": rounded(score.gain_mnat),
            "worst": rounded(score.worst_mnat),
            "limit": rounded(score.limit_mnat),
            "capture": rounded(score.capture),
            "slope": rounded(score.slope),
            "correlation": rounded(score.correlation),
        }
        for score in scores
        if score.world == world
    }


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
