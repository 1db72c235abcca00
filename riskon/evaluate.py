"""``riskon evaluate``: the forecasters against the known limit, or against a real market's past."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from models import ModelConfig
from riskon import output as out
from riskon.settings import Settings
from riskon.wiring import default_workers, model_config, open_market, progress
from sources.errors import RefusedError, RiskonError
from sources.simulated import WORLDS, find_world
from training.evaluation import evaluate as evaluate_runs
from training.evaluation import pooled_figures
from training.job import HORIZONS, run_job
from training.peers import PEERS, run_peers
from training.worlds import Trial, WorldScore, run_trial, run_trials, score_worlds

SINCE = pd.Timestamp("2017-01-01").as_unit("us")
"""Real forecasts count from here on: before it there is one asset, and hardly a market."""

OF_WORLDS = ("--worlds", "--seeds", "--first-seed", "--years", "--strength", "--peers")

OURS = "riskon"
SHORT = {
    "lightgbm_defaults": "LightGBM",
    "lightgbm_shrunk": "shrunk",
    "lightgbm_qlib": "Qlib's",
    "logistic_strong_penalty": "logistic",
}
"""Names of the peers over columns that must fit a terminal."""


def evaluate(
    where: Settings,
    worlds: Sequence[str] | None,
    seeds: int,
    first_seed: int,
    years: float,
    strength: float,
    market: Path | None,
    config: Path | None,
    form: str,
    workers: int | None,
    peers: int = 0,
) -> None:
    """Evaluate in simulated worlds, or on a market directory where one is given.

    Plain learners run beside ours on the first ``peers`` markets of each world.

    Raises
    ------
    RiskonError
        Where a forecast knew what could not be known.
    """
    chosen = model_config(config)
    count = workers or default_workers()
    if market is not None:
        _on_market(where, market, chosen, form, count)
        return
    numbers = range(first_seed, first_seed + seeds)
    trials = [Trial(w, seed, years, strength) for w in _names(worlds) for seed in numbers]
    beside = [trial for trial in trials if trial.seed < first_seed + peers]
    with progress("walking forward", len(trials) + len(beside)) as advance:
        found = run_trials(trials, chosen, job=run_trial, workers=count, done=advance)
        theirs = run_trials(beside, chosen, job=run_peers, workers=count, done=advance)
    scores = score_worlds(found)
    sides = {
        name: score_worlds({trial: said[name] for trial, said in theirs.items()})
        for name in (PEERS if beside else ())
    }
    print_worlds(scores, form, sides)
    if sides and form == "table":
        print_peers(score_worlds({trial: found[trial] for trial in beside}), sides)
    leaks = [f"{s.world} at {s.horizon} days" for s in scores if s.leak]
    if leaks:
        raise RiskonError(
            "leak: needed gains that the truth allows; found more, beyond Monte Carlo error, in "
            + ", ".join(leaks)
        )


def refuse_both(given: Collection[str]) -> None:
    """Refuse options of simulated worlds beside a market, which would do nothing.

    Raises
    ------
    RefusedError
        Naming them.
    """
    idle = [name for name in OF_WORLDS if name in given]
    if idle:
        raise RefusedError(
            f"evaluate: needed --market or simulated worlds; found both, by {', '.join(idle)}"
        )


def _names(asked: Sequence[str] | None) -> tuple[str, ...]:
    names = [name for words in asked or ["all"] for name in words.split(",")]
    known = dict.fromkeys(n for name in names for n in (WORLDS if name == "all" else (name,)))
    for name in known:
        try:
            find_world(name)
        except ValueError as error:
            raise RefusedError(f"--worlds {name}: {error}") from error
    return tuple(known)


def print_worlds(
    scores: Sequence[WorldScore],
    form: str,
    peers: Mapping[str, Sequence[WorldScore]] = MappingProxyType({}),
) -> None:
    """Print how the forecasters did, by world and horizon; for programs, peers in rows below."""
    if form != "table":
        out.print_rows(
            [
                _plain({"forecaster": name} | asdict(s) | {"leak": s.leak})
                for name, side in ({OURS: scores} | dict(peers)).items()
                for s in side
            ],
            form,
        )
        return
    out.print_table(
        f"Against the known limit, {scores[0].seeds} market(s) a world (thousandths of a nat,\n"
        "gain over climatology under p*; luck: gain realised above it, in deviations)",
        ["world", "h", "gain", "worst", "limit", "capture", "slope", "corr.", "luck"],
        [
            [
                s.world,
                str(s.horizon),
                f"{s.gain_mnat:+.2f}",
                f"{s.worst_mnat:+.2f}",
                f"{s.limit_mnat:.2f}",
                _share(s),
                _number(s.slope),
                _number(s.correlation),
                f"{s.surplus_deviations:+.1f}" + " LEAK" * s.leak,
            ]
            for s in scores
        ],
    )


def print_peers(ours: Sequence[WorldScore], peers: Mapping[str, Sequence[WorldScore]]) -> None:
    """Print the gains of plain learners beside ours, on the markets that they share."""
    out.print_table(
        f"Plain learners on {ours[0].seeds} market(s) of each world (gain, thousandths of a nat)",
        ["world", "h", "limit", OURS, *(SHORT[name] for name in peers)],
        [
            [
                s.world,
                str(s.horizon),
                f"{s.limit_mnat:.2f}",
                f"{s.gain_mnat:+.2f}",
                *(f"{side[at].gain_mnat:+.2f}" for side in peers.values()),
            ]
            for at, s in enumerate(ours)
        ],
    )


def _share(score: WorldScore) -> str:
    return "-" if score.kind in {"nothing", "trap"} else f"{score.capture:.0%}"


def _on_market(
    where: Settings, directory: Path, config: ModelConfig, form: str, workers: int
) -> None:
    opened = open_market(directory, where)
    with progress("walking forward", len(opened.crypto) * len(HORIZONS)) as advance:
        job = run_job(opened, opened.crypto, HORIZONS, config, workers=workers, done=advance)
    evaluations, thin = evaluate_runs(job.runs, start=SINCE)
    for cell, reason in (job.thin | thin).items():
        out.note(f"{cell} has no figures: {reason}")
    rows: list[dict[str, Any]] = [
        {"asset": e.cell.asset, "horizon": e.cell.horizon_days, **pooled_figures([e])}
        for e in evaluations
    ]
    rows.append({"asset": "pooled", "horizon": None, **pooled_figures(evaluations)})
    if form != "table":
        out.print_rows(rows, form)
        return
    out.print_table(
        f"{opened.name} from {SINCE:%Y-%m-%d} on: gain over climatology "
        "(thousandths of a nat, 90 % interval)",
        ["asset", "h", "days", "gain", "interval", "least detectable"],
        [
            [
                row["asset"],
                str(row["horizon"] or ""),
                str(row["days"]),
                f"{row['gain_mnat']:+.2f}",
                f"{row['gain_mnat_lower']:+.2f} to {row['gain_mnat_upper']:+.2f}",
                f"{row['least_detectable_mnat']:.2f}",
            ]
            for row in rows
        ],
    )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:+.2f}"


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
