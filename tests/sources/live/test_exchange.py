"""Exchanges through ccxt, against a server that speaks Kraken's and Coinbase's formats."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pandas as pd
import pytest
from conftest import free_port
from patience import NOW, Patience
from proxies import FaultyProxy
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from sources import (
    DataUnavailableError,
    EmptyFeedError,
    ProviderUnavailableError,
    SchemaError,
    UnknownNameError,
)
from sources.live import Client, Limits, Payload
from sources.live.exchange import Exchange

DAY = 86_400
TODAY = int(NOW.timestamp()) // DAY  # day 20056 since 1970, 2024-11-29
START, END = dt.date(2024, 11, 26), dt.date(2024, 11, 29)

ASSETS = {
    "XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "display_decimals": 5},
    "ZUSD": {"aclass": "currency", "altname": "USD", "decimals": 4, "display_decimals": 2},
}
PAIRS = {
    "XXBTZUSD": {
        "altname": "XBTUSD", "wsname": "XBT/USD", "aclass_base": "currency", "base": "XXBT",
        "aclass_quote": "currency", "quote": "ZUSD", "lot": "unit", "cost_decimals": 5,
        "pair_decimals": 1, "lot_decimals": 8, "lot_multiplier": 1, "leverage_buy": [],
        "leverage_sell": [], "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD", "margin_call": 80, "margin_stop": 40,
        "ordermin": "0.0001", "costmin": "0.5", "tick_size": "0.1", "status": "online",
    }
}  # fmt: skip


def _candle(day: int) -> list[Any]:
    """Return a row as Kraken documents it: time, prices, vwap and volume as texts, count."""
    close = 90000 + day % 100
    return [day * DAY, *(f"{p}.0" for p in (close - 5, close + 9, close - 9, close)),
            f"{close}.0", "1234.5", 99]  # fmt: skip


def _ohlc(rows: list[list[Any]]) -> dict[str, Any]:
    return {"error": [], "result": {"XXBTZUSD": rows, "last": rows[-1][0] if rows else 0}}


def _candles(request: Request) -> Response:
    """Answer like Kraken: bars after since, the newest 720, today's unfinished one among them."""
    assert request.args["pair"] == "XXBTZUSD"
    assert request.args["interval"] == "1440"
    first = int(request.args["since"]) // DAY + 1
    rows = [_candle(day) for day in range(first, TODAY + 1)][-720:]
    return Response(json.dumps(_ohlc(rows)), content_type="application/json; charset=utf-8")


@pytest.fixture
def kraken(httpserver: HTTPServer) -> HTTPServer:
    """Return a server with Kraken's lists of assets and markets."""
    httpserver.expect_request("/0/public/Assets").respond_with_json({"error": [], "result": ASSETS})
    httpserver.expect_request("/0/public/AssetPairs").respond_with_json(
        {"error": [], "result": PAIRS}
    )
    return httpserver


def _exchange(client: Client, url: str) -> Exchange:
    return Exchange(client, "kraken", "USD", url)


def _asked(server: HTTPServer) -> int:
    return sum(request.path.endswith("/OHLC") for request, _ in server.log)


def test_finished_days_are_read_and_todays_is_left_out(
    kraken: HTTPServer, patience: Patience
) -> None:
    kraken.expect_request("/0/public/OHLC").respond_with_handler(_candles)
    with Client(clock=patience.clock) as client:
        fetched = _exchange(client, kraken.url_for("")).fetch("BTC", START, END)
    # Days 20053 to 20055 are the 26th to 28th; 20056 is today's, sent and unfinished.
    assert fetched.table["date"].astype(str).tolist() == ["2024-11-26", "2024-11-27", "2024-11-28"]
    assert fetched.table["close"].tolist() == [90053.0, 90054.0, 90055.0]
    assert fetched.table["high"].tolist() == [90062.0, 90063.0, 90064.0]
    assert fetched.table["volume"].tolist() == [1234.5] * 3
    assert fetched.table["available_at"].iloc[-1].isoformat() == "2024-11-29T00:00:00+00:00"
    market, page = fetched.payloads
    assert json.loads(market.content)["id"] == "XXBTZUSD"
    assert json.loads(page.content) == _ohlc([_candle(day) for day in range(20053, 20057)])
    assert _asked(kraken) == 1


def test_what_was_kept_is_read_again_without_network(
    kraken: HTTPServer, patience: Patience
) -> None:
    kraken.expect_request("/0/public/OHLC").respond_with_handler(_candles)
    with Client(clock=patience.clock) as client:
        fetched = _exchange(client, kraken.url_for("")).fetch("BTC", START, END)
        nowhere = _exchange(client, f"http://127.0.0.1:{free_port()}")
        again = nowhere.parse("BTC", fetched.payloads)
    pd.testing.assert_frame_equal(again, fetched.table)


def test_markets_are_asked_for_once(kraken: HTTPServer, patience: Patience) -> None:
    kraken.expect_request("/0/public/OHLC").respond_with_handler(_candles)
    with Client(clock=patience.clock) as client:
        exchange = _exchange(client, kraken.url_for(""))
        for _ in range(3):
            exchange.download("BTC", START, END)
    assert sum(request.path.endswith("/AssetPairs") for request, _ in kraken.log) == 1


def test_coinbase_pages_of_300_days_are_read_whole(
    httpserver: HTTPServer, patience: Patience
) -> None:
    product = {
        "product_id": "BTC-USD", "price": "95000", "base_increment": "0.00000001",
        "quote_increment": "0.01", "quote_min_size": "1", "quote_max_size": "1000000",
        "base_min_size": "0.0001", "base_max_size": "1000", "base_name": "Bitcoin",
        "quote_name": "US Dollar", "status": "online", "trading_disabled": False,
        "product_type": "SPOT", "quote_currency_id": "USD", "base_currency_id": "BTC",
    }  # fmt: skip

    def candles(request: Request) -> Response:
        assert request.args["granularity"] == "ONE_DAY"
        first, last = (int(request.args[name]) for name in ("start", "end"))
        days = range(-(-first // DAY), min(last // DAY, TODAY) + 1)
        rows = [
            {
                "start": str(day * DAY),
                "low": "1",
                "high": "9",
                "open": "2",
                "close": "3",
                "volume": "7",
            }
            for day in reversed(days)
        ]
        return Response(json.dumps({"candles": rows[-300:]}), content_type="application/json")

    base = "/api/v3/brokerage"
    httpserver.expect_request(f"{base}/market/products").respond_with_json(
        {"products": [product], "num_products": 1}
    )
    httpserver.expect_request(f"{base}/market/products/BTC-USD/candles").respond_with_handler(
        candles
    )
    httpserver.expect_request("/v2/currencies").respond_with_json({"data": []})
    httpserver.expect_request("/v2/currencies/crypto").respond_with_json({"data": []})
    httpserver.expect_request("/v2/exchange-rates").respond_with_json(
        {"data": {"currency": "USD", "rates": {}}}
    )
    with Client(clock=patience.clock) as client:
        exchange = Exchange(client, "coinbase", "USD", httpserver.url_for(""))
        fetched = exchange.fetch("BTC", dt.date(2023, 1, 1), dt.date(2024, 11, 28))
    # 2023-01-01 is day 19358, 2024-11-28 day 20055: 698 days, three pages of at most 300.
    assert len(fetched.table) == 698
    assert len(fetched.payloads) == 1 + 3
    assert (fetched.table["date"].diff().dropna() == pd.Timedelta(days=1)).all()


def test_pages_before_a_coin_was_listed_are_passed_over(
    httpserver: HTTPServer, patience: Patience
) -> None:
    listed = 19_800  # 2024-03-18

    def candles(request: Request) -> Response:
        # Bitstamp's format: from start on, at most limit days, none before the listing.
        first, limit = int(request.args["start"]) // DAY, int(request.args["limit"])
        days = range(max(first, listed), min(first + limit, TODAY))
        rows = [
            {"timestamp": str(day * DAY), "open": "2", "high": "9", "low": "1", "close": "3",
             "volume": "7"}
            for day in days
        ]  # fmt: skip
        body = {"data": {"pair": "BTC/USD", "ohlc": rows}}
        return Response(json.dumps(body), content_type="application/json")

    market = {
        "name": "BTC/USD", "market_symbol": "btcusd", "base_currency": "BTC",
        "base_decimals": 8, "counter_currency": "USD", "counter_decimals": 0,
        "minimum_order_value": "10", "trading": "Enabled", "market_type": "SPOT",
        "description": "Bitcoin / U.S. dollar",
    }  # fmt: skip
    httpserver.expect_request("/api/v2/markets/").respond_with_json([market])
    httpserver.expect_request("/api/v2/currencies/").respond_with_json([])
    httpserver.expect_request("/api/v2/ohlc/btcusd/").respond_with_handler(candles)
    with Client(clock=patience.clock) as client:
        exchange = Exchange(client, "bitstamp", "USD", httpserver.url_for(""))
        fetched = exchange.fetch("BTC", dt.date(2017, 1, 1), dt.date(2024, 11, 28))
    # From day 19800 to 20055, today's unfinished.
    assert len(fetched.table) == 256


def test_an_exchange_that_ccxt_does_not_know_is_refused(patience: Patience) -> None:
    with Client(clock=patience.clock) as client, pytest.raises(UnknownNameError, match="kraken"):
        Exchange(client, "krakn").fetch("BTC", START, END)


def test_A28_a_market_that_the_exchange_has_not_is_named(
    kraken: HTTPServer, patience: Patience
) -> None:
    with (
        Client(clock=patience.clock) as client,
        pytest.raises(DataUnavailableError, match="needed a market DOGE/USD; found 1 other"),
    ):
        _exchange(client, kraken.url_for("")).fetch("DOGE", START, END)


def test_A01_a_closed_port_is_unavailable(patience: Patience) -> None:
    with Client(clock=patience.clock) as client, pytest.raises(ProviderUnavailableError) as caught:
        _exchange(client, f"http://127.0.0.1:{free_port()}").fetch("BTC", START, END)
    assert caught.value.attempts == 4


def test_A02_A03_a_drip_ends_at_the_deadline(kraken: HTTPServer, patience: Patience) -> None:
    limits = Limits(deadline_seconds=0.5)
    with (
        FaultyProxy(kraken.port, drip_seconds=0.02) as proxy,
        Client(limits, patience.clock) as client,
        pytest.raises(ProviderUnavailableError, match=r"no whole answer within 0\.5 s"),
    ):
        _exchange(client, proxy.url).fetch("BTC", START, END)


@pytest.mark.parametrize("status", [429, 503])
def test_A04_A05_a_busy_exchange_is_asked_again(
    kraken: HTTPServer, patience: Patience, status: int
) -> None:
    kraken.expect_oneshot_request("/0/public/OHLC").respond_with_data("busy", status=status)
    kraken.expect_request("/0/public/OHLC").respond_with_handler(_candles)
    with Client(clock=patience.clock) as client:
        assert len(_exchange(client, kraken.url_for("")).fetch("BTC", START, END).table) == 3
    assert 0.5 in patience.waits


def test_A04_busy_said_with_status_200_is_asked_again(
    kraken: HTTPServer, patience: Patience
) -> None:
    kraken.expect_oneshot_request("/0/public/OHLC").respond_with_json(
        {"error": ["EAPI:Rate limit exceeded"]}
    )
    kraken.expect_request("/0/public/OHLC").respond_with_handler(_candles)
    with Client(clock=patience.clock) as client:
        assert len(_exchange(client, kraken.url_for("")).fetch("BTC", START, END).table) == 3
    assert 0.5 in patience.waits


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"<html>captcha</html>", "HTML", id="A07-html"),
        pytest.param(b'{"error":["EGeneral:Invalid arguments"]}', "BadRequest", id="A08-error"),
        pytest.param(b'{"error":["EQuery:Unknown asset pair"]}', "Unknown ass", id="A08-pair"),
        pytest.param(json.dumps(_ohlc([_candle(20055)])).encode()[:-9], "JSON", id="A09-cut"),
        pytest.param(b"", "JSON", id="A12-empty-body"),
        pytest.param(
            json.dumps(_ohlc([[20055, *_candle(20055)[1:]]])).encode(),
            "midnight UTC", id="A17-days-for-seconds",
        ),
        pytest.param(
            json.dumps(_ohlc([[20055 * 86400 + 18000, *_candle(20055)[1:]]])).encode(),
            "midnight UTC", id="A18-another-zone",
        ),
        pytest.param(
            json.dumps(_ohlc([_candle(20055)])).replace("90055.0", "0").encode(),
            "close", id="A22-zero",
        ),
        pytest.param(
            json.dumps(_ohlc([_candle(20055)])).replace('"90055.0"', "NaN").encode(),
            "NaN", id="A23-nan",
        ),
        pytest.param(b"\xff{}", "JSON", id="A35-not-utf-8"),
        pytest.param(b'{"error":[],"result":{"XXBTZUSD":[["x"]]}}', "kraken BTC", id="A35-row"),
        pytest.param(b'{"error":[],"result":{"XXBTZUSD":[7]}}', "kraken BTC", id="A35-no-row"),
        pytest.param(b'{"error":[],"result":7}', "kraken BTC", id="A35-no-object"),
        pytest.param(b"[]", "kraken BTC", id="A35-array"),
        pytest.param(b"7", "kraken BTC", id="A35-number"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_candles_is_kept_and_refused(
    kraken: HTTPServer, patience: Patience, content: bytes, said: str
) -> None:
    kraken.expect_request("/0/public/OHLC").respond_with_data(
        content, content_type="application/json"
    )
    with Client(clock=patience.clock) as client:
        exchange = _exchange(client, kraken.url_for(""))
        payloads = exchange.download("BTC", START, END)
        assert payloads[-1].content == content
        with pytest.raises((SchemaError, EmptyFeedError)) as caught:
            exchange.parse("BTC", payloads)
    assert said in str(caught.value)
    assert str(caught.value).startswith("kraken BTC")
    assert str(caught.value).isprintable()


def test_a_list_of_markets_that_is_a_page_is_no_list(
    httpserver: HTTPServer, patience: Patience
) -> None:
    httpserver.expect_request("/0/public/Assets").respond_with_data("<html>")
    httpserver.expect_request("/0/public/AssetPairs").respond_with_data("<html>")
    with (
        Client(clock=patience.clock) as client,
        pytest.raises(DataUnavailableError, match="kraken BTC: needed"),
    ):
        _exchange(client, httpserver.url_for("")).fetch("BTC", START, END)


def test_A12_no_candles_are_an_empty_feed(kraken: HTTPServer, patience: Patience) -> None:
    kraken.expect_request("/0/public/OHLC").respond_with_json(_ohlc([]))
    with (
        Client(clock=patience.clock) as client,
        pytest.raises(EmptyFeedError, match="kraken BTC: needed a bar; found none"),
    ):
        _exchange(client, kraken.url_for("")).fetch("BTC", START, END)


def test_A09_candles_cut_at_any_byte_are_refused(kraken: HTTPServer, patience: Patience) -> None:
    kraken.expect_request("/0/public/OHLC").respond_with_handler(_candles)
    with Client(clock=patience.clock) as client:
        exchange = _exchange(client, kraken.url_for(""))
        market, page = exchange.download("BTC", START, END)
        for cut in range(0, len(page.content), 3):  # ccxt is made anew for each
            part = Payload(page.url, page.content[:cut], page.content_type, page.fetched_at)
            with pytest.raises(SchemaError):
                exchange.parse("BTC", (market, part))
