"""Time one day's scores from the rows since the last refit, and from all rows; one JSON line.

Both sides start from the features in memory and end with the forecasts of all cells, their
drivers and experts; each round scores another day with each side in turn, and what they say
must agree to the bit. ``cold`` is the first day a process scores. A bundle is loaded from its
files, as serving loads it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from features import Dataset, build_dataset
from models import ModelBundle, ModelConfig, cells_of
from sources.simulated import simulate_market
from training.job import HORIZONS
from training.walkforward import bundle_of, walk_forward

ASSETS = ("BTC", "ETH", "SOL", "XRP", "DOGE", "BNB")


def main() -> None:
    """Train on a simulated market of each size, then score its last days."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--years", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--assets", type=int, nargs="+", default=[2, 6])
    chosen = parser.parse_args()
    with threadpool_limits(1):
        figures = {
            f"{count}_assets_{len(HORIZONS)}_horizons": scored(count, chosen.years, chosen.rounds)
            for count in chosen.assets
        }
    print(json.dumps({"benchmark": "scoring", "years": chosen.years, **figures}))


def scored(count: int, years: float, rounds: int) -> dict[str, float]:
    """Return milliseconds of one day for both sides: wall clock, and processor."""
    dataset, bundle = trained(ASSETS[:count], years)
    sides = {"day": bundle, "day_full_walk": replace(bundle, carried=None)}
    wall: dict[str, list[float]] = {name: [] for name in sides}
    processor: dict[str, list[float]] = {name: [] for name in sides}
    for day in dataset.days.to_numpy("datetime64[D]")[-rounds:]:
        said = []
        for name, side in sides.items():
            begun, worked = time.perf_counter(), time.process_time()
            said.append(side.forecast(dataset, side.cells, day))
            wall[name].append(1e3 * (time.perf_counter() - begun))
            processor[name].append(1e3 * (time.process_time() - worked))
        if said[0] != said[1]:
            raise SystemExit(f"{day}: needed equal forecasts from both sides; found others")
    figures = {"cold_ms": wall["day"][0]}
    for name in sides:
        figures |= {
            f"{name}_ms": float(np.median(wall[name])),
            f"{name}_best_ms": min(wall[name]),
            f"{name}_processor_ms": float(np.median(processor[name])),
        }
    figures["times_full_walk"] = figures["day_full_walk_ms"] / figures["day_ms"]
    return {name: round(value, 1) for name, value in figures.items()}


def trained(assets: tuple[str, ...], years: float) -> tuple[Dataset, ModelBundle]:
    """Return a dataset in memory and a bundle that came back from its files."""
    config = ModelConfig()
    market = simulate_market("flow", seed=0, years=years, assets=assets).market
    dataset = build_dataset(market, assets, config.features)
    runs = walk_forward(dataset, cells_of(assets, HORIZONS), config)
    with tempfile.TemporaryDirectory() as folder:
        saved = bundle_of(runs, dataset, config, market.digest()).save(Path(folder))
        return dataset, ModelBundle.load(Path(folder), digest=saved.digest)


if __name__ == "__main__":
    main()
