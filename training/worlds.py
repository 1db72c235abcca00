"""A forecaster in many simulated markets: gain, limit, capture and leaks, by world and horizon."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from features import build_dataset
from models import ModelConfig, cells_of
from sources.simulated import Simulated, find_world, simulate_market
from training.job import HORIZONS
from training.limit import Capture, captures, correlation, slope, total_capture
from training.walkforward import Progress, walk_forward

T = TypeVar("T")

ASSETS = ("BTC", "ETH")
LEAK_DEVIATIONS = 4.0
"""A surplus so many deviations above nothing is a leak: by chance one test in 30,000, or fewer."""


@dataclass(frozen=True)
class Trial:
    """One market to forecast: a world, its seed, its length and the strength of its signal."""

    world: str
    seed: int
    years: float = 12.0
    strength: float = 1.0

    def __str__(self) -> str:
        """Return a short name, for people."""
        return f"{self.world}, seed {self.seed}"


@dataclass(frozen=True)
class WorldScore:
    """How a forecaster did in one world at one horizon, over seeds and assets.

    Attributes
    ----------
    kind : of the world; there is nothing to find in ``nothing`` and ``trap``.
    gain_mnat, limit_mnat : mean over cells of the gain over climatology, and of the most that
        could be gained, in expectation under the truth.
    worst_mnat, worst_cell : the least gain of a cell, and which.
    capture : sum of gains over sum of limits.
    slope, correlation : of the truth's log-odds on the forecast's, both against the base rate.
    surplus_mnat : gain realised above gain expected; 0 but for chance where nothing leaks.
    surplus_deviations : the same in (at most) its deviations.
    """

    world: str
    kind: str
    horizon: int
    seeds: int
    gain_mnat: float
    worst_mnat: float
    worst_cell: str
    limit_mnat: float
    capture: float
    slope: float
    correlation: float
    surplus_mnat: float
    surplus_deviations: float

    @property
    def leak(self) -> bool:
        """Whether the forecasts knew what could not be known, beyond Monte Carlo error."""
        return self.surplus_deviations > LEAK_DEVIATIONS


def simulated_market(trial: Trial) -> Simulated:
    """Simulate the market of a trial; a relation of a ``break`` world ends half way."""
    return simulate_market(
        trial.world,
        seed=trial.seed,
        years=trial.years,
        assets=ASSETS,
        horizons=HORIZONS,
        strength=trial.strength,
        turn_years=trial.years / 2,
    )


def run_trial(trial: Trial, config: ModelConfig) -> tuple[Capture, ...]:
    """Simulate a market and walk it forward; score each cell against the truth.

    In one thread: trials run side by side.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        simulated = simulated_market(trial)
        dataset = build_dataset(simulated.market, ASSETS, config.features)
        runs = walk_forward(dataset, cells_of(ASSETS, HORIZONS), config)
        return captures(runs, simulated.truth)


def run_trials(
    trials: Sequence[Trial],
    config: ModelConfig,
    *,
    job: Callable[[Trial, ModelConfig], T],
    workers: int = 1,
    done: Progress | None = None,
) -> dict[Trial, T]:
    """Do a job on each trial in ``workers`` processes; the result does not depend on how many.

    Parameters
    ----------
    job : :func:`run_trial`, or another function at the top of a module.
    """
    found: dict[Trial, T] = {}
    for trial, result in _each(trials, config, job, min(workers, len(trials))):
        found[trial] = result
        if done is not None:
            done(str(trial))
    return {trial: found[trial] for trial in trials}


def _each(
    trials: Sequence[Trial],
    config: ModelConfig,
    job: Callable[[Trial, ModelConfig], T],
    workers: int,
) -> Iterator[tuple[Trial, T]]:
    if workers <= 1:
        yield from ((trial, job(trial, config)) for trial in trials)
        return
    # LightGBM hangs in a forked child: always spawn.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        asked = {pool.submit(job, trial, config): trial for trial in trials}
        try:
            for future in as_completed(asked):
                yield asked[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def score_worlds(found: dict[Trial, tuple[Capture, ...]]) -> tuple[WorldScore, ...]:
    """Gather trials by world and horizon, in the order of the trials."""
    scores: list[WorldScore] = []
    for world in dict.fromkeys(trial.world for trial in found):
        mine = {trial: scored for trial, scored in found.items() if trial.world == world}
        horizons = sorted({c.cell.horizon_days for scored in mine.values() for c in scored})
        scores += [_score(world, horizon, mine) for horizon in horizons]
    return tuple(scores)


def _score(world: str, horizon: int, mine: dict[Trial, tuple[Capture, ...]]) -> WorldScore:
    by_seed = {
        trial: [capture for capture in scored if capture.cell.horizon_days == horizon]
        for trial, scored in mine.items()
    }
    cells = [capture for scored in by_seed.values() for capture in scored]
    gain = {
        f"{capture.cell}, seed {trial.seed}": capture.gain_mnat
        for trial, scored in by_seed.items()
        for capture in scored
    }
    worst = min(gain, key=gain.__getitem__)
    surplus = float(np.mean([capture.surplus_mnat for capture in cells]))
    # Assets of a market move together, so their deviations add up at most; seeds are independent.
    errors = [sum(c.surplus_error_mnat for c in scored) for scored in by_seed.values()]
    error = float(np.sqrt(np.square(errors).sum())) / len(cells)
    return WorldScore(
        world=world,
        kind=find_world(world).kind,
        horizon=horizon,
        seeds=len(by_seed),
        gain_mnat=float(np.mean([capture.gain_mnat for capture in cells])),
        worst_mnat=gain[worst],
        worst_cell=worst,
        limit_mnat=float(np.mean([capture.limit_mnat for capture in cells])),
        capture=total_capture(cells),
        slope=slope(cells),
        correlation=correlation(cells),
        surplus_mnat=surplus,
        surplus_deviations=surplus / error if error > 0 else 0.0,
    )
