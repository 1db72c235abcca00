"""Purged walk-forward: refit on what was known, forecast until the next refit, never look back.

A refit as of R trains on rows whose label was known at T(R), so no label of
the training rows looks past R and no forecast after R shares its window: the
purge is by date and ``label_end``, for every asset alike. The dates of the
refits hang on the calendar, never on where the data end, so that more data
change no earlier forecast.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from features import Dataset
from models import (
    Cell,
    CellRows,
    ModelBundle,
    ModelConfig,
    Path,
    Snapshot,
    initial_state,
    run_path,
)
from models.calibration import calibrated, initial_calibration
from models.experts import fit_experts
from models.golden import golden_rows
from models.online import cell_rows, online_rows
from models.recent import carried_to
from sources.errors import InsufficientHistoryError

Progress = Callable[[str], None]
"""Called with the name of each cell as it is done."""

Walkers = Callable[[Sequence[CellRows], ModelConfig], Iterable["CellRun"]]
"""Walks cells forward, each as :func:`run_cell` does; in any order."""


@dataclass(frozen=True)
class CellRun:
    """One cell, walked forward: its rows, its path, and the snapshots that made it."""

    rows: CellRows
    path: Path
    snapshots: tuple[Snapshot, ...]


def refit_days(rows: CellRows, config: ModelConfig) -> list[np.datetime64]:
    """Return the days on which a cell's experts are fitted.

    They are the first days of every ``refit_months`` months of the calendar,
    from the first by whose end ``least_labels`` labels were known.

    Raises
    ------
    InsufficientHistoryError
        If there is no such day.
    """
    months = rows.days.astype("datetime64[M]")
    first_of_month = months.astype("datetime64[D]") == rows.days
    number = months.astype("int64") % 12
    due = rows.days[first_of_month & (number % config.refit_months == 0)]
    known = np.sort(rows.known_on[rows.usable & ~np.isnan(rows.outcome)])
    counts = np.searchsorted(known, due, side="right")
    refits = list(due[counts >= config.least_labels])
    if not refits:
        raise InsufficientHistoryError(
            f"{rows.cell}: labels known by a refit day",
            needed=config.least_labels,
            found=int(counts.max(initial=0)),
            unit="labels",
        )
    return refits


def run_cell(rows: CellRows, config: ModelConfig) -> CellRun:
    """Walk one cell forward from its first refit to its last day."""
    refits = refit_days(rows, config)
    # Sums of several threads differ in their last bit from those of one.
    with threadpool_limits(1):
        fits = [(day, fit_experts(rows, day, config)) for day in refits]
        start = initial_state(rows, refits[0], config)
        mixed, states = run_path(rows, start, fits, rows.days[-1], config)
        fresh = initial_calibration(refits[0], rows.cell.horizon_days, config)
        path, calibrations = calibrated(rows, mixed, fresh, refits, config)
    snapshots = tuple(
        Snapshot(day, tuple(experts), state, calibration)
        for (day, experts), state, calibration in zip(fits, states, calibrations, strict=True)
    )
    return CellRun(rows, path, snapshots)


def walk_forward(
    dataset: Dataset,
    cells: Sequence[Cell],
    config: ModelConfig,
    *,
    workers: int = 1,
    walkers: Walkers | None = None,
    done: Progress | None = None,
) -> dict[Cell, CellRun]:
    """Walk every cell forward, in ``workers`` processes of one thread each, or by ``walkers``.

    Row t of a path depends on what was available at T(t) alone. The result
    does not depend on who walks.
    """
    online = online_rows(dataset, cells, config)
    tasks = [cell_rows(dataset, cell, online, config) for cell in cells]
    runs: dict[Cell, CellRun] = {}
    if walkers is None:
        walked: Iterable[CellRun] = _each(tasks, config, min(workers, len(tasks)))
    else:
        walked = walkers(tasks, config)
    for run in walked:
        runs[run.rows.cell] = run
        if done is not None:
            done(str(run.rows.cell))
    return {rows.cell: runs[rows.cell] for rows in tasks}


def _each(
    tasks: Sequence[CellRows], config: ModelConfig, workers: int
) -> Iterator[CellRun] | Iterable[CellRun]:
    if workers <= 1:
        yield from (run_cell(rows, config) for rows in tasks)
        return
    # LightGBM hangs in a forked child: always spawn.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(run_cell, tasks, [config] * len(tasks))


def bundle_of(
    runs: dict[Cell, CellRun], dataset: Dataset, config: ModelConfig, data_digest: str
) -> ModelBundle:
    """Pack the snapshots of a walk-forward into a bundle that serves the same forecasts."""
    carried = None
    if config.signals is not None:
        refit = min(run.snapshots[-1].fit_as_of for run in runs.values())
        horizons = [cell.horizon_days for cell in runs]
        carried = carried_to(dataset, refit, horizons, config.signals)
    snapshots = {cell: run.snapshots for cell, run in runs.items()}
    return ModelBundle(
        config=config,
        snapshots=snapshots,
        pool=dataset.assets,
        names=dataset.names,
        trained_through=dataset.days[-1].to_datetime64().astype("datetime64[D]"),
        data_digest=data_digest,
        carried=carried,
        golden=golden_rows((run.rows for run in runs.values()), snapshots),
    )


def predictions(
    runs: dict[Cell, CellRun],
    *,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
) -> pd.DataFrame:
    """Return the forecasts of all cells as the table ``predictions.csv`` holds.

    ``start`` and ``end`` choose rows; they change no number. Days that cannot
    be scored (no close) have no row; ``outcome`` is NaN where it is not known yet.
    """
    tables: list[pd.DataFrame] = []
    for cell, run in runs.items():
        at = np.searchsorted(run.rows.days, run.path.days)
        table = pd.DataFrame(
            {
                "date": run.path.days.astype("datetime64[us]"),
                "asset": cell.asset,
                "horizon": cell.horizon_days,
                "threshold": cell.threshold,
                "probability": run.path.probability,
                "lower": run.path.lower,
                "upper": run.path.upper,
                "base_rate": run.path.base_rate,
                "outcome": run.rows.outcome[at],
            }
        )
        keep = run.rows.usable[at]
        if start is not None:
            keep = keep & (table["date"] >= start).to_numpy()
        if end is not None:
            keep = keep & (table["date"] <= end).to_numpy()
        tables.append(table[keep])
    return pd.concat(tables, ignore_index=True)
