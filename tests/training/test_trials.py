"""The count of trials: everything that was begun on a data snapshot, and nothing lowers it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, update
from sqlalchemy.exc import DBAPIError

from riskon.database import migrate
from serving.database import open_database
from training.trials import TrialCount, trials

DATA, OTHER = "d" * 64, "e" * 64


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_database(f"sqlite:///{tmp_path / 'riskon.db'}")
    migrate(opened)
    yield opened
    opened.dispose()


def test_trials_of_all_jobs_on_the_same_data_are_counted_together(engine: Engine) -> None:
    count = TrialCount(engine)
    for job, places, data in (("one", 3, DATA), ("two", 2, DATA), ("three", 4, OTHER)):
        for place in range(places):
            count.begin(data, job, place, "c" * 64)
    assert count.trials_counted(DATA) == 5
    assert count.trials_counted(OTHER) == 4
    assert count.trials_counted("f" * 64) == 0


def test_a_trial_that_is_begun_again_counts_once(engine: Engine) -> None:
    count = TrialCount(engine)
    for _ in range(3):
        count.begin(DATA, "one", 0, "c" * 64)
    assert count.trials_counted(DATA) == 1


@pytest.mark.parametrize("change", [delete(trials), update(trials).values(data_digest=OTHER)])
def test_nothing_is_ever_uncounted(engine: Engine, change) -> None:
    count = TrialCount(engine)
    count.begin(DATA, "one", 0, "c" * 64)
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(change)
    assert count.trials_counted(DATA) == 1
