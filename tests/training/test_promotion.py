"""The gate's two levels, on evaluations made by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from models import reliability
from training.promotion import judge
from training.report import CellEvaluation

MakeEvaluation = Callable[..., CellEvaluation]


def gains(mean_mnat: float, *, n: int = 1000) -> np.ndarray:
    """Alternate around a mean by 1 mnat, in nats: the mean of blocks hardly strays."""
    return (mean_mnat + np.where(np.arange(n) % 2 == 0, 1.0, -1.0)) / 1000


@pytest.mark.parametrize(
    ("gain", "fit"),
    [
        pytest.param(0.5, True, id="better"),
        pytest.param(-1.99, True, id="worse-within-tolerance"),
        pytest.param(-2.0, True, id="at-the-tolerance"),
        pytest.param(-2.01, False, id="C08-worse-beyond-tolerance"),
        pytest.param(float("nan"), False, id="C10-undefined"),
        pytest.param(float("-inf"), False, id="C10-infinite-loss"),
    ],
)
def test_a_version_is_fit_when_no_cell_loses_more_than_the_tolerance(
    make_evaluation: MakeEvaluation, gain: float, fit: bool
) -> None:
    good = make_evaluation("ETH", gain_mnat=5.0)
    assert judge([good, make_evaluation("BTC", gain_mnat=gain)]).fit_to_serve is fit


def test_the_tolerance_is_a_stated_parameter(make_evaluation: MakeEvaluation) -> None:
    harmed = make_evaluation(gain_mnat=-1.0)
    assert judge([harmed], tolerance_mnat=1.0).fit_to_serve
    assert not judge([harmed], tolerance_mnat=0.9).fit_to_serve


def test_each_check_says_the_cell_what_is_needed_and_what_was_found(
    make_evaluation: MakeEvaluation,
) -> None:
    verdict = judge([make_evaluation("BTC", 20, gain_mnat=-3.456)])
    assert (
        False,
        "fit to serve: BTC_20d: needed a mean gain over climatology of at least -2.00 mnat; "
        "found -3.46",
    ) in verdict.checks
    assert all("needed" in text and "found" in text for _, text in verdict.checks)


def test_a_loss_that_is_not_finite_makes_a_version_unfit(make_evaluation: MakeEvaluation) -> None:
    gain = gains(5.0)
    gain[3] = np.nan
    verdict = judge([make_evaluation(gain=gain, gain_mnat=5.0)])
    assert not verdict.fit_to_serve
    assert not verdict.skill_certified
    assert "found 1 that is not" in verdict.checks[0][1]


def test_a_steady_gain_is_certified_and_a_steady_loss_within_tolerance_is_not(
    make_evaluation: MakeEvaluation,
) -> None:
    won = judge([make_evaluation(gain=gains(1.0), gain_mnat=1.0)])
    assert (won.fit_to_serve, won.skill_certified) == (True, True)
    lost = judge([make_evaluation(gain=gains(-1.0), gain_mnat=-1.0)])
    assert (lost.fit_to_serve, lost.skill_certified) == (True, False)


def test_no_gain_at_all_is_fit_but_not_certified(make_evaluation: MakeEvaluation) -> None:
    # The lower bound of a constant zero is zero, which is not above zero.
    verdict = judge([make_evaluation(gain=np.zeros(1000), gain_mnat=0.0)])
    assert (verdict.fit_to_serve, verdict.skill_certified) == (True, False)


def test_harm_in_one_cell_denies_skill_to_all(make_evaluation: MakeEvaluation) -> None:
    cells = [
        make_evaluation("BTC", gain=gains(9.0), gain_mnat=9.0),
        make_evaluation("ETH", gain=gains(-3.0), gain_mnat=-3.0),
    ]
    verdict = judge(cells)
    # The pooled gain is 3 mnat a day and significant; the version is still refused.
    assert verdict.checks[-1][0]
    assert (verdict.fit_to_serve, verdict.skill_certified) == (False, False)


def test_the_level_is_shared_by_the_trials_and_not_by_the_cells(
    make_evaluation: MakeEvaluation,
) -> None:
    # Independent days, blocks of ten: the standard error of the mean is s / sqrt(1000) whatever
    # the blocks. A mean of 2.7 of them lies above the 1 % bound of Student with 199 degrees of
    # freedom (2.35), and below that of eight trials that share it (3.05 at 0.125 %); eight cells
    # alike pool to the same series, which is one test.
    generator = np.random.default_rng(0)
    noise = generator.standard_normal(1000)
    noise = (noise - noise.mean()) / noise.std()
    blocks = np.convolve(noise, np.ones(10), "valid").std() / np.sqrt(10)
    gain = 0.001 * (noise + 2.7 * blocks / np.sqrt(1000))
    one = make_evaluation("BTC", 5, gain=gain, gain_mnat=0.08)
    eight = [make_evaluation(f"A{i}", 5, gain=gain, gain_mnat=0.08) for i in range(8)]
    assert judge([one]).skill_certified
    assert judge(eight).skill_certified
    assert not judge([one], trials=8).skill_certified


def test_a_gain_that_may_well_be_a_great_loss_is_not_fit(make_evaluation: MakeEvaluation) -> None:
    # The tolerance of 2 mnat is 2 sqrt(20) = 8.94 for the lower end at 20 days.
    assert judge([make_evaluation("BTC", 20, gain_mnat_lower=-8.94)]).fit_to_serve
    refused = judge([make_evaluation("BTC", 20, gain_mnat_lower=-8.95)])
    assert not refused.fit_to_serve
    assert any("at least -8.94 mnat; found -8.95" in said for ok, said in refused.checks if not ok)


def test_forecasts_that_happen_half_as_often_as_said_are_not_fit(
    make_evaluation: MakeEvaluation,
) -> None:
    made = make_evaluation("BTC", 1)
    # Frequencies of 0.4 where 0.8 was said: ten bins of 100 days reach +-0.066 around 0.8.
    said, happened = np.full(1000, 0.8), np.arange(1000) % 5 < 2
    wrong = reliability(happened.astype("float64"), said)
    verdict = judge([replace(made, reliability=wrong)])
    assert not verdict.fit_to_serve
    assert any("found 10 outside" in text for ok, text in verdict.checks if not ok)


def test_too_few_outcomes_that_do_not_overlap_certify_nothing(
    make_evaluation: MakeEvaluation,
) -> None:
    # 590 days hold 29.5 outcomes of 20 days.
    few = make_evaluation("BTC", 20, gain=gains(5.0, n=590), gain_mnat=5.0)
    verdict = judge([few])
    assert (verdict.fit_to_serve, verdict.skill_certified) == (True, False)
    assert any("found 29.5" in text for passed, text in verdict.checks if not passed)


def test_no_cells_are_fit_for_nothing() -> None:
    verdict = judge([])
    assert (verdict.fit_to_serve, verdict.skill_certified) == (False, False)
    assert "found 0" in verdict.checks[0][1]


def test_the_verdict_is_the_same_twice(make_evaluation: MakeEvaluation) -> None:
    cells = [make_evaluation("BTC", 5), make_evaluation("ETH", 20)]
    assert judge(cells) == judge(cells)


def test_chance_is_hardly_ever_certified(make_evaluation: MakeEvaluation) -> None:
    # 40 forecasters without skill at a true level of 1 %: more than 3 has a chance of 0.07 %.
    generator = np.random.default_rng(1)
    certified = 0
    for _ in range(40):
        gain = 0.01 * generator.standard_normal(600)
        mean = float(gain.mean()) * 1000
        certified += judge(
            [make_evaluation("BTC", 1, gain=gain, gain_mnat=mean, n=50)]
        ).skill_certified
    assert certified <= 3
