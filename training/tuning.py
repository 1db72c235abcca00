"""From a job and a market to the arena of its search: what trials may know, and are asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features import Dataset, build_dataset
from models import Cell, cells_of, rows_of
from sources.errors import InsufficientHistoryError
from sources.market import Market
from training.folds import Folds, first_forecast, folds_of, worth_scoring
from training.job import check_request
from training.jobfile import JobConfig
from training.trial import Arena
from training.walkforward import refit_days


@dataclass(frozen=True)
class Tuning:
    """A search made ready.

    Attributes
    ----------
    dataset : of the whole market, for the final walk-forward.
    arena : of the market as it stood before the outer folds; trials see nothing else.
    thin : cells that trials are not scored on, and why.
    """

    dataset: Dataset
    arena: Arena
    folds: Folds
    thin: dict[Cell, str]


def prepare(market: Market, job: JobConfig) -> Tuning:
    """Lay the folds, and build what trials may see from the market as it stood before the outer.

    Raises
    ------
    InsufficientHistoryError
        If the history is too short for the folds, or no cell has outcomes of both kinds
        in the inner ones.
    """
    assets, horizons = check_request(market, job.assets, job.horizons, job.thresholds)
    cells = cells_of(assets, horizons, job.thresholds)
    dataset = build_dataset(market, market.crypto, job.base.features)
    days = dataset.days.to_numpy("datetime64[D]")
    folds = folds_of(days, first_forecast(dataset, cells, job.base), job.folds)
    seen = build_dataset(market.as_of(folds.cut), market.crypto, job.base.features)
    thin: dict[Cell, str] = {}
    for cell in cells:
        if (reason := _thin(seen, cell, folds, job)) is not None:
            thin[cell] = reason
    scored = tuple(cell for cell in cells if cell not in thin)
    if not scored:
        raise InsufficientHistoryError(
            f"{market.name}: cells to score trials on ({'; '.join(thin.values())})",
            needed=1, found=0, unit="cells",
        )  # fmt: skip
    return Tuning(dataset, Arena(seen, scored, folds.inner, job.seeds), folds, thin)


def _thin(seen: Dataset, cell: Cell, folds: Folds, job: JobConfig) -> str | None:
    rows = rows_of(seen, cell)
    try:
        first = refit_days(rows, job.base)[0]
    except InsufficientHistoryError as error:
        return str(error)
    forecast = rows.days >= np.datetime64(first)
    return worth_scoring(rows, folds.inner, forecast)
