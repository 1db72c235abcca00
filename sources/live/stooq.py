"""Stooq: daily bars of US equities and funds as plain CSV.

``Date,Open,High,Low,Close[,Volume]``, one answer a symbol. Prices are adjusted backwards for splits
and dividends as of the download, so that the close is an ``adj_close``. What is not CSV is a
sentence: ``No data``, or ``Exceeded the daily hits limit``. Stooq may ask for a key, which it gives
away on its site for solving a captcha.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pandas as pd

from sources import cells
from sources.errors import EmptyFeedError, ProviderUnavailableError, SchemaError
from sources.live.bars import Bars, finished, no_table, price_table
from sources.live.provider import Fetching, Payload, require_text
from sources.raw_files import RawFile
from sources.strict_csv import parse_csv

if TYPE_CHECKING:
    from sources.live.client import Client

URL = "https://stooq.com"

_COLUMNS = {
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "adj_close",
    "Volume": "volume",
}
_NEEDED = ("Date", "Open", "High", "Low", "Close")
_LIMIT = b"Exceeded the daily hits limit"
_NO_DATA = b"No data"


class Stooq(Fetching):
    """Daily bars from Stooq.

    Parameters
    ----------
    client : to ask with.
    base_url : where Stooq is.
    key : where it wants one.
    """

    name = "stooq"
    folder = "prices"

    def __init__(self, client: Client, base_url: str = URL, key: str | None = None) -> None:
        self._client, self._base_url, self._key = client, base_url, key

    def download(self, series: str, start: dt.date, end: dt.date) -> tuple[Payload, ...]:
        """Ask for the sessions that are over; see :class:`~sources.live.provider.Provider`.

        Raises
        ------
        ProviderUnavailableError
            Where there is no answer, or today's quota is used up.
        """
        span = finished(start, end, self._client.clock.now(), is_crypto=False)
        if span is None:
            return ()
        payload = self._client.get(
            self._source(series),
            f"{self._base_url}/q/d/l/",
            {
                "s": _stooq_symbol(series),
                "d1": f"{span[0]:%Y%m%d}",
                "d2": f"{span[1]:%Y%m%d}",
                "i": "d",
            },
            secret={"apikey": self._key} if self._key else None,
        )
        if payload.content.strip().startswith(_LIMIT):
            raise ProviderUnavailableError(
                self._source(series),
                found=f"{_LIMIT.decode()!r}",
                attempts=1,
                retry_at=f"{payload.fetched_at.date() + dt.timedelta(days=1)}",
            )
        return (payload,)

    def parse(self, series: str, payloads: tuple[Payload, ...]) -> pd.DataFrame:
        """Read the CSV strictly; see :class:`~sources.live.provider.Provider`."""
        if not payloads:
            return no_table()
        (payload,) = payloads
        source = self._source(series)
        content = require_text(payload, source, ("csv", "text/plain", "octet-stream"))
        if content.strip() in {b"", _NO_DATA} or content.count(b"\n") <= 1:
            found = repr(content[:40].decode("ascii", "replace").strip())
            raise EmptyFeedError(source, expected="a header and rows", found=found)
        file = RawFile(source, parse_csv(content, source), first_row=2)
        names = file.table.column_names
        missing = [name for name in _NEEDED if name not in names]
        if missing:
            raise SchemaError(
                source, row=1, expected=f"columns {', '.join(missing)}", found=", ".join(names[:8])
            )
        bars = Bars(
            cells.days(file.table["Date"], file.place("Date")),
            {
                ours: cells.numbers(file.table[theirs], file.place(theirs))
                for theirs, ours in _COLUMNS.items()
                if theirs in names
            },
        )
        return price_table(source, bars, payload.fetched_at, is_crypto=False, first_row=2)

    def _source(self, series: str) -> str:
        return f"{self.name} {series}"


def _stooq_symbol(series: str) -> str:
    """Return Stooq's name of a symbol: lower case, ``.us`` after shares, indices as they are.

    Examples
    --------
    >>> _stooq_symbol("IWM"), _stooq_symbol("BRK-B"), _stooq_symbol("^RUT")
    ('iwm.us', 'brk-b.us', '^rut')
    """
    return series.lower() if series.startswith("^") else f"{series.lower()}.us"
