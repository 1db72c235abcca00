"""``riskon train``: a job that is tuned, durable and resumable; or one fit of what there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from models import ModelConfig
from riskon import output as out
from riskon.cluster import joined_to
from riskon.commands import open_tracking, say_omitted, say_thin, track
from riskon.jobs import JobFolder, begin_job, holding, open_job, read_job, stopping
from riskon.services import open_migrated
from riskon.settings import Settings
from riskon.watch import watching
from riskon.wiring import default_workers, model_config, open_market, progress, status
from sources.errors import (
    ClusterUnavailableError,
    RefusedError,
    SchemaError,
    TrackingUnavailableError,
)
from sources.market import Market
from training.evaluation import evaluate, pooled_figures
from training.job import Job, check_request, run_job
from training.trials import TrialCount

if TYPE_CHECKING:
    from training.cluster import Cluster
    from training.runs import SearchRecord
    from training.search import Choice
    from training.tuning import Tuning


TRUTH = "truth.csv"
KEYS = ("date", "asset", "horizon", "p_star")


@dataclass(frozen=True)
class Asked:
    """The words of the command line that say what a job is; None where they are not given."""

    market: Path | None = None
    assets: Sequence[str] | None = None
    horizons: Sequence[int] | None = None
    thresholds: Sequence[float] | None = None
    config: Path | None = None
    job: Path | None = None
    trials: int | None = None
    seed: int | None = None

    @property
    def anything(self) -> bool:
        """Whether any of them is given."""
        return any(value is not None and value != [] for value in vars(self).values())

    @property
    def flags(self) -> dict[str, Any]:
        """Path of a setting of the job -> what the flag says, None where it is not given."""
        model = None if self.config is None else model_config(self.config)
        return {
            "assets": list(self.assets) if self.assets else None,
            "horizons": list(self.horizons) if self.horizons else None,
            "thresholds": list(dict.fromkeys(self.thresholds)) if self.thresholds else None,
            "model": model and model.model_dump(mode="json"),
            "search.trials": self.trials,
            "search.seed": self.seed,
            "seeds": None if self.seed is None else [self.seed],
        }


def train(
    where: Settings,
    asked: Asked,
    resume: str | None,
    storage: str | None,
    experiment: str,
    form: str,
    workers: int | None,
    spool: bool = False,
    cluster: str | None = None,
) -> int | None:
    """Search, train, track, register; return the version, None where the job waits in the spool.

    What is known is fixed when the job begins: midnight may pass while it runs, and a
    job that is resumed reads what it read at first.

    Raises
    ------
    RefusedError
        If a job is resumed and described anew at the same time, or another process runs it.
    """
    with stopping(), joined_to(cluster, workers) as crew:
        if resume is not None:
            if asked.anything:
                raise RefusedError("--resume: needed no other description of the job; found some")
            begun = open_job(where, resume, storage)
            tracked = open_tracking(where, spool=spool)
            opened = begun.same_market(open_market(begun.market, where))
        else:
            config = read_job(asked.job, asked.flags)
            tracked = open_tracking(where, spool=spool)
            now = pd.Timestamp.now(tz="UTC").as_unit("us")
            opened = open_market(asked.market, where).as_of(now)
            check_request(opened, config.assets, config.horizons, config.thresholds)
            directory = asked.market or where.market_directory
            begun = begin_job(where, config, directory, opened, now, experiment, storage)
        try:
            with holding(begun), _run_of(where, begun, tracked=tracked) as run_id:
                return _train(
                    where, begun, opened, form, workers or default_workers(), crew, run_id
                )
        except KeyboardInterrupt:
            out.note(f"Next: riskon train --resume {begun.name}")
            raise
        except ClusterUnavailableError as error:
            raise error.resumed_by(f"riskon train --resume {begun.name}") from error


@contextmanager
def _run_of(where: Settings, begun: JobFolder, *, tracked: bool) -> Iterator[str | None]:
    """Keep a run in MLflow while the job works; none where tracking is down, as --spool allows."""
    from training.running import running

    if not tracked:
        yield None
        return
    where.artifacts.mkdir(parents=True, exist_ok=True)
    with running(
        where.tracking, f"train {begun.name}", begun.tags,
        experiment=begun.experiment, artifacts=where.artifacts,
    ) as run_id:  # fmt: skip
        yield run_id


def _train(
    where: Settings,
    begun: JobFolder,
    opened: Market,
    form: str,
    workers: int,
    crew: Cluster | None,
    run_id: str | None,
) -> int | None:
    config, plots, files = begun.config, {}, {}
    searched: SearchRecord | None = None
    count = TrialCount(open_migrated(where))
    tuning: Tuning | None = None
    if config.search.trials:
        tuning, choice = _search(begun, opened, count, workers, crew)
        chosen = choice.config
    else:
        chosen = config.base
        count.begin(begun.data_digest, begun.name, 0, chosen.digest)
    total = count.trials_counted(begun.data_digest)
    job = _fit(opened, begun, chosen, tuning, workers, crew, total)
    if tuning is not None:
        from training.plots import folds_plot
        from training.selection import selection_of
        from training.space import Space
        from training.trial_runs import search_record

        _say_outer(job, tuning)
        days = tuning.dataset.days.to_numpy("datetime64[D]")
        plots["folds.png"] = folds_plot(days, tuning.folds)
        files["search.json"] = choice.to_json().encode()
        searched = search_record(choice, Space(config.base, config.search.space))
        found = selection_of(choice)
        job = replace(job, report=replace(job.report, selection=found))
        out.note(found.sentence)
    files["job.json"] = (config.model_dump_json(indent=2) + "\n").encode()
    out.print_evaluations(job.report.evaluations, form)
    out.print_verdict(job.report.verdict)
    # Those of searches, and the configuration as it is of each job.
    out.note(f"{total} configuration{'s' if total > 1 else ''} tried so far on these data.")
    try:
        version = track(where, job, begun.experiment, plots, files, searched, run_id, begun.tags)
    except TrackingUnavailableError as error:
        out.note(f"{error}. The job is done and waits in {where.spool}.")
        out.note("Next, when it answers again: riskon sync")
        return None
    out.note(f"Registered version {version} of model riskon.")
    out.note(f'Next: riskon promote {version} --reason "..."')
    return version


def _search(
    begun: JobFolder, opened: Market, count: TrialCount, workers: int, crew: Cluster | None
) -> tuple[Tuning, Choice]:
    from training.durable import DurableStudy, open_storage
    from training.search import search
    from training.selection import tried_in_words
    from training.space import Space
    from training.tuning import prepare

    config = begun.config
    space = Space(config.base, config.search.space)
    sizes = {name: len(choices) for name, choices in space.choices.items()}
    study = DurableStudy(open_storage(begun.folder, begun.storage), f"riskon {begun.name}", sizes)
    with status("building the dataset and the folds"):
        tuning = prepare(opened, config)
    for cell, reason in tuning.thin.items():
        out.note(f"{cell} does not score trials: {reason}")
    out.note(
        f"Job {begun.name}: {tried_in_words(config.search.trials)}, {config.search.trials + 1} in "
        f"all, on {len(tuning.arena.cells)} cells and {len(tuning.folds.inner)} inner folds to "
        f"{tuning.folds.seen}. "
        f"If it is cut short: riskon train --resume {begun.name}"
    )

    def counted(place: int, tried: ModelConfig) -> None:
        count.begin(begun.data_digest, begun.name, place, tried.digest)
        watch.begun(place)

    done = len(study.finished(config.search.retries + 1))
    with watching(config.search.trials + 1, done) as watch:
        choice = search(
            tuning.arena, space, config.search, study,
            workers=min(workers, config.search.side_by_side),
            crew=None if crew is None else crew.trials,
            begun=counted, finished=watch.finished,
        )  # fmt: skip
    out.note(choice.sentence)
    return tuning, choice


def _fit(
    opened: Market,
    begun: JobFolder,
    chosen: ModelConfig,
    tuning: Tuning | None,
    workers: int,
    crew: Cluster | None,
    trials: int,
) -> Job:
    config = begun.config
    assets, days = check_request(opened, config.assets, config.horizons, config.thresholds)
    unseen = None
    if tuning is not None:
        unseen = pd.Timestamp(tuning.folds.outer[0].begin).as_unit("us")
    truth = read_truth(begun.market)
    with progress("walking forward", len(assets) * len(days) * len(config.thresholds)) as advance:
        job = run_job(
            opened, assets, days, chosen,
            thresholds=config.thresholds, workers=workers, done=advance,
            walkers=None if crew is None else crew.cells,
            evaluate_from=unseen, dataset=None if tuning is None else tuning.dataset,
            trials=trials, truth=truth,
        )  # fmt: skip
    say_omitted(job.dataset.omitted)
    say_thin(job.thin)
    return job


def read_truth(market: Path) -> pd.DataFrame | None:
    """Return the true probabilities that a simulated market keeps, None where there are none.

    The leak alarm takes them for the most that can be known; without them, what real markets have
    shown.

    Raises
    ------
    SchemaError
        If the file is not a table of probabilities.
    """
    path = market / TRUTH
    if not path.is_file():
        return None
    try:
        table = pd.read_csv(
            path, dtype={"asset": "str", "horizon": "int64", "p_star": "float64"},
            keep_default_na=False, parse_dates=["date"], date_format="%Y-%m-%d",
        )  # fmt: skip
    except ValueError as error:
        raise SchemaError(str(path), expected=f"columns {KEYS}", found=str(error)[:80]) from error
    if missing := [name for name in KEYS if name not in table]:
        raise SchemaError(str(path), expected=f"columns {missing}", found=f"{list(table)}"[:80])
    keys = [name for name in ("date", "asset", "horizon", "threshold") if name in table]
    if not table["p_star"].between(0, 1).all() or table.duplicated(keys).any():
        raise SchemaError(
            str(path), column="p_star", expected="one of 0 to 1 for each day", found="others"
        )
    return table.astype({"date": "datetime64[us]"})


def _say_outer(job: Job, tuning: Tuning) -> None:
    """Say how the choice did in each fold that the search never saw."""
    for span in tuning.folds.outer:
        first, last = (pd.Timestamp(day) for day in (span.begin, span.end - 1))
        found, _ = evaluate(job.runs, start=first, end=last)
        if found:
            figures = pooled_figures(found)
            out.note(
                f"Outer fold {first:%Y-%m-%d} to {last:%Y-%m-%d}: "
                f"{figures['gain_mnat']:+.2f} mnat a day "
                f"({figures['gain_mnat_lower']:+.2f} to {figures['gain_mnat_upper']:+.2f})"
            )
