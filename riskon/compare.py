"""``riskon compare``: a leaderboard of tracked runs, with what is luck told from what is not."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from riskon import output as out
from riskon.settings import Settings
from riskon.wiring import status
from sources.errors import DataUnavailableError, RefusedError, UnknownNameError
from training.artifacts import PREDICTIONS, read_predictions
from training.comparison import (
    Comparison,
    compare_runs,
    difference,
    on_common,
    outcomes_digest,
)
from training.tracked import TrackedRun, read_artifact, tracked_runs
from training.tracking import check_tracking

PARENT = "mlflow.parentRunId"
TRACKED = (
    "gain_mnat",
    "log_loss",
    "brier_skill_score",
    "roc_auc",
    "expected_calibration_error",
)
SMALL_IS_GOOD = ("log_loss", "brier_score", "brier_reliability", "expected_calibration_error")
SAME_EVERYWHERE = ("bundle_digest", "job", "seconds", "metrics_undefined")
"""Tags that tell nothing of why two runs differ."""
ID_SHOWN = 8


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    runs: Sequence[str] = ()
    experiment: str = "riskon"
    filter: str = ""
    sort: str | None = None
    columns: Sequence[str] = ()
    nested: bool = False
    common: bool = False
    trials: int | None = None


@dataclass(frozen=True)
class Group:
    """Runs on the same outcomes.

    ``comparison`` is None where no run of the group kept its forecasts.
    """

    runs: tuple[TrackedRun, ...]
    comparison: Comparison | None


@dataclass(frozen=True)
class Leaderboard:
    """What is printed: groups of runs, what differs among them, and what is to be said."""

    groups: tuple[Group, ...]
    columns: tuple[str, ...]
    differences: Mapping[str, Mapping[str, str]]
    labels: Mapping[str, str]
    notes: tuple[str, ...]


def compare(where: Settings, asked: Asked, form: str, html: Path | None) -> None:
    """Print the leaderboard, and write it as a page where one is asked for.

    Raises
    ------
    RefusedError
        For runs that are named and stand on different outcomes, without ``--common``.
    """
    from riskon.compare_show import as_json, print_board, rows

    with status("reading runs"):
        check_tracking(where.tracking)
        board = leaderboard(where.tracking, asked)
    for note in board.notes:
        out.note(note)
    if html is not None:
        from riskon.compare_page import page

        content = page(board).encode()
        out.write_atomically(html, lambda file: file.write(content))
        out.note(f"Wrote {html}.")
    if form == "json":
        sys.stdout.write(json.dumps(as_json(board), indent=2, allow_nan=False) + "\n")
    elif form == "csv":
        out.print_rows([row for group in board.groups for row in rows(board, group)], form)
    else:
        print_board(board)


def leaderboard(uri: str, asked: Asked) -> Leaderboard:
    """Read runs and their forecasts, and compare those that stand on the same outcomes."""
    runs = _chosen(tracked_runs(uri, asked.experiment, asked.filter), asked)
    if not runs:
        raise DataUnavailableError(
            f"experiment {asked.experiment!r}: needed at least 1 finished run"
            f"{f' that fits {asked.filter!r}' if asked.filter else ''}; found 0",
            source=asked.experiment,
        )
    notes: list[str] = []
    tables: dict[str, pd.DataFrame] = {}
    for run in runs:
        table = _forecasts(uri, run)
        if table is not None:
            tables[run.run_id] = table
    labels = _labels(runs)
    silent = [labels[run.run_id] for run in runs if run.run_id not in tables]
    if silent:
        notes.append(f"No forecasts kept, so not compared: {', '.join(silent)}.")
    columns = tuple(dict.fromkeys([*([asked.sort] if asked.sort else []), *asked.columns]))
    for name in columns:
        _check_column(name, runs)
    groups = [
        _group(runs, tables, members, asked) for members in _members(tables, labels, asked, notes)
    ]
    left = tuple(run for run in runs if run.run_id not in tables)
    if left and not tables:
        columns = columns or TRACKED
    if left:
        groups.append(Group(_sorted(left, None, asked), None))
    return Leaderboard(tuple(groups), columns, differences(runs), labels, tuple(notes))


def _chosen(found: Sequence[TrackedRun], asked: Asked) -> tuple[TrackedRun, ...]:
    if asked.runs:
        named = [_named(name, found) for name in asked.runs]
        return tuple({run.run_id: run for run in named}.values())
    return tuple(
        run
        for run in found
        if run.status == "FINISHED" and (asked.nested or PARENT not in run.tags)
    )


def _named(name: str, found: Sequence[TrackedRun]) -> TrackedRun:
    """Return the run of an id, of its beginning, or of a name that only one has."""
    fits = [run for run in found if run.run_id.startswith(name)]
    fits = fits or [run for run in found if run.name == name]
    if len(fits) != 1:
        known = [f"{run.run_id[:ID_SHOWN]} {run.name}" for run in (fits or found)[:10]]
        raise UnknownNameError("run", name, known)
    return fits[0]


def _forecasts(uri: str, run: TrackedRun) -> pd.DataFrame | None:
    """Return a run's forecasts with known outcomes: of all cells, or of a nested run's own."""
    content = read_artifact(uri, run.tags.get(PARENT, run.run_id), PREDICTIONS)
    if content is None:
        return None
    table = read_predictions(content, f"run {run.run_id[:ID_SHOWN]}: {PREDICTIONS}")
    if PARENT not in run.tags:
        return table
    if "asset" not in run.tags:
        return None  # A trial: what its parent kept is not its own.
    keys = table.index.to_frame()
    mine = (keys["asset"] == run.tags["asset"]) & (keys["horizon"] == int(run.tags["horizon_days"]))
    mine &= keys["threshold"].map("{:g}".format) == run.tags["threshold"]
    return table[mine.to_numpy()]


def _members(
    tables: Mapping[str, pd.DataFrame], labels: Mapping[str, str], asked: Asked, notes: list[str]
) -> list[dict[str, pd.DataFrame]]:
    """Part the runs by their outcomes, or refuse to; with ``--common`` take what all share."""
    if not tables:
        return []
    parts: dict[str, dict[str, pd.DataFrame]] = {}
    for run_id, table in tables.items():
        parts.setdefault(outcomes_digest(table), {})[run_id] = table
    if len(parts) == 1:
        return [dict(tables)]
    first, second = (next(iter(part.items())) for part in list(parts.values())[:2])
    said = (
        f"{labels[first[0]]} and {labels[second[0]]} stand on different outcomes "
        f"({difference(first[1], second[1])})"
    )
    if asked.common:
        shared = on_common(tables)
        count = len(next(iter(shared.values())))
        notes.append(f"{said}; compared on the {count} outcomes that all runs share.")
        return [shared]
    if asked.runs:
        raise RefusedError(
            f"compare: needed runs on the same outcomes; found {len(parts)} different sets: "
            f"{said}; --common compares on what they share"
        )
    notes.append(
        f"Runs stand on {len(parts)} different sets of outcomes, shown apart: figures of one are "
        "no match for figures of another (--common compares on what all share)."
    )
    return sorted(parts.values(), key=len, reverse=True)


def _group(
    runs: Sequence[TrackedRun],
    tables: Mapping[str, pd.DataFrame],
    members: Mapping[str, pd.DataFrame],
    asked: Asked,
) -> Group:
    comparison = compare_runs(members, trials=asked.trials)
    mine = tuple(run for run in runs if run.run_id in members and run.run_id in tables)
    return Group(_sorted(mine, comparison, asked), comparison)


def _sorted(
    runs: Sequence[TrackedRun], comparison: Comparison | None, asked: Asked
) -> tuple[TrackedRun, ...]:
    """Sort by what is asked for, else by log loss on the shared outcomes; the best first."""
    name = asked.sort
    if name is None:
        if comparison is None:
            return tuple(runs)
        return tuple(sorted(runs, key=lambda run: comparison.standings[run.run_id].log_loss))
    stem = name.removesuffix("_lower").removesuffix("_upper")
    falling = stem not in SMALL_IS_GOOD and not stem.endswith("p_value")
    numbers = [run for run in runs if name in run.metrics]
    others = [run for run in runs if name not in run.metrics]
    numbers.sort(key=lambda run: run.metrics[name], reverse=falling)
    others.sort(key=lambda run: str(value_of(run, name) or "~"))
    return (*numbers, *others)


def value_of(run: TrackedRun, name: str) -> float | str | None:
    """Return a metric, tag or parameter of a run, None where it has none of that name."""
    for kept in (run.metrics, run.tags, run.params):
        if name in kept:
            return kept[name]
    return None


def _check_column(name: str, runs: Sequence[TrackedRun]) -> None:
    known = sorted({n for run in runs for n in (*run.metrics, *run.tags, *run.params)})
    if name not in known:
        raise UnknownNameError("metric, tag or parameter", name, known)


def _labels(runs: Sequence[TrackedRun]) -> dict[str, str]:
    """Return run id -> a name to show: the run's own, with its id's beginning."""
    return {run.run_id: f"{run.run_id[:ID_SHOWN]} {run.name}" for run in runs}


def differences(runs: Sequence[TrackedRun]) -> dict[str, dict[str, str]]:
    """Return what is not the same in all runs: parameter or tag -> run id -> its value."""
    found: dict[str, dict[str, str]] = {}
    kept = [
        {
            **{f"params.{name}": value for name, value in run.params.items()},
            **{
                f"tags.{name}": value
                for name, value in run.tags.items()
                if not name.startswith(("mlflow.", "riskon.")) and name not in SAME_EVERYWHERE
            },
        }
        for run in runs
    ]
    for name in sorted({name for one in kept for name in one}):
        values = [one.get(name, "") for one in kept]
        if len(set(values)) > 1:
            found[name] = {run.run_id: value for run, value in zip(runs, values, strict=True)}
    return found
