"""Yahoo through yfinance, against a server that speaks its chart format."""

from __future__ import annotations

import datetime as dt
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import free_port
from hypothesis import given
from hypothesis import strategies as st
from patience import NOW, Patience
from proxies import FaultyProxy
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from sources import EmptyFeedError, ProviderUnavailableError, RiskonError, SchemaError
from sources.live import Client, Limits, Payload
from sources.live.yahoo import Yahoo

CHART = "/v8/finance/chart/IWM"
START, END = dt.date(2024, 11, 23), dt.date(2024, 11, 29)


def _at(day: str, utc: str = "14:30") -> int:
    return int(dt.datetime.fromisoformat(f"{day}T{utc}:00+00:00").timestamp())


def _chart() -> dict[str, Any]:
    """Return three sessions of November 2024 as Yahoo sends them, floats of 32 bits."""
    return {
        "chart": {
            "result": [
                {
                    "meta": {
                        "currency": "USD",
                        "symbol": "IWM",
                        "exchangeName": "PCX",
                        "instrumentType": "ETF",
                        "firstTradeDate": 959347800,
                        "regularMarketTime": _at("2024-11-27", "21:00"),
                        "gmtoffset": -18000,
                        "timezone": "EST",
                        "exchangeTimezoneName": "America/New_York",
                        "dataGranularity": "1d",
                        "range": "",
                        "validRanges": ["1d", "max"],
                    },
                    "timestamp": [_at(f"2024-11-{day}") for day in (25, 26, 27)],
                    "events": {
                        "dividends": {
                            str(_at("2024-11-26")): {"amount": 0.8, "date": _at("2024-11-26")}
                        }
                    },
                    "indicators": {
                        "quote": [
                            {
                                "open": [241.5, 240.89999389648438, 241.8],
                                "high": [244.25, 241.2, 243.1],
                                "low": [241.1, 239.6, 240.4],
                                "close": [242.39999389648438, 240.3, 240.8],
                                "volume": [39480200, 23116900, 18456300],
                            }
                        ],
                        "adjclose": [{"adjclose": [241.6, 240.3, 240.8]}],
                    },
                }
            ],
            "error": None,
        }
    }


def _edited(edit: Callable[[dict[str, Any]], object]) -> bytes:
    chart = _chart()
    edit(chart["chart"]["result"][0])
    return json.dumps(chart).encode()


def _parse(content: bytes, kind: str = "application/json", now: dt.datetime = NOW) -> pd.DataFrame:
    payload = Payload(f"https://query2.finance.yahoo.com{CHART}", content, kind, now)
    return Yahoo(Client()).parse("IWM", (payload,))


pytestmark = pytest.mark.usefixtures("yfinance_cache")


@pytest.fixture
def yahoo(httpserver: HTTPServer) -> HTTPServer:
    """Return a server with the hosts that yfinance asks for cookie and crumb."""
    httpserver.expect_request("/v1/test/getcrumb").respond_with_data("crumb")
    httpserver.expect_request("/").respond_with_data("", headers={"Set-Cookie": "A3=x; Path=/"})
    return httpserver


def _charts(server: HTTPServer) -> list[Request]:
    return [request for request, _ in server.log if request.path == CHART]


def test_a_series_is_read_with_the_close_and_the_adjusted_one(
    yahoo: HTTPServer, patience: Patience
) -> None:
    yahoo.expect_request(CHART).respond_with_json(_chart())
    with Client(clock=patience.clock) as client:
        fetched = Yahoo(client, yahoo.url_for("")).fetch("IWM", START, END)
    (asked,) = _charts(yahoo)
    # From midnight in New York (05:00 UTC) of the first session to that after the last.
    assert asked.args["period1"] == str(_at("2024-11-25", "05:00"))
    assert asked.args["period2"] == str(_at("2024-11-28", "05:00"))
    assert asked.args["crumb"] == "crumb"
    table = fetched.table
    assert table["date"].astype(str).tolist() == ["2024-11-25", "2024-11-26", "2024-11-27"]
    assert table["close"].tolist() == [242.39999389648438, 240.3, 240.8]
    assert table["adj_close"].tolist() == [241.6, 240.3, 240.8]
    assert table["volume"].tolist() == [39480200.0, 23116900.0, 18456300.0]
    assert table["available_at"].iloc[0].isoformat() == "2024-11-25T21:00:00+00:00"
    (payload,) = fetched.payloads
    assert json.loads(payload.content) == _chart()
    assert "crumb" not in payload.url


def test_our_reading_is_the_one_of_yfinance_itself(yahoo: HTTPServer, patience: Patience) -> None:
    import yfinance

    yahoo.expect_request(CHART).respond_with_json(_chart())
    with Client(clock=patience.clock) as client:
        source = Yahoo(client, yahoo.url_for(""))
        ours = source.fetch("IWM", START, END).table.set_index("date")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas deprecates what yfinance 1.7 calls
            theirs = yfinance.Ticker("IWM", session=source._session).history(
                start=START, end=END, auto_adjust=False
            )
    assert theirs.index.tz_localize(None).tolist() == ours.index.tolist()
    for column, name in {
        "Open": "open", "High": "high", "Low": "low", "Close": "close",
        "Adj Close": "adj_close", "Volume": "volume",
    }.items():  # fmt: skip
        assert theirs[column].to_numpy().tolist() == ours[name].to_numpy().tolist()


def test_nobody_is_asked_for_sessions_that_are_not_over(patience: Patience) -> None:
    with Client(clock=patience.clock) as client:
        source = Yahoo(client, f"http://127.0.0.1:{free_port()}")
        assert source.fetch("IWM", dt.date(2024, 11, 28), END).table.empty


def test_the_cookie_is_kept_where_the_deployment_says(
    yahoo: HTTPServer, patience: Patience, tmp_path: Path, yfinance_cache: Path
) -> None:
    import yfinance
    from yfinance import cache

    yahoo.expect_request(CHART).respond_with_json(_chart())
    with Client(clock=patience.clock) as client:
        Yahoo(client, yahoo.url_for(""), tmp_path).fetch("IWM", START, END)
    assert cache._CookieDBManager.get_location() == str(tmp_path)
    yfinance.set_tz_cache_location(str(yfinance_cache))


def test_A01_a_closed_port_is_tried_four_times(patience: Patience) -> None:
    with Client(clock=patience.clock) as client, pytest.raises(ProviderUnavailableError) as caught:
        Yahoo(client, f"http://127.0.0.1:{free_port()}").fetch("IWM", START, END)
    assert caught.value.attempts == 4
    assert patience.waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("fault", [{"blackhole": True}, {"drip_seconds": 0.05}], ids=["A02", "A03"])
def test_A02_A03_silence_and_drip_end_at_the_deadline(
    yahoo: HTTPServer, patience: Patience, fault: dict[str, Any]
) -> None:
    start = time.monotonic()
    limits = Limits(deadline_seconds=0.8)
    with (
        FaultyProxy(yahoo.port, **fault) as proxy,
        Client(limits, patience.clock) as client,
        pytest.raises(ProviderUnavailableError, match="yahoo IWM: needed an answer"),
    ):
        Yahoo(client, proxy.url).fetch("IWM", START, END)
    assert time.monotonic() - start < 5.0


def test_A04_too_many_requests_are_waited_out(yahoo: HTTPServer, patience: Patience) -> None:
    # yfinance itself asks twice in an attempt, with another kind of cookie.
    limited = Response("Too Many Requests", 429, {"Retry-After": "7"})
    for _ in range(2):
        yahoo.expect_oneshot_request(CHART).respond_with_response(limited)
    yahoo.expect_request(CHART).respond_with_json(_chart())
    with Client(clock=patience.clock) as client:
        assert len(Yahoo(client, yahoo.url_for("")).fetch("IWM", START, END).table) == 3
    assert patience.waits == [7.0]


def test_A05_a_server_that_recovers_is_read(yahoo: HTTPServer, patience: Patience) -> None:
    for _ in range(2):
        yahoo.expect_oneshot_request(CHART).respond_with_data("down", status=503)
    yahoo.expect_request(CHART).respond_with_json(_chart())
    with Client(clock=patience.clock) as client:
        assert len(Yahoo(client, yahoo.url_for("")).fetch("IWM", START, END).table) == 3
    assert len(patience.waits) == 1


@pytest.mark.parametrize("status", [401, 404])
def test_A06_a_refusal_is_not_waited_out(
    yahoo: HTTPServer, patience: Patience, status: int
) -> None:
    yahoo.expect_request(CHART).respond_with_data("no", status=status)
    with Client(clock=patience.clock) as client, pytest.raises(ProviderUnavailableError) as caught:
        Yahoo(client, yahoo.url_for("")).fetch("IWM", START, END)
    assert (caught.value.status, caught.value.attempts) == (status, 1)
    assert patience.waits == []


def test_A33_a_huge_answer_is_refused(yahoo: HTTPServer, patience: Patience) -> None:
    yahoo.expect_request(CHART).respond_with_data(bytes(3 * 2**20))
    limits = Limits(content_bytes=2**20)
    with (
        Client(limits, patience.clock) as client,
        pytest.raises(ProviderUnavailableError, match="more than the limit of 1048576 bytes"),
    ):
        Yahoo(client, yahoo.url_for("")).fetch("IWM", START, END)


WHOLE = json.dumps(_chart()).encode()


def _set(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def edit(result: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        place: Any = result
        for part in parents:
            place = place[int(part) if part.isdecimal() else part]
        place[int(last) if last.isdecimal() else last] = value

    return edit


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"<html>Sorry</html>", "HTML", id="A07-html"),
        pytest.param(b"Edge: Too Many Requests", "JSON", id="A07-text"),
        pytest.param(
            b'{"chart":{"result":null,"error":{"code":"Not Found","description":"delisted"}}}',
            "error", id="A08-error",
        ),
        pytest.param(b'{"finance":{"error":null}}', "a chart", id="A08-other-object"),
        pytest.param(b"[]", "a chart", id="A08-array"),
        pytest.param(b'{"chart":{"result":[],"error":null}}', "one result", id="A12-no-result"),
        pytest.param(b"", "JSON", id="A12-empty-body"),
        pytest.param(_edited(_set("indicators.adjclose", [])), "adjclose", id="A13-no-adjclose"),
        pytest.param(_edited(_set("indicators.quote.0", {})), "open", id="A13-no-quote"),
        pytest.param(_edited(_set("meta.symbol", "IWN")), "'IWN'", id="A13-other-symbol"),
        pytest.param(_edited(_set("meta.currency", "EUR")), "'EUR'", id="A13-other-currency"),
        pytest.param(_edited(_set("meta.dataGranularity", "1wk")), "'1wk'", id="A13-weekly"),
        pytest.param(
            _edited(_set("indicators.quote.0.close", [1.0, 2.0])), "3 numbers", id="A09-short"
        ),
        pytest.param(
            _edited(_set("indicators.quote.0.close", [1.0, "240,3", 2.0])), "'240,3'", id="A13-text"
        ),
        pytest.param(
            _edited(_set("timestamp", [_at(f"2024-11-{d}") * 1000 for d in (25, 26, 27)])),
            "seconds since 1970", id="A17-milliseconds",
        ),
        pytest.param(
            _edited(_set("meta.exchangeTimezoneName", "Europe/London")), "London", id="A18-zone"
        ),
        pytest.param(_edited(_set("indicators.quote.0.close.1", 0)), "close", id="A22-zero"),
        pytest.param(_edited(_set("indicators.quote.0.close.1", -1)), "close", id="A22-negative"),
        pytest.param(
            _edited(_set("indicators.quote.0.close.1", float("nan"))), "NaN", id="A23-nan"
        ),
        pytest.param(
            _edited(_set("indicators.quote.0.close.1", float("inf"))), "Infinity", id="A23-inf"
        ),
        pytest.param(WHOLE + b"\x00", "JSON", id="A35-nul"),
        pytest.param(WHOLE[:-1] + b',"chart":{}}', "a name twice", id="A35-name-twice"),
        pytest.param(WHOLE.replace(b"240.3", b"1e999"), "1e999", id="A35-overflow"),
        pytest.param(WHOLE.replace(b"240.3", b"9" * 5000), "5000 digits", id="A35-huge-number"),
        pytest.param(b"\xff" + WHOLE, "JSON", id="A35-not-utf-8"),
    ],
)  # fmt: skip
def test_what_is_no_chart_of_the_series_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(SchemaError) as caught:
        _parse(content, kind="")
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


@given(
    st.sampled_from(
        ["meta", "meta.symbol", "meta.exchangeTimezoneName", "timestamp", "timestamp.1",
         "indicators", "indicators.quote", "indicators.quote.0", "indicators.quote.0.close",
         "indicators.quote.0.close.1", "indicators.adjclose", "indicators.adjclose.0"]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=6,
    ),
)  # fmt: skip
def test_A35_a_chart_with_anything_in_a_place_is_a_table_or_one_of_our_errors(
    path: str, value: object
) -> None:
    try:
        table = _parse(_edited(_set(path, value)))
    except RiskonError as error:
        assert str(error).startswith("yahoo IWM")
        assert str(error).isprintable()
    else:
        assert table[["close", "adj_close"]].notna().any(axis=1).all()


def test_an_index_is_asked_for_by_its_own_name(yahoo: HTTPServer, patience: Patience) -> None:
    chart = _edited(_set("meta.symbol", "^RUT"))
    yahoo.expect_request("/v8/finance/chart/^RUT").respond_with_data(
        chart, content_type="application/json"
    )
    with Client(clock=patience.clock) as client:
        fetched = Yahoo(client, yahoo.url_for("")).fetch("^RUT", START, END)
    assert (fetched.series, len(fetched.table)) == ("^RUT", 3)


def test_A09_a_chart_cut_at_any_byte_is_refused() -> None:
    for cut in range(len(WHOLE)):
        with pytest.raises(SchemaError):
            _parse(WHOLE[:cut])


def test_A12_a_chart_without_timestamps_is_empty() -> None:
    with pytest.raises(EmptyFeedError, match="needed a bar"):
        _parse(_edited(lambda result: result.pop("timestamp")))


def _one_bar(stamp: int) -> bytes:
    def edit(result: dict[str, Any]) -> None:
        result["timestamp"] = [stamp]
        quote, adjusted = result["indicators"]["quote"][0], result["indicators"]["adjclose"][0]
        for held in (quote, adjusted):
            held.update({name: values[:1] for name, values in held.items()})

    return _edited(edit)


@pytest.mark.parametrize(
    ("stamp", "known"),
    [
        (_at("2024-03-08", "14:30"), "2024-03-08T21:00:00+00:00"),
        (_at("2024-03-11", "13:30"), "2024-03-11T20:00:00+00:00"),
        (_at("2024-11-01", "13:30"), "2024-11-01T20:00:00+00:00"),
        (_at("2024-11-04", "14:30"), "2024-11-04T21:00:00+00:00"),
        # The last quote of an evening is of the next day in UTC.
        (_at("2024-11-05", "00:59"), "2024-11-04T21:00:00+00:00"),
        # Weekly-style stamps at midnight in New York: 05:00 UTC in winter, 04:00 in summer.
        (_at("2024-11-04", "05:00"), "2024-11-04T21:00:00+00:00"),
        (_at("2024-11-01", "04:00"), "2024-11-01T20:00:00+00:00"),
    ],
)
def test_A18_a_stamp_is_the_day_it_has_in_new_york(stamp: int, known: str) -> None:
    table = _parse(_one_bar(stamp))
    assert table["available_at"].iloc[0].isoformat() == known
    assert str(table["date"].iloc[0].date()) == known[:10]


def _with_quote_of(day: str, utc: str) -> bytes:
    """Return the chart with a live quote appended, as Yahoo does after and within a session."""

    def edit(result: dict[str, Any]) -> None:
        result["timestamp"].append(_at(day, utc))
        quote, adjusted = result["indicators"]["quote"][0], result["indicators"]["adjclose"][0]
        for held in (quote, adjusted):
            for name, values in held.items():
                values.append(values[-1] + (1 if name == "volume" else 0))

    return _edited(edit)


def test_A17_the_quote_of_a_session_that_is_not_over_is_left_out() -> None:
    within = dt.datetime(2024, 11, 29, 15, 0, tzinfo=dt.UTC)
    table = _parse(_with_quote_of("2024-11-29", "14:59"), now=within)
    pd.testing.assert_frame_equal(table, _parse(WHOLE))


def test_the_last_quote_of_a_session_stands_for_it_as_in_yfinance() -> None:
    table = _parse(_with_quote_of("2024-11-27", "21:00"))
    assert len(table) == 3
    assert table["volume"].iloc[-1] == 18456301.0


def test_A23_a_day_of_nulls_is_left_out() -> None:
    def edit(result: dict[str, Any]) -> None:
        quote, adjusted = result["indicators"]["quote"][0], result["indicators"]["adjclose"][0]
        for held in (quote, adjusted):
            for values in held.values():
                values[1] = None

    table = _parse(_edited(edit))
    assert table["date"].astype(str).tolist() == ["2024-11-25", "2024-11-27"]
    assert np.isfinite(table["close"]).all()
