"""What is left of a job whose tracking is killed, refused or cut off, and that it is mended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from sources.errors import IntegrityError, RiskonError, TrackingUnavailableError
from training.liveness import HEARTBEAT, OWNER, STALE_SECONDS, beating, is_dead, signs_of_life
from training.report import JobReport
from training.sending import send_job, track_job
from training.spool import waiting
from training.tracking import reap

MakeReport = Callable[..., JobReport]
DIGEST = "b" * 64
pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"
)


def free_port() -> int:
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


@pytest.fixture
def client(tracking_uri: str) -> MlflowClient:
    """Return a client of the fresh database."""
    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def runs(client: MlflowClient) -> dict[str, str]:
    """Return the status of each run that is not deleted, by its name."""
    places = [e.experiment_id for e in client.search_experiments()]
    found = client.search_runs(places)
    names = [run.info.run_name for run in found]
    assert len(set(names)) == len(names), names
    return {run.info.run_name: run.info.status for run in found}


FINISHED = dict.fromkeys(("train 2025-06-30", "BTC_5d", "ETH_20d"), "FINISHED")


def killed_at(point: str, report: JobReport, bundle: Path, uri: str, folder: Path) -> None:
    """Track a report in a process that is killed at a point."""

    def work() -> None:
        os.environ["CRASHPOINT"] = f"{point}:SIGKILL"
        track_job(
            report, bundle, DIGEST,
            uri=uri, artifacts=folder / "artifacts", spool=folder / "spool", plots={},
        )  # fmt: skip

    # A fork, since nothing here learned with LightGBM, and MLflow takes seconds to import.
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("point", "versions"),
    [
        ("before_model", 0),
        ("after_model", 0),
        ("before_version", 0),
        ("after_version", 1),
        ("before_challenger", 1),
        ("after_challenger", 1),
    ],
)
def test_a_killed_job_is_closed_by_the_reaper_and_sent_once_from_the_spool_c05(
    make_report: MakeReport,
    client: MlflowClient,
    tracking_uri: str,
    bundle_directory: Path,
    tmp_path: Path,
    point: str,
    versions: int,
) -> None:
    killed_at(point, make_report(), bundle_directory, tracking_uri, tmp_path)
    assert runs(client)["train 2025-06-30"] == "RUNNING"
    assert len(client.search_model_versions("name = 'riskon'")) == versions
    assert reap(tracking_uri) == ["train 2025-06-30"]
    assert runs(client)["train 2025-06-30"] == "KILLED"
    assert reap(tracking_uri) == []
    (folder,) = waiting(tmp_path / "spool")
    job = send_job(folder, uri=tracking_uri, artifacts=tmp_path / "artifacts")
    assert runs(client) == FINISHED
    (version,) = client.search_model_versions("name = 'riskon'")
    assert (int(version.version), version.run_id, version.status) == (1, job.run_id, "READY")
    assert client.get_model_version_by_alias("riskon", "challenger").version == version.version
    held = tmp_path / "artifacts" / job.run_id / "artifacts" / "bundle" / "manifest.json"
    assert held.read_text() == '{"format":1,"files":{}}'
    assert waiting(tmp_path / "spool") == []


def test_a_server_that_died_while_the_job_ran_costs_nothing_but_a_sync_c02(
    make_report: MakeReport,
    client: MlflowClient,
    tracking_uri: str,
    bundle_directory: Path,
    tmp_path: Path,
) -> None:
    spool, artifacts = tmp_path / "spool", tmp_path / "artifacts"
    begun = time.monotonic()
    with pytest.raises(TrackingUnavailableError):
        track_job(
            make_report(), bundle_directory, DIGEST,
            uri=f"http://127.0.0.1:{free_port()}", artifacts=None, spool=spool,
            plots={"BTC_5d/gain.png": b"png"}, predictions=b"date\n",
        )  # fmt: skip
    assert time.monotonic() - begun < 10
    (folder,) = waiting(spool)
    job = send_job(folder, uri=tracking_uri, artifacts=artifacts)
    assert runs(client) == FINISHED
    (history,) = [client.get_metric_history(job.run_id, "log_loss")]
    assert [metric.value for metric in history] == [0.6875]
    held = artifacts / job.run_id / "artifacts"
    assert (held / "plots" / "BTC_5d" / "gain.png").read_bytes() == b"png"
    assert (held / "predictions.csv").read_bytes() == b"date\n"
    with pytest.raises(RiskonError, match="found that another sent it"):
        send_job(folder, uri=tracking_uri, artifacts=artifacts)
    assert runs(client) == FINISHED


def test_no_room_for_artifacts_keeps_the_job_for_later_c04(
    make_report: MakeReport,
    client: MlflowClient,
    tracking_uri: str,
    bundle_directory: Path,
    tmp_path: Path,
) -> None:
    full = tmp_path / "full"
    full.write_text("a file where a folder is needed")
    with pytest.raises(RiskonError, match="tracking at sqlite"):
        track_job(
            make_report(), bundle_directory, DIGEST,
            uri=tracking_uri, artifacts=full, spool=tmp_path / "spool", plots={},
        )  # fmt: skip
    assert runs(client)["train 2025-06-30"] == "FAILED"
    assert client.search_registered_models() == []
    full.unlink()
    (folder,) = waiting(tmp_path / "spool")
    send_job(folder, uri=tracking_uri, artifacts=full)
    assert runs(client) == FINISHED


def test_a_job_in_the_spool_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    (tmp_path / "20250101T000000-ab").mkdir()
    (tmp_path / "20250101T000000-ab" / "record.json").write_text('{"job": 1')
    with pytest.raises(IntegrityError, match="needed a job that was spooled"):
        send_job(tmp_path / "20250101T000000-ab", uri="sqlite:///none.db", artifacts=None)


def test_a_run_of_this_process_lives_and_one_of_a_process_that_ended_is_dead() -> None:
    mine = signs_of_life()
    assert not is_dead(mine, time.time())
    machine, process, started = mine[OWNER].split("/")
    # The number is taken again by another process, which started at another time.
    assert is_dead({OWNER: f"{machine}/{process}/{int(started) + 1}"}, time.time())
    child = multiprocessing.get_context("fork").Process(target=int)
    child.start()
    child.join()
    assert is_dead({OWNER: f"{machine}/{child.pid}/{started}"}, time.time())


def test_a_run_of_another_machine_is_dead_when_it_has_been_silent() -> None:
    other = {OWNER: "elsewhere/1/2", HEARTBEAT: "1000"}
    assert not is_dead(other, 1000 + STALE_SECONDS)
    assert is_dead(other, 1001 + STALE_SECONDS)


def test_a_run_that_is_not_ours_is_left_alone(client: MlflowClient, tracking_uri: str) -> None:
    experiment = client.create_experiment("somebody")
    foreign = client.create_run(experiment).info.run_id
    broken = client.create_run(experiment, tags={OWNER: "what is this"}).info.run_id
    assert reap(tracking_uri) == []
    assert {client.get_run(run).info.status for run in (foreign, broken)} == {"RUNNING"}


def test_the_heart_beats_while_the_job_works() -> None:
    heard: list[str] = []
    with beating(heard.append, seconds=0.01):
        while len(heard) < 3:
            time.sleep(0.01)
    assert all(abs(int(beat) - time.time()) < 60 for beat in heard)
