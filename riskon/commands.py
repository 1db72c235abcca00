"""What each command does, once its words are parsed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from features import build_dataset
from models import Cell, ModelConfig
from riskon import output as out
from riskon.settings import Settings
from riskon.wiring import default_workers, model_config, open_market, progress, status
from sources.errors import DataUnavailableError, RefusedError, TrackingUnavailableError
from sources.market import Market
from training.job import Job, check_request, run_job
from training.runs import SearchRecord

OLD_MARKET_DAYS = 3

Words = Sequence[str] | None
Numbers = Sequence[float] | None


def simulate(directory: Path, world: str, seed: int, years: float, strength: float) -> None:
    """Write a simulated market."""
    from sources.simulated import simulate_market, write_simulated

    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise DataUnavailableError(
            f"{directory}: needed a new or empty directory to write a market to; found files",
            source=str(directory),
        )
    simulated = simulate_market(world, seed=seed, years=years, strength=strength)
    with status(f"writing {directory}"):
        write_simulated(simulated, directory)
    out.note(f"Wrote world {world!r}, seed {seed}, to {directory} (truth.csv holds p*).")


def dataset(
    where: Settings,
    market: Path | None,
    asset: str,
    horizon: int,
    threshold: float,
    config: Path | None,
    output: Path,
) -> None:
    """Write one asset's point-in-time rows."""
    if output.suffix not in (".parquet", ".csv"):
        raise RefusedError(f"--output {output}: needed a name ending in .parquet or .csv")
    chosen = model_config(config)
    opened = open_market(market, where)
    assets, _ = check_request(opened, [asset], [horizon], [threshold])
    built = build_dataset(opened, assets, chosen.features)
    table = built.frame(asset, horizon, threshold)
    if output.suffix == ".csv":
        content = table.to_csv(index=False, lineterminator="\n", date_format="%Y-%m-%d").encode()
        out.write_atomically(output, lambda file: file.write(content))
    else:
        out.write_atomically(
            output,
            lambda file: table.to_parquet(file, index=False, write_page_checksum=True),
        )
    say_omitted(built.omitted)
    out.note(
        f"Wrote {len(table)} rows x {len(built.names)} features to {output} "
        f"(sha256 of the features {built.digest[:12]}...)."
    )


def backtest(
    where: Settings,
    market: Path | None,
    assets: Words,
    horizons: Sequence[int] | None,
    thresholds: Numbers,
    start: str | None,
    end: str | None,
    config: Path | None,
    output: Path,
    form: str,
    workers: int | None,
) -> None:
    """Walk forward; write predictions.csv and print the scores."""
    from training.evaluation import evaluate
    from training.walkforward import predictions

    first, last = _day("--start", start), _day("--end", end)
    opened = open_market(market, where)
    job = _run(opened, assets, horizons, thresholds, model_config(config), workers)
    table = predictions(job.runs, start=first, end=last)
    if table.empty:
        raise DataUnavailableError(
            f"{opened.name}: needed forecasts from {start or 'the first'} to {end or 'the last'}; "
            f"found none (they run from {_span(job)})",
            source=opened.name,
        )
    content = out.predictions_csv(table)
    out.write_atomically(output, lambda file: file.write(content))
    if first is None and last is None:
        evaluations = job.report.evaluations
    else:
        evaluations, thin = evaluate(job.runs, start=first, end=last)
        say_thin(thin)
    out.print_evaluations(evaluations, form)
    out.note(f"Wrote {len(table)} predictions to {output}.")


def open_tracking(where: Settings, *, spool: bool = False) -> bool:
    """Make sure that the tracking store answers, before work is done; close runs of the killed.

    Returns
    -------
    whether it answers; it need not where jobs are to wait in the spool.

    Raises
    ------
    TrackingUnavailableError
        If it does not answer, and jobs are not to wait in the spool.
    """
    from training.tracking import check_tracking, is_new_store, reap

    if is_new_store(where.tracking):
        out.note(f"Making the tracking database {where.home / 'mlflow.db'}, once.")
    try:
        with status("asking the tracking store"):
            check_tracking(where.tracking)
            closed = reap(where.tracking)
    except TrackingUnavailableError as error:
        if not spool:
            raise
        out.note(f"{error}. The job will wait in {where.spool}, as --spool asks.")
        return False
    if closed:
        out.note(f"Closed as KILLED {len(closed)} run(s) of jobs that died: {', '.join(closed)}.")
    return True


def sync(where: Settings) -> None:
    """Send the jobs that wait in the spool, each once, the oldest first."""
    from training.sending import send_job
    from training.spool import waiting

    jobs = waiting(where.spool)
    if not jobs:
        out.note(f"Nothing waits in {where.spool}.")
        return
    open_tracking(where)
    where.artifacts.mkdir(parents=True, exist_ok=True)
    for folder in jobs:
        tracked = send_job(folder, uri=where.tracking, artifacts=where.artifacts)
        out.note(f"Sent job {folder.name}: version {tracked.version} of model riskon.")


def track(
    where: Settings,
    job: Job,
    experiment: str,
    more_plots: Mapping[str, bytes] | None = None,
    more_files: Mapping[str, bytes] | None = None,
    search: SearchRecord | None = None,
    run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> int:
    """Track a finished job with its plots; return the version registered.

    Parameters
    ----------
    search, run_id, tags : as for :func:`training.sending.track_job`.
    """
    from training.artifacts import PREDICTIONS, predictions_artifact
    from training.importance import importance_of
    from training.plots import importance_plot, plots_of, skill_plot
    from training.sending import track_job
    from training.walkforward import predictions

    with tempfile.TemporaryDirectory() as folder, status("tracking in MLflow"):
        bundle = job.bundle.save(Path(folder) / "bundle")
        plots: dict[str, bytes] = dict(more_plots or {})
        importances: dict[str, Any] = {}
        for evaluation in job.report.evaluations:
            plots |= plots_of(evaluation)
            # As of the days that the figures are of.
            moved = importance_of(
                job.runs[evaluation.cell], job.report.config, start=pd.Timestamp(evaluation.days[0])
            )
            plots[f"{evaluation.cell}/importance.png"] = importance_plot(moved)
            importances[str(evaluation.cell)] = asdict(moved)
        plots["skill.png"] = skill_plot(job.report.evaluations)
        # The days before were seen by whoever chose the configuration.
        evaluated_from = pd.Timestamp(min(e.days[0] for e in job.report.evaluations))
        where.artifacts.mkdir(parents=True, exist_ok=True)
        tracked = track_job(
            job.report,
            Path(folder) / "bundle",
            bundle.digest,
            uri=where.tracking,
            artifacts=where.artifacts,
            spool=where.spool,
            experiment=experiment,
            plots=plots,
            dataset_tables=job.dataset.inputs,
            predictions=out.predictions_csv(predictions(job.runs)),
            more_files={
                PREDICTIONS: predictions_artifact(job.runs, start=evaluated_from),
                "importance.json": json.dumps(importances, indent=2).encode() + b"\n",
                **(more_files or {}),
            },
            search=search,
            run_id=run_id,
            tags=tags,
        )
    return tracked.version


def score(
    where: Settings,
    market: Path | None,
    as_of: str | None,
    assets: Words,
    horizons: Sequence[int] | None,
    form: str,
    known_at: str | None = None,
) -> None:
    """Print the champion's scores, and write them to the ledger.

    With ``known_at`` they are made of what the store knew then, and the ledger stays as it is.
    """
    from riskon.services import open_scorer
    from serving import scores_table

    day, then = _day("--as-of", as_of), _instant("--known-at", known_at)
    scorer = open_scorer(where)
    # Before the market is read, which takes seconds.
    scorer.bundle.select(assets or None, horizons or None)
    making = scorer.score if then is None else scorer.recreate
    scores = making(
        open_market(market, where, then),
        None if day is None else day.date(),
        assets=assets or None,
        horizons=horizons or None,
    )
    if day is None and then is None:
        age = (pd.Timestamp.now(tz="UTC").date() - scores[0].as_of).days
        if age > OLD_MARKET_DAYS:
            out.note(f"The market's latest day is {scores[0].as_of}, {age} days ago.")
    if form == "table":
        title, columns, rows = scores_table(scores)
        out.print_table(title, columns, rows)
    elif form == "json":
        out.print_rows([s.to_json() for s in scores], form)
    else:
        out.print_rows([s.to_row() for s in scores], form)
    silent = [s for s in scores if s.abstained]
    if silent:
        names = ", ".join(f"{s.asset} {s.horizon_days}d: {s.reason}" for s in silent)
        raise DataUnavailableError(f"no probability for {names}", source=silent[0].asset)


def _run(
    market: Market,
    assets: Words,
    horizons: Sequence[int] | None,
    thresholds: Numbers,
    config: ModelConfig,
    workers: int | None,
) -> Job:
    chosen, days = check_request(market, assets or (), horizons or (), thresholds or ())
    levels = tuple(dict.fromkeys(thresholds or (0.0,)))
    count = len(chosen) * len(days) * len(levels)
    with progress("walking forward", count) as advance:
        job = run_job(
            market,
            chosen,
            days,
            config,
            thresholds=levels,
            workers=workers or default_workers(),
            done=advance,
        )
    say_omitted(job.dataset.omitted)
    say_thin(job.thin)
    return job


def say_thin(thin: Mapping[Cell, str]) -> None:
    """Say which cells have no figures, and why."""
    for cell, reason in thin.items():
        out.note(f"{cell} has no figures: {reason}")


def say_omitted(omitted: Mapping[str, str]) -> None:
    """Say which features the market cannot give."""
    for group, missing in omitted.items():
        out.note(f"Feature group {group!r} left out: the market has no {missing}.")


def _day(flag: str, text: str | None) -> pd.Timestamp | None:
    """Parse a day strictly: 2025-06-20 and nothing else."""
    if text is None:
        return None
    try:
        day = pd.to_datetime(text, format="%Y-%m-%d")
        exact = day.strftime("%Y-%m-%d") == text
    except ValueError:
        exact = False
    if not exact:
        raise RefusedError(f"{flag}: needed a day as YYYY-MM-DD; found {text[:20]!r}")
    return day.as_unit("us")


def _instant(flag: str, text: str | None) -> pd.Timestamp | None:
    """Parse an instant strictly: 2025-06-21T06:00:00Z, its offset included."""
    if text is None:
        return None
    try:
        instant = pd.Timestamp(datetime.fromisoformat(text))
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise RefusedError(
            f"{flag}: needed an instant with its offset, as 2025-06-21T06:00:00Z; "
            f"found {text[:30]!r}"
        )
    return instant.tz_convert("UTC").as_unit("us")


def _span(job: Job) -> str:
    paths = [run.path.days for run in job.runs.values()]
    return f"{min(days[0] for days in paths)} to {max(days[-1] for days in paths)}"
