"""Klines of Binance's format: paged, finished days only, units checked."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import NOW, Patience
from proxies import FaultyProxy
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from sources import EmptyFeedError, ProviderUnavailableError, RiskonError, SchemaError
from sources.live import Client, Payload
from sources.live.klines import Klines

DAY = 86_400_000


def _kline(open_time: int, close: float) -> list[object]:
    """Return a row as Binance documents it: twelve fields, prices as texts."""
    prices = [f"{price:.8f}" for price in (close - 1, close + 2, close - 3, close, 12.5)]
    return [open_time, *prices, open_time + DAY - 1, "0.0", 100, "0.0", "0.0", "0"]


def _exchange(request: Request) -> Response:
    """Answer like the exchange: from startTime, at most limit bars, today's among them."""
    asked = request.args
    assert asked["symbol"] == "BTCUSDT"
    assert asked["interval"] == "1d"
    start, end, limit = (int(asked[name]) for name in ("startTime", "endTime", "limit"))
    first = -(-start // DAY)
    today = int(NOW.timestamp() * 1000) // DAY
    days = range(first, min(end // DAY, today) + 1)[:limit]
    rows = [_kline(day * DAY, 100.0 + day % 1000) for day in days]
    return Response(json.dumps(rows), content_type="application/json;charset=UTF-8")


def _payload(content: bytes, kind: str = "application/json") -> Payload:
    return Payload("https://data-api.binance.vision/api/v3/klines", content, kind, NOW)


def _parse(content: bytes, kind: str = "application/json") -> pd.DataFrame:
    return Klines(Client()).parse("BTC", (_payload(content, kind),))


# 2024-11-27 is day 20054 since 1970.
ROWS = [_kline(20054 * DAY, 93000.0), _kline(20055 * DAY, 95900.0)]
FEED = json.dumps(ROWS).encode()


def test_a_range_of_days_is_read_whole(httpserver: HTTPServer, patience: Patience) -> None:
    httpserver.expect_request("/api/v3/klines").respond_with_handler(_exchange)
    with Client(clock=patience.clock) as client:
        klines = Klines(client, httpserver.url_for(""))
        fetched = klines.fetch("BTC", dt.date(2024, 11, 27), dt.date(2024, 11, 29))
    # At noon of the 29th the bars of the 27th and 28th are finished: days 20054 and 20055.
    assert fetched.table["date"].astype(str).tolist() == ["2024-11-27", "2024-11-28"]
    assert fetched.table["close"].tolist() == [154.0, 155.0]
    assert fetched.table["high"].tolist() == [156.0, 157.0]
    assert fetched.table["adj_close"].isna().all()
    assert fetched.table["available_at"].iloc[-1].isoformat() == "2024-11-29T00:00:00+00:00"
    assert (fetched.folder, fetched.source, len(fetched.payloads)) == ("prices", "klines", 1)


def test_a_long_range_comes_in_pages_of_a_thousand_days(
    httpserver: HTTPServer, patience: Patience
) -> None:
    httpserver.expect_request("/api/v3/klines").respond_with_handler(_exchange)
    with Client(clock=patience.clock) as client:
        klines = Klines(client, httpserver.url_for(""))
        fetched = klines.fetch("BTC", dt.date(2018, 1, 1), dt.date(2024, 11, 28))
    # 2018-01-01 is day 17532, 2024-11-28 day 20055: 2524 days, 3 pages.
    assert len(fetched.payloads) == 3
    assert len(fetched.table) == 2524
    assert (fetched.table["date"].diff().dropna() == pd.Timedelta(days=1)).all()


def test_an_exact_page_is_followed_by_one_more_question_at_most(
    httpserver: HTTPServer, patience: Patience
) -> None:
    httpserver.expect_request("/api/v3/klines").respond_with_handler(_exchange)
    with Client(clock=patience.clock) as client:
        klines = Klines(client, httpserver.url_for(""))
        start = dt.date(2024, 11, 28) - dt.timedelta(days=999)
        fetched = klines.fetch("BTC", start, dt.date(2024, 11, 28))
    assert (len(fetched.table), len(fetched.payloads)) == (1000, 1)


def test_an_exchange_that_repeats_its_page_is_not_asked_for_ever(
    httpserver: HTTPServer, patience: Patience
) -> None:
    page = [_kline(day * DAY, 100.0) for day in range(17532, 18532)]
    httpserver.expect_request("/api/v3/klines").respond_with_json(page)
    with Client(clock=patience.clock) as client:
        klines = Klines(client, httpserver.url_for(""))
        payloads = klines.download("BTC", dt.date(2018, 1, 1), dt.date(2024, 11, 28))
    assert len(payloads) == 2


def test_the_bar_of_today_is_left_out_where_the_exchange_sends_it() -> None:
    table = _parse(json.dumps([*ROWS, _kline(20056 * DAY, 97000.0)]).encode())
    pd.testing.assert_frame_equal(table, _parse(FEED))


def test_an_old_answer_read_again_gives_the_old_table() -> None:
    rows = json.dumps([*ROWS, _kline(20056 * DAY, 97000.0)]).encode()
    later = Payload("https://x", rows, "", NOW + dt.timedelta(days=1))
    assert len(Klines(Client()).parse("BTC", (later,))) == 3
    assert len(_parse(rows)) == 2


def test_A17_microseconds_are_the_same_days() -> None:
    rows = [[row[0] * 1000, *row[1:6], row[6] * 1000 + 999, *row[7:]] for row in ROWS]
    pd.testing.assert_frame_equal(_parse(json.dumps(rows).encode()), _parse(FEED))


@pytest.mark.parametrize("factor", [1e-3, 1e6], ids=["s", "ns"])
def test_A17_seconds_and_nanoseconds_are_refused(factor: float) -> None:
    rows = [[int(row[0] * factor), *row[1:]] for row in ROWS]
    with pytest.raises(SchemaError, match="milliseconds of a midnight UTC"):
        _parse(json.dumps(rows).encode())


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(b"<html>captcha</html>", "text/html", id="A07-html"),
        pytest.param(b"<!doctype html>", "application/json", id="A07-html-called-json"),
        pytest.param(FEED, "text/html", id="A07-json-called-html"),
        pytest.param(b'{"code":-1121,"msg":"Invalid symbol."}', "application/json", id="A08"),
        pytest.param(b"", "application/json", id="A12-empty-body"),
        pytest.param(b"[[1732665600000]]", "application/json", id="A13-short-row"),
        pytest.param(FEED.replace(b'"93000.00000000"', b"93000"), "", id="A13-number"),
        pytest.param(FEED.replace(b"93000.00000000", b"93000,5"), "", id="A13-decimal-comma"),
        pytest.param(FEED.replace(b"93000.00000000", b"0"), "", id="A22-zero"),
        pytest.param(FEED.replace(b"93000.00000000", b"-1"), "", id="A22-negative"),
        pytest.param(FEED.replace(b'"93000.00000000"', b"NaN"), "", id="A23-nan"),
        pytest.param(FEED.replace(b"93000.00000000", b"Infinity"), "", id="A23-infinity"),
        pytest.param(FEED.replace(b"93000.00000000", b"N/A"), "", id="A23-na"),
        pytest.param(FEED.replace(b"93000.00000000", b"9\\u0000"), "", id="A35-nul"),
        pytest.param(b"\xff" + FEED, "", id="A35-not-utf-8"),
        pytest.param(b"[" * 100_000, "", id="A35-deep"),
        pytest.param(b"[[" + b"9" * 5000 + b"]]", "", id="A35-huge-number"),
        pytest.param(b'{"a":1,"a":2}', "", id="A35-name-twice"),
    ],
)
def test_what_is_no_array_of_klines_is_refused(content: bytes, kind: str) -> None:
    with pytest.raises(SchemaError) as caught:
        _parse(content, kind)
    assert str(caught.value).startswith("klines BTC")
    assert str(caught.value).isprintable()


def test_A09_an_array_cut_at_any_byte_is_refused() -> None:
    for cut in range(len(FEED)):
        with pytest.raises(SchemaError):
            _parse(FEED[:cut])


def test_A12_an_empty_array_is_an_empty_feed() -> None:
    with pytest.raises(EmptyFeedError, match="needed a bar; found an empty list"):
        _parse(b"[]")


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=20,
))  # fmt: skip
def test_A35_any_json_is_a_table_or_one_of_our_errors(answer: object) -> None:
    with pytest.raises(RiskonError) as caught:
        _parse(json.dumps(answer).encode())
    assert str(caught.value).isprintable()


def test_a_page_that_cannot_be_read_is_kept_and_ends_the_download(
    httpserver: HTTPServer, patience: Patience
) -> None:
    httpserver.expect_ordered_request("/api/v3/klines").respond_with_handler(_exchange)
    httpserver.expect_ordered_request("/api/v3/klines").respond_with_data(
        "<html>", content_type="text/html"
    )
    with Client(clock=patience.clock) as client:
        klines = Klines(client, httpserver.url_for(""))
        payloads = klines.download("BTC", dt.date(2018, 1, 1), dt.date(2024, 11, 28))
        assert [payload.content[:6] for payload in payloads][1:] == [b"<html>"]
        with pytest.raises(SchemaError, match="HTML"):
            klines.parse("BTC", payloads)


def test_A02_a_silent_exchange_is_unavailable(httpserver: HTTPServer, patience: Patience) -> None:
    from sources.live import Limits

    limits = Limits(connect_seconds=0.2, read_seconds=0.2, deadline_seconds=0.5)
    with (
        FaultyProxy(httpserver.port, blackhole=True) as proxy,
        Client(limits, patience.clock) as client,
        pytest.raises(ProviderUnavailableError, match="klines BTC: needed an answer"),
    ):
        Klines(client, proxy.url).fetch("BTC", dt.date(2024, 11, 27), dt.date(2024, 11, 28))


def test_A18_a_bar_that_opens_at_another_hour_is_refused() -> None:
    shifted = [[row[0] + 8 * 3_600_000, *row[1:]] for row in ROWS]  # midnight in New York, or so
    with pytest.raises(SchemaError, match="midnight UTC"):
        _parse(json.dumps(shifted).encode())


def test_prices_are_read_to_the_last_digit() -> None:
    row = _kline(20054 * DAY, 1.0)
    row[1:6] = ["0.00000845", "0.00000850", "0.00000840", "0.00000847", "1"]
    assert _parse(json.dumps([row]).encode())["close"].tolist() == [8.47e-6]
    assert np.isnan(_parse(FEED)["adj_close"]).all()
