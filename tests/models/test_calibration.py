"""Calibration learns from what was known, does no harm, and keeps the order of thresholds."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.isotonic import IsotonicRegression

from models import Cell, CellRows, ModelConfig, Path, log_loss
from models.calibration import (
    CENTRES,
    CalibrationState,
    calibrated,
    calibrator_names,
    calibrator_priors,
    initial_calibration,
    isotonic_at,
    venn_abers_at,
)
from models.config import CalibrationConfig

CONFIG = ModelConfig()
FIRST = np.datetime64("2020-01-01", "D")


def _rows(outcome: np.ndarray, horizon: int = 1, threshold: float = 0.0) -> CellRows:
    n = len(outcome)
    days = FIRST + np.arange(n)
    return CellRows(
        cell=Cell("BTC", horizon, threshold),
        days=days,
        features=np.zeros((n, 1)),
        names=("nothing",),
        usable=np.ones(n, dtype=bool),
        volatility=np.full(n, 0.03),
        outcome=outcome.astype("float64"),
        forward_return=outcome - 0.5,
        known_on=days + horizon,
    )


def _path(probability: np.ndarray, base: float = 0.5, level: Path | None = None) -> Path:
    n = len(probability)
    return Path(
        names=("climatology",),
        days=FIRST + np.arange(n),
        base_rate=np.full(n, base),
        expert_probability=np.full((n, 1), base),
        weight=np.ones((n, 1)),
        probability=probability,
        lower=0.9 * probability,
        upper=0.9 * probability + 0.1,
        informed=np.ones(n, dtype=bool),
        level=level,
    )


def _calibrated(rows: CellRows, path: Path, config: ModelConfig = CONFIG) -> Path:
    return calibrated(
        rows, path, initial_calibration(FIRST, rows.cell.horizon_days, config), (), config
    )[0]


def _chance(odds: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-odds)))


def _odds(probability: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(probability / (1 - probability)))


def _drawn(odds: np.ndarray, seed: int = 3) -> np.ndarray:
    draw = np.random.default_rng(seed).random(len(odds))
    return (draw < _chance(odds)).astype("float64")


def test_the_mixture_as_it_is_starts_with_most_of_the_belief() -> None:
    prior = calibrator_priors(CONFIG)
    assert len(prior) == len(calibrator_names(CONFIG))
    assert prior.sum() == pytest.approx(1.0)
    assert prior[0] > 0.5
    with pytest.raises(ValidationError, match=r"needed priors of calibrators up to 0.5 in all"):
        CalibrationConfig(isotonic_prior=0.4)
    with pytest.raises(ValidationError, match="needed a prior for each of 2 factors; found 4"):
        CalibrationConfig(factors=(0.5, 2.0))


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_a_future_outcome_changes_no_earlier_calibrated_probability(horizon: int) -> None:
    odds = np.random.default_rng(1).normal(0, 0.4, 300)
    outcome = _drawn(2 * odds)
    one = _calibrated(_rows(outcome, horizon), _path(_chance(odds)))
    flipped = outcome.copy()
    flipped[150:] = 1 - flipped[150:]
    other = _calibrated(_rows(flipped, horizon), _path(_chance(odds)))
    same = 150 + horizon  # the outcome of row 150 is known on that day
    for name in ("probability", "lower", "upper", "shift"):
        np.testing.assert_array_equal(getattr(one, name)[:same], getattr(other, name)[:same])
    assert one.probability[same] != other.probability[same]


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_a_calibration_resumed_from_any_state_repeats_itself_to_the_bit(horizon: int) -> None:
    odds = np.random.default_rng(2).normal(0, 0.4, 400)
    rows, path = _rows(_drawn(odds), horizon), _path(_chance(odds))
    months = [np.datetime64(f"2020-{month:02d}-01", "D") for month in (1, 4, 7, 10)]
    whole, states = calibrated(
        rows, path, initial_calibration(FIRST, horizon, CONFIG), months, CONFIG
    )
    for state in states:
        assert state is not None
        kept = CalibrationState.from_json(json.loads(json.dumps(state.to_json())))
        at = int((kept.as_of - FIRST).astype(int))
        rest = replace(
            path,
            **{
                name: getattr(path, name)[at:]
                for name in ("days", "base_rate", "probability", "lower", "upper", "informed")
            },
        )
        again, _ = calibrated(rows, rest, kept, (), CONFIG)
        for name in ("probability", "lower", "upper", "shift"):
            np.testing.assert_array_equal(getattr(whole, name)[at:], getattr(again, name))


def test_a_forecast_too_timid_by_half_is_made_bolder_and_one_too_bold_more_timid() -> None:
    odds = np.random.default_rng(4).normal(0, 0.5, 3000)
    rows = _rows(_drawn(odds))
    for said, lowest, highest in ((odds / 2, 1.3, 2.2), (odds * 1.6, 0.5, 0.85)):
        path = _calibrated(rows, _path(_chance(said)))
        late = slice(2000, None)
        moved = _odds(path.probability)[late]
        slope = (moved * said[late]).sum() / (said[late] ** 2).sum()
        assert lowest < slope < highest
        raw = log_loss(rows.outcome, _chance(said))[late]
        assert log_loss(rows.outcome, path.probability)[late].mean() < raw.mean()


def test_a_bent_forecast_is_straightened_where_no_factor_can() -> None:
    """The forecast adds 0.8 to every log-odds; only frequencies can tell, not temperature."""
    odds = np.random.default_rng(5).normal(0, 0.3, 3000)
    rows = _rows(_drawn(odds))
    path = _calibrated(rows, _path(_chance(odds + 0.8)))
    off = _odds(path.probability)[2000:] - odds[2000:]
    assert abs(off.mean()) < 0.15


@pytest.mark.parametrize("horizon", [1, 5, 20])
@pytest.mark.parametrize("kind", ["all ones", "alternating", "late reversal", "slow swing", "coin"])
def test_calibration_costs_at_most_its_prior_whatever_happens(kind: str, horizon: int) -> None:
    """The total loss exceeds the mixture's by at most h ln(1 / 0.736) = 0.307 h nats.

    The slow swing turns as soon as what it taught has arrived.
    """
    n = 900
    outcome = {
        "all ones": np.ones(n),
        "alternating": np.arange(n) % 2,
        "late reversal": np.repeat([1, 0], n // 2),
        "slow swing": np.arange(n) // (2 * horizon) % 2,
        "coin": np.random.default_rng(5).integers(0, 2, n),
    }[kind].astype("float64")
    for odds in (np.where(outcome == 1, -1.2, 1.2), np.random.default_rng(6).normal(0, 1, n)):
        path = _path(_chance(odds))
        after = _calibrated(_rows(outcome, horizon), path)
        cost = log_loss(outcome, after.probability) - log_loss(outcome, path.probability)
        assert np.cumsum(cost).max() <= -horizon * np.log(calibrator_priors(CONFIG)[0]) + 1e-9


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    horizon=st.sampled_from([1, 5, 20]),
    scale=st.floats(0.01, 3),
    truth=st.floats(-3, 3),
)
def test_the_probability_falls_with_the_threshold_after_calibration(
    seed: int, horizon: int, scale: float, truth: float
) -> None:
    generator = np.random.default_rng(seed)
    odds = generator.normal(0, scale, 150).clip(-3.8, 3.8)
    outcome = _drawn(truth * odds, seed)
    level = _path(_chance(odds), base=float(generator.uniform(0.3, 0.7)))
    reference = _rows(outcome, horizon)
    drops = np.cumsum(generator.uniform(1e-6, 0.5, (4, 150)), axis=0)
    before = _calibrated(reference, level).probability
    for k, drop in enumerate(drops):
        rows = replace(_rows(outcome, horizon, 0.01 * (k + 1)), reference=reference)
        higher = _path(_chance(odds - drop), base=0.2, level=level)
        after = _calibrated(rows, higher).probability
        assert (after < before).all()
        before = after


def test_another_threshold_moves_by_what_threshold_0_moved() -> None:
    odds = np.random.default_rng(8).normal(0, 0.5, 500)
    outcome = _drawn(2 * odds)
    level = _path(_chance(odds))
    rows = replace(_rows(outcome, 5, 0.05), reference=_rows(outcome, 5))
    after = _calibrated(rows, _path(_chance(odds - 1.0), base=0.3, level=level))
    moved = _calibrated(_rows(outcome, 5), level)
    assert after.shift is not None
    np.testing.assert_array_equal(after.shift, moved.shift)
    np.testing.assert_allclose(_odds(after.probability), odds - 1.0 + after.shift, atol=1e-12)


def test_where_nobody_speaks_nothing_is_moved() -> None:
    odds = np.full(400, 0.4)
    path = replace(_path(_chance(odds)), informed=np.arange(400) < 200)
    after = _calibrated(_rows(_drawn(-odds)), path)
    np.testing.assert_array_equal(after.probability[200:], path.probability[200:])
    assert (after.probability[100:200] != path.probability[100:200]).all()


def test_without_calibration_the_path_is_the_mixtures_own() -> None:
    config = ModelConfig(calibration=None)
    path = _path(np.full(10, 0.6))
    assert initial_calibration(FIRST, 1, config) is None
    assert calibrated(_rows(np.ones(10)), path, None, [FIRST], config) == (path, [None])


def test_the_min_max_form_is_scikit_learns_isotonic_regression() -> None:
    generator = np.random.default_rng(9)
    weight = generator.uniform(0.1, 5, (20, len(CENTRES)))
    share = generator.random((20, len(CENTRES)))
    tally = np.stack([weight, weight * share], axis=2)
    for at in (0, 7, len(CENTRES) - 1):
        ours = isotonic_at(tally, np.full(20, at))
        theirs = [
            IsotonicRegression().fit_transform(CENTRES, y, sample_weight=w)[at]
            for y, w in zip(share, weight, strict=True)
        ]
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_venn_abers_weighs_both_outcomes_of_today() -> None:
    # One place, 3 of 4 true: with a 0 today 3/5, with a 1 today 4/5; 0.8 / (1 - 0.6 + 0.8) = 2/3.
    tally = np.array([[[4.0, 3.0]]])
    assert venn_abers_at(tally, np.array([0]))[0] == pytest.approx(2 / 3)
