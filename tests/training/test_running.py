"""The run of a job while it works: there from the beginning, and closed as what became of it."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import free_port
from mlflow import MlflowClient

from sources.errors import RefusedError, TrackingUnavailableError
from training.liveness import HEARTBEAT
from training.report import JobReport
from training.running import running
from training.runs import RunRecord, SearchRecord
from training.sending import send_job, track_job
from training.spool import waiting
from training.tracking import reap

MakeReport = Callable[..., JobReport]
DIGEST = "b" * 64
TRIALS = SearchRecord(
    [
        RunRecord(f"trial {n:03d}", {"kind": "trial"}, {"rate": "1"}, {"inner_gain_mnat": n / 2})
        for n in range(4)
    ],
    {"best_inner_gain_mnat": [0.0, 0.5]},
)
EVERY = {"train 2025-06-30", "BTC_5d", "ETH_20d", *(f"trial {n:03d}" for n in range(4))}
pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"
)


@pytest.fixture
def client(tracking_uri: str) -> MlflowClient:
    """Return a client of the fresh database."""
    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def only_run(client: MlflowClient):
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    return run


def in_child(work: Callable[[], None]) -> int | None:
    # A fork, since nothing here learned with LightGBM, and MLflow takes seconds to import.
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    return process.exitcode


def test_a_job_has_a_run_with_a_heartbeat_while_it_works_and_that_run_holds_what_it_found(
    client: MlflowClient,
    tracking_uri: str,
    make_report: MakeReport,
    bundle_directory: Path,
    tmp_path: Path,
) -> None:
    with running(
        tracking_uri, "train abc", {"job": "abc"}, artifacts=tmp_path / "artifacts", seconds=0.05
    ) as run_id:
        at_first = only_run(client)
        assert (at_first.info.status, at_first.info.run_name) == ("RUNNING", "train abc")
        assert at_first.data.tags["kind"] == "job"
        # This process works on it, so no other job closes it.
        assert reap(tracking_uri) == []
        client.set_tag(run_id, HEARTBEAT, "0")
        deadline = time.monotonic() + 20
        while client.get_run(run_id).data.tags[HEARTBEAT] == "0" and time.monotonic() < deadline:
            time.sleep(0.05)
        assert abs(int(client.get_run(run_id).data.tags[HEARTBEAT]) - time.time()) < 60
        job = track_job(
            make_report(), bundle_directory, DIGEST,
            uri=tracking_uri, artifacts=tmp_path / "artifacts", spool=tmp_path / "spool", plots={},
            run_id=run_id, tags={"job": "abc"}, search=TRIALS,
        )  # fmt: skip
    assert job.run_id == run_id
    runs = client.search_runs([job.experiment_id])
    assert {run.info.run_name for run in runs} == EVERY
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["job"] for run in runs} == {"abc"}
    ended = client.get_run(run_id)
    assert ended.info.start_time == at_first.info.start_time
    assert ended.data.metrics["best_inner_gain_mnat"] == 0.5
    assert client.get_model_version("riskon", str(job.version)).run_id == run_id


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (KeyboardInterrupt(), "KILLED", None),
        (RefusedError("needed 2\nfound 1"), "FAILED", "RefusedError: needed 2 found 1"),
        (ZeroDivisionError("x" * 900), "FAILED", "ZeroDivisionError: " + "x" * 481),
    ],
    ids=["C06 interrupted", "an error of ours", "a fault"],
)
def test_a_job_that_ends_early_closes_its_run_with_the_reason(
    client: MlflowClient, tracking_uri: str, error: BaseException, status: str, reason: str | None
) -> None:
    with pytest.raises(type(error)), running(tracking_uri, "train abc", {}):
        raise error
    run = only_run(client)
    assert (run.info.status, run.data.tags.get("failure")) == (status, reason)


def test_C13_a_job_without_memory_fails_and_its_run_says_so(
    client: MlflowClient, tracking_uri: str
) -> None:
    def work() -> None:
        with running(tracking_uri, "train abc", {}):
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            room = pages * resource.getpagesize() + 2**28
            resource.setrlimit(resource.RLIMIT_AS, (room, room))
            np.ones(2**27)  # A gigabyte, of which a quarter is there.

    assert in_child(work) == 1
    run = only_run(client)
    assert run.info.status == "FAILED"
    assert "MemoryError: Unable to allocate 1.00 GiB" in run.data.tags["failure"]


def test_C05_a_job_that_is_killed_leaves_a_run_that_the_next_job_closes(
    client: MlflowClient, tracking_uri: str
) -> None:
    def work() -> None:
        with running(tracking_uri, "train abc", {}):
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(work) == -signal.SIGKILL
    assert only_run(client).info.status == "RUNNING"
    assert reap(tracking_uri) == ["train abc"]
    assert only_run(client).info.status == "KILLED"


def test_C01_no_work_is_begun_for_a_store_that_is_down() -> None:
    begun = time.monotonic()
    work: list[int] = []
    with (
        pytest.raises(TrackingUnavailableError),
        running(f"http://127.0.0.1:{free_port()}", "train abc", {}),
    ):
        work.append(1)
    assert work == []
    assert time.monotonic() - begun < 10


def test_C02_a_store_that_goes_down_while_the_job_works_hides_no_error_of_the_job(
    tracking_uri: str,
) -> None:
    database = Path(tracking_uri.removeprefix("sqlite:///"))

    def work() -> None:
        with running(tracking_uri, "train abc", {}):
            database.unlink()
            database.mkdir()
            raise RefusedError("of the job")

    with pytest.raises(RefusedError, match="of the job"):
        work()


@pytest.mark.parametrize("point", ["before_trial_run@3", "after_version"])
def test_C05_a_job_killed_while_it_is_sent_is_sent_once_into_the_run_that_was_there(
    client: MlflowClient,
    tracking_uri: str,
    make_report: MakeReport,
    bundle_directory: Path,
    tmp_path: Path,
    point: str,
) -> None:
    report, artifacts = make_report(), tmp_path / "artifacts"

    def work() -> None:
        with running(tracking_uri, "train abc", {}, artifacts=artifacts) as run_id:
            os.environ["CRASHPOINT"] = f"{point}:SIGKILL"
            track_job(
                report, bundle_directory, DIGEST, uri=tracking_uri, artifacts=artifacts,
                spool=tmp_path / "spool", plots={}, run_id=run_id, search=TRIALS,
            )  # fmt: skip

    assert in_child(work) == -signal.SIGKILL
    assert reap(tracking_uri) == ["train 2025-06-30"]
    (folder,) = waiting(tmp_path / "spool")
    job = send_job(folder, uri=tracking_uri, artifacts=artifacts)
    runs = client.search_runs([job.experiment_id])
    assert sorted(run.info.run_name for run in runs) == sorted(EVERY)
    assert {run.info.status for run in runs} == {"FINISHED"}
    for name, values in (("log_loss", [0.6875]), ("best_inner_gain_mnat", [0.0, 0.5])):
        history = client.get_metric_history(job.run_id, name)
        assert [metric.value for metric in history] == values
    (version,) = client.search_model_versions("name = 'riskon'")
    assert (version.run_id, version.status) == (job.run_id, "READY")
    (parent,) = (run for run in runs if run.data.tags["kind"] == "job")
    assert parent.info.run_id == job.run_id
