"""Tests of significance against closed forms, what they promise under equality, and a peer."""

from __future__ import annotations

import numpy as np
import pytest

from sources.errors import InsufficientHistoryError
from training.significance import (
    corrected_p_value,
    diebold_mariano,
    holm,
    model_confidence_set,
    pairwise,
    superior_ability,
)


def moving_sums(n: int, h: int, generator: np.random.Generator) -> np.ndarray:
    return np.convolve(generator.normal(size=n + h - 1), np.ones(h), "valid")


def test_diebold_and_mariano_by_hand_at_two_days() -> None:
    # Mean 1, deviations 1 1 -1 -1 1 -1: gamma_0 = 1, gamma_1 = (1 - 1 + 1 - 1 - 1) / 6 = -1/6, so
    # the long-run variance is 1 - 2/6 = 2/3 and the error sqrt(2/3 / 6) = 1/3. The correction is
    # sqrt((6 + 1 - 4 + 2/6) / 6) = sqrt(5/9), and the statistic 3 sqrt(5) / 3 = sqrt(5).
    found = diebold_mariano(np.array([2.0, 2, 0, 0, 2, 0]), np.zeros(6), horizon_days=2)
    assert found.standard_error == pytest.approx(1 / 3)
    assert found.statistic == pytest.approx(np.sqrt(5))
    # gamma_0 over the long-run variance: six outcomes that alternate say as much as nine.
    assert found.effective_n == pytest.approx(9)
    assert found.least_detectable == pytest.approx(2.487 / 3, abs=1e-3)


def test_p_values_are_students() -> None:
    # The example of the docstring: statistic 1 with 3 degrees. Student's distribution function
    # there is 1/2 + (atan(1/sqrt 3) + (1/sqrt 3) / (1 + 1/3)) / pi = 0.804499.
    found = diebold_mariano(np.array([1.0, 1, 1, -1]), np.zeros(4))
    assert found.p_better == pytest.approx(1 - 0.804499, abs=1e-6)
    assert found.p_value == pytest.approx(2 * found.p_better)


def test_the_long_run_variance_of_overlapping_windows_is_found() -> None:
    # Sums of h unit steps: gamma_k = h - k, so the long-run variance is h + 2 sum (h - k) = h^2,
    # the error of the mean h / sqrt(n), and n / h outcomes do not depend on each other.
    values = moving_sums(40_000, 5, np.random.default_rng(0))
    found = diebold_mariano(values, np.zeros_like(values), horizon_days=5)
    assert found.standard_error == pytest.approx(5 / 200, rel=0.05)
    assert found.effective_n == pytest.approx(8000, rel=0.1)


def test_the_long_run_variance_of_an_autoregression_is_found_to_its_last_lag() -> None:
    # x_t = a x_{t-1} + e_t has gamma_k = a^k / (1 - a^2). To lag h - 1 they add up to
    # (1 + 2 (a - a^h) / (1 - a)) / (1 - a^2): with a = 1/2 and h = 10, 2.998 / 0.75 = 3.997.
    steps = np.random.default_rng(1).normal(size=60_000)
    series = np.zeros_like(steps)
    for t in range(1, len(steps)):
        series[t] = 0.5 * series[t - 1] + steps[t]
    found = diebold_mariano(series, np.zeros_like(series), horizon_days=10)
    assert found.standard_error**2 * len(steps) == pytest.approx(3.997, rel=0.06)


@pytest.mark.parametrize(("horizon", "naive"), [(1, False), (5, False), (5, True)])
def test_equal_forecasts_are_told_apart_as_often_as_stated_and_oftener_with_a_wrong_lag(
    horizon: int, naive: bool
) -> None:
    generator = np.random.default_rng(2)
    lag = 1 if naive else horizon
    rejected = 0
    for _ in range(400):
        difference = moving_sums(250, horizon, generator)
        found = diebold_mariano(difference, np.zeros(250), horizon_days=lag)
        rejected += found.p_value < 0.1
    # 400 tests at 10 %: 40 expected, deviation 6. Without the lag the error is too small by
    # sqrt(5), and |z| > 1.645 / 2.236 happens in 46 % of cases.
    assert (140 <= rejected <= 230) if naive else (20 <= rejected <= 62)


def test_identical_losses_differ_by_nothing_and_a_constant_lead_is_certain() -> None:
    same = np.random.default_rng(3).random(50)
    assert diebold_mariano(same, same, horizon_days=5).p_value == 1.0
    ahead = diebold_mariano(np.ones(50), np.zeros(50), horizon_days=5)
    assert (ahead.mean, ahead.p_better) == (1.0, 0.0)


def test_a_variance_that_is_not_positive_is_weighed_until_it_is() -> None:
    # 1 -1 1 -1 ... has gamma_0 = 1 and gamma_1 = -9/10: the plain sum is -0.8; Bartlett's
    # weight of 1/2 makes it 0.1.
    found = diebold_mariano(np.tile([1.0, -1.0], 5), np.zeros(10), horizon_days=2)
    assert found.standard_error == pytest.approx(np.sqrt(0.1 / 10))


def test_too_few_days_are_refused_with_needed_and_found() -> None:
    with pytest.raises(InsufficientHistoryError, match=r"needed at least 41 days; found 40"):
        diebold_mariano(np.arange(40.0), np.zeros(40), horizon_days=20)


def test_pairs_are_tested_once_in_order() -> None:
    flat = np.zeros(30)
    assert list(pairwise({"a": flat, "b": flat, "c": flat}, horizon_days=1)) == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]


def test_the_best_of_many_without_skill_is_not_superior_more_often_than_stated() -> None:
    generator = np.random.default_rng(4)
    rejected = naive = 0
    for i in range(120):
        benchmark = generator.normal(size=200)
        candidates = generator.normal(size=(200, 20))
        found = superior_ability(benchmark, candidates, block_length=2, resamples=400, seed=i)
        rejected += found.p_value < 0.1
        one = diebold_mariano(benchmark, candidates[:, found.best])
        naive += one.p_better < 0.1
    # 120 tests at 10 %: 12 expected, deviation 3.3. Looking only at the best of 20, whose gains on
    # one benchmark correlate by a half, half of them reject.
    assert rejected <= 22
    assert naive > 40


def test_one_good_candidate_among_bad_ones_is_found_and_bad_ones_do_not_hide_it() -> None:
    generator = np.random.default_rng(5)
    benchmark = generator.normal(size=500)
    bad = benchmark[:, None] + 3 + 3 * generator.normal(size=(500, 40))
    good = benchmark - 0.12 + generator.normal(size=500)
    found = superior_ability(benchmark, np.column_stack([bad, good]), block_length=2)
    assert found.best == 40
    assert found.p_lower <= found.p_value <= found.p_upper
    # White's reality check pays for the forty that are hopeless.
    assert found.p_value < 0.02 < found.p_upper


def test_a_candidate_that_is_the_benchmark_is_not_superior() -> None:
    losses = np.random.default_rng(6).random(100)
    assert superior_ability(losses, losses[:, None], block_length=2).p_value == 1.0


def test_the_confidence_set_drops_the_worse_and_keeps_all_the_best_as_often_as_stated() -> None:
    generator = np.random.default_rng(7)
    complete = 0
    for i in range(60):
        shared = generator.normal(size=(400, 1))
        losses = shared + 0.5 * generator.normal(size=(400, 5)) + [0, 0, 0, 0.25, 0.5]
        p = model_confidence_set(losses, block_length=2, resamples=500, seed=i)
        assert (p[3:] < 0.1).all()
        complete += bool((p[:3] >= 0.1).all())
    # Of 60 sets at 90 %, 54 are expected to hold all three equals, deviation 2.3.
    assert complete >= 46


def test_a_candidate_is_no_less_plausible_than_any_taken_out_before_it() -> None:
    # Without the first that was taken out, the rest go as before: their p-values are those, or
    # that of the first where it is greater.
    generator = np.random.default_rng(11)
    lifted = 0
    for i in range(40):
        losses = generator.normal(size=(60, 4))
        p = model_confidence_set(losses, block_length=2, resamples=200, seed=i)
        rest = [k for k in range(4) if k != p.argmin()]
        alone = model_confidence_set(losses[:, rest], block_length=2, resamples=200, seed=i)
        np.testing.assert_allclose(p[rest], np.maximum(alone, p.min()))
        lifted += bool((alone < p.min()).any())
    assert lifted > 0


def test_copies_of_one_model_are_all_in_the_confidence_set() -> None:
    losses = np.repeat(np.random.default_rng(8).random((50, 1)), 3, axis=1)
    assert model_confidence_set(losses, block_length=2).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.filterwarnings("ignore")
def test_superior_ability_and_the_confidence_set_agree_with_a_peer() -> None:
    peer = pytest.importorskip("arch.bootstrap")
    generator = np.random.default_rng(9)
    benchmark = generator.normal(size=300)
    losses = benchmark[:, None] + generator.normal(size=(300, 4)) + [-0.09, 0.0, 0.05, 0.2]
    ours = superior_ability(benchmark, losses, block_length=5, resamples=4000)
    theirs = peer.SPA(benchmark, losses, block_size=5, reps=4000, seed=1)
    theirs.compute()
    lower, consistent, upper = theirs.pvalues
    assert ours.p_value == pytest.approx(consistent, abs=0.03)
    assert (ours.p_lower, ours.p_upper) == pytest.approx((lower, upper), abs=0.03)
    held = peer.MCS(losses, 0.1, method="max", block_size=5, reps=4000, seed=1)
    held.compute()
    expected = held.pvalues["Pvalue"].sort_index().to_numpy()
    np.testing.assert_allclose(
        model_confidence_set(losses, block_length=5, resamples=4000), expected, atol=0.05
    )


def test_a_p_value_is_multiplied_by_the_trials_it_was_chosen_from_and_never_exceeds_one() -> None:
    assert corrected_p_value(0.01, 3) == pytest.approx(0.03)
    assert corrected_p_value(0.4, 3) == 1.0
    with pytest.raises(ValueError, match="needed at least 1; found 0"):
        corrected_p_value(0.4, 0)


def test_the_best_of_many_trials_is_significant_after_correction_as_seldom_as_stated() -> None:
    # The least of 50 uniform p-values, times 50, is below 5 % in 1 - (1 - 0.001)^50 = 4.9 %.
    least = np.random.default_rng(10).random((4000, 50)).min(axis=1)
    share = np.mean([corrected_p_value(p, 50) < 0.05 for p in least])
    assert share == pytest.approx(0.049, abs=0.012)


def test_holm_corrects_a_family_step_by_step() -> None:
    # 0.01 x 4, 0.02 x 3, then 0.03 x 2 = 0.06 as before, then 0.5 x 1.
    assert holm([0.5, 0.01, 0.03, 0.02]) == pytest.approx([0.5, 0.04, 0.06, 0.06])
