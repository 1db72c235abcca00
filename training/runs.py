"""A run as it is to be tracked: plain, so that it can wait on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

KIND = "kind"
"""Tag that tells the runs of a job apart."""
JOB_RUN, CELL_RUN, TRIAL_RUN = "job", "cell", "trial"


@dataclass(frozen=True)
class RunRecord:
    """A run: what it is called and what it holds.

    Attributes
    ----------
    series : metric -> its values at the steps 0, 1, ...
    status : with which MLflow is told that it ended.
    """

    name: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]
    series: dict[str, list[float]] = field(default_factory=dict)
    status: str = "FINISHED"


@dataclass(frozen=True)
class SearchRecord:
    """What a search leaves on record: its trials as runs, and its course for the job's run."""

    trials: Sequence[RunRecord] = ()
    series: Mapping[str, list[float]] = field(default_factory=dict)
