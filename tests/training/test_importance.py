"""What moved the forecasts: the drivers of every day, and their picture."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models import ModelConfig
from models.config import BoostingConfig
from models.forecast import forecast
from sources import Market
from training.importance import contributions, importance_of
from training.job import Job, run_job
from training.plots import importance_plot

CONFIG = ModelConfig(least_labels=200, boosting=BoostingConfig(trees=4))


@pytest.fixture(scope="module")
def job(market: Market) -> Job:
    """Return a job on one cell of the small market."""
    return run_job(market, ["BTC"], [5], CONFIG, thresholds=[0.02])


def test_contributions_of_a_day_are_the_drivers_of_its_score(job: Job) -> None:
    (run,) = job.runs.values()
    parts = contributions(run, CONFIG)
    refit = run.snapshots[3].fit_as_of
    for day in (run.path.days[0], refit - np.timedelta64(1, "D"), refit, run.path.days[-1]):
        made, _ = forecast(run.rows, run.snapshots, day, CONFIG)
        at = int(np.searchsorted(run.path.days, day))
        drivers = {one.feature: one.contribution for one in made.drivers}
        drivers.pop("(mixture)")
        found = {name: float(values[at]) for name, values in parts.items() if values[at] != 0}
        assert found == pytest.approx(drivers, abs=1e-12)


def test_a_block_moves_as_the_sum_of_its_features_and_intervals_hold_the_mean(job: Job) -> None:
    (run,) = job.runs.values()
    start = pd.Timestamp("2021-01-01")
    found = importance_of(run, CONFIG, start=start)
    parts = contributions(run, CONFIG)
    late = run.path.days >= np.datetime64("2021-01-01")
    assert found.days == late.sum()
    (flows,) = (one for one in found.blocks if one.name == "flows")
    mine = [parts[one.name][late] for one in found.features if one.block == "flows"]
    assert flows.mean == pytest.approx(np.abs(np.sum(mine, axis=0)).mean())
    assert flows.mean <= sum(np.abs(one).mean() for one in mine)
    assert all(one.lower <= one.mean <= one.upper for one in (*found.blocks, *found.features))
    assert [one.mean for one in found.features] == sorted(
        (one.mean for one in found.features), reverse=True
    )
    shares = [one.gain_share for one in found.features if one.gain_share is not None]
    assert sum(shares) <= 1 + 1e-9


def test_the_picture_is_the_same_for_the_same_numbers(job: Job) -> None:
    (run,) = job.runs.values()
    first, again = (importance_plot(importance_of(run, CONFIG)) for _ in range(2))
    assert first == again
    assert first[:4] == b"\x89PNG"
