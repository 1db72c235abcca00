"""Trials of a search as runs of their own, and how they are found in MLflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from chosen import BASE, CHOICE, SPACE
from mlflow import MlflowClient

from training.report import JobReport
from training.sending import track_job
from training.tracked import tracked_runs
from training.trial_runs import search_record

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"
)


@pytest.fixture
def client(
    tracking_uri: str, make_report: Callable[..., JobReport], bundle_directory: Path, tmp_path: Path
) -> MlflowClient:
    """Return a client of a store that holds a job with the five trials above."""
    track_job(
        make_report(), bundle_directory, "b" * 64,
        uri=tracking_uri, artifacts=tmp_path / "artifacts", spool=tmp_path / "spool", plots={},
        search=search_record(CHOICE, SPACE), tags={"job": "abc"},
    )  # fmt: skip
    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def test_each_trial_is_a_nested_run_found_by_choices_by_gain_and_by_what_became_of_it(
    client: MlflowClient, tracking_uri: str
) -> None:
    place = client.get_experiment_by_name("riskon").experiment_id

    def names(query: str) -> list[str]:
        return sorted(run.info.run_name for run in client.search_runs([place], query))

    assert names("tags.kind = 'trial'") == [f"trial {n:03d}" for n in range(5)]
    assert names("tags.trial_state = 'pruned'") == ["trial 002"]
    assert names("tags.trial_state = 'failed' and attributes.status = 'FAILED'") == ["trial 003"]
    # Means of the folds: 2, 4, -5, none, 3.
    assert names("metrics.inner_gain_mnat > 2.5") == ["trial 001", "trial 004"]
    half = BASE.mixture.rate / 2
    assert names(f"params.`mixture.rate` = '{half}' and params.boosting = 'false'") == ["trial 001"]
    (parent,) = client.search_runs([place], "tags.kind = 'job'")
    (chosen,) = client.search_runs([place], "tags.chosen = 'true'")
    tags = chosen.data.tags
    assert tags["mlflow.parentRunId"] == parent.info.run_id
    assert (tags["job"], tags["data_digest"]) == ("abc", "d" * 64)
    assert tags["config_digest"] == CHOICE.config.digest
    assert "fit_to_serve" not in tags  # The verdict is on what was chosen, and made elsewhere.
    folds = client.get_metric_history(chosen.info.run_id, "fold_gain_mnat")
    assert [(m.step, m.value) for m in folds] == [(0, 3.0), (1, 4.0), (2, 5.0)]
    course = client.get_metric_history(parent.info.run_id, "best_inner_gain_mnat")
    # Of those that ran through, in the order of places: 2, 4, 3.
    assert [(m.step, m.value) for m in course] == [(0, 2.0), (1, 4.0), (2, 4.0)]
    assert [run.name for run in tracked_runs(tracking_uri, "riskon")] != []
    assert not [run for run in tracked_runs(tracking_uri, "riskon") if "trial" in run.name]
    asked = tracked_runs(tracking_uri, "riskon", "tags.trial_state = 'failed'")
    assert [(run.name, run.tags["failure"]) for run in asked] == [
        ("trial 003", "fold 0: needed a finite gain; found nan")
    ]
