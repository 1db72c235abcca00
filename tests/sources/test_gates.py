"""What the gates let through, what they set aside and why, and which feeds they refuse whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources import DataUnavailableError, SchemaError, calendars, read_market, sessions_between
from sources.gates import disagreements, explain, screen
from sources.schemas import LAYOUTS

if TYPE_CHECKING:
    from pathlib import Path

    from sources.gates import Screened

NOW = pd.Timestamp("2024-06-03T12:00Z")  # a Monday, before the session
SESSIONS = sessions_between("2024-01-02", "2024-05-31")
DAYS = pd.date_range("2024-01-01", "2024-06-02", unit="us")


def _table(folder: str, dates: pd.DatetimeIndex, known: pd.DatetimeIndex, **values) -> pd.DataFrame:
    columns = {name: np.full(len(dates), np.nan) for name in LAYOUTS[folder].bounds}
    columns |= {name: np.asarray(column, dtype=float) for name, column in values.items()}
    return pd.DataFrame({"date": dates, **columns, "available_at": known})


def _fund(dates: pd.DatetimeIndex = SESSIONS, *, seed: int = 0) -> pd.DataFrame:
    """Return a fund at 200 USD whose close moves 1 % a day, all columns filled."""
    close = 200 * np.exp(np.random.default_rng(seed).normal(0, 0.01, len(dates)).cumsum())
    return _table(
        "prices", dates, calendars.available_at_equity(dates),
        open=close, high=close * 1.01, low=close * 0.99, close=close, adj_close=close * 0.97,
        volume=np.arange(len(dates)) + 1e6,
    )  # fmt: skip


def _coin(dates: pd.DatetimeIndex = DAYS) -> pd.DataFrame:
    close = 0.1 * np.exp(np.random.default_rng(1).normal(0, 0.03, len(dates)).cumsum())
    return _table("prices", dates, calendars.available_at_crypto(dates), close=close)


def _screen_fund(table: pd.DataFrame, stored: pd.DataFrame | None = None, **options) -> Screened:
    return screen("prices", "IWM", table, stored, **{"now": NOW, **options})


def _one_reason(screened: Screened) -> tuple[str, str, list[str]]:
    rows = screened.quarantined
    assert len(set(rows["reason"])) == 1, rows[["date", "reason", "found"]]
    days = rows["date"].dt.strftime("%Y-%m-%d").tolist()
    return rows["reason"].iloc[0], rows["found"].iloc[0], days


PRICES = ["open", "high", "low", "close", "adj_close"]


def test_a_clean_feed_passes_whole_and_unchanged() -> None:
    for table, is_crypto in ((_fund(), False), (_coin(), True)):
        screened = screen("prices", "X", table, now=NOW, is_crypto=is_crypto)
        pd.testing.assert_frame_equal(screened.accepted, table)
        assert screened.quarantined.empty
        assert len(screened.gaps) == screened.duplicates == 0
        assert screened.stale is screened.rebased is None


def test_the_quarantine_states_reason_needed_and_found_beside_the_row() -> None:
    table = _fund()
    table.loc[7, "close"] = -3.0
    quarantined = _screen_fund(table).quarantined
    row = quarantined.iloc[0]
    assert row["date"] == SESSIONS[7]
    assert row["reason"] == "absurd value"
    assert row["needed"] == "close in [1e-10, 1e+11]"
    assert row["found"] == "close -3"
    assert explain("prices/IWM", quarantined) == [
        "prices/IWM 2024-01-11: absurd value: needed close in [1e-10, 1e+11]; found close -3"
    ]


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-12, 1e12, np.inf, -np.inf])
def test_A22_A23_a_price_that_cannot_be_is_set_aside(value: float) -> None:
    table = _coin()
    table.loc[9, "close"] = value
    screened = screen("prices", "X", table, now=NOW, is_crypto=True)
    assert _one_reason(screened)[::2] == ("absurd value", ["2024-01-10"])
    assert len(screened.accepted) == len(table) - 1
    assert screened.gaps.tolist() == [pd.Timestamp("2024-01-10")]


@pytest.mark.parametrize("length", [1, 5])
def test_A23_days_without_a_value_are_set_aside_and_reported_as_gaps(length: int) -> None:
    table = _fund()
    table.loc[10 : 9 + length, ["close", "adj_close"]] = np.nan
    screened = _screen_fund(table)
    assert (screened.quarantined["reason"] == "no value").all()
    assert screened.gaps.tolist() == list(SESSIONS[10 : 10 + length])


def test_A23_a_feed_that_is_mostly_empty_is_refused_with_its_counts() -> None:
    table = _fund()
    table.loc[10:69, ["close", "adj_close"]] = np.nan
    # 105 sessions from 2024-01-02 to 2024-05-31: 5 % of them are 5 rows.
    assert len(table) == 105
    with pytest.raises(DataUnavailableError) as caught:
        _screen_fund(table)
    assert "prices/IWM: feed refused: needed at most 5 of 105 rows that fail a gate; found 60" in (
        str(caught.value)
    )
    assert "60 x no value (first: 2024-01-17" in str(caught.value)


@pytest.mark.parametrize("day", ["2024-06-04", "2099-01-04", "2262-01-01"])
def test_A17_a_row_from_the_future_is_set_aside(day: str) -> None:
    table = pd.concat([_coin(), _coin(pd.DatetimeIndex([day]).as_unit("us"))], ignore_index=True)
    screened = screen("prices", "BTC", table, now=NOW, is_crypto=True)
    assert _one_reason(screened)[::2] == ("future date", [day])


def test_A17_epoch_seconds_read_as_milliseconds_are_no_bars_of_a_coin() -> None:
    # 2024-05-31 is 1717113600 s after 1970; as milliseconds that is 19 days.
    early = pd.DatetimeIndex(np.array([1717113600], "M8[ms]")).normalize().as_unit("us")
    table = pd.concat([_coin(early), _coin()], ignore_index=True)
    screened = screen("prices", "BTC", table, now=NOW, is_crypto=True)
    assert _one_reason(screened)[::2] == ("too early", ["1970-01-20"])


def test_A17_a_bar_that_has_not_closed_is_set_aside() -> None:
    today = pd.DatetimeIndex(["2024-06-03"]).as_unit("us")
    for table, is_crypto in ((_coin(today), True), (_fund(today), False)):
        screened = screen("prices", "X", table, now=NOW, is_crypto=is_crypto)
        assert _one_reason(screened)[::2] == ("unfinished bar", ["2024-06-03"])


def test_A19_A20_a_half_day_is_known_from_its_own_close() -> None:
    # The day after Thanksgiving 2026 closes at 13:00 New York, 18:00 UTC.
    day = pd.DatetimeIndex(["2026-11-27"]).as_unit("us")
    now = pd.Timestamp("2026-11-28T12:00Z")
    for hour, reasons in ((17, ["known before the close"]), (18, []), (21, [])):
        table = _fund(day).assign(available_at=pd.Timestamp(f"2026-11-27T{hour}:00Z").as_unit("us"))
        screened = screen("prices", "SPY", table, now=now)
        assert screened.quarantined["reason"].tolist() == reasons
        assert screen("prices", "SPY", table, now=now, own_clock=True).quarantined.empty


@pytest.mark.parametrize(
    ("day", "close"),
    # Clocks of New York change on 2024-03-10 and 2024-11-03, both Sundays.
    [("2024-03-08", 21), ("2024-03-11", 20), ("2024-11-01", 20), ("2024-11-04", 21)],
)
def test_A18_the_close_moves_with_the_clocks_of_new_york(day: str, close: int) -> None:
    for hour, reasons in ((close - 1, ["known before the close"]), (close, [])):
        table = _fund(pd.DatetimeIndex([day]).as_unit("us"))
        table["available_at"] = pd.Timestamp(f"{day}T{hour}:00Z").as_unit("us")
        screened = screen("prices", "SPY", table, now=pd.Timestamp("2024-11-05T00:00Z"))
        assert screened.quarantined["reason"].tolist() == reasons


def test_A18_the_days_of_the_clock_changes_are_days_like_any_other_for_coins() -> None:
    for day in ("2024-03-10", "2024-11-03"):
        dates = pd.date_range(pd.Timestamp(day) - pd.Timedelta(days=2), periods=5, unit="us")
        screened = screen("prices", "BTC", _coin(dates), now=pd.Timestamp("2024-11-06T00:00Z"),
                          is_crypto=True)  # fmt: skip
        assert len(screened.accepted) == 5
        assert pd.Timestamp(day) not in screened.gaps


def test_A18_instants_without_a_zone_are_refused() -> None:
    table = _fund()
    table["available_at"] = table["available_at"].dt.tz_localize(None)
    with pytest.raises(SchemaError, match="available_at datetime64\\[us, UTC\\]"):
        _screen_fund(table)


def test_A20_a_row_on_a_special_closure_is_set_aside_and_no_gap_is_reported() -> None:
    # The exchange stayed shut on 2025-01-09, a Thursday, for a day of mourning.
    dates = pd.DatetimeIndex(["2025-01-08", "2025-01-09", "2025-01-10"]).as_unit("us")
    table = _table("prices", dates, pd.DatetimeIndex(dates + pd.Timedelta(hours=21), tz="UTC"),
                   close=[590.0, 590.0, 580.5])  # fmt: skip
    screened = screen("prices", "SPY", table, now=pd.Timestamp("2025-01-11T12:00Z"))
    assert _one_reason(screened) == ("closed day", "date 2025-01-09", ["2025-01-09"])
    assert len(screened.gaps) == 0


def test_A20_a_session_that_is_missing_is_reported_and_not_filled() -> None:
    table = _fund().drop(index=[40]).reset_index(drop=True)
    screened = _screen_fund(table)
    assert screened.gaps.tolist() == [SESSIONS[40]]
    assert len(screened.accepted) == len(table)


def test_A20_a_gap_before_the_new_rows_is_seen_from_what_is_stored() -> None:
    table = _fund()
    screened = _screen_fund(table.iloc[102:].reset_index(drop=True), table.iloc[:100])
    assert screened.gaps.tolist() == list(SESSIONS[100:102])


def test_A21_a_weekend_row_is_good_for_a_coin_and_not_for_a_fund() -> None:
    saturday = pd.DatetimeIndex(["2024-06-01"]).as_unit("us")
    close = pd.DatetimeIndex(["2024-06-02T00:00Z"]).as_unit("us")
    table = _table("prices", saturday, close, close=[200.0])
    assert len(screen("prices", "BTC", table, now=NOW, is_crypto=True).accepted) == 1
    assert _one_reason(_screen_fund(table))[0] == "closed day"


def test_A14_equal_rows_are_counted_once() -> None:
    table = _fund()
    screened = _screen_fund(pd.concat([table, table.iloc[5:8]], ignore_index=True))
    pd.testing.assert_frame_equal(screened.accepted, table)
    assert screened.duplicates == 3


def test_A15_two_values_of_one_day_and_instant_are_both_set_aside() -> None:
    table = _fund()
    other = table.iloc[[30]].assign(volume=5.0)
    screened = _screen_fund(pd.concat([table, other], ignore_index=True))
    assert screened.quarantined["reason"].tolist() == ["conflicting rows"] * 2
    assert SESSIONS[30] in screened.gaps


def test_A15_a_later_vintage_is_a_revision() -> None:
    table = _fund()
    revised = table.iloc[[30]].assign(
        volume=5.0, available_at=table["available_at"].iloc[30] + pd.Timedelta(days=1)
    )
    screened = _screen_fund(pd.concat([table, revised], ignore_index=True))
    assert len(screened.accepted) == len(table) + 1
    assert screened.quarantined.empty


@settings(max_examples=15)
@given(order=st.permutations(range(105)))
def test_A16_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    table = _fund()
    table.loc[50, PRICES] *= 0.1
    shuffled = table.iloc[order].reset_index(drop=True)
    one, other = _screen_fund(table), _screen_fund(shuffled)
    pd.testing.assert_frame_equal(one.accepted, other.accepted)
    pd.testing.assert_frame_equal(one.quarantined, other.quarantined)


FAULTS = st.lists(
    st.tuples(
        st.integers(1, 104),  # a first row that is wrong makes all others wrong
        st.sampled_from(["zero", "none", "jump", "twice", "other", "closed", "future", "early"]),
    ),
    max_size=5,
    unique_by=lambda fault: fault[0],
)


def _with_fault(table: pd.DataFrame, row: int, fault: str) -> pd.DataFrame:
    if fault in {"twice", "other"}:
        more = table.iloc[[row]].assign(**({} if fault == "twice" else {"volume": -0.5 + row}))
        return pd.concat([table, more], ignore_index=True)
    columns, value = {
        "zero": ("close", 0.0),
        "none": (["close", "adj_close"], np.nan),
        "jump": (PRICES, table.loc[row, PRICES] * 8),
        "closed": ("date", pd.Timestamp("2024-01-06") + pd.Timedelta(days=7 * (row % 20))),
        "future": ("date", pd.Timestamp("2031-01-06") + pd.Timedelta(days=row)),
        "early": ("available_at", table.loc[row, "date"].tz_localize("UTC")),
    }[fault]
    table.loc[row, columns] = value
    return table


@settings(max_examples=30)
@given(faults=FAULTS)
def test_no_row_is_lost_and_what_passed_passes_again(faults: list[tuple[int, str]]) -> None:
    table = _fund()
    for row, fault in faults:
        table = _with_fault(table, row, fault)
    try:
        screened = _screen_fund(table)
    except DataUnavailableError:
        # Two values of one row are two rows: five faults can be more than five rows.
        assert sum(1 + (fault == "other") for _, fault in faults) > 5
        return
    kept = len(screened.accepted) + len(screened.quarantined) + screened.duplicates
    assert kept == len(table)
    assert len(screened.quarantined) >= sum(fault != "twice" for _, fault in faults)
    again = _screen_fund(screened.accepted, screened.accepted)
    pd.testing.assert_frame_equal(again.accepted, screened.accepted)
    assert again.quarantined.empty


# --- splits and jumps


@pytest.mark.parametrize("ratio", [1 / 10, 1 / 4, 1 / 2, 2 / 3, 4 / 3, 3 / 2, 2, 10])
def test_A24_a_row_in_another_adjustment_is_set_aside_alone(ratio: float) -> None:
    table = _fund()
    table.loc[50, PRICES] *= ratio
    screened = _screen_fund(table)
    reason, found, days = _one_reason(screened)
    assert (reason, days) == ("unadjusted jump", ["2024-03-14"])
    assert found.endswith("since 2024-03-13")
    assert len(screened.accepted) == len(table) - 1


@pytest.mark.parametrize("ratio", [0.25, 4.0])
def test_A24_rows_after_a_split_stay_out_of_an_incremental_feed(ratio: float) -> None:
    table = _fund()
    table.loc[100:, PRICES] *= ratio
    screened = _screen_fund(table.iloc[100:].reset_index(drop=True), table.iloc[:100])
    assert len(screened.accepted) == 0
    assert (screened.quarantined["reason"] == "unadjusted jump").all()


def test_A24_a_history_that_nobody_adjusted_is_refused() -> None:
    table = _fund()
    table.loc[60:, PRICES] *= 0.25
    with pytest.raises(DataUnavailableError, match="45 x unadjusted jump"):
        _screen_fund(table)


def test_A24_an_adjusted_close_that_leaps_alone_is_a_mix_of_adjustments() -> None:
    table = _fund()
    table.loc[50, "adj_close"] *= 0.5
    assert _one_reason(_screen_fund(table))[1].startswith("adj_close x 0.5")


def test_A24_a_split_shows_on_the_overlap_and_asks_for_the_whole_history_again() -> None:
    stored = _fund()
    fetched = stored.iloc[95:].reset_index(drop=True)
    fetched[PRICES] *= 0.25
    screened = _screen_fund(fetched, stored)
    assert screened.rebased == pytest.approx(0.25)
    assert len(screened.accepted) == 0
    assert (screened.quarantined["reason"] == "rebased").all()
    whole = stored.copy()
    whole[PRICES] *= 0.25
    again = _screen_fund(whole, stored)
    assert again.rebased is None
    assert len(again.accepted) == len(whole)


def test_A25_a_dividend_rescales_the_adjusted_past_and_asks_for_it_again() -> None:
    stored = _fund().iloc[:100]
    fetched = _fund().iloc[90:].reset_index(drop=True)
    # A dividend of 0.3 % on the sixth of these days.
    fetched.loc[:4, "adj_close"] *= 0.997
    assert _screen_fund(fetched, stored).rebased == pytest.approx(0.997)


@pytest.mark.parametrize(("factor", "rebased"), [(1.003, False), (1000.0, True), (0.1, True)])
def test_a_coin_of_another_market_is_taken_and_one_in_another_unit_asked_for_again(
    factor: float, rebased: bool
) -> None:
    stored = _coin()
    fetched = stored.iloc[140:].reset_index(drop=True)
    fetched["close"] *= factor
    screened = screen("prices", "BTC", fetched, stored, now=NOW, is_crypto=True)
    assert (screened.rebased is not None) == rebased


@pytest.mark.parametrize(("factor", "rebased"), [(1000.0, True), (0.001, True), (1.01, False)])
def test_a_macro_series_in_another_unit_is_asked_for_again_and_a_benchmark_is_taken(
    factor: float, rebased: bool
) -> None:
    dates = SESSIONS[:30]
    known = calendars.available_at_macro("WALCL", dates)
    stored = _table("macro", dates, known, value=np.arange(30) + 7e6)
    fetched = stored.iloc[20:].reset_index(drop=True)
    fetched["value"] *= factor
    screened = screen("macro", "WALCL", fetched, stored, now=NOW)
    assert (screened.rebased is not None) == rebased
    assert len(screened.accepted) == (0 if rebased else 10)


def test_a_revision_of_one_day_is_not_taken_for_another_adjustment() -> None:
    stored = _fund()
    fetched = stored.iloc[95:].reset_index(drop=True)
    fetched.loc[0, "close"] *= 1.005
    screened = _screen_fund(fetched, stored)
    assert screened.rebased is None
    assert len(screened.accepted) == len(fetched)


def test_a_coin_that_traded_all_the_way_may_rise_fourfold_in_a_day() -> None:
    table = _coin()
    table.loc[100:, "close"] *= 4.5
    bare = screen("prices", "DOGE", table.iloc[:102], now=NOW, is_crypto=True)
    assert bare.quarantined["reason"].tolist() == ["unadjusted jump"] * 2
    table.loc[100, "low"] = table.loc[99, "close"] * 0.99
    table.loc[100, "high"] = table.loc[100, "close"] * 1.01
    table.loc[100, "open"] = table.loc[99, "close"]
    assert screen("prices", "DOGE", table, now=NOW, is_crypto=True).quarantined.empty


def test_a_coin_in_another_unit_is_caught_even_with_its_range() -> None:
    table = _coin()
    table["open"] = table["close"]
    table["high"], table["low"] = table["close"] * 1.1, table["close"] * 0.9
    table.loc[100, ["open", "high", "low", "close"]] *= 100
    screened = screen("prices", "DOGE", table, now=NOW, is_crypto=True)
    assert _one_reason(screened)[::2] == ("unadjusted jump", ["2024-04-10"])


def test_a_leap_is_let_through_once_its_day_is_released() -> None:
    table = _fund()
    table.loc[100:, PRICES] *= 0.6
    screened = _screen_fund(table, released=[SESSIONS[100]])
    assert screened.quarantined.empty


@pytest.mark.parametrize("cut", range(41, 104, 9))
def test_a_row_is_judged_by_rows_before_it_alone(cut: int) -> None:
    table = _fund()
    table.loc[40, PRICES] *= 2
    whole, part = _screen_fund(table), _screen_fund(table.iloc[:cut])
    earlier = whole.accepted[whole.accepted["date"] < SESSIONS[cut]].reset_index(drop=True)
    pd.testing.assert_frame_equal(part.accepted, earlier)


def _flows(aum: np.ndarray, flow: np.ndarray) -> pd.DataFrame:
    known = calendars.available_at_flows(SESSIONS[: len(aum)])
    return _table("flows", SESSIONS[: len(aum)], known, flow_usd=flow, aum_usd=aum)


def test_A24_a_split_of_the_funds_own_shares_is_no_flow() -> None:
    # Shares 100 -> 200 at NAV 10 -> 5: assets stay 1000, the flow reads 100 x 5 = 500, so
    # that assets less flow are half of those the day before.
    screened = screen(
        "flows", "IWM", _flows(np.full(4, 1000.0), np.array([0, 0, 500.0, 0])), now=NOW
    )
    assert _one_reason(screened) == ("split of the fund", "-50.0%", ["2024-01-04"])


def test_a_fund_that_doubles_by_creations_keeps_its_flow() -> None:
    aum, flow = np.array([1000.0, 2000, 2000]), np.array([0.0, 1000, 0])
    assert screen("flows", "IWM", _flows(aum, flow), now=NOW).quarantined.empty


# --- stale and constant feeds


def test_A30_a_feed_that_says_the_same_for_days_is_cut_where_it_stops() -> None:
    table = _fund()
    columns = list(LAYOUTS["prices"].bounds)
    table.loc[99:, columns] = table.loc[99, columns].to_numpy()
    screened = _screen_fund(table)
    # Rows 99 to 104 are equal: the fifth and sixth of them are one too many.
    assert _one_reason(screened)[::2] == ("constant feed", ["2024-05-30", "2024-05-31"])
    assert screened.stale == "needed fewer than 5 equal rows in a row; found the last 6 equal"


def test_A30_repeats_are_counted_across_what_is_stored() -> None:
    table = _fund()
    columns = list(LAYOUTS["prices"].bounds)
    table.loc[99:, columns] = table.loc[99, columns].to_numpy()
    screened = _screen_fund(table.iloc[104:].reset_index(drop=True), table.iloc[:104])
    assert _one_reason(screened)[1] == "the same 6 times"


def test_a_policy_rate_may_stand_for_months() -> None:
    table = _table("macro", SESSIONS, calendars.available_at_macro("EFFR", SESSIONS),
                   value=np.full(len(SESSIONS), 5.33))  # fmt: skip
    screened = screen("macro", "EFFR", table, now=NOW)
    assert screened.quarantined.empty
    assert screened.stale is None


def test_A30_a_series_that_ends_long_ago_is_stale_by_its_event_date() -> None:
    table = _fund()
    # The last row again, a month later: its event date is no newer for that.
    last = table.iloc[[-1]].assign(available_at=pd.Timestamp("2024-06-20T00:00Z").as_unit("us"))
    screened = _screen_fund(
        pd.concat([table, last], ignore_index=True), now=pd.Timestamp("2024-06-21T20:00Z")
    )
    # Known first at the close of 2024-05-31, 20:00 UTC: 21 days before.
    assert screened.stale == "needed a row at most 7 days old; found 2024-05-31, 21.0 days old"


def test_A12_an_empty_feed_keeps_what_is_stored_and_is_stale_in_time() -> None:
    stored = _fund()
    for now, stale in ((NOW, False), (pd.Timestamp("2024-06-10T00:00Z"), True)):
        screened = _screen_fund(stored.iloc[:0], stored, now=now)
        assert len(screened.accepted) == 0
        assert (screened.stale is not None) == stale
    # Sessions of 3 to 7 June were due by Monday the tenth.
    assert len(screened.gaps) == 5
    assert _screen_fund(stored.iloc[:0]).stale == "needed a row at most 7 days old; found none"


def test_A30_yesterdays_file_under_todays_dates_is_refused() -> None:
    stored = _fund().iloc[:104].reset_index(drop=True)
    columns = list(LAYOUTS["prices"].bounds)
    moved = _fund().iloc[90:].reset_index(drop=True)
    moved[columns] = _fund().iloc[89:104][columns].to_numpy()
    with pytest.raises(DataUnavailableError, match="15 x shifted feed"):
        _screen_fund(moved, stored)


def test_A13_another_order_of_columns_or_another_type_is_no_table_of_ours() -> None:
    with pytest.raises(SchemaError, match="prices/IWM: needed date datetime64"):
        _screen_fund(_fund()[["available_at", "date", *LAYOUTS["prices"].bounds]])
    with pytest.raises(SchemaError, match="volume int64"):
        _screen_fund(_fund().astype({"volume": "int64"}))


def test_A32_two_sources_are_compared_day_by_day_within_a_tolerance() -> None:
    first, second = _fund(), _fund().drop(index=[3]).reset_index(drop=True)
    second.loc[50, "close"] *= 1.002
    second.loc[60, "close"] *= 1.0005
    found = disagreements(first, second, "close", 1e-3)
    # Row 50 of the second is day 51 of the first: a session was left out before it.
    assert found["date"].tolist() == [SESSIONS[51]]
    assert found["difference"].tolist() == pytest.approx([0.002])


# --- the real market


@pytest.fixture(scope="module")
def real(real_market_dir: Path):
    return read_market(real_market_dir)


REAL_NOW = pd.Timestamp("2025-07-01T14:00Z")


def test_no_genuine_row_of_the_real_market_is_set_aside(real) -> None:
    # March 2020, a coin that rose 355 % in a day, a policy rate of years, a fund that lost 99 %
    # of its shares in a day: all of it happened.
    for folder, series, table in real.tables():
        screened = screen(folder, series, table, now=REAL_NOW, is_crypto=series in real.crypto)
        assert screened.quarantined.empty, f"{folder}/{series}"
        pd.testing.assert_frame_equal(screened.accepted, table)
        # BNB's file ends on 2025-06-09; every other series is whole and fresh.
        late = pd.date_range("2025-06-10", "2025-06-30") if series == "BNB" else []
        assert list(screened.gaps) == list(late)
        assert (screened.stale is not None) == (series == "BNB")


@pytest.mark.parametrize("ratio", [0.1, 0.5, 2 / 3, 1.5, 2.0, 10.0])
def test_A24_a_split_planted_in_any_real_fund_is_caught_wherever_it_falls(
    real, ratio: float
) -> None:
    rng = np.random.default_rng(7)
    for symbol, table in real.prices.items():
        if symbol in real.crypto:
            continue
        row = int(rng.integers(30, len(table)))
        planted = table.iloc[: row + 3].reset_index(drop=True)
        planted.loc[row, PRICES] *= ratio
        screened = screen("prices", symbol, planted, now=REAL_NOW)
        days = screened.quarantined["date"].tolist()
        assert days == [table["date"].iloc[row]], f"{symbol} {table['date'].iloc[row]}"


def test_A24_a_redenomination_planted_in_any_real_coin_is_caught(real) -> None:
    rng = np.random.default_rng(8)
    for symbol in real.crypto:
        table = real.prices[symbol]
        row = int(rng.integers(30, len(table)))
        for ratio in (0.001, 0.05, 20.0, 1000.0):
            planted = table.iloc[: row + 3].reset_index(drop=True)
            planted.loc[row, PRICES] *= ratio
            screened = screen("prices", symbol, planted, now=REAL_NOW, is_crypto=True)
            assert screened.quarantined["date"].tolist() == [table["date"].iloc[row]], symbol
