"""Stooq's CSV is read strictly, or refused with the reason."""

from __future__ import annotations

import datetime as dt
import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import NOW, Patience
from proxies import RawServer
from pytest_httpserver import HTTPServer

from sources import EmptyFeedError, ProviderUnavailableError, RiskonError, SchemaError
from sources.live import Client, Payload
from sources.live.stooq import Stooq
from sources.schemas import PRICES

FEED = (
    b"Date,Open,High,Low,Close,Volume\r\n"
    b"2024-11-25,241.5,244.25,241.1,242.4,39480200\r\n"
    b"2024-11-26,240.9,241.2,239.6,240.3,23116900\r\n"
    b"2024-11-27,241.8,243.1,240.4,240.8,18456300\r\n"
)
START, END = dt.date(2024, 11, 23), dt.date(2024, 11, 29)


def _payload(content: bytes, fetched_at: dt.datetime = NOW, kind: str = "text/csv") -> Payload:
    return Payload("https://stooq.com/q/d/l/?s=iwm.us", content, kind, fetched_at)


def _parse(content: bytes, fetched_at: dt.datetime = NOW, kind: str = "text/csv") -> pd.DataFrame:
    return Stooq(Client()).parse("IWM", (_payload(content, fetched_at, kind),))


def _edit(old: bytes, new: bytes) -> bytes:
    assert FEED.count(old) == 1
    return FEED.replace(old, new)


def test_a_series_is_asked_for_by_its_finished_sessions_and_read_as_adjusted(
    httpserver: HTTPServer, patience: Patience
) -> None:
    # At noon UTC of the 29th its session is not over: the last one that is, is the 27th.
    httpserver.expect_request(
        "/q/d/l/", query_string="s=iwm.us&d1=20241125&d2=20241127&i=d"
    ).respond_with_data(FEED, content_type="text/csv")
    with Client(clock=patience.clock) as client:
        fetched = Stooq(client, httpserver.url_for("")).fetch("IWM", START, END)
    assert (fetched.folder, fetched.series, fetched.source) == ("prices", "IWM", "stooq")
    (payload,) = fetched.payloads
    assert payload.content == FEED
    table = fetched.table
    assert tuple(table.columns) == PRICES.columns
    assert table["date"].astype(str).tolist() == ["2024-11-25", "2024-11-26", "2024-11-27"]
    assert table["adj_close"].tolist() == [242.4, 240.3, 240.8]
    assert table["high"].tolist() == [244.25, 241.2, 243.1]
    assert table["close"].isna().all()
    # New York closes at 16:00, in winter 21:00 UTC.
    assert table["available_at"].dt.strftime("%dT%H:%M").tolist() == [
        "25T21:00", "26T21:00", "27T21:00",
    ]  # fmt: skip


def test_nobody_is_asked_for_sessions_that_are_not_over(
    httpserver: HTTPServer, patience: Patience
) -> None:
    # The 28th is Thanksgiving, the 29th has not opened yet.
    with Client(clock=patience.clock) as client:
        stooq = Stooq(client, httpserver.url_for(""))
        fetched = stooq.fetch("IWM", dt.date(2024, 11, 28), END)
    assert fetched.payloads == ()
    assert fetched.table.empty
    read = _parse(FEED)
    assert fetched.table.dtypes.to_dict() == read.dtypes.to_dict()
    assert httpserver.log == []


def test_F03_a_key_is_sent_and_never_shown(httpserver: HTTPServer, patience: Patience) -> None:
    httpserver.expect_request("/q/d/l/").respond_with_data(
        "Get your apikey: s3cret is none", content_type="text/plain"
    )
    with Client(clock=patience.clock) as client:
        stooq = Stooq(client, httpserver.url_for(""), key="s3cret")
        (payload,) = stooq.download("IWM", START, END)
    assert httpserver.log[0][0].args["apikey"] == "s3cret"
    assert "s3cret" not in payload.url


def test_the_daily_limit_is_no_answer_and_says_when_to_come_back(
    httpserver: HTTPServer, patience: Patience
) -> None:
    httpserver.expect_request("/q/d/l/").respond_with_data(
        "Exceeded the daily hits limit", content_type="text/plain"
    )
    with (
        Client(clock=patience.clock) as client,
        pytest.raises(ProviderUnavailableError, match="daily hits limit") as caught,
    ):
        Stooq(client, httpserver.url_for("")).fetch("IWM", START, END)
    assert caught.value.retry_at == "2024-11-30"
    assert len(httpserver.log) == 1


@pytest.mark.parametrize(
    ("content", "kind", "found"),
    [
        pytest.param(b"<!DOCTYPE html><html>", "text/html", "HTML", id="html"),
        pytest.param(b"\n <HTML><head>", "text/csv", "HTML", id="html-called-csv"),
        pytest.param(FEED, "text/html; charset=UTF-8", "'text/html'", id="csv-called-html"),
        pytest.param(b"%PDF-1.4", "application/pdf", "'application/pdf'", id="pdf"),
    ],
)
def test_A07_a_page_for_people_is_refused(content: bytes, kind: str, found: str) -> None:
    with pytest.raises(SchemaError) as caught:
        _parse(content, kind=kind)
    assert found in caught.value.found


@pytest.mark.parametrize("content", [b'{"error": "limit"}', b'{"error":\n"limit"\n}\n'])
def test_A08_an_error_in_json_is_refused(content: bytes) -> None:
    with pytest.raises((SchemaError, EmptyFeedError)):
        _parse(content)


def test_A09_a_feed_cut_at_any_byte_is_refused_or_is_its_first_rows() -> None:
    whole = _parse(FEED)
    accepted = 0
    for cut in range(len(FEED)):
        try:
            table = _parse(FEED[:cut])
        except (SchemaError, EmptyFeedError):
            continue
        accepted += 1
        rows = FEED[:cut].count(b"\n") - 1
        pd.testing.assert_frame_equal(table, whole.head(rows))
    assert accepted == 2  # after the first row, and after the second


def test_A11_a_content_length_that_cuts_a_row_is_refused(
    patience: Patience,
) -> None:
    # HTTP takes the length's word: the last 4 of the bytes sent are not part of the answer.
    head = b"Content-Type: text/csv\r\nContent-Length: %d" % (len(FEED) - 4)
    with (
        RawServer(head, FEED) as server,
        Client(clock=patience.clock) as client,
        pytest.raises(SchemaError, match="line end"),
    ):
        Stooq(client, server.url).fetch("IWM", START, END)


@pytest.mark.parametrize(
    "content", [b"", b"\r\n", b"No data", b"No data\n", FEED[: FEED.index(b"\n") + 1]]
)
def test_A12_a_feed_without_a_row_is_empty(content: bytes) -> None:
    with pytest.raises(EmptyFeedError, match="stooq IWM: needed a header and rows"):
        _parse(content)


def test_A13_columns_may_come_in_another_order_and_with_others() -> None:
    reordered = b"Close,OpenInt,Date,Low,High,Open\n242.4,0,2024-11-25,241.1,244.25,241.5\n"
    table = _parse(reordered)
    expected = _parse(FEED).head(1).assign(volume=np.nan)
    pd.testing.assert_frame_equal(table, expected)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(_edit(b"Close", b"Last"), "columns Close; found Date,", id="renamed"),
        pytest.param(_edit(b"Date", b"date"), "columns Date; found date,", id="case"),
        pytest.param(_edit(b",Close", b""), "6 in", id="missing-name"),
        pytest.param(b"\xef\xbb\xbf" + FEED, "byte-order", id="bom"),
        pytest.param(FEED.replace(b",", b";"), "';'", id="semicolons"),
        pytest.param(_edit(b"242.4", b"242,4"), "7 in", id="decimal-comma"),
        pytest.param(_edit(b"39480200", b'"39,480,200"'), "'\"'", id="thousands"),
        pytest.param(_edit(b"39480200", b"39 480 200"), "39 480 200", id="thousands-by-spaces"),
        pytest.param(_edit(b"2024-11-26", b"26.11.2024"), "26.11.2024", id="date-format"),
    ],
)  # fmt: skip
def test_A13_other_columns_and_spellings_are_refused(content: bytes, said: str) -> None:
    with pytest.raises(SchemaError) as caught:
        _parse(content)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "price",
    [
        "0",
        "-3.5",
        "1e-12",
        "1e12",
        "NaN",
        "inf",
        "-inf",
        "N/A",
        "null",
        "1.",
        ".5",
        "0x10",
        "1e999",
    ],
)
def test_A22_A23_a_price_that_is_none_is_refused_by_row(price: str) -> None:
    with pytest.raises(SchemaError) as caught:
        _parse(_edit(b"240.3,", price.encode() + b","))
    assert caught.value.row == 3  # line 1 is the header


@pytest.mark.parametrize("bad", [b"\x00", b"\x1b[2J", b"\xff", b"7" * 2**20, b'=cmd|"/c calc"!A1'])
def test_A35_what_is_no_plain_text_is_refused_and_never_echoed_raw(bad: bytes) -> None:
    with pytest.raises(SchemaError) as caught:
        _parse(_edit(b"240.3,", bad + b","))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@given(st.binary(max_size=120) | st.binary(max_size=40).map(lambda b: FEED[:120] + b))
def test_A35_any_bytes_are_a_table_or_one_of_our_errors(content: bytes) -> None:
    try:
        table = _parse(content)
    except RiskonError as error:
        assert str(error).isprintable()
    else:
        assert len(table)


def test_A20_a_row_on_a_holiday_is_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    holiday = FEED + b"2024-11-28,1,1,1,1,1\r\n"
    with caplog.at_level(logging.WARNING):
        table = _parse(holiday)
    pd.testing.assert_frame_equal(table, _parse(FEED))
    assert "1 row(s) left out, first 2024-11-28: no session of XNYS" in caplog.text
