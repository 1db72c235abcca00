"""Yahoo: daily bars of US equities, funds and indices, through yfinance.

yfinance knows the way in: a browser's handshake, cookies, the crumb, the page of consent. What
comes out, the JSON of Yahoo's ``v8/finance/chart``, is kept raw and read here, strictly, with
nothing adjusted on the way: ``close`` is Yahoo's (split-adjusted) close, ``adj_close`` is also
adjusted for dividends, as of the download.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sources.errors import EmptyFeedError, SchemaError
from sources.live.bars import Bars, finished, no_table, price_table
from sources.live.provider import Fetching, Payload, parse_json
from sources.live.transfer import Failed, Refused, check_status
from sources.strict_csv import shown

if TYPE_CHECKING:
    from sources.live.client import Client

URL = "https://query2.finance.yahoo.com"

_NEW_YORK = ZoneInfo("America/New_York")
_ZONES = ("America/New_York", "America/Chicago")
_QUOTES = ("open", "high", "low", "close", "volume")
_FIRST_SECOND, _LAST_SECOND = -631152000, 7258118400  # 1950 and 2200: milliseconds are neither


class Yahoo(Fetching):
    """Daily bars from Yahoo.

    Parameters
    ----------
    client : for its patience and limits; the requests are yfinance's.
    base_url : where Yahoo is; any other one takes the requests to all of Yahoo's hosts.
    cache : folder in which yfinance keeps Yahoo's cookie, in the user's cache by default.
    """

    name = "yahoo"
    folder = "prices"

    def __init__(self, client: Client, base_url: str = URL, cache: Path | None = None) -> None:
        self._client, self._base_url, self._cache = client, base_url, cache
        self._session: Any = None

    def download(self, series: str, start: dt.date, end: dt.date) -> tuple[Payload, ...]:
        """Ask for the sessions that are over; see :class:`~sources.live.provider.Provider`."""
        span = finished(start, end, self._client.clock.now(), is_crypto=False)
        if span is None:
            return ()
        first = dt.datetime.combine(span[0], dt.time(), _NEW_YORK)
        last = dt.datetime.combine(span[1] + dt.timedelta(days=1), dt.time(), _NEW_YORK)
        params: dict[str, str | int] = {
            "period1": int(first.timestamp()),
            "period2": int(last.timestamp()),
            "interval": "1d",
            "includePrePost": "false",
            "events": "div,splits,capitalGains",
        }
        path = f"/v8/finance/chart/{quote(series)}"

        def attempt(seconds: float) -> tuple[bytes, str]:
            return self._ask(f"{URL}{path}", params, seconds)

        query = "&".join(f"{name}={value}" for name, value in params.items())
        url = f"{self._base_url}{path}?{query}"
        return (self._client.patiently(self._source(series), url, attempt),)

    def parse(self, series: str, payloads: tuple[Payload, ...]) -> pd.DataFrame:
        """Read the chart strictly; see :class:`~sources.live.provider.Provider`."""
        if not payloads:
            return no_table()
        (payload,) = payloads
        source = self._source(series)
        result = _result(parse_json(payload, source), source)
        zone = _check_meta(result, series, source)
        stamps = result.get("timestamp") or []
        if not isinstance(stamps, list):
            raise SchemaError(source, expected="a list timestamp", found=shown(stamps))
        if not stamps:
            raise EmptyFeedError(source, expected="a bar", found="no timestamp")
        seconds = _numbers(stamps, len(stamps), source, "timestamp")
        if not ((seconds >= _FIRST_SECOND) & (seconds <= _LAST_SECOND)).all():
            raise SchemaError(
                source, column="timestamp", expected="seconds since 1970", found=shown(stamps[0])
            )
        instants = pd.DatetimeIndex(seconds.astype("int64").astype("M8[s]"), tz="UTC")
        date = instants.tz_convert(zone).tz_localize(None).normalize().to_numpy()
        columns = _columns(result, len(stamps), source)
        if len(date) > 1 and date[-1] == date[-2]:
            # After the session's own bar Yahoo appends the live quote of the same session, newer.
            keep = np.arange(len(date)) != len(date) - 2
            date, columns = date[keep], {name: held[keep] for name, held in columns.items()}
        return price_table(source, Bars(date, columns), payload.fetched_at, is_crypto=False)

    def _source(self, series: str) -> str:
        return f"{self.name} {series}"

    def _ask(self, url: str, params: Mapping[str, str | int], seconds: float) -> tuple[bytes, str]:
        import yfinance  # heavy, as curl is
        from curl_cffi.requests.exceptions import RequestException
        from yfinance.data import YfData
        from yfinance.exceptions import YFException, YFRateLimitError

        if self._session is None:
            if self._cache is not None:
                yfinance.set_tz_cache_location(str(self._cache))
            self._session = _session_type()(self._base_url, self._client.limits.content_bytes)
        self._session.allow(seconds)
        try:
            response = YfData(session=self._session).get(url, params=dict(params), timeout=seconds)
        except YFRateLimitError:
            raise Failed("HTTP 429", 429, self._session.retry_after) from None
        except (RequestException, YFException) as error:
            raise Failed(f"{type(error).__name__}: {' '.join(str(error).split())}") from None
        check_status(response.status_code, response.headers.get("Retry-After"), response.content)
        return response.content, response.headers.get("Content-Type", "")


@cache
def _session_type() -> Any:
    """Return the class of session that yfinance is given; made on first use, as curl is heavy."""
    import time

    from curl_cffi import requests

    class BoundedSession(requests.Session):  # type: ignore[misc]
        """A browser's session that keeps a deadline and a size, and finds Yahoo where it is."""

        def __init__(self, base_url: str, limit: int) -> None:
            super().__init__(impersonate="chrome")
            self._elsewhere = None if base_url == URL else base_url
            self._limit = limit
            self.retry_after = None

        def allow(self, seconds: float) -> None:
            """Set how long all further requests may take together."""
            self._end = time.monotonic() + seconds
            self.retry_after = None

        def request(self, method: Any, url: str, **asked: Any) -> Any:
            if self._elsewhere:
                url = f"{self._elsewhere}{urlsplit(url).path}"
            body = bytearray()

            def take(chunk: bytes) -> int:
                body.extend(chunk)
                if len(body) > self._limit:
                    raise Refused(f"more than the limit of {self._limit} bytes")
                return len(chunk)

            asked["timeout"] = max(self._end - time.monotonic(), 0.001)
            response = super().request(method, url, content_callback=take, **asked)
            response.content = bytes(body)
            self.retry_after = response.headers.get("Retry-After")
            return response

    return BoundedSession


def _result(answer: Any, source: str) -> Mapping[str, Any]:
    """Return the one result of a chart."""
    chart = answer.get("chart") if isinstance(answer, dict) else None
    if not isinstance(chart, dict):
        raise SchemaError(source, expected="an object with a chart", found=shown(answer))
    if chart.get("error"):
        raise SchemaError(source, expected="a chart", found=f"error {shown(chart['error'])}")
    result = chart.get("result")
    if not (isinstance(result, list) and len(result) == 1 and isinstance(result[0], dict)):
        raise SchemaError(source, expected="one result", found=shown(result))
    return result[0]


def _check_meta(result: Mapping[str, Any], series: str, source: str) -> ZoneInfo:
    """Check that a chart is of the series and kind asked for; return its exchange's zone."""
    meta = result.get("meta")
    if not isinstance(meta, dict):
        raise SchemaError(source, expected="an object meta", found=shown(meta))
    for name, allowed in (
        ("symbol", (series,)),
        ("currency", ("USD",)),
        ("dataGranularity", ("1d",)),
        ("exchangeTimezoneName", _ZONES),
    ):
        if meta.get(name) not in allowed:
            raise SchemaError(
                source, column=name, expected=" or ".join(allowed), found=shown(meta.get(name))
            )
    return ZoneInfo(meta["exchangeTimezoneName"])


def _columns(result: Mapping[str, Any], length: int, source: str) -> dict[str, np.ndarray]:
    """Return the columns of prices of a chart."""
    indicators = result.get("indicators")
    try:
        quotes, adjusted = indicators["quote"][0], indicators["adjclose"][0]["adjclose"]  # type: ignore[index]
        columns = {name: quotes[name] for name in _QUOTES} | {"adj_close": adjusted}
    except (KeyError, IndexError, TypeError):
        raise SchemaError(
            source,
            expected=f"indicators {', '.join(_QUOTES)} and adjclose",
            found=shown(indicators),
        ) from None
    return {name: _numbers(held, length, source, name) for name, held in columns.items()}


def _numbers(held: Any, length: int, source: str, name: str) -> np.ndarray:
    """Return a JSON list of numbers as (n,) float64, null as NaN."""
    if not isinstance(held, list) or len(held) != length:
        found = len(held) if isinstance(held, list) else shown(held)
        raise SchemaError(source, column=name, expected=f"{length} numbers", found=str(found))
    for row, value in enumerate(held):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise SchemaError(
                source, column=name, row=row + 1, expected="a number or null", found=shown(value)
            )
    return np.array([np.nan if value is None else value for value in held], dtype="float64")
