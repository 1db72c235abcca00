"""Abstention: by rules that are stated, with reasons that say needed and found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.abstention import in_disagreement, opposition, strangeness, unlike_any_seen

NAMES = ("level", "flag", "young")
RULE = {"widths": 0.25, "least_days": 300}


def _features(*, level: float = 0.5, flag: float = 0.0, young: float = 0.0) -> np.ndarray:
    """400 days of a level from 0 to 1, a flag never set, and a feature of the last 100 days."""
    past = np.zeros((400, 3))
    past[:, 0] = np.linspace(0, 1, 400)
    past[:, 2] = np.where(np.arange(400) < 300, np.nan, np.arange(400) / 400)
    return np.vstack([past, [level, flag, young]])


def test_a_new_record_within_a_quarter_of_the_range_is_ordinary() -> None:
    for level in (0.5, 1.0, 1.25, -0.25):
        assert unlike_any_seen(_features(level=level), NAMES, **RULE) is None


def test_a_value_far_beyond_the_past_is_named_with_how_far_it_lies() -> None:
    # The range is 0 to 1: 2.5 lies 1.5 widths above it, -0.3 lies 0.3 below.
    assert unlike_any_seen(_features(level=2.5), NAMES, **RULE) == (
        "unlike any seen: needed inputs at most 0.25 of their past range beyond it; "
        "found level 1.50"
    )
    assert "level 0.30" in (unlike_any_seen(_features(level=-0.3), NAMES, **RULE) or "")


def test_a_flag_set_for_the_first_time_and_a_short_past_are_no_reason() -> None:
    features = _features(flag=1.0, young=50.0)
    assert np.isnan(strangeness(features, 300)[1:]).all()
    assert unlike_any_seen(features, NAMES, **RULE) is None
    # With 100 days asked for, the young one, 0.75 to 0.9975, speaks: 49.0025 / 0.2475 = 197.99.
    assert "young 197.99" in (unlike_any_seen(features, NAMES, widths=0.25, least_days=100) or "")


def test_a_missing_value_is_not_a_strange_one() -> None:
    assert unlike_any_seen(_features(level=np.nan), NAMES, **RULE) is None


def test_many_strange_inputs_are_counted_and_the_three_farthest_named() -> None:
    past = np.tile([0.0, 1.0], 200)[:, None].repeat(5, axis=1)
    features = np.vstack([past, [2.0, 3.0, 4.0, 5.0, 6.0]])
    reason = unlike_any_seen(features, tuple("abcde"), **RULE) or ""
    assert reason.endswith("found e 5.00, d 4.00, c 3.00 and 2 more")


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30), st.floats(-100, 100))
def test_a_day_seen_before_is_never_strange(past: list[float], other: float) -> None:
    features = np.array([*past, other, past[0]])[:, None]
    assert not strangeness(features, 1)[0] > 0


def test_experts_on_one_side_agree_however_far_apart() -> None:
    said = np.array([0.5, 0.9, 0.51])
    assert in_disagreement(said, np.array([0.2, 0.4, 0.4]), 0.5, most=0.01) is None


def test_experts_on_both_sides_disagree_by_the_lesser_pull() -> None:
    # Log-odds +1 at weight 0.3 against -0.5 at weight 0.4: pulls 0.3 and 0.2.
    said = 1 / (1 + np.exp(-np.array([0.0, 1.0, -0.5])))
    weight = np.array([0.3, 0.3, 0.4])
    assert opposition(said[None], weight[None], np.array([0.5]))[0] == pytest.approx(0.2)
    assert in_disagreement(said, weight, 0.5, most=0.25) is None
    assert in_disagreement(said, weight, 0.5, most=0.15) == (
        "experts disagree: needed opposite pulls of at most 0.15 in log-odds; found 0.200 each way"
    )


def test_an_expert_without_weight_cannot_disagree() -> None:
    said = np.array([0.5, 0.9, 0.1])
    assert in_disagreement(said, np.array([0.5, 0.5, 0.0]), 0.5, most=0.01) is None
