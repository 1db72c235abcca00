"""The mixture learns only from what was known, and its regret is bounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models import Cell, CellRows, ModelConfig, PathState, log_loss, run_path
from models.climatology import base_rate
from models.experts import Expert
from models.mixture import prior_weights

ALONE = ModelConfig(signals=None, rules=None)
"""Climatology and the two classifiers."""

FIRST = np.datetime64("2020-01-01", "D")


class Oracle:
    """An expert that says what it is told, by row."""

    def __init__(self, odds: np.ndarray) -> None:
        self.odds = odds

    def margin(self, features: np.ndarray) -> np.ndarray:
        return self.odds[features[:, 0].astype(int)]


def _rows(outcome: np.ndarray, horizon: int = 1) -> CellRows:
    n = len(outcome)
    days = FIRST + np.arange(n)
    return CellRows(
        cell=Cell("BTC", horizon),
        days=days,
        features=np.arange(n, dtype="float64")[:, None],
        names=("row",),
        usable=np.ones(n, dtype=bool),
        volatility=np.full(n, 0.03),
        outcome=outcome.astype("float64"),
        forward_return=outcome - 0.5,
        known_on=days + horizon,
    )


def _start(count: int = 3) -> PathState:
    empty = np.array([], dtype="datetime64[D]")
    return PathState(FIRST, 0.0, 0.0, np.zeros(count), empty, np.empty((0, count)))


def _experts(odds: np.ndarray, other: np.ndarray) -> tuple[Expert, Expert]:
    return Expert("logistic", Oracle(odds)), Expert("boosting", Oracle(other))  # type: ignore[arg-type]


def test_climatology_is_the_regularised_share_of_known_outcomes() -> None:
    # Laplace's rule: after 3 hits in 4 outcomes (3 + 1) / (4 + 2); five-day windows count a fifth.
    assert base_rate(np.array([3.0]), np.array([4.0]), 1)[0] == pytest.approx(4 / 6)
    assert base_rate(np.array([15.0]), np.array([20.0]), 5)[0] == pytest.approx(4 / 6)
    assert base_rate(np.array([0.0]), np.array([0.0]), 5)[0] == 0.5


def test_the_prior_gives_climatology_one_half_and_the_rest_equal_parts() -> None:
    np.testing.assert_allclose(prior_weights(ALONE), [0.5, 0.25, 0.25])
    nobody = ModelConfig(signals=None, rules=None, logistic=None, boosting=None)
    np.testing.assert_allclose(prior_weights(nobody), [1.0])
    # Climatology one half; signals 0.95 of the other; the last three share the rest.
    rest = 0.5 * 0.05 / 3
    np.testing.assert_allclose(prior_weights(ModelConfig()), [0.5, 0.475, rest, rest, rest])


@pytest.mark.parametrize("kind", ["all ones", "all zeros", "alternating", "late reversal", "coin"])
def test_regret_against_climatology_is_at_most_ln_2_on_any_sequence(kind: str) -> None:
    """At h = 1 each outcome is known before the next forecast, and the rate is 1.

    Log loss is 1-mixable, so the mixture's total loss exceeds that of climatology
    by at most ln(1/prior) = ln 2 nats whatever happens (Vovk 1990); here the
    experts do their worst: sure, and wrong, or right for long and wrong after.
    """
    n = 600
    outcome = {
        "all ones": np.ones(n),
        "all zeros": np.zeros(n),
        "alternating": np.arange(n) % 2,
        "late reversal": np.repeat([1, 0], n // 2),
        "coin": np.random.default_rng(5).integers(0, 2, n),
    }[kind].astype("float64")
    wrong = np.where(outcome == 1, -5.0, 5.0)
    turncoat = np.where(np.arange(n) < n // 2, -wrong, wrong)
    rows = _rows(outcome)
    config = ALONE
    path, _ = run_path(rows, _start(), [(FIRST, _experts(wrong, turncoat))], rows.days[-1], config)
    ours, base = log_loss(outcome, path.probability), log_loss(outcome, path.base_rate)
    assert (np.cumsum(ours - base) <= np.log(2) + 1e-9).all()


def test_the_mixture_finds_an_expert_that_knows() -> None:
    generator = np.random.default_rng(6)
    odds = generator.normal(size=800)
    outcome = (generator.random(800) < 1 / (1 + np.exp(-odds))).astype("float64")
    rows = _rows(outcome)
    path, _ = run_path(rows, _start(), [(FIRST, _experts(odds, -odds))], rows.days[-1], ALONE)
    assert path.weight[-1, path.names.index("logistic")] > 0.99


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_an_outcome_moves_nothing_before_the_day_it_is_known(horizon: int) -> None:
    generator = np.random.default_rng(7)
    outcome = generator.integers(0, 2, 300).astype("float64")
    odds = generator.normal(size=300)
    fits = [(FIRST, _experts(odds, -odds))]
    config = ALONE
    one, _ = run_path(_rows(outcome, horizon), _start(), fits, FIRST + 299, config)
    flipped = outcome.copy()
    flipped[150:] = 1 - flipped[150:]
    other, _ = run_path(_rows(flipped, horizon), _start(), fits, FIRST + 299, config)
    same = 150 + horizon  # the outcome of row 150 is known on that day
    np.testing.assert_array_equal(one.probability[:same], other.probability[:same])
    np.testing.assert_array_equal(one.base_rate[:same], other.base_rate[:same])
    assert one.probability[same] != other.probability[same]


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_a_path_resumed_from_any_state_repeats_itself_to_the_bit(horizon: int) -> None:
    generator = np.random.default_rng(8)
    outcome = generator.integers(0, 2, 400).astype("float64")
    outcome[50] = np.nan
    experts = _experts(generator.normal(size=400), generator.normal(size=400))
    rows = _rows(outcome, horizon)
    fits = [(FIRST + k, experts) for k in (0, 90, 180, 270)]
    config = ALONE
    whole, states = run_path(rows, _start(), fits, rows.days[-1], config)
    for state in states:
        again, _ = run_path(rows, state, [(state.as_of, experts)], rows.days[-1], config)
        at = int((state.as_of - FIRST).astype(int))
        for name in ("probability", "base_rate", "weight", "lower", "upper"):
            np.testing.assert_array_equal(getattr(whole, name)[at:], getattr(again, name))


def test_a_row_with_a_missing_feature_gets_the_base_rate_and_teaches_nothing() -> None:
    outcome = np.random.default_rng(9).integers(0, 2, 100).astype("float64")
    rows = _rows(outcome)
    holes = rows.features.copy()
    holes[40:60] = np.nan
    experts = _experts(np.full(100, 2.0), np.full(100, -2.0))
    path, _ = run_path(
        replace(rows, features=holes), _start(), [(FIRST, experts)], FIRST + 99, ALONE
    )
    np.testing.assert_array_equal(path.probability[40:60], path.base_rate[40:60])
    np.testing.assert_allclose(path.weight[41:61], np.repeat(path.weight[41:42], 20, axis=0))


def test_the_interval_holds_the_probability_and_narrows_as_outcomes_come_in() -> None:
    outcome = np.random.default_rng(10).integers(0, 2, 500).astype("float64")
    rows = _rows(outcome)
    path, _ = run_path(rows, _start(), [(FIRST, ())], rows.days[-1], ALONE)
    assert (path.lower < path.probability).all()
    assert (path.probability < path.upper).all()
    width = path.upper - path.lower
    # The deviation of a share falls with the root of the count: sqrt(102 / 502) = 0.45.
    assert width[-1] / width[100] == pytest.approx(np.sqrt(102 / 501), rel=0.05)
