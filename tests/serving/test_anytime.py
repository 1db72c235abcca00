"""Intervals and evidence under daily looks, where outcomes overlap and forecasts feed on them."""

from __future__ import annotations

import numpy as np
import pytest

from serving.anytime import RHO, calibration_ratios, evidence, gain_bounds

PATHS, DAYS = 1000, 365


def null_paths(horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return outcomes of random walks over some days, and the log-odds of forecast and base rate.

    The chance of a rise is one half whatever was before. The forecast is a momentum rule, so
    that it hangs together with the overlapping outcomes that are not known yet.
    """
    random = np.random.default_rng(horizon)
    steps = random.normal(size=(PATHS, DAYS + 2 * horizon))
    walk = steps.cumsum(axis=1)
    today = np.arange(horizon, DAYS + horizon)
    outcome = (walk[:, today + horizon] > walk[:, today]).astype("float64")
    odds = 0.2 * np.sign(walk[:, today] - walk[:, today - horizon])
    return outcome, odds, 0.05 * np.sign(steps[:, today])


def gains(outcome: np.ndarray, odds: np.ndarray, base: np.ndarray) -> np.ndarray:
    sign = np.where(outcome == 1, 1.0, -1.0)
    return np.logaddexp(0, -sign * base) - np.logaddexp(0, -sign * odds)


@pytest.mark.parametrize("horizon", [1, 5])
def test_over_a_thousand_paths_looked_at_every_day_the_interval_excludes_the_truth_in_five_percent(
    horizon: int,
) -> None:
    outcome, odds, base = null_paths(horizon)
    gain = gains(outcome, odds, base)
    lower, upper = gain_bounds(gain, np.abs(odds - base), np.ones_like(gain), horizon)
    # The chance is one half: the mean gain given what was known is that of both outcomes.
    given = (gains(np.ones_like(gain), odds, base) + gains(np.zeros_like(gain), odds, base)) / 2
    truth = given.cumsum(axis=1) / np.arange(1, DAYS + 1)
    missed = ((truth < lower) | (truth > upper)).any(axis=1).mean()
    assert missed <= 0.05


def test_the_usual_interval_fails_who_looks_every_day() -> None:
    outcome, odds, base = null_paths(1)
    gain = gains(outcome, odds, base)
    given = (gains(np.ones_like(gain), odds, base) + gains(np.zeros_like(gain), odds, base)) / 2
    days = np.arange(30, DAYS)
    off = (gain - given).cumsum(axis=1)[:, days] / (days + 1)
    # Right on any one day; the law of the iterated logarithm sees to the rest.
    missed = (np.abs(off) > 1.96 * (gain - given).std() / np.sqrt(days + 1)).any(axis=1)
    assert missed.mean() > 0.2


def test_evidence_against_calibrated_forecasts_exceeds_twenty_on_at_most_one_path_in_twenty() -> (
    None
):
    outcome, _, base = (array[:, :100] for array in null_paths(3))
    ratios = calibration_ratios(outcome, np.zeros_like(outcome), base)
    assert (evidence(ratios, 3) > np.log(20)).any(axis=1).mean() <= 0.05


def test_a_planted_skill_is_seen_and_a_planted_bias_too() -> None:
    random = np.random.default_rng(1)
    # Seven times in ten, against a base rate of one half: KL is 0.0823 nat.
    outcome = (random.random(365) < 0.7).astype("float64")
    odds, base = np.full(365, np.log(7 / 3)), np.zeros(365)
    gain = gains(outcome, odds, base)
    lower, upper = gain_bounds(gain, odds, np.ones(365), 1)
    assert 0 < lower[-1] < 0.0823 < upper[-1]
    fair = calibration_ratios(outcome, odds, base)
    biased = calibration_ratios(outcome, odds + 0.8, base)
    assert evidence(fair, 1)[-1] < np.log(20) < evidence(biased, 1)[-1]


def test_the_interval_of_two_forecasts_is_the_formula_by_hand() -> None:
    # Two classes, one forecast each, alpha = 0.05 / 2; spread 0.4: V = 0.04.
    radius = np.sqrt((0.04 + RHO) * np.log((0.04 + RHO) / (RHO * 0.025**2)))
    lower, upper = gain_bounds(np.array([0.1, 0.3]), np.full(2, 0.4), np.ones(2), 2)
    # The mean is off by the sum of both bounds, over two.
    assert upper[1] == pytest.approx(0.2 + radius)
    assert lower[0] == pytest.approx(0.1 - radius)


def test_before_the_first_forecast_nothing_is_known() -> None:
    lower, upper = gain_bounds(np.zeros(2), np.zeros(2), np.array([0.0, 1.0]), 1)
    assert (lower[0], upper[0]) == (-np.inf, np.inf)
    assert np.isfinite([lower[1], upper[1]]).all()
