"""Klines: daily bars of one crypto exchange by its REST interface, Binance's.

``/api/v3/klines`` answers with arrays ``[open time, open, high, low, close, volume, close time,
...]``, prices as texts, at most 1000 a page, the unfinished bar of today among them. Times are
milliseconds since 1970, in some of the exchange's archives microseconds; nothing else is taken.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sources import cells
from sources.cells import Place
from sources.errors import EmptyFeedError, SchemaError
from sources.live.bars import Bars, finished, midnights, no_table, price_table
from sources.live.provider import Fetching, Payload, parse_json
from sources.strict_csv import shown

if TYPE_CHECKING:
    from sources.live.client import Client

URL = "https://data-api.binance.vision"
PAGE = 1000

_DAY_MS = 86_400_000
_COLUMNS = ("open", "high", "low", "close", "volume")


class Klines(Fetching):
    """Daily bars from Binance's REST interface.

    Parameters
    ----------
    client : to ask with.
    base_url : where the exchange is.
    quote : currency of the prices: ``BTC`` is asked for as ``BTCUSDT``.
    """

    name = "klines"
    folder = "prices"

    def __init__(self, client: Client, base_url: str = URL, quote: str = "USDT") -> None:
        self._client, self._base_url, self._quote = client, base_url, quote

    def download(self, series: str, start: dt.date, end: dt.date) -> tuple[Payload, ...]:
        """Ask for the finished days, page by page; see :class:`~sources.live.provider.Provider`.

        A page that cannot be read is the last one.
        """
        span = finished(start, end, self._client.clock.now(), is_crypto=True)
        if span is None:
            return ()
        first, last = (_milliseconds(day) for day in span)
        pages: list[Payload] = []
        while first <= last:
            page = self._client.get(
                self._source(series),
                f"{self._base_url}/api/v3/klines",
                {
                    "symbol": f"{series}{self._quote}",
                    "interval": "1d",
                    "startTime": first,
                    "endTime": last + _DAY_MS - 1,
                    "limit": PAGE,
                },
            )
            pages.append(page)
            try:
                dates = self._read(page, series).date
            except SchemaError:
                break  # parse says so again, when the page is kept
            newest = max(map(_milliseconds, dates.astype("M8[D]").tolist()), default=first)
            if len(dates) < PAGE or newest < first:
                break
            first = newest + _DAY_MS
        return tuple(pages)

    def parse(self, series: str, payloads: tuple[Payload, ...]) -> pd.DataFrame:
        """Read all pages strictly; see :class:`~sources.live.provider.Provider`."""
        if not payloads:
            return no_table()
        source = self._source(series)
        pages = [self._read(payload, series) for payload in payloads]
        if not any(len(page.date) for page in pages):
            raise EmptyFeedError(source, expected="a bar", found="an empty list")
        bars = Bars(
            np.concatenate([page.date for page in pages]),
            {name: np.concatenate([page.values[name] for page in pages]) for name in _COLUMNS},
        )
        # Judged by the first answer: what was finished then is finished in all of them.
        fetched_at = min(payload.fetched_at for payload in payloads)
        return price_table(source, bars, fetched_at, is_crypto=True)

    def _source(self, series: str) -> str:
        return f"{self.name} {series}"

    def _read(self, payload: Payload, series: str) -> Bars:
        source = self._source(series)
        rows = parse_json(payload, source)
        if not isinstance(rows, list):
            raise SchemaError(source, expected="an array of arrays", found=shown(rows))
        for number, row in enumerate(rows):
            if not _is_kline(row):
                raise SchemaError(
                    source,
                    row=number + 1,
                    expected="[time, five texts, time, ...]",
                    found=shown(row),
                )
        times = np.array([row[0] for row in rows], dtype="int64")
        return Bars(
            midnights(times, source),
            {
                name: cells.numbers(
                    pa.chunked_array([pa.array([row[i + 1] for row in rows], pa.string())]),
                    Place(source, name, 1),
                )
                for i, name in enumerate(_COLUMNS)
            },
        )


def _is_kline(row: Any) -> bool:
    return (
        isinstance(row, list)
        and len(row) >= 7
        and all(type(row[i]) is int and abs(row[i]) < 2**62 for i in (0, 6))
        and all(isinstance(text, str) for text in row[1:6])
    )


def _milliseconds(day: dt.date) -> int:
    return (day - dt.date(1970, 1, 1)).days * _DAY_MS
