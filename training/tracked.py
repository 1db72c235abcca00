"""Tracked runs, as they are read back: what they hold, and their files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sources.errors import RiskonError
from training.runs import KIND, TRIAL_RUN
from training.tracking import PAGE, connected


@dataclass(frozen=True)
class TrackedRun:
    """A run as MLflow keeps it."""

    run_id: str
    name: str
    status: str
    started: float
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]


def tracked_runs(
    uri: str, experiment: str, filter_string: str = "", most: int = 1000
) -> tuple[TrackedRun, ...]:
    """Return the runs of an experiment that match a filter in MLflow's own words, newest first.

    Trials of searches, of which a job has hundreds, are there only where a filter is given.

    Raises
    ------
    RiskonError
        For an experiment that does not exist, or a filter that MLflow does not understand.
    """
    with connected(uri) as client:
        found = client.get_experiment_by_name(experiment)
        if found is None:
            raise RiskonError(f"experiment {experiment!r}: needed one with runs; found none")
        runs: list[TrackedRun] = []
        token: str | None = None
        while len(runs) < most:
            page = client.search_runs(
                [found.experiment_id], filter_string, max_results=PAGE, page_token=token
            )
            runs += [
                TrackedRun(
                    run_id=run.info.run_id,
                    name=run.info.run_name,
                    status=run.info.status,
                    started=run.info.start_time / 1000,
                    metrics=dict(run.data.metrics),
                    params=dict(run.data.params),
                    tags=dict(run.data.tags),
                )
                for run in page
                if filter_string or run.data.tags.get(KIND) != TRIAL_RUN
            ]
            token = page.token
            if not token:
                break
        return tuple(runs[:most])


def read_artifact(uri: str, run_id: str, name: str) -> bytes | None:
    """Return the content of a run's artifact, None where it has none of that name."""
    with connected(uri) as client, tempfile.TemporaryDirectory(prefix="riskon-") as held:
        folder = str(PurePosixPath(name).parent)
        there = client.list_artifacts(run_id, None if folder == "." else folder)
        if name not in {item.path for item in there}:
            return None
        return Path(client.download_artifacts(run_id, name, held)).read_bytes()
