"""The value of a betting rule, and how much of it is choice: papers' examples and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from training.betting import (
    backtest_overfitting,
    bet_returns,
    deflated_sharpe_ratio,
    expected_best_sharpe,
    probabilistic_sharpe_ratio,
    sharpe_ratio,
)


def test_an_h_th_placed_anew_pays_for_the_change_from_h_days_before() -> None:
    # Two days' bets: in, out, in again (no change from two days before), in (from out), out.
    said = np.array([0.6, 0.4, 0.6, 0.7, 0.5])
    earned = np.array([0.10, 0.20, 0.30, -0.10, 0.50])
    found = bet_returns(said, earned, horizon_days=2, cost=0.01)
    np.testing.assert_allclose(found, [0.09, 0.0, 0.30, -0.11, -0.01])


def test_holding_pays_once_and_cash_earns_nothing() -> None:
    earned = np.full(10, 0.01)
    held = bet_returns(np.ones(10), earned, horizon_days=3, cost=0.002)
    np.testing.assert_allclose(held, [0.008] * 3 + [0.01] * 7)
    assert not bet_returns(np.zeros(10), earned, horizon_days=3).any()


def test_many_forecasts_bet_as_each_alone() -> None:
    generator = np.random.default_rng(0)
    said, earned = generator.random((50, 3)), generator.normal(size=50)
    together = bet_returns(said, earned, horizon_days=5)
    for i in range(3):
        np.testing.assert_array_equal(
            together[:, i], bet_returns(said[:, i], earned, horizon_days=5)
        )


def test_the_deflated_sharpe_ratio_is_that_of_the_papers_example() -> None:
    """Bailey and Lopez de Prado (2014), section "A numerical example"."""
    # Five years of 250 days, an annual ratio of 2.5, skewness -3, kurtosis 10, a hundred trials
    # whose annual ratios have variance 1/2: the best expected without skill is 0.1132 a day,
    # and the deflated ratio 0.9004. With 46 trials it would be 0.9505.
    ratio, variance = 2.5 / np.sqrt(250), 0.5 / 250
    best = expected_best_sharpe(100, variance)
    assert best == pytest.approx(0.1132, abs=5e-5)
    found = probabilistic_sharpe_ratio(ratio, best, n=1250, skewness=-3, kurtosis=10)
    assert found == pytest.approx(0.9004, abs=5e-5)
    fewer = expected_best_sharpe(46, variance)
    found = probabilistic_sharpe_ratio(ratio, fewer, n=1250, skewness=-3, kurtosis=10)
    assert found == pytest.approx(0.9505, abs=5e-4)


def test_the_best_of_trials_without_skill_is_about_what_is_expected() -> None:
    best = np.random.default_rng(1).normal(size=(20_000, 50)).max(axis=1).mean()
    assert expected_best_sharpe(50, 1.0) == pytest.approx(best, rel=0.02)
    assert expected_best_sharpe(1, 1.0) == 0.0
    with pytest.raises(ValueError, match="needed at least 1; found 0"):
        expected_best_sharpe(0, 1.0)


def test_the_best_of_many_without_skill_is_seldom_taken_for_skill() -> None:
    generator = np.random.default_rng(2)
    fooled = naive = 0
    for _ in range(200):
        trials = generator.normal(size=(250, 30))
        best = trials[:, (trials.mean(axis=0) / trials.std(axis=0)).argmax()]
        fooled += deflated_sharpe_ratio(best, trials=30) > 0.95
        naive += deflated_sharpe_ratio(best, trials=1) > 0.95
    # The maximum lies above its mean by 1.645 deviations of a single trial in about one case
    # in 200; uncorrected, the best of 30 passes unless all 30 fail: 1 - 0.95^30 = 79 %.
    assert fooled <= 10
    assert naive > 130


def test_overlapping_bets_count_once() -> None:
    # The same returns, each h times over, are no better evidence than once.
    returns = np.random.default_rng(3).normal(0.1, 1, 300)
    once = deflated_sharpe_ratio(returns, trials=1)
    repeated = deflated_sharpe_ratio(np.repeat(returns, 5), trials=1, horizon_days=5)
    assert repeated == pytest.approx(once, abs=1e-9)


def test_a_strategy_that_never_bets_has_no_ratio_and_no_skill() -> None:
    assert sharpe_ratio(np.zeros(50)) == 0.0
    # A ratio of 0 is above 0 with probability one half, and above the best of ten with less.
    assert deflated_sharpe_ratio(np.zeros(50), trials=1) == 0.5
    assert deflated_sharpe_ratio(np.zeros(50), trials=10) < 0.1


def test_a_choice_among_pure_noise_is_overfitted_half_of_the_time() -> None:
    generator = np.random.default_rng(4)
    found = [
        backtest_overfitting(generator.normal(size=(240, 20)), parts=8).probability
        for _ in range(60)
    ]
    # A market's probability strays by about a quarter around one half, the mean of 60 by 0.03.
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


def test_a_choice_of_what_is_truly_better_is_not_overfitted() -> None:
    returns = np.random.default_rng(5).normal(size=(640, 10))
    returns[:, 3] += 0.5
    assert backtest_overfitting(returns).probability < 0.01


def test_a_choice_of_what_never_lasts_is_overfitted_always() -> None:
    # Each of two gains in one half of the parts and loses in the other: whoever leads inside
    # trails outside. Splits that hold as many of the one as of the other tie.
    first = np.repeat(np.tile([1.0, -1.0], 8), 10) + 1e-3 * np.tile([1.0, -1.0], 80)
    found = backtest_overfitting(np.column_stack([first, -first]))
    assert found.probability > 0.99 - (found.logits == 0).mean() / 2


def test_the_splits_of_four_parts_are_the_six_halves_and_ranks_are_by_hand() -> None:
    # Parts of two rows with means 1 0 0 1 for the first and 0 1 1 0 for the second, each +-1:
    # half {0, 3} chooses the first, which is below the second on {1, 2}: rank 1 of 2, logit
    # ln((1/3) / (2/3)) = -ln 2; {1, 2} likewise; the other four halves tie inside and outside:
    # rank 1.5 of 2, logit 0. So 2 below and 4 level: (2 + 4 / 2) / 6 = 2/3.
    first, second = np.array([1.0, 0, 0, 1]), np.array([0.0, 1, 1, 0])
    wobble = np.tile([1.0, -1.0], 4)
    returns = np.column_stack([np.repeat(first, 2) + wobble, np.repeat(second, 2) + wobble])
    found = backtest_overfitting(returns, parts=4)
    assert sorted(found.logits.round(6)) == pytest.approx([-np.log(2)] * 2 + [0] * 4, abs=1e-6)
    assert found.probability == pytest.approx(2 / 3)


def test_one_candidate_or_too_few_days_are_refused_with_needed_and_found() -> None:
    with pytest.raises(ValueError, match=r"at least 2 candidates.*found 1, 16 and 320 rows"):
        backtest_overfitting(np.zeros((320, 1)))
    with pytest.raises(ValueError, match=r"found 2, 16 and 31 rows"):
        backtest_overfitting(np.zeros((31, 2)))
