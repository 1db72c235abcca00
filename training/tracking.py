"""What training says to MLflow: runs that live and end, what they hold, and versions.

The only module of training that knows MLflow, and only inside functions: to import it takes
seconds. Clients are made for the URI given. Nothing global is set but defaults of the
environment, by which MLflow keeps quiet, gives up quickly and does not report home.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from sources.crashpoints import crashpoint
from sources.errors import RiskonError, TrackingUnavailableError
from training.liveness import HEARTBEAT, OWNER, beating, is_dead, signs_of_life
from training.runs import RunRecord
from training.spool import JOB, JobRecord
from training.stores import first_line, make_sqlite, probe, shown, sqlite_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

    Client: TypeAlias = MlflowClient

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
}
"""What MLflow reads when it is imported or called; a value already set stays."""
BATCH = 100
"""Parameters, tags or metrics that one call takes; MLflow refuses more parameters or tags."""
PAGE = 1000

CHALLENGER = "challenger"
DIGEST_LENGTH = 36
"""MLflow keeps no more of a dataset's digest; the whole sha256 is in a tag beside it."""


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


def every_run(client: MlflowClient, experiments: list[str], query: str) -> list[Run]:
    """Return all runs of some experiments that match a query, page by page, newest first."""
    found: list[Run] = []
    token: str | None = None
    while experiments:
        page = client.search_runs(experiments, query, max_results=PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            break
    return found


def heart(client: MlflowClient, run_id: str) -> Callable[[str], None]:
    """Return what tells MLflow that a run is at work."""
    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    def beat(now: str) -> None:
        # A beat that is lost is no matter; the next call of the job itself will find out.
        with suppress(MlflowException, SQLAlchemyError, requests.RequestException):
            client.set_tag(run_id, HEARTBEAT, now)

    return beat


def tag_run(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags of a run, as many as there are."""
    from mlflow.entities import RunTag

    held = [RunTag(name, value) for name, value in tags.items()]
    for start in range(0, len(held), BATCH):
        client.log_batch(run_id, tags=held[start : start + BATCH])


def experiment_of(client: MlflowClient, name: str, artifacts: Path | None) -> str:
    """Return the id of an experiment, made where it is not there yet.

    Raises
    ------
    RiskonError
        If it was deleted.
    """
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


def log_ended(
    client: MlflowClient, experiment_id: str, record: RunRecord, at: int, parent: str
) -> None:
    """Log a nested run that is over, in three calls."""
    tags = {**record.tags, "mlflow.parentRunId": parent}
    run = client.create_run(experiment_id, start_time=at, tags=tags, run_name=record.name)
    log_record(client, run.info.run_id, record, at)
    client.set_terminated(run.info.run_id, record.status, end_time=at)


def begun_run(client: MlflowClient, experiment_id: str, record: JobRecord) -> str | None:
    """Return the run that stands for the job since it began; None if there is none any more."""
    from mlflow.exceptions import MlflowException

    if record.run_id is None:
        return None
    try:
        found = client.get_run(record.run_id).info
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None  # It was begun on another server than this one.
    here = found.lifecycle_stage == "active" and found.experiment_id == experiment_id
    return record.run_id if here else None


def delete_halves(client: MlflowClient, experiment_id: str, job: str, kept: str | None) -> None:
    """Delete the runs that an earlier attempt to send a job left, but for one."""
    for run in every_run(client, [experiment_id], f"tags.`{JOB}` = '{job}'"):
        if run.info.run_id != kept:
            client.delete_run(run.info.run_id)


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
        for run in every_run(client, places, query):
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
def at_work(
    client: MlflowClient,
    experiment_id: str,
    record: RunRecord,
    at: int,
    parent: str | None = None,
    begun: str | None = None,
) -> Iterator[str]:
    """Keep a run RUNNING while the block logs to it, and end it as the block ends.

    Parameters
    ----------
    at : when it starts, milliseconds since 1970.
    parent : run that it is nested in, whose heart beats for it.
    begun : the run to go on with; a new one by default.
    """
    nested = {} if parent is None else {"mlflow.parentRunId": parent}
    tags = {**record.tags, **nested, **signs_of_life()}
    if begun is None:
        made = client.create_run(experiment_id, start_time=at, tags=tags, run_name=record.name)
        run_id: str = made.info.run_id
    else:
        run_id = begun
        client.update_run(run_id, status="RUNNING", name=record.name)
        tag_run(client, run_id, tags)
    status = "FAILED"
    try:
        with beating(heart(client, run_id)) if parent is None else nullcontext():
            yield run_id
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        client.set_terminated(run_id, status)


def dataset_input(record: JobRecord) -> DatasetInput:
    """Return the dataset of a job as an input of its run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    held = {**record.dataset, "digest": record.dataset["digest"][:DIGEST_LENGTH]}
    tags = [InputTag(name, value) for name, value in record.dataset_tags.items()]
    return DatasetInput(Dataset(source_type="local", **held), tags)


def log_record(client: MlflowClient, run_id: str, record: RunRecord, at: int) -> None:
    """Log what a record holds, in batches."""
    from mlflow.entities import Metric, Param

    values = [Metric(name, value, at, 0) for name, value in record.metrics.items()]
    values += [
        Metric(name, value, at, step)
        for name, course in record.series.items()
        for step, value in enumerate(course)
    ]
    texts = [Param(name, value) for name, value in record.params.items()]
    for start in range(0, max(len(values), len(texts)), BATCH):
        part = slice(start, start + BATCH)
        client.log_batch(run_id, metrics=values[part], params=texts[part])


def register(client: MlflowClient, record: JobRecord, run_id: str) -> int:
    """Register the bundle of a run as the new challenger; return its version."""
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
    challenge(client, record.model, int(made.version))
    return int(made.version)


def challenge(client: MlflowClient, model: str, version: int) -> None:
    """Make a version the challenger."""
    crashpoint("before_challenger")
    client.set_registered_model_alias(model, CHALLENGER, str(version))
    crashpoint("after_challenger")
