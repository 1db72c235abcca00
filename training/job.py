"""A training job: dataset, walk-forward, evaluation, verdict, bundle. Pure but for the clock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from features import Dataset, build_dataset
from models import Cell, ModelBundle, ModelConfig, cells_of, library_versions
from sources.errors import UnknownNameError
from sources.market import Market
from training.evaluation import evaluate
from training.promotion import judge
from training.report import JobReport
from training.walkforward import CellRun, Progress, bundle_of, walk_forward

HORIZONS = (1, 5, 20)
LONGEST_HORIZON = 365


@dataclass(frozen=True)
class Job:
    """A finished job: its report, its bundle (not saved yet), and what they came from."""

    report: JobReport
    bundle: ModelBundle
    runs: dict[Cell, CellRun]
    dataset: Dataset


def check_request(
    market: Market, assets: Sequence[str], horizons: Sequence[int]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the assets and horizons asked for, all the market's and 1, 5, 20 by default.

    Raises
    ------
    UnknownNameError
        For an asset without prices, or a horizon outside 1 to 365 days.
    """
    for asset in assets:
        if asset not in market.crypto:
            raise UnknownNameError("asset", asset, market.crypto)
    for horizon in horizons:
        if not 1 <= horizon <= LONGEST_HORIZON:
            raise UnknownNameError("horizon", str(horizon), [f"1 to {LONGEST_HORIZON} days"])
    unique = tuple(dict.fromkeys(assets)) or market.crypto
    return unique, tuple(dict.fromkeys(horizons)) or HORIZONS


def run_job(
    market: Market,
    assets: Sequence[str],
    horizons: Sequence[int],
    config: ModelConfig,
    *,
    thresholds: Sequence[float] = (0.0,),
    workers: int = 1,
    done: Progress | None = None,
) -> Job:
    """Train and evaluate all cells on everything the market holds."""
    begun = time.monotonic()
    # All assets pool their evidence, so that a number does not depend on what else was asked for.
    dataset = build_dataset(market, market.crypto, config.features)
    cells = cells_of(assets, horizons, thresholds)
    runs = walk_forward(dataset, cells, config, workers=workers, done=done)
    evaluations = evaluate(runs)
    bundle = bundle_of(runs, dataset, config, market.digest())
    report = JobReport(
        config=config,
        evaluations=evaluations,
        verdict=judge(evaluations),
        market=market.name,
        data_digest=bundle.data_digest,
        dataset_digest=dataset.digest,
        trained_through=bundle.trained_through,
        seconds=time.monotonic() - begun,
        versions=library_versions(),
        omitted=dataset.omitted,
    )
    return Job(report, bundle, runs, dataset)
