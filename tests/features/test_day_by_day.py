"""Inputs of different frequency: each day sees what was published by its end, and no more."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from library import ASSETS, EVERYTHING, full_market

from features import build_dataset
from features.breadth import breadth_table
from features.clock import LIMIT_DAYS, as_known, day_by_day
from features.flows import combine_funds


def _table(rows: list[tuple[str, float, str]], value: str = "value") -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["date", value, "available_at"])
    table["date"] = pd.to_datetime(table["date"]).astype("datetime64[us]")
    stamps = pd.to_datetime(table["available_at"], format="ISO8601", utc=True)
    table["available_at"] = stamps.astype("datetime64[us, UTC]")
    return table.sort_values(["date", "available_at"], ignore_index=True)


@settings(max_examples=80)
@given(st.data())
def test_B03_as_known_equals_a_plain_search_on_every_day(data: st.DataObject) -> None:
    hour = st.sampled_from(["00", "12"])
    rows = {
        (f"2024-01-{data.draw(st.integers(1, 14)):02d}",
         f"2024-01-{data.draw(st.integers(14, 26)):02d}T{data.draw(hour)}"): float(i)
        for i in range(data.draw(st.integers(1, 14)))
    }  # fmt: skip
    table = _table([(date, value, at) for (date, at), value in rows.items()])
    days = pd.date_range("2024-01-12", "2024-01-30", freq="D", unit="us")
    values, age = as_known(table, days)
    for i, day in enumerate(days):
        instant = (day + pd.Timedelta(days=1)).tz_localize("UTC")
        known = table[table["available_at"] <= instant]
        if known.empty:
            assert np.isnan(values["value"].iloc[i])
            continue
        last = known.sort_values(["date", "available_at"]).iloc[-1]
        assert age[i] == (day - last["date"]).days
        expected = last["value"] if age[i] <= LIMIT_DAYS else np.nan
        np.testing.assert_equal(values["value"].iloc[i], expected)


def test_a_weekly_and_a_daily_series_meet_on_the_day_both_are_published() -> None:
    weekly = _table([("2024-01-03", 1.0, "2024-01-04T21"), ("2024-01-10", 2.0, "2024-01-11T21")])
    daily = _table([(f"2024-01-{d:02d}", 10.0 * d, f"2024-01-{d:02d}T18") for d in range(3, 13)])
    days = pd.date_range("2024-01-03", "2024-01-12", freq="D", unit="us")
    values, age = day_by_day(
        lambda tables: tables["weekly"] + tables["daily"], {"weekly": weekly, "daily": daily}, days
    )
    # Nothing before the weekly figure is out on the 4th; the next one counts from the 11th.
    np.testing.assert_array_equal(values["value"], [np.nan, 41, 51, 61, 71, 81, 91, 101, 112, 122])
    assert age.tolist()[1:] == [1, 2, 3, 4, 5, 6, 7, 1, 2]


def test_funds_add_up_as_each_reports() -> None:
    one = _table([("2024-01-03", 5.0, "2024-01-04T13")], "flow_usd").assign(aum_usd=100.0)
    two = _table([("2024-01-03", -1.0, "2024-01-05T13")], "flow_usd").assign(aum_usd=50.0)
    both = combine_funds({"A": one, "B": two})
    assert both["flow_usd"].tolist() == [5.0, 4.0]
    assert both["aum_usd"].tolist() == [100.0, 150.0]
    assert both["funds"].tolist() == [1.0, 2.0]
    assert both["available_at"].dt.day.tolist() == [4, 5]


def test_breadth_that_is_handed_in_is_not_computed_again() -> None:
    market = full_market(end="2020-12-31")
    assert market.panel is not None
    table = breadth_table(market.panel)
    whole = build_dataset(market, ASSETS, EVERYTHING)
    given_ = build_dataset(market, ASSETS, EVERYTHING, breadth=table.tail(81), last_days=2)
    np.testing.assert_array_equal(whole.values[-2:], given_.values)
