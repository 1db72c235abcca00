"""The score test, the projections and the rule of the verdict, by hand and by size."""

import numpy as np
import pytest

from sources.errors import InsufficientHistoryError
from training.study.granger import agreement, block_tests
from training.study.projections import project
from training.study.ties import Tie
from training.study.verdict import Evidence, judge


def test_the_score_statistic_is_what_it_is_by_hand():
    # x = 1, -1, 0, 0 and z = 1, 1, -1, -1, over and over: mean x = mean z = mean xz = 0. With
    # y = x + 2 z = 3, 1, -2, -2 the score x y is 3, -1, 0, 0: its sum is n / 2, the sum of its
    # squares 10 n / 4, so S = (n / 2)^2 / (10 n / 4) = n / 10. (With one variance for all days
    # it would be n / 9.)
    n = 400
    x, z = np.tile([1.0, -1.0, 0.0, 0.0], n // 4), np.tile([1.0, 1.0, -1.0, -1.0], n // 4)
    found = block_tests(x + 2 * z, {"x": x[:, None]}, np.empty((n, 0)))["x"]
    assert found.statistic == pytest.approx(n / 10)
    assert found.partial_r2 == pytest.approx(0.5 / 4.5)  # variance of x, and of x + 2 z
    assert (found.df, found.n) == (1, n)
    assert found.p_value == pytest.approx(1 / 1000)  # no draw of 999 is as large
    # The slope is 1, what is left 2 z, and Wald's statistic (n / 2)^2 / (4 n / 2) = n / 8 = 50.
    # The root of the noncentrality lies 1.645 on either side of sqrt(50).
    low, high = ((np.sqrt(50) + side * 1.645) ** 2 for side in (-1, 1))
    assert found.lower == pytest.approx(low / (n + low), rel=0.01)
    assert found.upper == pytest.approx(high / (n + high), rel=0.01)


def test_a_variance_that_moves_with_the_block_does_not_make_it_a_cause():
    rejected = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        x = generator.standard_normal((300, 2))
        y = generator.standard_normal(300) * (0.2 + np.abs(x[:, 0]))
        found = block_tests(y, {"x": x}, np.empty((300, 0)), resamples=199, seed=seed)
        rejected += found["x"].p_value <= 0.05
    # 200 tests at 5 %: 10 expected, deviation 3.1. The usual F test rejects about 60.
    assert rejected <= 19


def test_days_with_a_hole_do_not_count_and_too_few_are_refused():
    generator = np.random.default_rng(0)
    y, x = generator.standard_normal(300), generator.standard_normal((300, 1))
    x[:40] = np.nan
    assert block_tests(y, {"x": x}, np.empty((300, 0)))["x"].n == 260
    x[:60] = np.nan
    with pytest.raises(InsufficientHistoryError, match="at least 250 days; found 240"):
        block_tests(y, {"x": x}, np.empty((300, 0)))


def test_a_block_that_never_varies_is_left_out():
    generator = np.random.default_rng(0)
    y, x = generator.standard_normal(300), generator.standard_normal((300, 1))
    assert set(block_tests(y, {"still": np.zeros((300, 1)), "x": x}, x**2)) == {"x"}


def test_a_projection_of_an_exact_response_has_its_slope_and_no_band():
    generator = np.random.default_rng(1)
    shock, given = generator.standard_normal(400), generator.standard_normal((400, 2))
    after = np.column_stack([2 * shock + given[:, 0], 3 * shock - given[:, 1]])
    found = project("x", shock, after, given, (1, 5), controlled=True)
    assert np.allclose(found.effect, [2, 3])
    assert np.allclose(found.lower, found.upper)


def _evidence(direction, block, p, *, held, agree=np.nan, upper=0.002):
    return Evidence(direction, block, held, p, p, 0.005, 0.0, upper, agree, 10.0, 2, 4000)


FORWARD, BACK, DRIVE = "small caps to crypto", "crypto to small caps", "drivers to crypto"
TIED = Tie("credit", 0.6, 0.55, 0.65, 1e-9, 600)


def _case(alone, held, agree, *, back=0.5, driver=0.5, upper=0.002):
    return [
        _evidence(FORWARD, "fund flows", alone, held=False, upper=upper),
        _evidence(FORWARD, "fund flows", held, held=True, agree=agree),
        _evidence(BACK, "crypto's past", back, held=False),
        _evidence(BACK, "crypto's past", back, held=True, agree=1.0),
        _evidence(DRIVE, "credit", driver, held=False),
        _evidence(DRIVE, "credit", driver, held=True, agree=1.0),
    ]


@pytest.mark.parametrize(
    ("case", "ties", "verdict"),
    [
        (_case(0.001, 0.001, 0.9), [TIED], "small caps lead"),
        # A block whose sign turns beside the drivers cleans them; it leads nothing.
        (_case(0.001, 0.001, -0.9), [TIED], "undetermined"),
        (_case(0.001, 0.2, 0.9), [TIED], "undetermined"),
        (_case(0.2, 0.001, 0.9), [TIED], "none"),
        (_case(0.001, 0.001, 0.9, back=0.001), [TIED], "undetermined"),
        (_case(0.5, 0.5, 0.9, back=0.001), [TIED], "crypto leads"),
        (_case(0.03, 0.5, 0.9, driver=0.001), [TIED], "common driver"),
        # A driver that does not move with small caps is no common one.
        (_case(0.03, 0.5, 0.9, driver=0.001), [], "undetermined"),
        (_case(0.5, 0.5, 0.9), [TIED], "none"),
        # Nothing found is not nothing there, where the interval reaches what would matter.
        (_case(0.5, 0.5, 0.9, upper=0.008), [TIED], "undetermined"),
    ],
)
def test_the_rule_says_what_it_is_written_to_say(case, ties, verdict):
    found, reason = judge(case, ties)
    assert found == verdict
    assert reason


def test_none_is_not_said_where_a_direction_or_the_drivers_were_not_tested():
    assert judge(_case(0.5, 0.5, 0.9), [TIED], complete=False)[0] == "undetermined"


def test_agreement_is_that_of_what_is_said_not_of_the_numbers():
    generator = np.random.default_rng(2)
    block = generator.standard_normal((500, 2))
    one = np.array([1.0, 0.5])
    assert agreement(block, one, 3 * one) == pytest.approx(1.0)
    assert agreement(block, one, -one) == pytest.approx(-1.0)
    assert agreement(block, one, np.zeros(2)) == 0
