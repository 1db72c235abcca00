"""A study as a run of its own in MLflow: figures, what differs, and the report."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from training.runs import RunRecord
from training.stores import is_http
from training.tracking import at_work, check_tracking, connected, experiment_of, log_record


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
        As :func:`training.sending.send_job`.
    """
    check_tracking(uri)
    now = int(time.time() * 1000)
    record = RunRecord("study", dict(tags), dict(params), dict(metrics))
    with connected(uri) as client:
        place = experiment_of(client, experiment, None if is_http(uri) else artifacts)
        with at_work(client, place, record, now) as run_id, tempfile.TemporaryDirectory() as held:
            log_record(client, run_id, record, now)
            for name, content in files.items():
                (Path(held) / name).write_bytes(content)
            client.log_artifacts(run_id, held)
    return run_id
