"""A finished job on its way from the spool to MLflow: each once, whatever happens on the way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from features import Input
from sources.crashpoints import crashpoint
from sources.errors import RiskonError
from training.report import JobReport
from training.runs import SearchRecord
from training.spool import JOB, RECORD, JobRecord, read_record, write_record
from training.stores import is_http
from training.tracking import (
    at_work,
    begun_run,
    challenge,
    connected,
    dataset_input,
    delete_halves,
    experiment_of,
    log_ended,
    log_record,
    register,
)

if TYPE_CHECKING:
    from training.tracking import Client


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
    search: SearchRecord | None = None,
    run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
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
    search : its trials, where it searched; each has a run of its own.
    run_id : of the run that stands for the job since it began (:mod:`training.running`).
    tags : of every run, beside those of the report.

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
        search=search,
        run_id=run_id,
        tags=tags,
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


def _send_in_turn(folder: Path, record: JobRecord, uri: str, artifacts: Path | None) -> TrackedJob:
    with connected(uri) as client:
        experiment_id = experiment_of(
            client, record.experiment, None if is_http(uri) else artifacts
        )
        found = client.search_model_versions(
            f"name = '{record.model}' and tags.`{JOB}` = '{record.job}'"
        )
        if found:
            # Killed between the version and its alias, or before the spool was emptied.
            tracked = TrackedJob(found[0].run_id, int(found[0].version), experiment_id)
            challenge(client, record.model, tracked.version)
            client.set_terminated(tracked.run_id, "FINISHED")
        else:
            begun = begun_run(client, experiment_id, record)
            delete_halves(client, experiment_id, record.job, begun)
            tracked = _send(client, experiment_id, record, folder, begun)
    shutil.rmtree(folder)
    return tracked


def _send(
    client: Client, experiment_id: str, record: JobRecord, folder: Path, begun: str | None
) -> TrackedJob:
    with at_work(client, experiment_id, record.parent, record.at, begun=begun) as run_id:
        client.log_inputs(run_id, [dataset_input(record)])
        log_record(client, run_id, record.parent, record.at)
        for cell in record.cells:
            with at_work(client, experiment_id, cell, record.at, parent=run_id) as nested:
                log_record(client, nested, cell, record.at)
                files = folder / "cells" / cell.name
                if files.is_dir():
                    client.log_artifacts(nested, str(files))
        for place, trial in enumerate(record.trials):
            crashpoint("before_trial_run")
            # A millisecond apart, so that lists by time are lists by place.
            log_ended(client, experiment_id, trial, record.at + 1 + place, run_id)
        crashpoint("before_model")
        client.log_artifacts(run_id, str(folder / "files"))
        crashpoint("after_model")
        version = register(client, record, run_id)
    return TrackedJob(run_id, version, experiment_id)


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
