"""The leak alarm on honest worlds, on too much skill, and in the gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from features import build_dataset
from models import ModelConfig, cells_of
from sources.simulated import WORLDS, Simulated, simulate_market
from training.evaluation import evaluate
from training.leaks import check_pipeline
from training.plausibility import check_honest, check_plausible, check_skill
from training.promotion import judge
from training.report import CellEvaluation
from training.walkforward import CellRun, walk_forward

MakeEvaluation = Callable[..., CellEvaluation]
HORIZONS = (1, 5)
PLAIN = ModelConfig(logistic=None, boosting=None)
CLEAN = ("null", "flow", "high", "momentum", "breadth", "late_flow", "clock_slip", "break")
EVERY = [(world, seed) for seed in (21, 22, 23) for world in WORLDS][:50]


def simulated(world: str, seed: int, years: float = 3.0, strength: float = 1.0) -> Simulated:
    return simulate_market(
        world, seed=seed, years=years, horizons=HORIZONS, constituent_count=40, strength=strength
    )


def walked(world: Simulated) -> dict[object, CellRun]:
    market = world.market
    dataset = build_dataset(market, market.crypto, PLAIN.features)
    return walk_forward(dataset, cells_of(market.crypto, HORIZONS), PLAIN)


def alarms(world: Simulated, days: tuple[np.datetime64, ...]) -> list[str]:
    runs = walked(world)
    found = [
        *check_pipeline(world.market, PLAIN, horizons=HORIZONS, days=days),
        *check_skill(runs, world.truth),
        *check_plausible(evaluate(runs)[0]),
    ]
    return [str(finding) for finding in found]


@pytest.mark.parametrize("world", CLEAN)
def test_no_false_alarm_in_a_clean_world(world: str) -> None:
    assert alarms(simulated(world, 5), (np.datetime64("2015-07-01"),)) == []


@pytest.mark.slow
@pytest.mark.parametrize(("world", "seed"), EVERY)
def test_no_false_alarm_in_fifty_clean_worlds(world: str, seed: int) -> None:
    assert len(EVERY) == 50
    assert alarms(simulated(world, seed, years=4.0), ()) == []


@pytest.fixture(scope="module")
def null_world() -> Simulated:
    return simulated("null", 7)


@pytest.fixture(scope="module")
def null_runs(null_world: Simulated) -> dict[object, CellRun]:
    return walked(null_world)


def knowing(run: CellRun, share: float) -> CellRun:
    """Move the log-odds of each forecast by a share of a nat towards its outcome."""
    at = np.searchsorted(run.rows.days, run.path.days)
    told = np.nan_to_num(2 * run.rows.outcome[at] - 1)
    base = run.path.base_rate
    odds = np.log(base / (1 - base)) + share * told
    return replace(run, path=replace(run.path, probability=1 / (1 + np.exp(-odds))))


def test_a_forecast_that_knows_a_little_of_the_outcome_gains_more_than_the_truth_allows(
    null_world: Simulated, null_runs: dict[object, CellRun]
) -> None:
    # Log-odds moved by 0.4 the right way gain ln 2 - ln(1 + exp(-0.4)) = 0.18 nats a day, and
    # cost as much in expectation under the truth; an error at h = 1 is 0.2 / root n, n = 700.
    told = {cell: knowing(run, 0.4) for cell, run in null_runs.items()}
    found = check_skill(told, null_world.truth)
    assert [finding.where for finding in found] == [str(cell) for cell in told]
    assert {finding.what for finding in found} == {"skill above the limit"}


def prophets(world: Simulated) -> dict[object, CellRun]:
    """Return runs whose forecasts are the truth itself."""
    truth = world.truth.set_index(["asset", "horizon", "date"])["p_star"].sort_index()
    runs = {}
    for cell, run in walked(world).items():
        p_star = truth[cell.asset, cell.horizon_days].reindex(run.path.days.astype("M8[us]"))
        told = p_star.fillna(0.5).to_numpy()
        runs[cell] = replace(run, path=replace(run.path, probability=told))
    return runs


def test_the_truth_itself_is_no_skill_above_the_limit_however_strong_the_signal() -> None:
    world = simulated("flow", 9, strength=5.0)
    runs = prophets(world)
    evaluations = evaluate(runs)[0]
    assert check_skill(runs, world.truth) == ()
    # A real market with as much skill would be suspected.
    assert {"BTC_5d", "ETH_5d"} <= {finding.where for finding in check_plausible(evaluations)}
    assert check_honest(runs, evaluations, world.truth) == ()
    assert judge(evaluations, suspects=()).skill_certified
    # What the truth does not speak of is held against experience.
    of_a_day = world.truth[world.truth["horizon"] == 1]
    found = check_honest(runs, evaluations, of_a_day)
    assert {finding.where for finding in found} == {str(c) for c in runs if c.horizon_days == 5}
    assert check_honest(runs, evaluations, None) == check_plausible(evaluations)


@pytest.mark.parametrize(
    ("horizon_days", "metrics", "suspected"),
    [
        # 3000 days: the error of the area is 1 / root 9000 = 0.0105, so its lower bound
        # is 0.0173 below; 0.61 may be chance, 0.62 may not.
        pytest.param(1, {"roc_auc": 0.61}, [], id="an-area-that-chance-reaches"),
        pytest.param(1, {"roc_auc": 0.62}, ["area"], id="an-area-above-0.60"),
        # 150 outcomes of 20 days: 1.645 / root 450 = 0.078.
        pytest.param(20, {"roc_auc": 0.67}, [], id="an-area-of-few-outcomes"),
        pytest.param(20, {"roc_auc": 0.69}, ["area"], id="an-area-of-few-outcomes-above"),
        # The published claims of 75 to 85 %.
        pytest.param(5, {"accuracy": 0.80}, ["accuracy"], id="an-accuracy-that-leakage-gives"),
        pytest.param(5, {"gain_mnat_lower": 16.1}, ["gain"], id="a-gain-above-16-mnat"),
        pytest.param(5, {"gain_mnat_lower": 15.9}, [], id="a-gain-below-16-mnat"),
    ],
)
def test_implausible_skill_is_suspected_once_chance_is_ruled_out(
    make_evaluation: MakeEvaluation,
    horizon_days: int,
    metrics: dict[str, float],
    suspected: list[str],
) -> None:
    made = make_evaluation("BTC", horizon_days, effective_n=3000 / horizon_days, **metrics)
    found = check_plausible([made])
    assert [finding.found.split()[0] for finding in found] == suspected
    assert all(finding.where == f"BTC_{horizon_days}d" for finding in found)


def test_the_gate_lets_implausible_skill_neither_be_served_nor_certified_and_says_so(
    make_evaluation: MakeEvaluation,
) -> None:
    good = {"gain_mnat": 8.0}
    sound, leaky = make_evaluation("BTC", 5, **good), make_evaluation("ETH", 5, roc_auc=0.95)
    verdict = judge([sound, leaky])
    assert (verdict.fit_to_serve, verdict.skill_certified) == (False, False)
    refused = [text for passed, text in verdict.checks if not passed and "leak alarm" in text]
    assert len(refused) == 1
    assert refused[0].startswith("fit to serve: leak alarm silent: needed")
    assert "ETH_5d" in refused[0]
    assert judge([sound]).fit_to_serve
