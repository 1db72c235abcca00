"""Proper scores against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import brier_score, expected_log_loss, log_loss, reliability, roc_auc

chance = st.floats(0.01, 0.99)


@given(chance, chance)
def test_no_forecast_beats_the_truth_in_expectation(truth: float, other: float) -> None:
    p = np.array([truth])
    assert expected_log_loss(p, np.array([other]))[0] >= expected_log_loss(p, p)[0] - 1e-12
    brier = truth * brier_score(np.ones(1), np.array([other])) + (1 - truth) * brier_score(
        np.zeros(1), np.array([other])
    )
    assert brier[0] >= truth * (1 - truth) - 1e-12


@given(chance, chance)
def test_expected_loss_is_the_average_over_both_outcomes(truth: float, p: float) -> None:
    q = np.array([p])
    mean = truth * log_loss(np.ones(1), q) + (1 - truth) * log_loss(np.zeros(1), q)
    assert expected_log_loss(np.array([truth]), q)[0] == pytest.approx(mean[0])


def test_losses_of_several_experts_are_taken_column_by_column() -> None:
    losses = log_loss(np.array([1.0, 0.0]), np.array([[0.5, 0.25], [0.5, 0.25]]))
    np.testing.assert_allclose(losses, -np.log([[0.5, 0.25], [0.5, 0.75]]))


def test_calibrated_forecasts_have_little_calibration_error_and_biased_ones_their_bias() -> None:
    generator = np.random.default_rng(1)
    p = generator.uniform(0.2, 0.8, 200_000)
    y = (generator.random(len(p)) < p).astype("float64")
    assert reliability(y, p).expected_calibration_error < 0.005
    assert reliability(y, p + 0.1).expected_calibration_error == pytest.approx(0.1, abs=0.005)


def test_reliability_counts_every_forecast_once_and_its_band_holds_the_forecast() -> None:
    bins = reliability(np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.2, 0.9]), bins=10)
    assert bins.count.sum() == 3
    assert ((bins.lower <= bins.forecast) & (bins.forecast <= bins.upper)).all()


def test_auc_counts_the_pairs_in_the_right_order_with_ties_as_half() -> None:
    # Pairs (1, 0): 0.4 > 0.1, 0.4 = 0.4, 0.8 > both: 3.5 of 4.
    assert roc_auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8])) == 3.5 / 4
    assert np.isnan(roc_auc(np.ones(3), np.array([0.1, 0.4, 0.4])))
