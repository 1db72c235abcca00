"""One server that speaks the formats of all live sources at once, about a small made-up world.

::

    feeds = Feeds(httpserver)
    feeds.now = TOMORROW
    feeds.prices["IWM"].split("2024-12-03", 2)
    feeds.faults["yahoo"] = "html"

Nothing is replaced in the program: its settings point the providers at this server.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path

from feedworld import TODAY, Bars, World, later
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from riskon.settings import Settings
from sources.calendars import available_at_equity, available_at_flows
from sources.live import Clock
from sources.live.ishares import FUNDS

FRED_KEY, STOOQ_KEY = "fredkey0123456789fredkey01234567", "stooqkey98765"
_DAY = 86_400
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TAIL = "Ticker,Name,Sector,Asset Class,Market Value,Weight (%),Quantity,Price,Currency"


class Feeds(World):
    """The server, whose world it is, and what is wrong with it.

    Attributes
    ----------
    now : instant at which it is asked.
    second : symbol -> factor by which Stooq's and the klines' last close differs.
    opens : symbol -> factor by which Yahoo's opens and highs stand off its closes.
    faults : provider, or ``provider symbol`` -> ``500``, ``404``, ``html``, ``cut`` or ``empty``.
    asked : (provider, symbol, first day asked for or None) of each question.
    """

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.now = TODAY
        super().__init__()
        self.second: dict[str, float] = {}
        self.opens: dict[str, float] = {}
        self.faults: dict[str, str] = {}
        self.asked: list[tuple[str, str, dt.date | None]] = []
        self._serve()

    @property
    def url(self) -> str:
        """Where it is."""
        return self.server.url_for("").rstrip("/")

    @property
    def clock(self) -> Clock:
        """Return a clock that stands at ``now``, and on which waiting takes no time."""
        return Clock(now=lambda: self.now, sleep=lambda _: None, jitter=lambda: 0.5)

    def settings(self, home: Path, **more: object) -> Settings:
        """Return the settings that point all providers here."""
        return Settings.model_validate({**self.environment(home), **more})

    def environment(self, home: Path) -> dict[str, object]:
        """Return these settings by their names."""
        return {
            "home": home,
            "yahoo_url": self.url,
            "stooq_url": self.url,
            "stooq_api_key": STOOQ_KEY,
            "klines_url": self.url,
            "exchange": "kraken",
            "exchange_url": self.url,
            "fred_url": f"{self.url}/fred",
            "fred_csv_url": f"{self.url}/graph/fredgraph.csv",
            "fred_api_key": FRED_KEY,
            "funds": {
                name: {
                    "history": f"{self.url}/funds/{name}/history?fileType=xls",
                    "holdings": f"{self.url}/funds/{name}/holdings?fileType=csv",
                }
                for name in FUNDS
            },
        }

    def _serve(self) -> None:
        routes: dict[str, Callable[[Request], Response]] = {
            r"^/v8/finance/chart/.+": self._yahoo,
            r"^/q/d/l/$": self._stooq,
            r"^/api/v3/klines$": self._klines,
            r"^/0/public/OHLC$": self._kraken,
            r"^/fred/series/.+": self._fred,
            r"^/graph/fredgraph.csv$": self._fred_csv,
            r"^/funds/.+/history$": self._history,
            r"^/funds/.+/holdings$": self._holdings,
        }
        for path, answer in routes.items():
            self.server.expect_request(re.compile(path)).respond_with_handler(answer)
        self.server.expect_request("/v1/test/getcrumb").respond_with_data("crumb")
        self.server.expect_request("/").respond_with_data(
            "", headers={"Set-Cookie": "A3=x; Path=/"}
        )
        self.server.expect_request("/0/public/Assets").respond_with_json(
            {"error": [], "result": {a: _asset(a, n) for a, n in _ASSETS.items()}}
        )
        self.server.expect_request("/0/public/AssetPairs").respond_with_json(
            {"error": [], "result": {pair: _pair(*both) for pair, both in _PAIRS.items()}}
        )

    def _answer(
        self, provider: str, symbol: str, start: dt.date | None, content: bytes, kind: str
    ) -> Response:
        """Return an answer, or what the fault of the provider makes of it."""
        self.asked.append((provider, symbol, start))
        fault = self.faults.get(f"{provider} {symbol}", self.faults.get(provider, ""))
        if fault in {"500", "404"}:
            return Response("no", int(fault))
        if fault == "html":
            return Response("<html>Are you a robot?</html>", content_type="text/html")
        if fault == "cut":
            content = content[: len(content) * 2 // 3 - 1]
        return Response(b"" if fault == "empty" else content, content_type=kind)

    def _over(
        self, bars: Bars, first: dt.date, last: dt.date
    ) -> list[tuple[dt.date, float, float]]:
        """Return the bars of a range whose session is over."""
        return [
            bar
            for bar in bars.bars(self.now.date())
            if first <= bar[0] <= last and available_at_equity([bar[0]])[0] <= self.now
        ]

    def _yahoo(self, request: Request) -> Response:
        symbol = request.path.rpartition("/")[2]
        first, last = (
            dt.datetime.fromtimestamp(int(request.args[name]), dt.UTC).date()
            for name in ("period1", "period2")
        )
        if symbol not in self.prices:
            error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            content = json.dumps({"chart": {"result": None, "error": error}}).encode()
            self.asked.append(("yahoo", symbol, first))
            return Response(content, 404, content_type="application/json")
        rows = self._over(self.prices[symbol], first, last - dt.timedelta(days=1))
        close = [row[1] for row in rows]
        off = self.opens.get(symbol, 1.0)
        quote = {"open": [c * off for c in close], "high": [c * 1.01 * off for c in close],
                 "close": close, "low": [c * 0.99 for c in close],
                 "volume": [1000] * len(rows)}  # fmt: skip
        meta = {"currency": "USD", "symbol": symbol, "exchangeTimezoneName": "America/New_York",
                "dataGranularity": "1d"}  # fmt: skip
        result = {
            "meta": meta,
            "timestamp": [_opening(row[0]) for row in rows],
            "indicators": {"quote": [quote], "adjclose": [{"adjclose": [r[2] for r in rows]}]},
        }
        content = json.dumps({"chart": {"result": [result], "error": None}}).encode()
        return self._answer("yahoo", symbol, first, content, "application/json")

    def _stooq(self, request: Request) -> Response:
        assert request.args["apikey"] == STOOQ_KEY
        symbol = request.args["s"].upper().removesuffix(".US")
        first, last = (_compact(request.args[name]) for name in ("d1", "d2"))
        rows = self._over(self.prices[symbol], first, last) if symbol in self.prices else []
        factor = self.second.get(symbol, 1.0)
        lines = [f"{day},{a:.6f},{a * 1.01:.6f},{a * 0.99:.6f},{a:.6f},1000" for day, _, a in rows]
        if rows and factor != 1:
            day, _, last_close = rows[-1]
            a = last_close * factor
            lines[-1] = f"{day},{a:.6f},{a * 1.01:.6f},{a * 0.99:.6f},{a:.6f},1000"
        text = "\r\n".join(["Date,Open,High,Low,Close,Volume", *lines, ""]) if rows else "No data"
        return self._answer("stooq", symbol, first, text.encode(), "text/csv")

    def _candles(self, coin: str, first: dt.date) -> list[tuple[int, float]]:
        """Return day since 1970 and close, today's unfinished bar among them."""
        return [
            ((day - dt.date(1970, 1, 1)).days, close)
            for day, close, _ in self.coins[coin].bars(self.now.date())
            if day >= first
        ]

    def _klines(self, request: Request) -> Response:
        coin = request.args["symbol"].removesuffix("USDT")
        first = dt.datetime.fromtimestamp(int(request.args["startTime"]) / 1000, dt.UTC).date()
        if coin not in self.coins:
            self.asked.append(("klines", coin, first))
            return Response('{"code":-1121,"msg":"Invalid symbol."}', 400)
        factor = self.second.get(coin, 1.0)
        limit = int(request.args["limit"])
        rows = [
            [day * _DAY * 1000, *(f"{c * factor:.8f}" for c in (close, close * 1.01, close * 0.99,
             close)), "12.5", (day + 1) * _DAY * 1000 - 1, "0.0", 100, "0.0", "0.0", "0"]
            for day, close in self._candles(coin, first)
        ][:limit]  # fmt: skip
        return self._answer("klines", coin, first, json.dumps(rows).encode(), "application/json")

    def _kraken(self, request: Request) -> Response:
        pair = request.args["pair"]
        coin = {"XXBTZUSD": "BTC", "XETHZUSD": "ETH"}[pair]
        since = int(request.args["since"])
        first = dt.datetime.fromtimestamp(since + 1, dt.UTC).date()
        rows = [
            [day * _DAY, *(f"{c:.2f}" for c in (close, close * 1.01, close * 0.99, close)),
             f"{close:.2f}", "1234.5", 99]
            for day, close in self._candles(coin, dt.date(1970, 1, 1))
            if day * _DAY > since
        ][-720:]  # fmt: skip
        last = rows[-1][0] if rows else 0
        content = json.dumps({"error": [], "result": {pair: rows, "last": last}}).encode()
        return self._answer("exchange", coin, first, content, "application/json")

    def _published(self, name: str) -> list[tuple[str, str, str]]:
        return [row for row in self.macro.get(name, ()) if row[1] <= self.now.date().isoformat()]

    def _fred(self, request: Request) -> Response:
        asked = request.args
        name = asked["series_id"]
        if asked.get("api_key") != FRED_KEY:
            return Response('{"error_code":400,"error_message":"Bad Request."}', 400)
        rows = self._published(name)
        if not rows:
            said = '{"error_code":400,"error_message":"The series does not exist."}'
            return Response(said, 400, content_type="application/json")
        if request.path.endswith("/vintagedates"):
            vintages = sorted({first for _, first, _ in rows})
            content = _page(asked, "vintage_dates", vintages)
            return self._answer("fred", name, None, content, "application/json")
        start = dt.date.fromisoformat(asked["observation_start"])
        since, until = asked["realtime_start"], asked["realtime_end"]
        found = []
        for date in sorted({row[0] for row in rows}):
            if not asked["observation_start"] <= date <= asked["observation_end"]:
                continue
            same = sorted(row for row in rows if row[0] == date)
            ends = [*(later(dt.date.fromisoformat(f), -1) for _, f, _ in same[1:]), "9999-12-31"]
            found += [
                {"realtime_start": max(first, since), "realtime_end": min(end, until),
                 "date": date, "value": value}
                for (_, first, value), end in zip(same, ends, strict=True)
                if first <= until and end >= since
            ]  # fmt: skip
        content = _page(asked, "observations", found)
        return self._answer("fred", name, start, content, "application/json")

    def _fred_csv(self, request: Request) -> Response:
        name, first, last = (request.args[key] for key in ("id", "cosd", "coed"))
        if name not in self.macro:
            self.asked.append(("fred-csv", name, dt.date.fromisoformat(first)))
            return Response("no such series", 404)
        latest = {date: value for date, _, value in self._published(name) if first <= date <= last}
        lines = [f"{date},{value}" for date, value in sorted(latest.items())]
        text = "\n".join([f"observation_date,{name}", *lines, ""])
        start = dt.date.fromisoformat(first)
        return self._answer("fred-csv", name, start, text.encode(), "application/csv")

    def _history(self, request: Request) -> Response:
        fund = request.path.split("/")[2]
        if fund not in self.funds:
            return Response("no such fund", 404)
        rows = [
            (_us(day), f"{nav:.4f}", "--", f"{shares:,.2f}")
            for day, nav, shares in reversed(self.funds[fund])
            if self._posted(day)
        ]
        header = ("As Of", "NAV per Share", "Ex-Dividends", "Shares Outstanding")
        body = "".join(
            "<ss:Row>"
            + "".join(f'<ss:Cell><ss:Data ss:Type="String">{c}</ss:Data></ss:Cell>' for c in row)
            + "</ss:Row>\n"
            for row in (header, *rows)
        )
        text = (
            '\ufeff<?xml version="1.0"?>\n'
            '<ss:Workbook xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">\n'
            f'<ss:Worksheet ss:Name="Historical">\n<ss:Table>\n{body}</ss:Table>\n</ss:Worksheet>\n'
            "</ss:Workbook>\n"
        )
        return self._answer("ishares", fund, None, text.encode(), "application/vnd.ms-excel")

    def _holdings(self, request: Request) -> Response:
        fund = request.path.split("/")[2]
        if fund not in self.funds:
            return Response("no such fund", 404)
        day = _compact(request.args["asOfDate"])
        shares = {d: s for d, _, s in self.funds[fund]}
        names = self.members.get(day, []) if self._posted(day) else []
        weight = 100 / len(names) if names else 0.0
        rows = [
            f'"{name}","{name} INC","Financials","Equity","{1e9 * (1 + day.day / 1000):,.2f}",'
            f'"{weight * (1 + (i % 2 - 0.5) * day.day / 1e4):.5f}","5.00","20.00","USD"'
            for i, name in enumerate(names)
        ]
        lines = [
            f"\ufeff{fund} Fund",
            f'Fund Holdings as of,"{_us(day) if names else "-"}"',
            f'Shares Outstanding,"{shares.get(day, 1e6):,.2f}"',
            "\u00a0",
            _TAIL,
            *(rows or ['"-","-","-","-","-","-","-","-","-"']),
            "",
            '"Fine print."',
            "",
        ]
        return self._answer("holdings", fund, day, "\r\n".join(lines).encode(), "text/csv")

    def _posted(self, day: dt.date) -> bool:
        """Tell whether the issuer has posted a day: 13:00 UTC of the next session."""
        return bool(available_at_flows([day])[0] <= self.now)


_ASSETS = {"XXBT": "XBT", "XETH": "ETH", "ZUSD": "USD"}
_PAIRS = {"XXBTZUSD": ("XXBT", "XBT"), "XETHZUSD": ("XETH", "ETH")}


def _asset(name: str, short: str) -> dict[str, object]:
    decimals = 4 if name == "ZUSD" else 10
    return {"aclass": "currency", "altname": short, "decimals": decimals, "display_decimals": 4}


def _pair(base: str, short: str) -> dict[str, object]:
    return {
        "altname": f"{short}USD", "wsname": f"{short}/USD", "aclass_base": "currency",
        "base": base, "aclass_quote": "currency", "quote": "ZUSD", "lot": "unit",
        "cost_decimals": 5, "pair_decimals": 2, "lot_decimals": 8, "lot_multiplier": 1,
        "leverage_buy": [], "leverage_sell": [], "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD", "margin_call": 80, "margin_stop": 40,
        "ordermin": "0.0001", "costmin": "0.5", "tick_size": "0.01", "status": "online",
    }  # fmt: skip


def _page(asked: object, name: str, entries: list[object]) -> bytes:
    offset, limit = int(asked["offset"]), int(asked["limit"])  # type: ignore[index]
    page = {"count": len(entries), "offset": offset, "limit": limit}
    return json.dumps(page | {name: entries[offset : offset + limit]}).encode()


def _opening(day: dt.date) -> int:
    """Return the second at which Yahoo says a session begins: 14:30 UTC is in it all year."""
    return int(dt.datetime.combine(day, dt.time(14, 30), dt.UTC).timestamp())


def _compact(text: str) -> dt.date:
    return dt.datetime.strptime(text, "%Y%m%d").replace(tzinfo=dt.UTC).date()


def _us(day: dt.date) -> str:
    return f"{_MONTHS[day.month - 1]} {day.day:02d}, {day.year}"
