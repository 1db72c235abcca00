"""Worlds whose limit is known: no harm where there is nothing, skill where there is, no leak."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features import build_dataset
from models import Cell, ModelConfig, cells_of
from sources.errors import UnknownNameError
from sources.simulated import simulate_market
from training.limit import Capture, capture_of, captures, correlation, slope, total_capture
from training.walkforward import walk_forward
from training.worlds import Trial, WorldScore, run_trial, run_trials, score_worlds

YEARS = 4.0
NULL, FLOW = Trial("null", 1, YEARS), Trial("flow", 1, YEARS, strength=1.5)


@pytest.fixture(scope="module")
def found() -> dict[Trial, tuple[Capture, ...]]:
    return run_trials([NULL, FLOW], ModelConfig(), job=run_trial)


@pytest.fixture(scope="module")
def scores(found: dict[Trial, tuple[Capture, ...]]) -> tuple[WorldScore, ...]:
    return score_worlds(found)


def test_where_there_is_nothing_to_find_the_forecasts_do_no_harm(
    scores: tuple[WorldScore, ...],
) -> None:
    null = [score for score in scores if score.world == "null"]
    assert np.mean([score.gain_mnat for score in null]) >= -0.2
    assert min(score.worst_mnat for score in null) >= -0.6
    assert not any(score.leak for score in null)


def test_a_flow_signal_is_found_and_never_beyond_what_can_be_known(
    scores: tuple[WorldScore, ...],
) -> None:
    flow = [score for score in scores if score.world == "flow"]
    assert [score.horizon for score in flow] == [1, 5, 20]
    for score in flow:
        assert 0 < score.gain_mnat < score.limit_mnat
        assert 0 < score.capture < 1
        assert score.correlation > 0
        assert not score.leak


def test_a_world_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(UnknownNameError, match="nowhere"):
        run_trials([Trial("nowhere", 0, YEARS)], ModelConfig(), job=run_trial)


def test_figures_agree_with_those_by_hand() -> None:
    # Log-odds against a base rate of one half: the truth's are ln 3 and -ln 3, the forecast's
    # ln 2 and -ln 2. The slope is ln 3 / ln 2 and the correlation 1.
    capture = capture_of(
        Cell("BTC", 1),
        np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]"),
        true=np.array([3 / 4, 1 / 4]),
        base=np.array([1 / 2, 1 / 2]),
        probability=np.array([2 / 3, 1 / 3]),
        outcome=np.array([1.0, np.nan]),
    )
    assert slope([capture]) == pytest.approx(np.log(3) / np.log(2))
    assert correlation([capture]) == pytest.approx(1.0)
    # Expected loss on either day: ln 2 of the base rate; 3/4 ln(3/2) + 1/4 ln 3 of the
    # forecast; 3/4 ln(4/3) + 1/4 ln 4 of the truth.
    gain = np.log(2) - 0.75 * np.log(1.5) - 0.25 * np.log(3)
    limit = np.log(2) - 0.75 * np.log(4 / 3) - 0.25 * np.log(4)
    assert capture.gain_mnat == pytest.approx(1000 * gain)
    assert capture.limit_mnat == pytest.approx(1000 * limit)
    assert total_capture([capture]) == capture.capture == pytest.approx(gain / limit)
    # The one outcome known: (1 - 3/4) ln 2, with deviation sqrt(3/16) ln 2.
    assert capture.surplus_mnat == pytest.approx(1000 * 0.25 * np.log(2))
    assert capture.surplus_error_mnat == pytest.approx(1000 * np.sqrt(3 / 16) * np.log(2))


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_the_error_of_a_surplus_covers_what_chance_does(horizon: int) -> None:
    """Overlapping outcomes of a fair walk, and a forecast that persists: the worst for an error."""
    generator = np.random.default_rng(horizon)
    n, days = 1000, np.datetime64("2015-01-01") + np.arange(1000)
    half, deviations = np.full(n, 0.5), []
    for _ in range(200):
        walk = np.concatenate([[0.0], np.cumsum(generator.normal(size=n + horizon - 1))])
        up = (walk[horizon:] > walk[:-horizon]).astype("float64")
        said = 0.5 + 0.05 * np.sin(np.arange(n) / 100 + generator.uniform(0, 6))
        c = capture_of(Cell("BTC", horizon), days, half, half, said, up[:n])
        deviations.append(c.surplus_mnat / c.surplus_error_mnat)
    # Exact at one day; above it at most 1, and within a third of it.
    assert 0.6 < np.std(deviations) < 1.15
    assert abs(np.mean(deviations)) < 0.25


def test_a_forecast_that_saw_tomorrow_is_a_leak_although_its_capture_is_below_one() -> None:
    config, trial = ModelConfig(), NULL
    simulated = simulate_market("null", seed=1, years=YEARS)
    dataset = build_dataset(simulated.market, ("BTC", "ETH"), config.features)
    runs = walk_forward(dataset, cells_of(("BTC", "ETH"), (1,)), config)
    peeked = {}
    for cell, run in runs.items():
        outcome = run.rows.outcome[np.searchsorted(run.rows.days, run.path.days)]
        seen = np.where(np.isnan(outcome), 0.0, 0.05 * (2 * outcome - 1))
        path = replace(run.path, probability=run.path.probability + seen)
        peeked[cell] = replace(run, path=path)
    (honest,) = score_worlds({trial: captures(runs, simulated.truth)})
    (score,) = score_worlds({trial: captures(peeked, simulated.truth)})
    assert not honest.leak
    assert score.leak
    assert score.capture < 1


def test_the_figures_do_not_depend_on_how_many_processes_make_them(
    found: dict[Trial, tuple[Capture, ...]],
) -> None:
    again = run_trials([NULL, FLOW], ModelConfig(), job=run_trial, workers=2)
    assert list(again) == [NULL, FLOW]
    assert again == found
