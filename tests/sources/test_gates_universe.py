"""A universe that shrinks overnight is a failed feed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sources import DataUnavailableError, Panel, read_market, sessions_between
from sources.calendars import available_at_constituents, available_at_equity
from sources.gates import screen_panel, screen_snapshot, screen_snapshots

NAMES = tuple(f"N{i:03d}" for i in range(200))


def _panel(counts: list[int]) -> Panel:
    """Return 200 names of which the first ``counts[i]`` have a price in session ``i``."""
    dates = sessions_between("2024-01-02", "2024-12-31")[: len(counts)]
    closes = np.full((len(counts), len(NAMES)), np.nan)
    for row, count in enumerate(counts):
        closes[row, :count] = 10.0 + row
    known = available_at_equity(dates).tz_localize(None).to_numpy()
    return Panel(dates.to_numpy(), NAMES, closes, known)


def test_A29_a_snapshot_below_95_percent_of_yesterdays_names_is_refused() -> None:
    screen_snapshot(NAMES, NAMES[:190], "constituents/IWM")
    with pytest.raises(DataUnavailableError) as caught:
        screen_snapshot(NAMES, NAMES[:189], "constituents/IWM")
    assert str(caught.value) == (
        "constituents/IWM: feed refused: needed at least 95% of the 200 names it had; "
        "found 189 (94.5%)"
    )


def test_A29_a_snapshot_of_other_names_is_another_funds() -> None:
    half = NAMES[:100] + tuple(f"X{i:03d}" for i in range(100))
    screen_snapshot(NAMES, half, "constituents/IWM")
    with pytest.raises(DataUnavailableError, match=r"found 49\.5% \(another fund's file\?\)"):
        screen_snapshot(NAMES, (*NAMES[:99], *half[100:], "Y"), "constituents/IWM")


def test_A29_the_first_snapshot_needs_no_more_than_members() -> None:
    screen_snapshot((), NAMES[:3], "constituents/IWM")
    with pytest.raises(DataUnavailableError, match="needed members; found none"):
        screen_snapshot((), (), "constituents/IWM")


def _snapshots(*days: tuple[str, int, float]) -> pd.DataFrame:
    """Return a snapshot for each (day, count of names, weight of each)."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "date": np.datetime64(day, "us"),
                    "symbol": NAMES[:count],
                    "weight": weight,
                    "available_at": available_at_constituents(np.array([day], "M8[us]"))[0],
                }
            )
            for day, count, weight in days
        ],
        ignore_index=True,
    )


def test_A29_a_short_snapshot_is_set_aside_and_the_next_compared_with_the_one_before_it() -> None:
    table = _snapshots(("2024-01-02", 200, 0.5), ("2024-01-03", 20, 5.0), ("2024-01-04", 199, 0.51))
    accepted, quarantined = screen_snapshots(table, None)
    assert accepted.groupby("date").size().tolist() == [200, 199]
    assert quarantined[["reason", "needed", "found"]].to_numpy().tolist() == [
        ["coverage drop", "at least 95% of the 200 names it had", "20 (10.0%)"]
    ]
    # The same, a day an ingest.
    stored = accepted.iloc[:200]
    again, nothing = screen_snapshots(table.iloc[220:], stored)
    assert (len(again), len(nothing)) == (199, 0)
    assert len(screen_snapshots(table.iloc[200:220], stored)[1]) == 1


def test_A30_yesterdays_members_and_weights_under_todays_date_are_set_aside() -> None:
    table = _snapshots(("2024-01-02", 200, 0.5), ("2024-01-03", 200, 0.5))
    accepted, quarantined = screen_snapshots(table, None)
    assert len(accepted) == 200
    assert quarantined["reason"].tolist() == ["repeated snapshot"]
    # The same snapshot fetched again is no other day's.
    assert screen_snapshots(table.iloc[:200], accepted)[1].empty


def test_a_cut_that_holds_for_five_snapshots_is_the_new_universe() -> None:
    days = ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"]
    cut = [(day, 150, 0.6 + i / 100) for i, day in enumerate(days[1:])]
    four = _snapshots((days[0], 200, 0.5), *cut[:4])
    assert len(screen_snapshots(four)[1]) == 4
    five = _snapshots((days[0], 200, 0.5), *cut)
    accepted, quarantined = screen_snapshots(five)
    assert accepted.groupby("date").size().tolist() == [200, *[150] * 5]
    assert quarantined.empty
    # The same, against what was accepted earlier.
    assert screen_snapshots(five.iloc[200:], five.iloc[:200])[1].empty
    # One file under five dates holds nothing.
    again = _snapshots((days[0], 200, 0.5), *((day, 150, 0.6) for day in days[1:]))
    assert len(screen_snapshots(again)[1]) == 5


def test_A29_a_session_at_a_tenth_of_the_names_is_set_aside_alone() -> None:
    panel, quarantined = screen_panel(_panel([200, 198, 20, 199, 200]))
    assert quarantined["found"].tolist() == ["20 of 198 names (10.1%)"]
    assert quarantined["date"].dt.strftime("%Y-%m-%d").tolist() == ["2024-01-04"]
    assert len(panel.dates) == len(panel.closes) == len(panel.available_at) == 4


def test_A29_todays_session_is_compared_with_the_last_one_stored() -> None:
    whole = _panel([50, 200, 200, 100])
    today = Panel(whole.dates[3:], NAMES, whole.closes[3:], whole.available_at[3:])
    stored = Panel(whole.dates[:3], NAMES, whole.closes[:3], whole.available_at[:3])
    assert screen_panel(today, stored)[1]["found"].tolist() == ["100 of 200 names (50.0%)"]
    assert screen_panel(today)[1].empty


def test_a_smaller_universe_that_holds_for_five_sessions_is_the_new_one() -> None:
    assert screen_panel(_panel([200, 200, *[150] * 5]))[1].empty
    assert len(screen_panel(_panel([200, 200, *[150] * 4]))[1]) == 4


def test_no_session_of_the_real_panel_is_set_aside(real_market_dir) -> None:
    panel = read_market(real_market_dir).panel
    assert panel is not None
    # From 2024-03-11 on 1,906 of 2,186 names have prices, and it stays so: a new universe.
    assert screen_panel(panel)[1].empty
    cut = panel.closes.copy()
    cut[-1, ::2] = np.nan
    planted = Panel(panel.dates, panel.symbols, cut, panel.available_at)
    assert len(screen_panel(planted)[1]) == 1
