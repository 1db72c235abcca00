"""Figures come with honest uncertainty."""

from __future__ import annotations

import numpy as np
import pytest

from training.bootstrap import stationary_bootstrap_means
from training.evaluation import block_length, p_value


def test_the_bootstrap_knows_the_deviation_of_an_independent_mean() -> None:
    # The mean of n independent unit normals has deviation 1 / root n.
    values = np.random.default_rng(1).normal(size=1000)
    means = stationary_bootstrap_means(values, block_length=1, resamples=4000)
    assert means.std() == pytest.approx(values.std() / np.sqrt(1000), rel=0.05)
    assert means.mean() == pytest.approx(values.mean(), abs=0.003)


def test_the_bootstrap_sees_that_overlapping_windows_are_few() -> None:
    # A moving sum over 20 steps: the mean of n of them varies as the mean of n steps times 20.
    steps = np.random.default_rng(2).normal(size=4000)
    values = np.convolve(steps, np.ones(20), "valid")
    blocks = stationary_bootstrap_means(values, block_length=60).std()
    naive = stationary_bootstrap_means(values, block_length=1).std()
    assert blocks == pytest.approx(20 / np.sqrt(len(values)), rel=0.2)
    assert blocks > 3 * naive


def test_every_resample_has_as_many_terms_as_the_sample() -> None:
    means = stationary_bootstrap_means(np.ones(137), block_length=7.5, resamples=500)
    np.testing.assert_allclose(means, 1.0)


def test_p_values_are_uniform_under_no_gain() -> None:
    generator = np.random.default_rng(3)
    found = [p_value(generator.normal(size=400), 1, seed=i) for i in range(200)]
    # 200 uniform draws below 0.1: 20 expected, deviation 4.2.
    assert 8 <= sum(p < 0.1 for p in found) <= 33


def test_a_clear_gain_has_a_small_p_value_and_none_has_one() -> None:
    assert p_value(np.random.default_rng(4).normal(0.3, 1, 500), 1) < 0.001
    assert p_value(np.zeros(100), 5) == 1.0


def test_blocks_are_at_least_two_horizons() -> None:
    assert block_length(1000, 20) == 40
    assert block_length(1000, 1) == 10
