"""A finished job on disk, whole, before it is sent to the tracking server: nothing can lose it.

::

    SPOOL/JOB/record.json       runs, parameters, metrics, tags, the version to register
    SPOOL/JOB/files/            artifacts of the parent run, the bundle among them
    SPOOL/JOB/cells/CELL/       artifacts of the run of a cell
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath

from features import Input
from sources.errors import IntegrityError, SchemaError
from training.card import model_card, summary
from training.records import (
    cell_tags,
    checked_metrics,
    evaluation_json,
    mean_metrics,
    origin_tags,
    own_plots,
    parameters,
    run_tags,
    undefined_tag,
    version_tags,
)
from training.report import JobReport
from training.runs import CELL_RUN, JOB_RUN, KIND, RunRecord, SearchRecord

RECORD = "record.json"
JOB = "riskon.job"
"""Tag of every run and of the version: one job is tracked once, however often it is sent."""
PREDICTIONS = "predictions.csv"
Bytes = Mapping[str, bytes]


@dataclass(frozen=True)
class JobRecord:
    """All that is to be tracked of a job, but for its files.

    Attributes
    ----------
    at : milliseconds since 1970 when the job was done.
    trials : runs of a search, by place.
    run_id : of the run that is there since the job began, None where tracking was down then.
    dataset : name, digest, source, profile and tags of what it read.
    version_tags, description : of the registered version.
    """

    job: str
    at: int
    experiment: str
    model: str
    parent: RunRecord
    cells: list[RunRecord]
    dataset: dict[str, str]
    dataset_tags: dict[str, str]
    version_tags: dict[str, str]
    description: str
    trials: list[RunRecord] = field(default_factory=list)
    run_id: str | None = None


def write_record(
    report: JobReport,
    bundle_directory: Path,
    bundle_digest: str,
    *,
    spool: Path,
    experiment: str,
    model: str,
    plots: Bytes,
    tables: Sequence[Input] = (),
    predictions: bytes | None = None,
    more_files: Bytes | None = None,
    search: SearchRecord | None = None,
    run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Path:
    """Write a finished job to the spool in one step; return its folder.

    Parameters
    ----------
    search : its trials, where it searched.
    run_id : of the run that is there since the job began.
    tags : of every run, beside those of the report.

    Raises
    ------
    SchemaError
        For a metric, parameter or tag that MLflow would keep wrongly; nothing is written then.
    """
    job = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
    for name in (*plots, *(more_files or {})):
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise SchemaError("plots", expected="names inside the folder", found=name)
    record = _record(
        report, bundle_digest, job, experiment, model, tables, predictions,
        search or SearchRecord(), run_id, tags or {},
    )  # fmt: skip
    files = {f"files/plots/{name}": content for name, content in plots.items()}
    files |= {f"files/{name}": content for name, content in (more_files or {}).items()}
    files["files/config.json"] = report.config.model_dump_json(indent=2).encode()
    files["files/evaluation.json"] = evaluation_json(report).encode()
    files["files/model_card.md"] = model_card(report).encode()
    if predictions is not None:
        files[f"files/{PREDICTIONS}"] = predictions
    for evaluation in report.evaluations:
        mine = own_plots(evaluation, plots)
        files |= {f"cells/{evaluation.cell}/{name}": content for name, content in mine.items()}
    files[RECORD] = json.dumps(asdict(record), allow_nan=False).encode()
    half = spool / f".{job}"
    half.mkdir(parents=True)
    try:
        for name, content in files.items():
            path = half / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        shutil.copytree(bundle_directory, half / "files" / "bundle")
        for path in half.rglob("*"):
            _sync(path)
        half.rename(spool / job)
    except BaseException:
        shutil.rmtree(half)
        raise
    _sync(spool)
    return spool / job


def _record(
    report: JobReport,
    bundle_digest: str,
    job: str,
    experiment: str,
    model: str,
    tables: Sequence[Input],
    predictions: bytes | None,
    search: SearchRecord,
    run_id: str | None,
    more_tags: Mapping[str, str],
) -> JobRecord:
    origin = {**origin_tags(report), **more_tags, JOB: job}
    tags = {**run_tags(report, bundle_digest), **origin}
    params = parameters(report.config)
    cells: list[RunRecord] = []
    for evaluation in report.evaluations:
        values, missing = checked_metrics(str(evaluation.cell), evaluation.metrics)
        child = {**tags, **undefined_tag(missing), **cell_tags(evaluation), KIND: CELL_RUN}
        cells.append(RunRecord(str(evaluation.cell), child, params, values))
    means, undefined = checked_metrics("the job", mean_metrics(report.evaluations))
    if report.selection is not None:
        means |= checked_metrics("the search", report.selection.metrics)[0]
    note = {"mlflow.note.content": summary(report), KIND: JOB_RUN}
    head = {**tags, **undefined_tag(undefined), **note}
    course = {name: list(values) for name, values in search.series.items()}
    profile = {
        "trained_through": str(report.trained_through),
        "tables": {t.name: {"available_at": t.available_at.isoformat()} for t in tables},
        "omitted": dict(report.omitted),
    }
    registered = {**version_tags(report, bundle_digest), JOB: job}
    if predictions is not None:
        registered["predictions_digest"] = sha256(predictions).hexdigest()
    return JobRecord(
        job=job,
        at=int(time.time() * 1000),
        experiment=experiment,
        model=model,
        parent=RunRecord(f"train {report.trained_through}", head, params, means, course),
        cells=cells,
        trials=[replace(trial, tags={**origin, **trial.tags}) for trial in search.trials],
        run_id=run_id,
        dataset={
            "name": report.market,
            "digest": report.dataset_digest,
            "source": json.dumps({"uri": report.market}),
            "profile": json.dumps(profile),
        },
        dataset_tags={
            "mlflow.data.context": "training",
            "dataset_sha256": report.dataset_digest,
            "data_sha256": report.data_digest,
        },
        version_tags=registered,
        description=summary(report),
    )


def read_record(folder: Path) -> JobRecord:
    """Read what :func:`write_record` wrote.

    Raises
    ------
    IntegrityError
        If it is not that.
    """
    try:
        held = json.loads((folder / RECORD).read_bytes())
        held["parent"] = RunRecord(**held["parent"])
        held["cells"] = [RunRecord(**cell) for cell in held["cells"]]
        held["trials"] = [RunRecord(**trial) for trial in held.get("trials", ())]
        return JobRecord(**held)
    except (OSError, ValueError, KeyError, TypeError) as error:
        where = str(folder / RECORD)
        raise IntegrityError(where, expected="a job that was spooled", found=str(error)) from error


def waiting(spool: Path) -> list[Path]:
    """Return the jobs that are to be sent, the oldest first."""
    return sorted(path.parent for path in spool.glob(f"[0-9]*/{RECORD}"))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
