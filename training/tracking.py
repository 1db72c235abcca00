"""A training job in MLflow: one parent run, a nested run a cell, one registered version.

The only module of training that knows MLflow, and only inside functions: to
import it takes seconds. Clients are made for the URI given. Nothing global is
set but defaults of the environment, by which MLflow keeps quiet, gives up
quickly and does not report home.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from features import Input
from sources.errors import RiskonError, SchemaError, TrackingUnavailableError
from training.card import model_card, summary
from training.records import (
    cell_tags,
    checked_metrics,
    evaluation_json,
    mean_metrics,
    own_plots,
    parameters,
    run_tags,
    undefined_tag,
    version_tags,
)
from training.report import JobReport
from training.stores import first_line, is_http, make_sqlite, probe, shown, sqlite_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
}
"""What MLflow reads when it is imported or called; a value already set stays."""
CHALLENGER = "challenger"
BATCH = 100
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
    experiment: str = "riskon",
    model_name: str = "riskon",
    plots: Mapping[str, bytes],
    dataset_tables: Sequence[Input] = (),
    more_files: Mapping[str, bytes] | None = None,
) -> TrackedJob:
    """Track a finished job and register its bundle as the new challenger.

    The version is registered last, when all its artifacts are stored. A run
    that is cut short ends as FAILED, as KILLED on Ctrl-C, and registers nothing.

    Parameters
    ----------
    bundle_directory, bundle_digest : the saved bundle and the sha256 of its manifest.
    uri : of the tracking server (http, https) or of a database.
    artifacts : where a new experiment in a database keeps its files; a server
        knows its own place, so it is not asked for there.
    plots : file name -> PNG. Those named ``CELL/…`` also stand on the run of the cell.
    dataset_tables : tables that were read, and how fresh they were.
    more_files : file name -> content, kept with the job's run.

    Raises
    ------
    SchemaError
        For a metric, parameter or tag that MLflow would keep wrongly; nothing is sent then.
    TrackingUnavailableError
        If the server stops answering.
    RiskonError
        If the server refuses: a deleted experiment, no room for artifacts.
    """
    tags, params = run_tags(report, bundle_digest), parameters(report.config)
    figures = {e.cell: checked_metrics(str(e.cell), e.metrics) for e in report.evaluations}
    means, undefined = checked_metrics("the job", mean_metrics(report.evaluations))
    for name in plots:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise SchemaError("plots", expected="names inside the folder", found=name)
    with _connected(uri) as client:
        experiment_id = _experiment(client, experiment, None if is_http(uri) else artifacts)
        head = {**tags, **undefined_tag(undefined), "mlflow.note.content": summary(report)}
        name = f"train {report.trained_through}"
        with _run(client, experiment_id, name, head) as run_id:
            client.log_inputs(run_id, [_dataset_input(report, dataset_tables)])
            _log(client, run_id, means, params)
            for evaluation in report.evaluations:
                values, missing = figures[evaluation.cell]
                child = {**tags, **undefined_tag(missing), **cell_tags(evaluation, run_id)}
                with _run(client, experiment_id, str(evaluation.cell), child) as nested:
                    _log(client, nested, values, params)
                    _log_files(client, nested, own_plots(evaluation, plots))
            files = {f"plots/{name}": content for name, content in plots.items()}
            files["config.json"] = report.config.model_dump_json(indent=2).encode()
            files["evaluation.json"] = evaluation_json(report).encode()
            files["model_card.md"] = model_card(report).encode()
            _log_files(client, run_id, files | dict(more_files or {}))
            client.log_artifacts(run_id, str(bundle_directory), "bundle")
            version = _register(client, model_name, run_id, report, bundle_digest)
    return TrackedJob(run_id, version, experiment_id)


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
    with _connected(uri) as client:
        client.search_experiments(max_results=1)


@contextmanager
def _connected(uri: str) -> Iterator[MlflowClient]:
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
    client: MlflowClient, experiment_id: str, name: str, tags: Mapping[str, str]
) -> Iterator[str]:
    run_id: str = client.create_run(experiment_id, tags=dict(tags), run_name=name).info.run_id
    status = "FAILED"
    try:
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


def _dataset_input(report: JobReport, tables: Sequence[Input]) -> DatasetInput:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    profile = {
        "trained_through": str(report.trained_through),
        "tables": {t.name: {"available_at": t.available_at.isoformat()} for t in tables},
        "omitted": dict(report.omitted),
    }
    return DatasetInput(
        Dataset(
            name=report.market,
            digest=report.dataset_digest[:DIGEST_LENGTH],
            source_type="local",
            source=json.dumps({"uri": report.market}),
            profile=json.dumps(profile),
        ),
        [
            InputTag("mlflow.data.context", "training"),
            InputTag("dataset_sha256", report.dataset_digest),
            InputTag("data_sha256", report.data_digest),
        ],
    )


def _log(
    client: MlflowClient, run_id: str, metrics: Mapping[str, float], params: Mapping[str, str]
) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    values = [Metric(name, value, now, 0) for name, value in metrics.items()]
    texts = [Param(name, value) for name, value in params.items()]
    for start in range(0, max(len(values), len(texts)), BATCH):
        part = slice(start, start + BATCH)
        client.log_batch(run_id, metrics=values[part], params=texts[part])


def _log_files(client: MlflowClient, run_id: str, files: Mapping[str, bytes]) -> None:
    if not files:
        return
    with tempfile.TemporaryDirectory(prefix="riskon-") as held:
        for name, content in files.items():
            path = Path(held, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        client.log_artifacts(run_id, held)


def _register(
    client: MlflowClient, name: str, run_id: str, report: JobReport, bundle_digest: str
) -> int:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(
        name,
        source=f"runs:/{run_id}/bundle",
        run_id=run_id,
        tags=version_tags(report, bundle_digest),
        description=summary(report),
    )
    client.set_registered_model_alias(name, CHALLENGER, str(made.version))
    return int(made.version)
