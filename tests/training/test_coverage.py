"""Abstaining is worth what the days kept gain, and its figure comes with its uncertainty."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from models import Path
from training.card import model_card
from training.coverage import confidence, risk_coverage
from training.report import CellEvaluation, JobReport


def test_the_curve_of_a_case_made_by_hand() -> None:
    """100 days of confidence 1 to 100; the surest 20 gain 5 mnat, the others lose 1.

    Kept of 100: 10 or 20 gain 5; 40 gain (20 * 5 - 20) / 40 = 2; 50: (100 - 30) / 50 = 1.4;
    100: (100 - 80) / 100 = 0.2.
    """
    sure = np.arange(1.0, 101.0)
    gain = np.where(sure > 80, 0.005, -0.001)
    order = np.random.default_rng(1).permutation(100)
    curve = risk_coverage(gain[order], sure[order], block_length=1)
    np.testing.assert_allclose(curve.share, np.arange(1, 11) / 10)
    found = dict(zip(curve.share.round(1), curve.gain_mnat, strict=True))
    for share, gained in ((0.1, 5.0), (0.2, 5.0), (0.4, 2.0), (0.5, 1.4), (1.0, 0.2)):
        assert found[share] == pytest.approx(gained)
    assert curve.at(0.5)[0] == pytest.approx(1.4)
    # What is kept gains 5 on every day: nothing to be uncertain of.
    assert (curve.lower[:2], curve.upper[:2]) == (pytest.approx(5.0), pytest.approx(5.0))
    assert (curve.lower[4:] < curve.gain_mnat[4:]).all()
    assert (curve.gain_mnat[4:] < curve.upper[4:]).all()


def test_the_interval_is_that_of_the_mean_of_the_days_kept() -> None:
    # 4,000 independent days, half kept, deviation 1 mnat: 90 % lie within 1.645 / root 2000.
    generator = np.random.default_rng(2)
    gain = 0.001 * generator.normal(size=4000)
    curve = risk_coverage(gain, generator.random(4000), block_length=1)
    gained, lower, upper = curve.at(0.5)
    assert lower < gained < upper
    assert upper - lower == pytest.approx(2 * 1.645 / np.sqrt(2000), rel=0.1)


def test_days_of_equal_confidence_are_kept_together_or_not_at_all() -> None:
    """The order of equal days must not choose among their outcomes: 30 are sure, 70 are not."""
    sure = np.repeat([1.0, 0.0], [30, 70])
    gain = np.repeat([0.002, 0.0], [30, 70])
    curve = risk_coverage(gain, sure, block_length=1)
    np.testing.assert_allclose(curve.share, [0.3, 1.0])
    np.testing.assert_allclose(curve.gain_mnat, [2.0, 0.6])


def test_a_forecast_of_the_base_rate_has_no_confidence() -> None:
    # Log-odds of 0.75 against 0.5 are ln 3, and those of 0.25 as far the other way.
    said, n = np.array([0.5, 0.75, 0.25]), 3
    path = Path(
        names=("climatology",),
        days=np.datetime64("2020-01-01", "D") + np.arange(n),
        base_rate=np.full(n, 0.5),
        expert_probability=np.full((n, 1), 0.5),
        weight=np.ones((n, 1)),
        probability=said,
        lower=said - 0.1,
        upper=said + 0.1,
        informed=np.ones(n, dtype=bool),
    )
    np.testing.assert_allclose(confidence(path), [0.0, np.log(3), np.log(3)], atol=1e-15)


def test_the_card_says_what_the_surest_half_gained(
    make_report: Callable[..., JobReport], make_evaluation: Callable[..., CellEvaluation]
) -> None:
    # Confidence grows with time in the maker: the later half gains 2 mnat, the earlier none.
    card = model_card(make_report(make_evaluation(gain=np.repeat([0.0, 0.002], 500))))
    assert "gain on the surest half of days" in card
    assert "| +2.00 [+2.00, +2.00] |" in card
