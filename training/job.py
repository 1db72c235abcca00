"""A training job: dataset, walk-forward, evaluation, verdict, bundle. Pure but for the clock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from features import Dataset, build_dataset
from models import Cell, ModelBundle, ModelConfig, cells_of, library_versions, rows_of
from sources.errors import InsufficientHistoryError, UnknownNameError
from sources.market import Market
from training.evaluation import evaluate
from training.plausibility import check_honest
from training.promotion import judge
from training.report import JobReport
from training.walkforward import (
    CellRun,
    Progress,
    Walkers,
    bundle_of,
    refit_days,
    walk_forward,
)

HORIZONS = (1, 5, 20)
LONGEST_HORIZON = 365
LARGEST_THRESHOLD = 100.0


def _long_enough(
    dataset: Dataset, cells: Sequence[Cell], config: ModelConfig
) -> tuple[tuple[Cell, ...], dict[Cell, str]]:
    """Part the cells that can be forecast from those too young, with the reason.

    Raises
    ------
    InsufficientHistoryError
        If all are too young.
    """
    old: list[Cell] = []
    young: dict[Cell, str] = {}
    for cell in cells:
        try:
            refit_days(rows_of(dataset, cell), config)
        except InsufficientHistoryError as error:
            young[cell] = str(error)
            if len(young) == len(cells):
                raise
        else:
            old.append(cell)
    return tuple(old), young


@dataclass(frozen=True)
class Job:
    """A finished job: its report, its bundle (not saved yet), and what they came from.

    ``thin`` are the cells with too few outcomes for figures, and why.
    """

    report: JobReport
    bundle: ModelBundle
    runs: dict[Cell, CellRun]
    dataset: Dataset
    thin: dict[Cell, str]


def check_request(
    market: Market,
    assets: Sequence[str],
    horizons: Sequence[int],
    thresholds: Sequence[float] = (),
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the assets and horizons asked for, all the market's and 1, 5, 20 by default.

    Raises
    ------
    UnknownNameError
        For an asset without prices, a horizon outside 1 to 365 days, or a threshold
        that no return can be compared with.
    """
    for asset in assets:
        if asset not in market.crypto:
            raise UnknownNameError("asset", asset, market.crypto)
    for horizon in horizons:
        if not 1 <= horizon <= LONGEST_HORIZON:
            raise UnknownNameError("horizon", str(horizon), [f"1 to {LONGEST_HORIZON} days"])
    for threshold in thresholds:
        if not -1 < threshold < LARGEST_THRESHOLD:
            raise UnknownNameError(
                "threshold", str(threshold), [f"above -1, below {LARGEST_THRESHOLD:g}"]
            )
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
    walkers: Walkers | None = None,
    done: Progress | None = None,
    evaluate_from: pd.Timestamp | None = None,
    dataset: Dataset | None = None,
    trials: int = 1,
    truth: pd.DataFrame | None = None,
) -> Job:
    """Train and evaluate all cells on everything the market holds.

    Parameters
    ----------
    walkers : walk the cells in the place of workers, such as
        :meth:`training.cluster.Cluster.cells`.
    evaluate_from : figures and verdict come from the days from here on, which a search of the
        configuration has not seen; from all by default.
    dataset : of all assets, where it is built already.
    trials : counted on these data until now, this one included; the verdict is corrected for them.
    truth : of a simulated market, which allows more skill than a real one would.
    """
    begun = time.monotonic()
    # All assets pool their evidence, so that a number does not depend on what else was asked for.
    if dataset is None:
        dataset = build_dataset(market, market.crypto, config.features)
    cells, short = _long_enough(dataset, cells_of(assets, horizons, thresholds), config)
    runs = walk_forward(dataset, cells, config, workers=workers, walkers=walkers, done=done)
    evaluations, thin = evaluate(runs, start=evaluate_from, trials=trials)
    if not evaluations:
        raise InsufficientHistoryError(
            f"{market.name}: cells with outcomes to evaluate", needed=1, found=0, unit="cells"
        )
    thin = short | thin
    bundle = bundle_of(runs, dataset, config, market.digest())
    report = JobReport(
        config=config,
        evaluations=evaluations,
        verdict=judge(evaluations, trials=trials, suspects=check_honest(runs, evaluations, truth)),
        market=market.name,
        data_digest=bundle.data_digest,
        dataset_digest=dataset.digest,
        trained_through=bundle.trained_through,
        seconds=time.monotonic() - begun,
        versions=library_versions(),
        omitted=dataset.omitted,
        trials=trials,
    )
    return Job(report, bundle, runs, dataset, thin)
