"""A tracking server on PostgreSQL, set as mlflow/README.md says, whose database is restarted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient
from postgres import postgres, run_as_postgres
from trackingserver import tracking_server

from sources.errors import RiskonError
from training import tracking
from training.report import JobReport
from training.sending import send_job, track_job
from training.spool import waiting
from training.tracking import check_tracking, reap

MakeReport = Callable[..., JobReport]


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
