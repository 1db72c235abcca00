"""Every figure by hand or closed form, and its interval by what it promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from markets import scramble_after

from features import build_dataset
from models import (
    Cell,
    ModelConfig,
    brier_parts,
    brier_score,
    cells_of,
    log_loss,
    roc_auc,
    rows_of,
)
from sources import Market
from training.bootstrap import StationaryBootstrap
from training.evaluation import evaluate_cell
from training.figures import _area_influence, figures
from training.momentum import momentum_forecast, own_returns
from training.slices import KINDS, skill_by
from training.walkforward import CellRun, walk_forward

PLAIN = ModelConfig(least_labels=200, logistic=None, boosting=None)


@pytest.fixture(scope="module")
def runs(market: Market) -> dict[Cell, CellRun]:
    dataset = build_dataset(market, ("BTC", "ETH"))
    return walk_forward(dataset, cells_of(("BTC", "ETH"), (1, 5)), PLAIN)


def drawn(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probability = np.clip(0.5 + 0.15 * generator.standard_normal(n), 0.05, 0.95)
    return (generator.random(n) < probability).astype("float64"), probability


def measured(outcome: np.ndarray, probability: np.ndarray, seed: int = 0) -> dict[str, float]:
    n = len(outcome)
    draws = StationaryBootstrap(n, block_length=2, resamples=1000, seed=seed)
    return figures(outcome, probability, np.full(n, 0.5), np.full(n, 0.5), draws=draws)


def test_murphys_parts_add_up_to_the_brier_score() -> None:
    found = measured(*drawn(500))
    parts = found["brier_reliability"] - found["brier_resolution"] + found["brier_uncertainty"]
    assert parts == pytest.approx(found["brier_score"], abs=1e-12)


def test_murphys_parts_are_those_of_stephenson_and_others_bin_by_bin() -> None:
    """The resolution less the variance, plus twice the covariance, that is within the bins."""
    outcome, probability = drawn(300, seed=1)
    bins = np.digitize(probability, [0.4, 0.5, 0.6])
    held = np.eye(4)[bins]
    parts = brier_parts(
        held.mean(axis=0),
        (held * probability[:, None]).mean(axis=0),
        (held * outcome[:, None]).mean(axis=0),
        brier_score(outcome, probability).mean(),
    )
    reliability = resolution = variance = covariance = 0.0
    for b in range(4):
        p, y = probability[bins == b], outcome[bins == b]
        reliability += len(p) * (p.mean() - y.mean()) ** 2 / 300
        resolution += len(p) * (y.mean() - outcome.mean()) ** 2 / 300
        variance += ((p - p.mean()) ** 2).sum() / 300
        covariance += 2 * ((p - p.mean()) * (y - y.mean())).sum() / 300
    assert parts.reliability == pytest.approx(reliability)
    assert parts.resolution == pytest.approx(resolution - variance + covariance)
    assert parts.uncertainty == pytest.approx(outcome.mean() * (1 - outcome.mean()))


def test_figures_of_four_days_are_those_by_hand() -> None:
    # Said 0.8, 0.6, 0.4, 0.2 and found 1, 0, 1, 0. Squares .04 .36 .36 .04: mean 0.2, and 1/4
    # for a half: skill 0.2. Losses -ln .8, -ln .4 twice: (2 x 0.223144 + 2 x 0.916291) / 4.
    # Of four pairs three are in order: area 3/4. Deviation of the forecasts: sqrt(0.05).
    found = measured(np.array([1.0, 0, 1, 0]), np.array([0.8, 0.6, 0.4, 0.2]))
    assert found["brier_score"] == pytest.approx(0.2)
    assert found["brier_skill_score"] == pytest.approx(0.2)
    assert found["log_loss"] == pytest.approx(0.569717, abs=1e-6)
    assert found["gain_mnat"] == pytest.approx(1000 * (np.log(2) - 0.569717), abs=1e-3)
    assert found["log_loss_skill_score"] == pytest.approx(1 - 0.569717 / np.log(2), abs=1e-6)
    assert found["roc_auc"] == pytest.approx(0.75)
    assert found["sharpness"] == pytest.approx(np.sqrt(0.05))
    assert found["accuracy"] == 0.5
    # Each forecast is its own bin: |0.8 - 1|, 0.6, 0.6, 0.2 at a quarter each.
    assert found["expected_calibration_error"] == pytest.approx(0.4)


def test_the_influence_on_the_area_is_what_leaving_a_day_in_adds() -> None:
    outcome, probability = drawn(400, seed=2)
    influence = _area_influence(outcome, probability)
    assert influence.mean() == pytest.approx(0, abs=1e-12)
    # DeLong's variance, for independent days, is the mean square over n; Hanley and McNeil's
    # for an area near 0.6 of 200 each is about 0.028 squared.
    assert np.sqrt((influence**2).mean() / 400) == pytest.approx(0.028, rel=0.1)


def test_every_interval_holds_its_figure_and_most_hold_the_truth() -> None:
    # Forecasts that are calibrated: the truth of each score is its expectation under them.
    held = {"log_loss": 0, "brier_score": 0, "roc_auc": 0, "expected_calibration_error": 0}
    many, chance = drawn(200_000, seed=99)
    truth = {name: measured_once(many, chance)[name] for name in held}
    truth["expected_calibration_error"] = 0.0
    for seed in range(60):
        found = measured(*drawn(400, seed), seed=seed)
        for name in (n for n in found if n.endswith("_lower")):
            stem = name.removesuffix("_lower")
            assert found[name] <= found[stem] <= found[f"{stem}_upper"]
        for name in held:
            held[name] += found[f"{name}_lower"] <= truth[name] <= found[f"{name}_upper"]
    # At 90 %, 54 of 60 are expected, deviation 2.3.
    assert min(held.values()) >= 47


def measured_once(outcome: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    return {
        "log_loss": float(log_loss(outcome, probability).mean()),
        "brier_score": float(brier_score(outcome, probability).mean()),
        "roc_auc": roc_auc(outcome, probability),
        "expected_calibration_error": 0.0,
    }


def test_one_kind_of_outcome_has_no_area_and_all_else() -> None:
    found = measured(np.ones(50), np.linspace(0.4, 0.6, 50))
    undefined = {name for name, value in found.items() if np.isnan(value)}
    assert undefined == {"roc_auc", "roc_auc_lower", "roc_auc_upper"}


def test_own_returns_chain_what_has_ended_by_the_day(market: Market) -> None:
    rows = rows_of(build_dataset(market, ("BTC",)), Cell("BTC", 5))
    close = pd.Series(
        market.prices["BTC"]["close"].to_numpy(),
        market.prices["BTC"]["date"].to_numpy("datetime64[D]"),
    ).reindex(rows.days)
    t = 400
    # Twenty days by steps of five end on the day itself.
    expected = np.log(close.iloc[t] / close.iloc[t - 20]) / (rows.volatility[t] * np.sqrt(20))
    assert own_returns(rows)[t, 0] == pytest.approx(expected)


def test_a_return_that_became_known_late_is_missing_until_then_and_no_longer(
    market: Market,
) -> None:
    rows = rows_of(build_dataset(market, ("BTC",)), Cell("BTC", 5))
    t = 400
    late = rows.known_on.copy()
    # The five days that ended on t were known on t + 5.
    late[t - 5] = rows.days[t + 5]
    found = own_returns(replace(rows, known_on=late))
    assert np.isnan(found[t]).all()
    np.testing.assert_array_equal(found[t + 5], own_returns(rows)[t + 5])


def test_the_momentum_forecaster_never_looks_ahead(market: Market) -> None:
    day = pd.Timestamp("2022-01-31", tz="UTC")
    cells = cells_of(("BTC",), (5,))
    said = {}
    for name, given in (("as it is", market), ("scrambled", scramble_after(market, day))):
        (run,) = walk_forward(build_dataset(given, ("BTC", "ETH")), cells, PLAIN).values()
        said[name] = momentum_forecast(run)[run.path.days < np.datetime64("2022-01-31")]
    np.testing.assert_array_equal(said["as it is"], said["scrambled"])


def test_the_momentum_forecaster_finds_momentum_and_loses_little_without(
    runs: dict[Cell, CellRun],
) -> None:
    run = runs[Cell("BTC", 1)]
    random = momentum_forecast(run)
    known = ~np.isnan(run.rows.outcome[np.searchsorted(run.rows.days, run.path.days)])
    outcome = run.rows.outcome[np.searchsorted(run.rows.days, run.path.days)]
    loss = log_loss(outcome[known], random[known]) - log_loss(
        outcome[known], run.path.base_rate[known]
    )
    # The guard's bound at one day: ln 2 nats in all, whatever happens.
    assert loss.sum() <= np.log(2) + 1e-9
    # A market whose next day rises exactly where the last twenty did.
    rose = own_returns(run.rows)[:, 0] > 0
    planted = replace(run.rows, outcome=np.where(np.isnan(run.rows.outcome), np.nan, 1.0 * rose))
    found = momentum_forecast(replace(run, rows=planted))
    outcome = planted.outcome[np.searchsorted(planted.days, run.path.days)]
    there = ~np.isnan(outcome)
    gain = log_loss(outcome[there], run.path.base_rate[there]) - log_loss(
        outcome[there], found[there]
    )
    assert gain.mean() > 0.05


def test_an_evaluation_says_all_its_figures_and_their_intervals(
    runs: dict[Cell, CellRun],
) -> None:
    found = evaluate_cell(runs[Cell("BTC", 5)]).metrics
    with_interval = {
        "log_loss", "log_loss_skill_score", "gain_mnat", "momentum_gain_mnat", "brier_score",
        "brier_skill_score", "brier_reliability", "brier_resolution", "brier_uncertainty",
        "roc_auc", "expected_calibration_error", "sharpness", "accuracy", "bet_sharpe_ratio",
        "bet_excess_return",
    }  # fmt: skip
    assert {f"{name}{end}" for name in with_interval for end in ("", "_lower", "_upper")} <= set(
        found
    )
    assert found["effective_n"] == pytest.approx(found["n"] / 5)
    assert 0 <= found["deflated_sharpe_ratio"] <= 1
    assert 0 <= found["probability_of_backtest_overfitting"] <= 1


def test_more_trials_deflate_the_sharpe_ratio(runs: dict[Cell, CellRun]) -> None:
    one, many = (
        evaluate_cell(runs[Cell("BTC", 5)], trials=trials).metrics["deflated_sharpe_ratio"]
        for trials in (1, 200)
    )
    assert many < one


def test_parts_of_a_kind_hold_every_day_once_and_average_to_the_whole(
    runs: dict[Cell, CellRun],
) -> None:
    evaluation = evaluate_cell(runs[Cell("BTC", 1)])
    for kind in KINDS:
        parts = skill_by([evaluation], kind)
        assert parts
        assert sum(part.n for part in parts) == len(evaluation.days)
        mean = sum(part.n * part.gain_mnat for part in parts) / len(evaluation.days)
        assert mean == pytest.approx(evaluation.metrics["gain_mnat"], abs=1e-9)


def test_parts_over_cells_average_each_day_and_count_it_once(runs: dict[Cell, CellRun]) -> None:
    both = [evaluate_cell(runs[Cell(asset, 5)]) for asset in ("BTC", "ETH")]
    horizon = skill_by(both, "horizon")
    assert [part.name for part in horizon] == ["5d"]
    mean = np.mean([both[0].gain[:100], both[1].gain[:100]], axis=0)
    assert np.array_equal(both[0].days, both[1].days)
    assert mean.shape == (100,)
    expected = 1000 * (both[0].gain.mean() + both[1].gain.mean()) / 2
    assert horizon[0].gain_mnat == pytest.approx(expected)
    assert horizon[0].effective_n == pytest.approx(len(both[0].days) / 5)
    assert [part.name for part in skill_by(both, "asset")] == ["BTC", "ETH"]
