"""Exchange: daily bars of any crypto exchange that ccxt knows.

ccxt knows each exchange's addresses, names, errors and formats; the bytes go through our client,
whose patience and limits hold, and are kept before ccxt reads them. Reading them is asking ccxt
the same question again, answered from what was kept; with it is kept what ccxt takes the market
for, so that reading needs no network.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from sources.errors import DataUnavailableError, EmptyFeedError, SchemaError, UnknownNameError
from sources.live.bars import Bars, finished, midnights, no_table, price_table
from sources.live.provider import Fetching, Payload, parse_json
from sources.live.transfer import Failed
from sources.strict_csv import shown

if TYPE_CHECKING:
    from sources.live.client import Client

_COLUMNS = ("open", "high", "low", "close", "volume")
_DAY_MS = 86_400_000
_PAGES = 200
"""At most; a page has 300 to 1000 days."""

_SHORT_PAGE = 300
"""Days that no exchange's page has less of."""


class Exchange(Fetching):
    """Daily bars from one crypto exchange.

    Parameters
    ----------
    client : to ask with.
    exchange : ccxt's name of it, such as ``kraken``, ``coinbase`` or ``binance``.
    quote : currency of the prices: ``BTC`` is asked for as ``BTC/USD``.
    base_url : where the exchange is; ccxt knows by default.
    """

    name = "exchange"
    folder = "prices"

    def __init__(
        self,
        client: Client,
        exchange: str = "kraken",
        quote: str = "USD",
        base_url: str | None = None,
    ) -> None:
        self._client, self._exchange, self._quote = client, exchange, quote
        self._base_url = base_url
        self._live: Any = None
        self._asked = False

    def download(self, series: str, start: dt.date, end: dt.date) -> tuple[Payload, ...]:
        """Ask for the finished days, page by page; see :class:`~sources.live.provider.Provider`.

        Returns
        -------
        The market as ccxt knows it, and a payload a page. A page that cannot be read is the last.

        Raises
        ------
        ProviderUnavailableError, UnknownNameError, DataUnavailableError
            Where there is no answer, no such exchange, or no such market at it.
        """
        span = finished(start, end, self._client.clock.now(), is_crypto=True)
        if span is None:
            return ()
        kept: list[Payload] = []
        symbol = f"{series}/{self._quote}"
        live = self._open(series)
        kept.append(self._market(live, series, symbol))
        first, last = ((day - dt.date(1970, 1, 1)).days * _DAY_MS for day in span)
        live.fetch = self._asking(live, series, kept)
        while first <= last and len(kept) <= _PAGES:
            try:
                candles = live.fetch_ohlcv(symbol, "1d", since=first)
            except _unreadable():
                break  # parse says why, when the page is kept
            newest = max((candle[0] or 0 for candle in candles), default=0)
            if candles and newest < first:
                break
            # An exchange that pages by dates has empty pages before the coin was listed.
            first = newest + _DAY_MS if candles else first + _SHORT_PAGE * _DAY_MS
        return tuple(kept)

    def parse(self, series: str, payloads: tuple[Payload, ...]) -> pd.DataFrame:
        """Have ccxt read all pages; see :class:`~sources.live.provider.Provider`."""
        if not payloads:
            return no_table()
        source = self._source(series)
        replayed = self._make({"enableRateLimit": False})
        market = parse_json(payloads[0], source)
        replayed.set_markets([market])
        candles: list[list[Any]] = []
        for payload in payloads[1:]:
            replayed.fetch = _answering(replayed, payload, source)
            try:
                candles += replayed.fetch_ohlcv(market["symbol"], "1d")
            except SchemaError:
                raise
            except _unreadable() as error:
                raise SchemaError(
                    source,
                    expected="candles",
                    found=f"{type(error).__name__} {shown(' '.join(str(error).split()))}",
                ) from None
        if not candles:
            raise EmptyFeedError(source, expected="a bar", found="none")
        for row, candle in enumerate(candles):
            if type(candle[0]) is not int:
                raise SchemaError(
                    source, row=row + 1, expected="a candle with its time", found=shown(candle)
                )
        bars = Bars(
            midnights(np.array([candle[0] for candle in candles]), source),
            {
                name: np.array([_number(candle[i + 1]) for candle in candles])
                for i, name in enumerate(_COLUMNS)
            },
        )
        # Judged by the first answer: what was finished then is finished in all of them.
        fetched_at = min(payload.fetched_at for payload in payloads)
        return price_table(source, bars, fetched_at, is_crypto=True)

    def _source(self, series: str) -> str:
        return f"{self._exchange} {series}"

    def _make(self, settings: dict[str, Any]) -> Any:
        ccxt = _ccxt()
        if self._exchange not in ccxt.exchanges:
            raise UnknownNameError("exchange", self._exchange, ccxt.exchanges)
        return getattr(ccxt, self._exchange)(settings)

    def _open(self, series: str) -> Any:
        """Return the exchange with its list of markets, asked for once."""
        if self._live is None:
            live = self._make({"enableRateLimit": False})
            if self._base_url is not None:
                live.urls["api"] = _moved(live.urls["api"], self._base_url)
            live.fetch = self._asking(live, series, [])
            try:
                live.load_markets()
            except _unreadable() as error:
                raise DataUnavailableError(
                    f"{self._source(series)}: needed the list of markets; "
                    f"found {type(error).__name__} {shown(' '.join(str(error).split()))}",
                    source=self._exchange,
                ) from None
            self._live = live
        return self._live

    def _market(self, live: Any, series: str, symbol: str) -> Payload:
        if symbol not in live.markets:
            raise DataUnavailableError(
                f"{self._source(series)}: needed a market {symbol}; "
                f"found {len(live.markets)} others",
                source=self._exchange,
            )
        content = json.dumps(live.markets[symbol], sort_keys=True).encode()
        url = f"ccxt:{self._exchange}/{symbol}"
        return Payload(url, content, "application/json", self._client.clock.now())

    def _asking(self, live: Any, series: str, kept: list[Payload]) -> Callable[..., Any]:
        """Return what ccxt shall ask with: our client, at the exchange's pace, answers kept."""

        def fetch(url: str, _method: str, headers: Any, *_body: Any) -> Any:
            if self._asked:
                self._client.clock.sleep(live.rateLimit / 1000)
            self._asked = True

            def attempt(seconds: float) -> tuple[bytes, str]:
                content, kind = self._client.once(url, seconds, headers=headers)
                try:
                    _read(live, content, url)
                except _ccxt().NetworkError as error:  # busy, in maintenance: said with status 200
                    found = " ".join(str(error).split())
                    raise Failed(f"{type(error).__name__}: {found}") from None
                except _ccxt().BaseError:
                    pass  # an answer, if not the one wanted: kept, and refused by parse
                return content, kind

            payload = self._client.patiently(self._source(series), url, attempt)
            kept.append(payload)
            return _read(live, payload.content, url)

        return fetch


def _answering(exchange: Any, payload: Payload, source: str) -> Callable[..., Any]:
    """Return what ccxt shall ask with to read what was kept."""

    def fetch(url: str, *_request: Any) -> Any:
        parse_json(payload, source)  # strictly, where ccxt would make do with a page
        return _read(exchange, payload.content, url)

    return fetch


def _read(exchange: Any, content: bytes, url: str) -> Any:
    """Return an answer as ccxt takes it; raise what it makes of an error."""
    text = content.decode("utf-8", "replace")
    answer = exchange.parse_json(text)
    exchange.handle_errors(200, "OK", url, "GET", {}, text, answer, {}, None)
    return answer


def _moved(urls: Any, base_url: str) -> Any:
    """Return ccxt's table of addresses with another host, paths as they are."""
    if isinstance(urls, dict):
        return {name: _moved(url, base_url) for name, url in urls.items()}
    return f"{base_url}{urlsplit(urls).path}" if isinstance(urls, str) else urls


def _number(value: Any) -> float:
    return np.nan if value is None else float(value)


def _unreadable() -> tuple[type[Exception], ...]:
    """Return what ccxt raises of answers that are of another shape than documented."""
    odd = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
    return (_ccxt().BaseError, *odd)


def _ccxt() -> Any:
    import ccxt  # slow: it brings a hundred exchanges

    return ccxt
