"""The stationary bootstrap of 50 models by 10,000 resamples, beside arch's; one JSON line.

Both sides resample the same losses by the same mean block length, and the standard errors
that they find of each model's mean are compared: speed with another answer is none.
"""

from __future__ import annotations

import json
import time

import numpy as np
from arch.bootstrap import StationaryBootstrap as Peer

from training.bootstrap import StationaryBootstrap

MODELS, RESAMPLES, BLOCK, ROUNDS = 50, 10_000, 20, 3
DAYS = (500, 2500)


def losses(days: int) -> np.ndarray:
    """Return (days, models) losses that depend on their neighbours and on each other."""
    generator = np.random.default_rng(0)
    steps = generator.standard_normal((days + 19, MODELS)) + generator.standard_normal(
        (days + 19, 1)
    )
    summed = np.cumsum(steps, axis=0)
    return summed[19:] - np.concatenate([np.zeros((1, MODELS)), summed[:-20]])


def peer(values: np.ndarray, seed: int) -> np.ndarray:
    """Return (resamples, models) means by arch."""
    draws = Peer(BLOCK, values, seed=seed)
    return np.asarray(draws.apply(lambda rows: rows.mean(axis=0), RESAMPLES))


def ours(values: np.ndarray, seed: int) -> np.ndarray:
    """Return (resamples, models) means by prefix sums."""
    draws = StationaryBootstrap(len(values), block_length=BLOCK, resamples=RESAMPLES, seed=seed)
    return draws.means(values)


def main() -> None:
    """Run both in turn, and keep the best time of each."""
    found = {}
    for days in DAYS:
        values = losses(days)
        best = {"ours": float("inf"), "arch": float("inf")}
        errors = {}
        for turn in range(ROUNDS):
            for name, side in (("ours", ours), ("arch", peer)):
                begun = time.perf_counter()
                means = side(values, turn)
                best[name] = min(best[name], time.perf_counter() - begun)
                errors[name] = means.std(axis=0)
        ratio = errors["ours"] / errors["arch"]
        found[str(days)] = {
            **{f"{name}_seconds": round(value, 4) for name, value in best.items()},
            "arch_over_ours": round(best["arch"] / best["ours"], 1),
            "standard_error_ratio": [round(float(r), 3) for r in (ratio.min(), ratio.max())],
        }
    print(json.dumps({"benchmark": "bootstrap", "models": MODELS, "resamples": RESAMPLES,
                      "days": found}))  # fmt: skip


if __name__ == "__main__":
    main()
