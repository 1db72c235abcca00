"""The mixture learns only from what was known, and its regret is bounded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from models import Cell, CellRows, ModelConfig, Path, PathState, log_loss, run_path
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


def _signs(kind: str, horizon: int, n: int) -> np.ndarray:
    """Return (n,) when the expert is right (1) and when it is wrong (0)."""
    row = np.arange(n)
    if kind == "swings":
        return _swings(horizon, n)
    return {
        "always wrong": np.zeros(n),
        "right for long, then wrong": (row < n // 2).astype("float64"),
        "turns every h days": (row // horizon % 2 == 0).astype("float64"),
        "turns every 2h days": (row // (2 * horizon) % 2 == 0).astype("float64"),
        "right on one day in h": (row % horizon == 0).astype("float64"),
        "at random": np.random.default_rng(5).integers(0, 2, n).astype("float64"),
    }[kind]


def _swings(horizon: int, n: int) -> np.ndarray:
    """Return (n,) an expert of 0.8 that is right until it gained 2h nats, then wrong to -2h."""
    right, total = np.ones(n), 0.0
    for day in range(n):
        turn = abs(total) > 2 * horizon
        right[day] = total < 0 if turn else right[max(day - 1, 0)]
        total += np.log(2 * 0.8) if right[day] else np.log(2 * 0.2)
    return right


def _regret(rows: CellRows, path: Path, probability: np.ndarray | None = None) -> np.ndarray:
    """Return (n,) what a forecast (the mixture's) lost above climatology up to each day, nats."""
    said = path.probability if probability is None else probability
    there = ~np.isnan(rows.outcome)
    loss = log_loss(rows.outcome[there], said[there])
    return np.cumsum(loss - log_loss(rows.outcome[there], path.base_rate[there]))


SURE, SWINGING, LIKELY = 5.0, 1.386, 0.4
"""Log-odds of experts: 0.993, cut to 0.98, which costs 3.2 nats where it is wrong; 0.8; 0.6."""


@pytest.mark.parametrize("horizon", [1, 5, 20])
@pytest.mark.parametrize("odds", [SURE, SWINGING, LIKELY])
@pytest.mark.parametrize(
    "kind",
    [
        "always wrong",
        "right for long, then wrong",
        "turns every h days",
        "turns every 2h days",
        "right on one day in h",
        "swings",
        "at random",
    ],
)
def test_regret_is_at_most_h_ln_2_whatever_the_experts_do(
    kind: str, odds: float, horizon: int
) -> None:
    # h interleaved mixtures, each of which loses at most ln(1 / prior) = ln 2 (models/guard.py).
    n = 600
    outcome = np.random.default_rng(11).integers(0, 2, n).astype("float64")
    right = _signs(kind, horizon, n)
    said = odds * np.where(right == outcome, 1, -1)
    rows = _rows(outcome, horizon)
    path, _ = run_path(rows, _start(), [(FIRST, _experts(said, -said))], rows.days[-1], ALONE)
    assert (_regret(rows, path) <= horizon * np.log(2) + 1e-9).all()


def _against(horizon: int, n: int, pick: Callable[[float, float], bool]) -> tuple[CellRows, Path]:
    """Let an adversary pick each outcome once it has seen the forecast and the base rate.

    Forecasts of the next h days do not depend on outcomes of these days, so it picks h at once.
    The experts have turning moods: one says 0.6 and 0.4 for 2h days each, one 0.98 and 0.02 for 3h.
    """
    row = np.arange(n)
    moods = (
        LIKELY * np.where(row // (2 * horizon) % 2 == 0, 1, -1),
        SURE * np.where(row // (3 * horizon) % 2 == 0, 1, -1),
    )
    fits = [(FIRST, _experts(*moods))]
    outcome = np.full(n, np.nan)
    for block in range(0, n, horizon):
        stop = min(block + horizon, n)
        path, _ = run_path(_rows(outcome, horizon), _start(), fits, FIRST + stop - 1, ALONE)
        for day in range(block, stop):
            outcome[day] = pick(float(path.probability[day]), float(path.base_rate[day]))
    return _rows(outcome, horizon), path


@pytest.mark.parametrize("horizon", [1, 5, 20])
@pytest.mark.parametrize("aim", ["the forecast", "the difference"])
def test_regret_is_at_most_h_ln_2_against_an_adversary_who_sees_the_forecast(
    aim: str, horizon: int
) -> None:
    # It picks what the forecast holds unlikely, or what it holds less likely than climatology does.
    def pick(forecast: float, base: float) -> bool:
        return forecast < (0.5 if aim == "the forecast" else base)

    rows, path = _against(horizon, 300 if horizon == 1 else 600, pick)
    regret = _regret(rows, path)
    assert (regret <= horizon * np.log(2) + 1e-9).all()
    if aim == "the difference":
        # It comes near: the bound is no larger than it has to be.
        assert regret[-1] > 0.5 * horizon * np.log(2)


@pytest.mark.parametrize("horizon", [5, 20])
def test_without_the_guard_one_mixture_at_rate_1_over_h_has_no_such_bound(horizon: int) -> None:
    # The rule of the sketches, written again. Its weights lag by h days, and an expert whose gain
    # swings slowly meets on its way down the trust that it earned on its way up: each day costs
    # about w (1 - w) gain^2 / 2, without end.
    n = 4000
    outcome = np.random.default_rng(12).integers(0, 2, n).astype("float64")
    right = _signs("swings", horizon, n)
    said = SWINGING * np.where(right == outcome, 1, -1)
    rows = _rows(outcome, horizon)
    path, _ = run_path(rows, _start(), [(FIRST, _experts(said, said))], rows.days[-1], ALONE)
    expert = path.expert_probability[:, 1]
    gain = log_loss(outcome, path.base_rate) - log_loss(outcome, expert)
    known = np.concatenate([np.zeros(horizon), np.cumsum(gain)[:-horizon]])
    trust = 1 / (1 + np.exp(-known / horizon))
    plain = path.base_rate + trust * (expert - path.base_rate)
    assert _regret(rows, path, plain).max() > 3 * horizon * np.log(2)
    assert _regret(rows, path).max() <= horizon * np.log(2) + 1e-9


def test_an_outcome_that_comes_later_than_its_day_teaches_the_guard_nothing() -> None:
    # Each class of days would see its outcome after its next forecast: 600 days of a sure and
    # right expert, all late, leave the trust at its prior.
    outcome = np.ones(600)
    rows = _rows(outcome, 5)
    late = replace(rows, known_on=rows.known_on + 1)
    fits = [(FIRST, _experts(np.full(600, SURE), np.full(600, SURE)))]
    on_time, _ = run_path(rows, _start(), fits, rows.days[-1], ALONE)
    path, _ = run_path(late, _start(), fits, rows.days[-1], ALONE)
    np.testing.assert_allclose(path.weight[:, 0], 0.5)
    assert on_time.weight[100, 0] < 0.1


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
