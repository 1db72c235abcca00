"""Bars become a table: finished, ordered, each day once; what is left out is counted."""

from __future__ import annotations

import datetime as dt
import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import NOW

from sources import EmptyFeedError, SchemaError
from sources.live.bars import Bars, finished, midnights, no_table, price_table
from sources.schemas import PRICES

DAYS = np.arange("2024-11-01", "2024-11-11", dtype="M8[D]")
CLOSES = np.arange(10.0) + 100.0


def _bars(days: np.ndarray = DAYS, closes: np.ndarray = CLOSES) -> Bars:
    return Bars(days, {"close": closes, "volume": closes * 2})


def _crypto(bars: Bars, now: dt.datetime = NOW) -> pd.DataFrame:
    return price_table("klines BTC", bars, now, is_crypto=True)


def _equity(bars: Bars, now: dt.datetime = NOW) -> pd.DataFrame:
    return price_table("stooq IWM", bars, now, is_crypto=False)


def test_a_bar_of_a_day_is_known_at_the_next_midnight() -> None:
    table = _crypto(_bars())
    assert tuple(table.columns) == PRICES.columns
    assert (
        table["available_at"] == (table["date"] + pd.Timedelta(days=1)).dt.tz_localize("UTC")
    ).all()
    assert table["close"].tolist() == CLOSES.tolist()
    assert table["open"].isna().all()


@pytest.mark.parametrize(
    ("now", "last"),
    [
        ("2024-11-10T23:59:59.999999", "2024-11-09"),
        ("2024-11-11T00:00:00", "2024-11-10"),
    ],
)  # fmt: skip
def test_A17_the_unfinished_bar_is_left_out_until_the_instant_it_is_finished(
    now: str, last: str, caplog: pytest.LogCaptureFixture
) -> None:
    instant = dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC)
    with caplog.at_level(logging.WARNING):
        table = _crypto(_bars(), instant)
    assert str(table["date"].iloc[-1].date()) == last
    assert ("1 row(s) left out, first 2024-11-10: unfinished" in caplog.text) == (last[-2:] == "09")


def test_A17_days_of_the_future_are_left_out_when_few_and_refused_when_many(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = _bars(np.append(DAYS, np.datetime64("2099-01-01")), np.append(CLOSES, 1.0))
    with caplog.at_level(logging.WARNING):
        pd.testing.assert_frame_equal(_crypto(one), _crypto(_bars()))
    assert "1 row(s) left out, first 2099-01-01" in caplog.text
    with pytest.raises(SchemaError, match="found 10 of 10"):
        _crypto(_bars(DAYS + np.timedelta64(365, "D")))


# 2024-11-29T00:00:00Z is 1732838400 s: 20056 days of 86400 s.
@pytest.mark.parametrize(
    ("time", "taken"),
    [
        pytest.param(1732838400_000, True, id="ms"),
        pytest.param(1732838400_000_000, True, id="us"),
        pytest.param(1732838400, False, id="s"),
        pytest.param(1732838400_000_000_000, False, id="ns"),
        pytest.param(1732838400_000 + 18000_000, False, id="A18-midnight-in-New-York"),
        pytest.param(1732838400_001, False, id="a-millisecond-late"),
        pytest.param(0, False, id="zero"),
        pytest.param(-1732838400_000, False, id="negative"),
    ],
)
def test_A17_times_are_milliseconds_or_microseconds_of_a_midnight(time: int, taken: bool) -> None:
    if taken:
        days = midnights(np.array([time, time]), "klines BTC")
        assert days.astype("M8[D]").astype(str).tolist() == ["2024-11-29"] * 2
    else:
        with pytest.raises(SchemaError, match="midnight UTC"):
            midnights(np.array([1732838400_000, time]), "klines BTC")


def test_A17_a_mix_of_units_is_refused() -> None:
    with pytest.raises(SchemaError, match="row 2"):
        midnights(np.array([1732838400_000, 1732838400_000_000]), "klines BTC")


def test_A17_a_crypto_day_before_the_first_block_is_a_mistaken_unit() -> None:
    days = DAYS.copy()
    days[0] = np.datetime64("1970-01-20")
    with pytest.raises(SchemaError, match="1970-01-20"):
        _crypto(_bars(days))


@pytest.mark.parametrize(
    ("day", "close"),
    [
        ("2024-03-08", "21:00"),  # the last session of winter time
        ("2024-03-11", "20:00"),  # the first of summer time, which began on Sunday the 10th
        ("2024-11-01", "20:00"),  # the last of summer time
        ("2024-11-04", "21:00"),  # the first of winter time, since Sunday the 3rd
        ("2023-11-24", "18:00"),  # half day after Thanksgiving: 13:00 in New York
        ("2024-07-03", "17:00"),  # half day in summer
    ],
)
def test_A18_a_session_is_known_at_its_close_in_new_york(day: str, close: str) -> None:
    table = _equity(_bars(np.array([day], dtype="M8[D]"), np.array([100.0])))
    assert table["available_at"].iloc[0].isoformat() == f"{day}T{close}:00+00:00"


def test_A14_A16_order_and_identical_copies_change_nothing() -> None:
    whole = _crypto(_bars())

    @given(st.lists(st.integers(0, 9), max_size=5), st.randoms())
    def check(copies: list[int], chance: object) -> None:
        order = [*range(10), *copies]
        chance.shuffle(order)
        bars = Bars(DAYS[order], {name: v[order] for name, v in _bars().values.items()})
        pd.testing.assert_frame_equal(_crypto(bars), whole)

    check()


def test_A14_copies_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        _crypto(_bars(np.append(DAYS, DAYS[3:5]), np.append(CLOSES, CLOSES[3:5])))
    assert "klines BTC: 2 row(s) sent twice" in caplog.text


def test_A15_two_different_bars_of_one_day_are_refused() -> None:
    with pytest.raises(SchemaError, match="found two different ones of 2024-11-04"):
        _crypto(_bars(np.append(DAYS, DAYS[3]), np.append(CLOSES, 1.0)))


def test_A21_a_weekend_is_a_day_for_crypto_and_none_for_a_fund() -> None:
    # November 1, 4-8 are sessions; 2, 3, 9, 10 a Saturday or Sunday: four rows are many.
    assert len(_crypto(_bars())) == 10
    with pytest.raises(SchemaError, match=r"no session of XNYS that day.*found 4 of 10"):
        _equity(_bars())


@pytest.mark.parametrize("price", [0.0, -1.0, 1e-12, 1e12, np.inf, -np.inf])
def test_A22_A23_a_price_out_of_range_refuses_the_feed(price: float) -> None:
    closes = CLOSES.copy()
    closes[4] = price
    with pytest.raises(SchemaError) as caught:
        _crypto(_bars(closes=closes))
    assert (caught.value.column, caught.value.row) == ("close", 5)


def test_A23_days_without_a_close_are_left_out_when_few_and_refused_when_many() -> None:
    closes = CLOSES.copy()
    closes[4] = np.nan
    assert DAYS[4] not in _crypto(_bars(closes=closes))["date"].to_numpy()
    closes[4:7] = np.nan
    with pytest.raises(SchemaError, match=r"\(no close\); found 3 of 10"):
        _crypto(_bars(closes=closes))


def test_A12_a_feed_of_nothing_but_the_unfinished_bar_is_empty() -> None:
    today = _bars(np.array(["2024-11-29"], dtype="M8[D]"), np.array([100.0]))
    with pytest.raises(EmptyFeedError, match="needed a finished bar; found none in 1 row"):
        _crypto(today)


def test_a_table_without_rows_has_the_types_of_one_with_rows() -> None:
    assert no_table().dtypes.to_dict() == _crypto(_bars()).dtypes.to_dict()


@pytest.mark.parametrize(
    ("start", "end", "is_crypto", "span"),
    [
        # NOW is Friday 2024-11-29, noon UTC; the 28th is a holiday.
        ("2024-11-23", "2024-11-29", False, ("2024-11-25", "2024-11-27")),
        ("2024-11-28", "2024-11-29", False, None),
        ("2024-11-23", "2024-11-29", True, ("2024-11-23", "2024-11-28")),
        ("2024-11-29", "2024-11-30", True, None),
        ("2024-11-30", "2024-11-29", True, None),
    ],
)
def test_what_is_finished_of_a_range(
    start: str, end: str, is_crypto: bool, span: tuple[str, str] | None
) -> None:
    days = (dt.date.fromisoformat(start), dt.date.fromisoformat(end))
    found = finished(*days, NOW, is_crypto=is_crypto)
    assert found == (span and tuple(map(dt.date.fromisoformat, span)))
