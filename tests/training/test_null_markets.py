"""Markets with nothing to find: what is certified there, and what passes as fit."""

from __future__ import annotations

import pytest
from threadpoolctl import threadpool_limits

from features import build_dataset
from models import ModelConfig, cells_of
from models.config import LogisticConfig
from sources.simulated import simulate_market
from training.evaluation import evaluate
from training.promotion import judge
from training.report import CellEvaluation, Verdict
from training.walkforward import walk_forward

ASSETS, HORIZONS = ("BTC", "ETH"), (1, 5, 20)
HONEST = ModelConfig(logistic=None, boosting=None)
"""The mixture without the classifiers, whose fits take minutes and whose weight is small."""
OVERFITTED = ModelConfig(
    signals=None, rules=None, boosting=None, calibration=None,
    logistic=LogisticConfig(prior_deviation=10.0),
)  # fmt: skip
"""Forty coefficients without shrinkage on overlapping outcomes, behind the guard as usual."""


def evaluations(seed: int, config: ModelConfig) -> tuple[CellEvaluation, ...]:
    with threadpool_limits(1):
        market = simulate_market("null", seed=seed, years=12.0, assets=ASSETS, horizons=HORIZONS)
        dataset = build_dataset(market.market, ASSETS, config.features)
        return evaluate(walk_forward(dataset, cells_of(ASSETS, HORIZONS), config))[0]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_of_a_hundred_null_markets_at_most_five_are_certified_and_nearly_all_are_harmless() -> None:
    jobs: list[Verdict] = []
    single: dict[str, int] = {}
    for seed in range(5000, 5100):
        cells = evaluations(seed, HONEST)
        jobs.append(judge(cells))
        for cell in cells:
            name = str(cell.cell)
            single[name] = single.get(name, 0) + judge([cell]).skill_certified
    assert sum(job.skill_certified for job in jobs) <= 5
    # A job of one cell has no other cells to dilute its luck.
    assert max(single.values()) <= 5, single
    assert sum(job.fit_to_serve for job in jobs) >= 95


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_of_forty_overfitted_versions_at_most_two_pass_as_fit() -> None:
    verdicts = [judge(evaluations(seed, OVERFITTED)) for seed in range(5000, 5040)]
    assert sum(verdict.fit_to_serve for verdict in verdicts) <= 2
    assert not any(verdict.skill_certified for verdict in verdicts)
