"""A tracking server on PostgreSQL, set as mlflow/README.md says, whose database is restarted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient
from postgres import postgres, run_as_postgres

from sources.errors import RiskonError
from training import tracking
from training.report import JobReport
from training.sending import send_job, track_job
from training.spool import waiting
from training.tracking import check_tracking, reap

MakeReport = Callable[..., JobReport]


@contextmanager
def tracking_server(backend: str, folder: Path) -> Iterator[str]:
    """Run MLflow's server with the settings of the README; yield its address."""
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--allowed-hosts", f"127.0.0.1:{port},localhost:{port}"]
    command += ["--artifacts-destination", str(folder / "served")]
    settings = {
        "MLFLOW_BACKEND_STORE_URI": backend,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **settings},
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
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
def test_a_database_restarted_while_a_job_is_logged_costs_no_metric_and_doubles_none_c03(
    make_report: MakeReport,
    bundle_directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with postgres() as database:
        psql = Path(database.pg_ctl).with_name("psql")
        run_as_postgres(str(psql), f"{database.url}/postgres", "-qc", "CREATE DATABASE mlflow")
        with tracking_server(f"{database.url}/mlflow", tmp_path) as address:
            check_tracking(address)
            # Another Host is refused, as --allowed-hosts says.
            assert httpx.get(f"{address}/", headers={"Host": "evil.example"}).status_code == 403

            def stop(point: str) -> None:
                if point == "before_version":
                    database.stop()

            monkeypatch.setattr(tracking, "crashpoint", stop)
            begun = time.monotonic()
            with pytest.raises(RiskonError):
                track_job(
                    make_report(), bundle_directory, "b" * 64,
                    uri=address, artifacts=None, spool=tmp_path / "spool", plots={},
                )  # fmt: skip
            assert time.monotonic() - begun < 60
            monkeypatch.undo()
            database.start()
            reap(address)
            (folder,) = waiting(tmp_path / "spool")
            job = send_job(folder, uri=address, artifacts=None)
            client = MlflowClient(tracking_uri=address, registry_uri=address)
            found = client.search_runs([job.experiment_id])
            assert sorted(run.info.run_name for run in found) == [
                "BTC_5d", "ETH_20d", "train 2025-06-30",
            ]  # fmt: skip
            assert {run.info.status for run in found} == {"FINISHED"}
            for run in found:
                history = client.get_metric_history(run.info.run_id, "log_loss")
                assert [metric.value for metric in history] == [0.6875]
            (version,) = client.search_model_versions("name = 'riskon'")
            assert (version.status, version.run_id) == ("READY", job.run_id)
            assert waiting(tmp_path / "spool") == []
