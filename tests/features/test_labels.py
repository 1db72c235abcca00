"""Label variants against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import (
    average_uniqueness,
    forward_labels,
    three_classes,
    triple_barrier,
    volatility_labels,
)
from features.labels import NEVER


def _bars(closes: list[float]) -> tuple[pd.DataFrame, pd.DatetimeIndex]:
    days = pd.date_range("2024-01-01", periods=len(closes), freq="D", unit="us")
    stamps = (days + pd.Timedelta(days=1)).tz_localize("UTC")
    table = pd.DataFrame({"date": days, "close": closes, "adj_close": np.nan})
    return table.assign(available_at=stamps)[~np.isnan(closes)].reset_index(drop=True), days


def test_a_volatility_scaled_threshold_is_half_a_deviation_of_the_horizon() -> None:
    # Daily 1 %, four days: 0.5 x 0.01 x 2 = 1 %. 100 -> 102 is above it, 100 -> 100.5 is not.
    prices, days = _bars([100, 100, 100, 100, 102, 100.5])
    labels = volatility_labels(prices, days, 4, np.full(6, 0.01))
    np.testing.assert_array_equal(labels.outcome[:2], [1.0, 0.0])
    assert np.isnan(labels.outcome[2:]).all()
    unknown = volatility_labels(prices, days, 4, np.full(6, np.nan))
    assert np.isnan(unknown.outcome).all()
    assert (unknown.known_on == NEVER).all()


def test_three_classes_are_down_flat_and_up_around_a_band() -> None:
    prices, days = _bars([100, 103, 102, 98, 98])
    classes = three_classes(forward_labels(prices, days, 1, 0.0), 0.02)
    # +3 %, -0.97 %, -3.9 %, 0, and none.
    np.testing.assert_array_equal(classes, [1.0, 0.0, -1.0, 0.0, np.nan])


def test_the_first_barrier_that_is_touched_decides_and_ends_the_label() -> None:
    # Deviation 2 % a day over 4 days: barriers at +-4 % of log return.
    prices, days = _bars([100, 103, 105, 90, 95, 94, 95, 94.5, 95])
    labels = triple_barrier(prices, days, 4, np.full(9, 0.02))
    # From 100: 105 on the third day is above 104.08. From 105: 90 is below 100.9.
    assert labels.outcome[[0, 2]].tolist() == [1.0, -1.0]
    assert labels.label_end[[0, 2]].astype(str).tolist() == ["2024-01-03", "2024-01-04"]
    assert labels.known_on[0] == labels.label_end[0]
    assert labels.forward_return[0] == pytest.approx(0.05)
    # From 95: 94, 95, 94.5, 95 touch nothing; the label ends with the horizon.
    assert (labels.outcome[4], str(labels.label_end[4])) == (0.0, "2024-01-09")
    # From 94 on the 6th only three days are there, and nothing is touched: not known yet.
    assert np.isnan(labels.outcome[5])
    assert labels.known_on[5] == NEVER


def test_a_bar_missing_before_the_touch_may_have_hidden_one() -> None:
    prices, days = _bars([100, np.nan, 110, 100, 100, 100])
    labels = triple_barrier(prices, days, 2, np.full(6, 0.02))
    assert np.isnan(labels.outcome[0])
    after = triple_barrier(*_bars([100, 110, np.nan, 100, 100, 100]), 2, np.full(6, 0.02))
    assert after.outcome[0] == 1.0  # the touch came first


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), min_size=1, max_size=25))
def test_uniqueness_equals_a_count_of_the_overlaps_day_by_day(
    windows: list[tuple[int, int]],
) -> None:
    begin = np.datetime64("2024-01-01") + np.array([w[0] for w in windows])
    end = begin + np.array([w[1] for w in windows])
    held = [set(range(b + 1, b + length + 1)) for b, length in windows]
    expected = [np.mean([1 / sum(day in other for other in held) for day in own]) for own in held]
    np.testing.assert_allclose(average_uniqueness(begin, end), expected, rtol=1e-12)
