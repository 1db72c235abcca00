"""Jobs in a real MLflow: on a SQLite file, on a server of our own, and on none that answers."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient
from pytest_httpserver import HTTPServer

from features import FeatureConfig
from models import ModelConfig
from sources.errors import (
    RiskonError,
    SchemaError,
    TrackingUnavailableError,
    UnknownNameError,
)
from training.records import checked_texts, mean_metrics, parameters
from training.report import CellEvaluation, JobReport
from training.sending import TrackedJob, track_job
from training.tracking import check_tracking, is_new_store

MakeEvaluation = Callable[..., CellEvaluation]
MakeReport = Callable[..., JobReport]
Track = Callable[..., TrackedJob]
PLOTS = {"BTC_5d/gain.png": b"\x89PNG btc", "ETH_20d/gain.png": b"\x89PNG eth"}
DIGEST = "b" * 64
# MLflow's own mappers, with the SQLAlchemy that is locked; not ours to mend.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"
)


@pytest.fixture
def track(tracking_uri: str, tmp_path: Path, bundle_directory: Path) -> Track:
    """Return a function that tracks a report in a fresh database."""

    def run(report: JobReport, **changes: object) -> TrackedJob:
        given: dict[str, object] = {
            "uri": tracking_uri,
            "artifacts": tmp_path / "artifacts",
            "spool": tmp_path / "spool",
            "plots": PLOTS,
            **changes,
        }
        return track_job(report, bundle_directory, DIGEST, **given)  # type: ignore[arg-type]

    return run


@pytest.fixture
def client(tracking_uri: str) -> MlflowClient:
    """Return a client of the fresh database."""
    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def free_port() -> int:
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


def statuses(client: MlflowClient) -> dict[str, str]:
    """Return the status of each run of the experiment, by the run's name."""
    experiment = client.get_experiment_by_name("riskon")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return {run.info.run_name: run.info.status for run in runs}


def test_a_job_is_a_parent_run_and_a_nested_run_a_cell(
    track: Track, client: MlflowClient, make_report: MakeReport
) -> None:
    job = track(make_report())
    runs = client.search_runs([job.experiment_id])
    parents = {run.info.run_name: run.data.tags.get("mlflow.parentRunId") for run in runs}
    assert parents == {"train 2025-06-30": None, "BTC_5d": job.run_id, "ETH_20d": job.run_id}
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_metrics_stand_by_their_names_on_cells_and_as_means_on_the_job(
    track: Track,
    client: MlflowClient,
    make_report: MakeReport,
    make_evaluation: MakeEvaluation,
) -> None:
    cells = (make_evaluation("BTC", 5, gain_mnat=1.0), make_evaluation("ETH", 20, gain_mnat=4.0))
    job = track(make_report(*cells))
    by_name = {r.info.run_name: r.data.metrics for r in client.search_runs([job.experiment_id])}
    assert by_name["ETH_20d"] == dict(cells[1].metrics)
    assert by_name["train 2025-06-30"]["gain_mnat"] == 2.5
    # The mean of lower ends is no lower end of the mean.
    assert "gain_mnat_lower" not in by_name["train 2025-06-30"]


def test_every_run_carries_digests_seed_code_libraries_and_verdict(
    track: Track, client: MlflowClient, make_report: MakeReport
) -> None:
    report = make_report()
    job = track(report)
    expected = {
        "data_digest": "d" * 64,
        "dataset_digest": "e" * 64,
        "bundle_digest": DIGEST,
        "config_digest": report.config.digest,
        "seed": "7",
        "version.lightgbm": "4.7.0",
        "fit_to_serve": "true",
        "skill_certified": "false",
    }
    for run in client.search_runs([job.experiment_id]):
        assert expected.items() <= run.data.tags.items()
        assert run.data.tags["code_version"].startswith("0.")
        assert run.data.params["mixture.climatology_prior"] == "0.5"
        assert json.loads(run.data.params["features.blocks"])[0] == "momentum"


def test_the_dataset_is_an_input_with_the_whole_sha256(
    track: Track, client: MlflowClient, make_report: MakeReport
) -> None:
    job = track(make_report())
    (dataset_input,) = client.get_run(job.run_id).inputs.dataset_inputs
    tags = {tag.key: tag.value for tag in dataset_input.tags}
    assert (tags["dataset_sha256"], tags["data_sha256"]) == ("e" * 64, "d" * 64)
    assert dataset_input.dataset.name == "by-hand"


def test_artifacts_lie_in_the_folder_given(
    track: Track, tmp_path: Path, make_report: MakeReport
) -> None:
    job = track(make_report())
    folder = tmp_path / "artifacts" / job.run_id / "artifacts"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "bundle/manifest.json",
        "bundle/cells/BTC_5d.json",
        "config.json",
        "evaluation.json",
        "model_card.md",
        "plots/BTC_5d/gain.png",
        "plots/ETH_20d/gain.png",
    }
    others = [p for p in (tmp_path / "artifacts").rglob("gain.png") if folder not in p.parents]
    assert len(others) == 2


def test_the_version_is_registered_with_what_serving_needs(
    track: Track, client: MlflowClient, make_report: MakeReport
) -> None:
    report = make_report()
    first, second = track(report), track(report)
    assert (first.version, second.version) == (1, 2)
    version = client.get_model_version_by_alias("riskon", "challenger")
    assert (int(version.version), version.run_id, version.status) == (2, second.run_id, "READY")
    assert version.source == f"runs:/{second.run_id}/bundle"
    assert version.tags["fit_to_serve"] == "true"
    assert version.tags["skill_certified"] == "false"
    assert (version.tags["bundle_digest"], version.tags["data_digest"]) == (DIGEST, "d" * 64)
    checks = json.loads(version.tags["promotion_checks"])
    assert checks == [list(check) for check in report.verdict.checks]


def test_C15_an_undefined_metric_is_left_out_and_listed(
    track: Track,
    client: MlflowClient,
    make_report: MakeReport,
    make_evaluation: MakeEvaluation,
) -> None:
    one_class = make_evaluation("BTC", 5, roc_auc=float("nan"))
    job = track(make_report(one_class, make_evaluation("ETH", 20)))
    for run in client.search_runs([job.experiment_id]):
        undefined = run.data.tags.get("metrics_undefined")
        assert undefined == (None if run.info.run_name == "ETH_20d" else "roc_auc")
        assert ("roc_auc" in run.data.metrics) == (undefined is None)


@pytest.mark.parametrize(
    "metrics",
    [
        pytest.param({"log_loss": float("nan")}, id="C15-nan-loss"),
        pytest.param({"log_loss": float("inf")}, id="C10-infinite-loss"),
        pytest.param({"brier_skill_score": float("-inf")}, id="C10-infinite-skill"),
    ],
)
def test_a_metric_that_makes_no_sense_is_refused_before_anything_is_sent(
    track: Track,
    client: MlflowClient,
    make_report: MakeReport,
    make_evaluation: MakeEvaluation,
    metrics: dict[str, float],
) -> None:
    with pytest.raises(SchemaError, match=f"column {next(iter(metrics))}: needed finite"):
        track(make_report(make_evaluation(**metrics)))
    assert client.get_experiment_by_name("riskon") is None


def test_C15_a_parameter_too_long_is_refused_and_not_cut(
    track: Track, client: MlflowClient, make_report: MakeReport
) -> None:
    config = ModelConfig(features=FeatureConfig(fund="X" * 6001))
    with pytest.raises(
        SchemaError, match=r"features\.fund: needed at most 250 .* found 13 and 6001"
    ):
        track(make_report(config=config))
    assert client.get_experiment_by_name("riskon") is None
    assert checked_texts("parameter", {"fund": "X" * 6000}, 6000) == {"fund": "X" * 6000}


def test_C15_ten_thousand_parameters_are_refused_and_none_is_dropped() -> None:
    # A group of signals is a parameter; all others together are fewer than a hundred.
    groups = {f"g{n}": ("return_1d",) for n in range(10_000)}
    config = ModelConfig()
    assert config.signals is not None
    plain = config.model_dump() | {"signals": config.signals.model_dump() | {"groups": groups}}
    with pytest.raises(SchemaError, match=r"run parameters: needed at most 1000; found 10\d\d\d"):
        parameters(ModelConfig.model_validate(plain))


def test_C15_a_deleted_experiment_is_named_and_nothing_is_registered(
    track: Track, client: MlflowClient, make_report: MakeReport
) -> None:
    client.delete_experiment(client.create_experiment("riskon"))
    with pytest.raises(RiskonError, match="needed an active one; found it deleted"):
        track(make_report())
    assert client.search_registered_models() == []


def test_C04_no_room_for_artifacts_fails_the_runs_and_registers_nothing(
    track: Track, client: MlflowClient, tmp_path: Path, make_report: MakeReport
) -> None:
    (tmp_path / "full").write_text("a file where a folder is needed")
    with pytest.raises(RiskonError, match="tracking at sqlite"):
        track(make_report(), artifacts=tmp_path / "full")
    # The first cell's plots could not be stored; the second was not begun.
    assert statuses(client) == {"train 2025-06-30": "FAILED", "BTC_5d": "FAILED"}
    assert client.search_registered_models() == []


def test_C06_an_interrupted_job_ends_as_killed(
    track: Track,
    client: MlflowClient,
    make_report: MakeReport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.sending.register", interrupt)
    with pytest.raises(KeyboardInterrupt):
        track(make_report())
    assert statuses(client)["train 2025-06-30"] == "KILLED"
    assert client.search_registered_models() == []


def test_a_plot_cannot_be_named_out_of_its_folder(track: Track, make_report: MakeReport) -> None:
    with pytest.raises(SchemaError, match="names inside the folder"):
        track(make_report(), plots={"../../model.png": b""})


def test_the_mean_over_cells_leaves_out_what_a_cell_lacks(make_evaluation: MakeEvaluation) -> None:
    means = mean_metrics([make_evaluation(n=100), make_evaluation(extra=2.0)])
    assert "extra" not in means
    assert means["log_loss"] == 0.6875


def test_C01_a_dead_server_is_found_out_within_ten_seconds() -> None:
    # In a process of its own, so that the import of MLflow would count.
    uri = f"http://user:secret@127.0.0.1:{free_port()}"
    code = f"from training.tracking import check_tracking; check_tracking({uri!r})"
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert time.monotonic() - begun < 10
    assert done.returncode == 1
    assert "TrackingUnavailableError" in done.stderr.splitlines()[-1]
    assert "refused" in done.stderr.splitlines()[-1]


def test_F03_a_password_in_the_address_is_not_shown() -> None:
    with pytest.raises(TrackingUnavailableError) as caught:
        check_tracking(f"http://user:secret@127.0.0.1:{free_port()}")
    assert "secret" not in str(caught.value)


def test_C01_a_server_that_says_nothing_is_found_out_within_ten_seconds() -> None:
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begun = time.monotonic()
        with pytest.raises(TrackingUnavailableError, match="timed out"):
            check_tracking(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert time.monotonic() - begun < 10


def test_C01_health_alone_is_not_believed(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/health").respond_with_data("OK")
    httpserver.expect_request("/api/2.0/mlflow/experiments/search").respond_with_json(
        {"error_code": "INTERNAL_ERROR", "message": "the database is down"}, status=500
    )
    begun = time.monotonic()
    with pytest.raises(TrackingUnavailableError):
        check_tracking(httpserver.url_for(""))
    assert time.monotonic() - begun < 10


def test_C01_a_dead_database_is_found_out_within_ten_seconds() -> None:
    begun = time.monotonic()
    with pytest.raises(TrackingUnavailableError) as caught:
        check_tracking(f"postgresql://mlflow:secret@127.0.0.1:{free_port()}/mlflow")
    assert time.monotonic() - begun < 10
    assert "secret" not in str(caught.value)


def test_a_folder_is_no_tracking_uri() -> None:
    with pytest.raises(UnknownNameError, match="known are http, https, sqlite, postgresql"):
        check_tracking("file:./mlruns")


def test_a_new_database_is_whole_or_absent_and_made_without_noise(
    migrated_database: Path, tmp_path: Path
) -> None:
    path = tmp_path / "home" / "mlflow.db"
    uri = f"sqlite:///{path}"
    assert is_new_store(uri)
    code = f"from training.tracking import check_tracking; check_tracking({uri!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert not is_new_store(uri)
    assert [entry.name for entry in path.parent.iterdir()] == ["mlflow.db"]
    with (
        closing(sqlite3.connect(path)) as made,
        closing(sqlite3.connect(migrated_database)) as known,
    ):
        asked = "SELECT version_num FROM alembic_version"
        assert made.execute(asked).fetchall() == known.execute(asked).fetchall()
        assert made.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("<html>not a database, and long enough to be read</html>")
    with pytest.raises(RiskonError, match="not a database"):
        check_tracking(f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.fixture
def server(tracking_uri: str, tmp_path: Path) -> Iterator[str]:
    """Run a tracking server on a fresh database; yield its address."""
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", tracking_uri]
    command += ["--artifacts-destination", str(tmp_path / "served"), "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", address.rpartition(":")[2]]
    off = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **off},
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            start_new_session=True,
        )
    try:
        for _ in range(300):
            try:
                httpx.get(f"{address}/health", timeout=1).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_a_server_keeps_the_job_and_its_bundle_until_it_is_gone(
    server: str, track: Track, make_report: MakeReport, tmp_path: Path
) -> None:
    check_tracking(server)
    job = track(make_report(), uri=server)
    remote = MlflowClient(tracking_uri=server, registry_uri=server)
    version = remote.get_model_version("riskon", str(job.version))
    assert (version.aliases, version.run_id) == (["challenger"], job.run_id)
    (tmp_path / "got").mkdir()
    got = Path(remote.download_artifacts(job.run_id, "bundle", str(tmp_path / "got")))
    assert (got / "manifest.json").read_text() == '{"format":1,"files":{}}'
    assert not (tmp_path / "artifacts").exists()
