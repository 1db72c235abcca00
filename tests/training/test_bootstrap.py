"""The bootstrap's own properties; what the figures make of it stands in test_evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from training.bootstrap import StationaryBootstrap, stationary_bootstrap_means


def moving_sums(n: int, h: int, seed: int) -> np.ndarray:
    return np.convolve(np.random.default_rng(seed).normal(size=n + h - 1), np.ones(h), "valid")


def test_columns_are_resampled_by_the_same_days() -> None:
    values = np.random.default_rng(0).normal(size=(200, 2))
    draws = StationaryBootstrap(200, block_length=5, resamples=100)
    both = draws.means(np.column_stack([values, values[:, 0] - values[:, 1]]))
    np.testing.assert_allclose(both[:, 2], both[:, 0] - both[:, 1], atol=1e-12)
    np.testing.assert_allclose(draws.means(values[:, 0]), both[:, 0], atol=1e-12)


def test_blocks_have_the_mean_length_asked_for_and_fill_every_resample() -> None:
    draws = StationaryBootstrap(1000, block_length=8, resamples=2000)
    counts = np.diff(draws._first)
    # One block at the start and another on each of 999 rows with chance 1/8: 125.9 on average.
    assert counts.mean() == pytest.approx(1 + 999 / 8, rel=0.01)
    # The number of begun blocks is binomial: variance 999 x 1/8 x 7/8 = 109.3.
    assert counts.var() == pytest.approx(109.3, rel=0.15)
    filled = np.add.reduceat(draws._sizes, draws._first[:-1])
    assert (filled == 1000).all()
    assert (draws._sizes > 0).all()


def test_blocks_of_one_row_draw_every_row_alike() -> None:
    # A column that marks the row: its mean over resamples is 1/n for each row.
    found = StationaryBootstrap(10, block_length=1, resamples=20_000).means(np.eye(10)).mean(axis=0)
    np.testing.assert_allclose(found, 0.1, atol=0.004)


def test_the_deviation_of_a_mean_is_that_of_the_closed_form() -> None:
    """Politis and Romano's variance: autocovariances of the circle, weighed by (1 - p)^lag."""
    values = moving_sums(400, 5, seed=1)
    around, n, chance = values - values.mean(), 400, 1 / 10
    circular = np.array([(around * np.roll(around, -lag)).mean() for lag in range(n)])
    lag = np.arange(1, n)
    weight = (1 - lag / n) * (1 - chance) ** lag + (lag / n) * (1 - chance) ** (n - lag)
    closed = np.sqrt((circular[0] + (weight * circular[1:]).sum()) / n)
    means = stationary_bootstrap_means(values, block_length=10, resamples=20_000)
    # The deviation of 20,000 draws is itself known to half a percent.
    assert means.std() == pytest.approx(closed, rel=0.02)


@pytest.mark.filterwarnings("ignore")
def test_standard_errors_are_those_of_a_peer() -> None:
    peer = pytest.importorskip("arch.bootstrap")
    values = np.column_stack([moving_sums(300, 5, seed) for seed in range(3)])
    theirs = peer.StationaryBootstrap(15, values, seed=2).apply(lambda v: v.mean(axis=0), 4000)
    ours = stationary_bootstrap_means(values, block_length=15, resamples=4000)
    np.testing.assert_allclose(ours.std(axis=0), np.asarray(theirs).std(axis=0), rtol=0.06)


def test_large_values_lose_no_digits_to_prefix_sums() -> None:
    values = 1e9 + np.random.default_rng(3).normal(size=3000)
    near = stationary_bootstrap_means(values - 1e9, block_length=20, resamples=50)
    far = stationary_bootstrap_means(values, block_length=20, resamples=50) - 1e9
    np.testing.assert_allclose(far, near, atol=1e-6)


def test_rows_that_were_not_drawn_are_refused() -> None:
    with pytest.raises(ValueError, match="needed 5 rows; found 4"):
        StationaryBootstrap(5, block_length=2).means(np.zeros(4))
