"""The study in MLflow: one run with verdicts and report, on a real store."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from sources.errors import TrackingUnavailableError
from training.study.sending import log_study

# MLflow's own mappers, with the SQLAlchemy that is locked; not ours to mend.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"
)


def test_a_study_is_one_finished_run_with_its_verdicts_and_its_report(tracking_uri, tmp_path):
    run_id = log_study(
        uri=tracking_uri,
        artifacts=tmp_path / "artifacts",
        metrics={"claims_supported": 0.0, "claims_refuted": 2.0},
        params={"C1": "underpowered"},
        tags={"data_sha256": "d" * 64},
        files={"study.html": b"<html></html>", "study.json": b"[]"},
    )
    client = MlflowClient(tracking_uri=tracking_uri)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"claims_supported": 0.0, "claims_refuted": 2.0}
    assert run.data.params == {"C1": "underpowered"}
    assert run.data.tags["data_sha256"] == "d" * 64
    assert {f.path for f in client.list_artifacts(run_id)} == {"study.html", "study.json"}
    held = Path(client.download_artifacts(run_id, "study.html", str(tmp_path)))
    assert held.read_bytes() == b"<html></html>"


def test_C01_a_server_that_is_down_is_found_out_in_seconds():
    with pytest.raises(TrackingUnavailableError):
        log_study(
            uri="http://127.0.0.1:9", artifacts=None, metrics={}, params={}, tags={}, files={}
        )
