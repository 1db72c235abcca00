"""What a learner that knows the form of the relation would find, beside what ours finds; JSON.

The informed learner is our own regression on the one regressor that its world is about: no
alternatives beside it, hardly a doubt, no gate. What it still lacks is the size of the effect and
the drift, which it learns from the same days. It is scored alone, and under the same mixture with
half on climatology: what ours falls short of the second is the price of not knowing the form.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from features import Dataset, build_dataset
from models import Cell, ModelConfig, cells_of
from models.config import SignalConfig
from models.interactions import delayed
from models.signals import standardised
from sources.simulated import simulate_market
from training.job import HORIZONS
from training.limit import Capture, captures, total_capture
from training.walkforward import CellRun, walk_forward
from training.worlds import ASSETS

Form = Callable[[Callable[[str], np.ndarray], Callable[[str], np.ndarray]], np.ndarray]

FORMS: Mapping[str, Form] = {
    "flow": lambda raw, _: raw("flow_pressure_10s"),
    "high": lambda raw, _: raw("high_decay_20s"),
    "flow_and_high": lambda raw, z: raw("high_decay_20s") * z("flow_pressure_10s"),
    "momentum": lambda raw, _: raw("small_pressure_40s"),
    "momentum_x_dispersion": lambda _, z: z("small_pressure_40s") * z("dispersion_log_1s"),
    # Crypto trails by five sessions: a week of days.
    "common_driver": lambda _, z: delayed(z("credit_pressure_40s") + z("small_pressure_40s"), 7),
}
"""World -> its regressor (t, a), from features as they are and standardised by their past."""

INFORMED = SignalConfig(
    groups={"form": ("form",)},
    interactions=False,
    group_weights={},
    nothing=0.01,
    evidence_power=1.0,
    gate_prior=(0.01, 0.98, 0.01),
    gate_share=0.0,
)


def informed(dataset: Dataset, form: Form) -> Dataset:
    """Return the dataset with the one regressor as its last feature, ``form``."""
    scaled, _, _ = standardised(dataset.values, dataset.has_close)
    column = form(
        lambda name: dataset.values[:, :, dataset.names.index(name)],
        lambda name: scaled[:, :, dataset.names.index(name)],
    )
    values = np.concatenate([dataset.values, column[:, :, None]], axis=2)
    return replace(dataset, values=values, names=(*dataset.names, "form"))


def compare(world: str, seed: int, years: float) -> dict[str, tuple[Capture, ...]]:
    """Score ours, the informed learner under the mixture, and the informed learner alone."""
    plain = ModelConfig(logistic=None, boosting=None)
    with threadpool_limits(1):
        simulated = simulate_market(world, seed=seed, years=years)
        dataset = build_dataset(simulated.market, ASSETS, plain.features)
        cells = cells_of(ASSETS, HORIZONS)
        knows = walk_forward(
            informed(dataset, FORMS[world]), cells, plain.model_copy(update={"signals": INFORMED})
        )
        sides = {
            "ours": walk_forward(dataset, cells, plain),
            "informed": knows,
            "informed_alone": {cell: _signals_of(run) for cell, run in knows.items()},
        }
        return {name: captures(side, simulated.truth) for name, side in sides.items()}


def _signals_of(run: CellRun) -> CellRun:
    said = run.path.expert_probability[:, run.path.names.index("signals")]
    return replace(run, path=replace(run.path, probability=said))


def main() -> None:
    """Print the captures by world, learner and horizon."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", nargs="+", default=list(FORMS), choices=list(FORMS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--years", type=float, default=12.0)
    chosen = parser.parse_args()
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for world in chosen.worlds:
        found = [compare(world, seed, chosen.years) for seed in seeds]
        table[world] = {
            side: {str(h): round(_share([one[side] for one in found], h), 3) for h in HORIZONS}
            for side in found[0]
        }
    print(json.dumps({"benchmark": "bound", "years": chosen.years, "seeds": list(seeds),
                      "capture": table}))  # fmt: skip


def _share(found: list[tuple[Capture, ...]], horizon_days: int) -> float:
    def mine(cell: Cell) -> bool:
        return cell.horizon_days == horizon_days

    return total_capture(c for scored in found for c in scored if mine(c.cell))


if __name__ == "__main__":
    main()
