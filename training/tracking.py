"""A training job in MLflow: one parent run, a nested run a cell, one registered version.

The only module of training that knows MLflow, and only inside functions: to
import it takes seconds. Clients are made for the URI given. Nothing global is
set but defaults of the environment, by which MLflow keeps quiet, gives up
quickly and does not report home.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from features import Input
from sources.crashpoints import crashpoint
from sources.errors import RiskonError, TrackingUnavailableError
from training.liveness import HEARTBEAT, OWNER, beating, is_dead, signs_of_life
from training.report import JobReport
from training.spool import JOB, RECORD, JobRecord, RunRecord, read_record, write_record
from training.stores import first_line, is_http, make_sqlite, probe, shown, sqlite_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
}
"""What MLflow reads when it is imported or called; a value already set stays."""
CHALLENGER = "challenger"
BATCH = 100
MOST_REAPED = 10_000
DIGEST_LENGTH = 36
"""MLflow keeps no more of a dataset's digest; the whole sha256 is in a tag beside it."""


@dataclass(frozen=True)
class TrackedJob:
    """Where a job stands in MLflow."""

    run_id: str
    version: int
    experiment_id: str


def track_job(
    report: JobReport,
    bundle_directory: Path,
    bundle_digest: str,
    *,
    uri: str,
    artifacts: Path | None,
    spool: Path,
    experiment: str = "riskon",
    model_name: str = "riskon",
    plots: Mapping[str, bytes],
    dataset_tables: Sequence[Input] = (),
    predictions: bytes | None = None,
    more_files: Mapping[str, bytes] | None = None,
) -> TrackedJob:
    """Track a finished job and register its bundle as the new challenger.

    The job is first written to the spool, and taken from it when all of it is tracked: until
    then :func:`send_job` may be tried again.

    Parameters
    ----------
    bundle_directory, bundle_digest : the saved bundle and the sha256 of its manifest.
    uri, artifacts : as for :func:`send_job`.
    spool : folder for jobs that are not tracked yet.
    plots : file name -> PNG. Those named ``CELL/…`` also stand on the run of the cell.
    dataset_tables : tables that were read, and how fresh they were.
    predictions : the walk-forward forecasts, as the contract's CSV.
    more_files : file name -> content, kept with the job's run.

    Raises
    ------
    SchemaError
        For a metric, parameter or tag that MLflow would keep wrongly; nothing is written then.
    TrackingUnavailableError, RiskonError
        As :func:`send_job`; the job waits in the spool.
    """
    folder = write_record(
        report,
        bundle_directory,
        bundle_digest,
        spool=spool,
        experiment=experiment,
        model=model_name,
        plots=plots,
        tables=dataset_tables,
        predictions=predictions,
        more_files=more_files,
    )
    return send_job(folder, uri=uri, artifacts=artifacts)


def send_job(folder: Path, *, uri: str, artifacts: Path | None) -> TrackedJob:
    """Track a job of the spool once, and take it from there; two senders take turns.

    The version is registered last, when all its artifacts are stored. A run
    that is cut short ends as FAILED, as KILLED on Ctrl-C, and registers nothing. Runs that an
    earlier attempt left half are deleted; a version that it registered is not made again.

    Parameters
    ----------
    uri : of the tracking server (http, https) or of a database.
    artifacts : where a new experiment in a database keeps its files; a server
        knows its own place, so it is not asked for there.

    Raises
    ------
    TrackingUnavailableError
        If the server stops answering.
    RiskonError
        If the server refuses: a deleted experiment, no room for artifacts.
    """
    with _turn(folder):
        return _send_in_turn(folder, read_record(folder), uri, artifacts)


def log_study(
    *,
    uri: str,
    artifacts: Path | None,
    metrics: Mapping[str, float],
    params: Mapping[str, str],
    tags: Mapping[str, str],
    files: Mapping[str, bytes],
    experiment: str = "riskon-study",
) -> str:
    """Log a study of the claims as one run, its report as artifacts; return the run's id.

    Raises
    ------
    TrackingUnavailableError, RiskonError
        As :func:`send_job`.
    """
    check_tracking(uri)
    now = int(time.time() * 1000)
    record = RunRecord("study", dict(tags), dict(params), dict(metrics))
    with connected(uri) as client:
        place = _experiment(client, experiment, None if is_http(uri) else artifacts)
        with _run(client, place, record, now) as run_id, tempfile.TemporaryDirectory() as held:
            _log(client, run_id, record, now)
            for name, content in files.items():
                (Path(held) / name).write_bytes(content)
            client.log_artifacts(run_id, held)
    return run_id


def _send_in_turn(folder: Path, record: JobRecord, uri: str, artifacts: Path | None) -> TrackedJob:
    with connected(uri) as client:
        experiment_id = _experiment(client, record.experiment, None if is_http(uri) else artifacts)
        found = client.search_model_versions(
            f"name = '{record.model}' and tags.`{JOB}` = '{record.job}'"
        )
        if found:
            # Killed between the version and its alias, or before the spool was emptied.
            tracked = TrackedJob(found[0].run_id, int(found[0].version), experiment_id)
            _challenge(client, record.model, tracked.version)
            client.set_terminated(tracked.run_id, "FINISHED")
        else:
            _delete_halves(client, experiment_id, record.job)
            tracked = _send(client, experiment_id, record, folder)
    shutil.rmtree(folder)
    return tracked


def _send(client: MlflowClient, experiment_id: str, record: JobRecord, folder: Path) -> TrackedJob:
    with _run(client, experiment_id, record.parent, record.at) as run_id:
        client.log_inputs(run_id, [_dataset_input(record)])
        _log(client, run_id, record.parent, record.at)
        for cell in record.cells:
            with _run(client, experiment_id, cell, record.at, parent=run_id) as nested:
                _log(client, nested, cell, record.at)
                files = folder / "cells" / cell.name
                if files.is_dir():
                    client.log_artifacts(nested, str(files))
        crashpoint("before_model")
        client.log_artifacts(run_id, str(folder / "files"))
        crashpoint("after_model")
        version = _register(client, record, run_id)
    return TrackedJob(run_id, version, experiment_id)


def _delete_halves(client: MlflowClient, experiment_id: str, job: str) -> None:
    for run in client.search_runs([experiment_id], f"tags.`{JOB}` = '{job}'"):
        client.delete_run(run.info.run_id)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Wait until nobody else sends this job.

    Raises
    ------
    RiskonError
        If the other one was done.
    """
    import fcntl

    gone = RiskonError(f"{folder}: needed a job that waits; found that another sent it")
    try:
        handle = os.open(folder / RECORD, os.O_RDONLY)
    except FileNotFoundError as error:
        raise gone from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not (folder / RECORD).exists():
            raise gone
        yield
    finally:
        os.close(handle)


def reap(uri: str) -> list[str]:
    """Close as KILLED the runs whose process is gone; return their names.

    Those of this machine are known by their process, those of others by their heartbeat.

    Raises
    ------
    TrackingUnavailableError
        If the store does not answer.
    """
    closed: list[str] = []
    with connected(uri) as client:
        places = [e.experiment_id for e in client.search_experiments()]
        query = f"attributes.status = 'RUNNING' and tags.`{OWNER}` LIKE '%'"
        for run in client.search_runs(places, query, max_results=MOST_REAPED) if places else ():
            if is_dead(run.data.tags, time.time()):
                client.set_terminated(run.info.run_id, "KILLED")
                closed.append(str(run.info.run_name))
    return closed


def is_new_store(uri: str) -> bool:
    """Tell whether :func:`check_tracking` will make a database, which takes seconds."""
    path = sqlite_path(uri)
    return path is not None and not path.exists()


def check_tracking(uri: str) -> None:
    """Make sure that tracking answers, before work is done; make a missing SQLite file.

    A server that is down, or hangs, is found out within seconds.

    Raises
    ------
    TrackingUnavailableError
        If it does not answer, or its database does not.
    UnknownNameError
        For a URI that is neither a server's nor a database's.
    """
    path = sqlite_path(uri)
    if path is None:
        probe(uri)
    elif not path.exists():
        make_sqlite(uri, path, _open)
    # A server's /health says nothing of its database; this asks it.
    _open(uri)


def _open(uri: str) -> None:
    with connected(uri) as client:
        client.search_experiments(max_results=1)


@contextmanager
def connected(uri: str) -> Iterator[MlflowClient]:
    """Give a client of a tracking store, and make our errors of MLflow's."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import requests
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (requests.RequestException, SQLAlchemyError) as error:
        raise TrackingUnavailableError(shown(uri), first_line(error)) from error
    except MlflowException as error:
        if error.error_code in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"):
            raise TrackingUnavailableError(shown(uri), first_line(error)) from error
        raise RiskonError(f"tracking at {shown(uri)} refused: {first_line(error)}") from error
    except OSError as error:
        raise RiskonError(f"tracking at {shown(uri)} failed: {first_line(error)}") from error


@contextmanager
def _run(
    client: MlflowClient, experiment_id: str, record: RunRecord, at: int, parent: str | None = None
) -> Iterator[str]:
    nested = {} if parent is None else {"mlflow.parentRunId": parent}
    tags = {**record.tags, **nested, **signs_of_life()}
    run = client.create_run(experiment_id, start_time=at, tags=tags, run_name=record.name)
    run_id: str = run.info.run_id
    status = "FAILED"

    def beat(now: str) -> None:
        # A beat that is lost is no matter; the next call of the job itself will find out.
        with suppress(MlflowException, SQLAlchemyError, requests.RequestException):
            client.set_tag(run_id, HEARTBEAT, now)

    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with beating(beat) if parent is None else nullcontext():
            yield run_id
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        client.set_terminated(run_id, status)


def _experiment(client: MlflowClient, name: str, artifacts: Path | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        place = None if artifacts is None else artifacts.resolve().as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=place))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage != "active":
        raise RiskonError(
            f"experiment {name!r}: needed an active one; found it deleted; bring it back with "
            f"`mlflow experiments restore`, or name another with --experiment"
        )
    return str(found.experiment_id)


def _dataset_input(record: JobRecord) -> DatasetInput:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    held = {**record.dataset, "digest": record.dataset["digest"][:DIGEST_LENGTH]}
    tags = [InputTag(name, value) for name, value in record.dataset_tags.items()]
    return DatasetInput(Dataset(source_type="local", **held), tags)


def _log(client: MlflowClient, run_id: str, record: RunRecord, at: int) -> None:
    from mlflow.entities import Metric, Param

    values = [Metric(name, value, at, 0) for name, value in record.metrics.items()]
    texts = [Param(name, value) for name, value in record.params.items()]
    for start in range(0, max(len(values), len(texts)), BATCH):
        part = slice(start, start + BATCH)
        client.log_batch(run_id, metrics=values[part], params=texts[part])


def _register(client: MlflowClient, record: JobRecord, run_id: str) -> int:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(record.model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    crashpoint("before_version")
    made = client.create_model_version(
        record.model,
        source=f"runs:/{run_id}/bundle",
        run_id=run_id,
        tags=record.version_tags,
        description=record.description,
    )
    crashpoint("after_version")
    _challenge(client, record.model, int(made.version))
    return int(made.version)


def _challenge(client: MlflowClient, model: str, version: int) -> None:
    crashpoint("before_challenger")
    client.set_registered_model_alias(model, CHALLENGER, str(version))
    crashpoint("after_challenger")
