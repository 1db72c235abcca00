"""What the calendars say of days whose answer is public."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sources import calendars


def _close(day: str) -> str:
    return calendars.session_closes(pd.DatetimeIndex([day]))[0].strftime("%Y-%m-%dT%H:%MZ")


@pytest.mark.parametrize(
    ("day", "close"),
    [
        # New York closes at 16:00; at 13:00 on the day after Thanksgiving. Winter is UTC-5.
        pytest.param("2024-11-29", "2024-11-29T18:00Z", id="half-day"),
        pytest.param("2026-11-27", "2026-11-27T18:00Z", id="A20-half-day-2026"),
        # 3 July is a half day in summer: 13:00 at UTC-4.
        pytest.param("2024-07-03", "2024-07-03T17:00Z", id="half-day-in-summer"),
        # Clocks went forward on Sunday 2024-03-10, back on Sunday 2024-11-03.
        pytest.param("2024-03-08", "2024-03-08T21:00Z", id="A18-before-spring"),
        pytest.param("2024-03-11", "2024-03-11T20:00Z", id="A18-after-spring"),
        pytest.param("2024-11-01", "2024-11-01T20:00Z", id="A18-before-autumn"),
        pytest.param("2024-11-04", "2024-11-04T21:00Z", id="A18-after-autumn"),
        pytest.param("1993-01-29", "1993-01-29T21:00Z", id="first-day-of-SPY"),
    ],
)
def test_a_session_closes_when_new_york_does(day: str, close: str) -> None:
    assert _close(day) == close


def test_special_closures_holidays_and_weekends_are_no_sessions() -> None:
    # Mourning for a president, New Year's day, a Saturday, Good Friday; then a plain Tuesday.
    days = pd.DatetimeIndex(["2025-01-09", "2025-01-01", "2025-01-11", "2025-04-18", "2025-01-07"])
    assert calendars.is_session(days).tolist() == [False, False, False, False, True]


def test_a_close_is_refused_for_a_day_that_is_no_session() -> None:
    with pytest.raises(ValueError, match="found 1 other days, first 2025-01-09"):
        calendars.session_closes(pd.DatetimeIndex(["2025-01-08", "2025-01-09"]))


def test_days_outside_the_calendar_are_no_sessions() -> None:
    days = np.array(["1900-01-02", "2199-01-02"], dtype="datetime64[us]")
    assert not calendars.is_session(days).any()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_everything_leaves_in_microseconds_whatever_came_in(unit: str) -> None:  # B04
    array = np.array(["2024-03-08", "2024-03-11"], dtype=f"datetime64[{unit}]")
    for days in (array, pd.DatetimeIndex(array), pd.Series(array)):
        assert calendars.to_us(days).dtype == "datetime64[us]"
        assert (np.asarray(calendars.to_us(days)) == array).all()
        assert calendars.session_closes(days).dtype == "datetime64[us, UTC]"
        assert calendars.available_at_crypto(days).dtype == "datetime64[us, UTC]"
        assert calendars.available_at_flows(days).dtype == "datetime64[us, UTC]"
        assert calendars.available_at_macro("WALCL", days).dtype == "datetime64[us, UTC]"


def test_a_score_is_made_when_the_crypto_bar_of_its_day_closes() -> None:
    midnight = pd.Timestamp("2024-03-01T00:00Z")  # 2024 is a leap year: after 29 February
    assert calendars.as_of_instant("2024-02-29") == midnight
    assert calendars.available_at_crypto(pd.DatetimeIndex(["2024-02-29"]))[0] == midnight


@pytest.mark.parametrize(
    ("series", "day", "known"),
    [
        # Wednesday's levels, published on Thursday.
        ("WALCL", "2024-06-05", "2024-06-06T21:30Z"),
        # Friday's yield, the next session being Monday.
        ("DGS10", "2024-06-07", "2024-06-10T22:00Z"),
        # Good Friday is no session: counted from Monday, published on Tuesday.
        ("DGS10", "2024-03-29", "2024-04-02T22:00Z"),
        ("VIXCLS", "2024-06-07", "2024-06-07T21:20Z"),
        # The dollar index of a week comes on the Monday after it.
        ("DTWEXBGS", "2024-06-03", "2024-06-10T22:00Z"),
        ("SOMETHING", "2024-06-07", "2024-06-10T22:00Z"),
    ],
)
def test_a_macro_value_is_known_after_the_lag_of_its_series(
    series: str, day: str, known: str
) -> None:
    assert calendars.available_at_macro(series, pd.DatetimeIndex([day]))[0] == pd.Timestamp(known)


def test_a_flow_is_known_at_one_in_the_afternoon_of_the_next_session() -> None:
    # Friday before Memorial Day (Monday 2024-05-27): the next session is Tuesday.
    known = calendars.available_at_flows(pd.DatetimeIndex(["2024-05-24"]))
    assert known[0] == pd.Timestamp("2024-05-28T13:00Z")


def test_importing_the_room_loads_neither_calendar_nor_schema_library() -> None:
    code = (
        "import sys, sources; "
        "print(sorted({'exchange_calendars', 'pandera', 'pyarrow.parquet'} & set(sys.modules)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert loaded.stdout.strip() == "[]"
