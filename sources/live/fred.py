"""FRED's API with ALFRED's vintages: each value from the day on which it was first there to read.

``available_at`` of a vintage is on its ``realtime_start``: at the hour of release declared for the
series in :mod:`sources.publication`, at the end of that day (UTC) for any other: FRED names none.

The archive of many series begins later than the series: what was already there on its first day
was published before, nobody recorded when. Such a value gets the declared lag where the series has
a row of its own in the table, and the archive's first day where it has not: late, never early.

A request may span 2,000 vintages at most, so the real time is cut into windows; FRED cuts each
vintage at the edge of a window, and a vintage that says what the one before it said is put back.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa

from sources import calendars, cells
from sources.errors import DataUnavailableError, SchemaError
from sources.live.client import Client
from sources.live.provider import Fetching, Payload, parse_json
from sources.publication import PUBLICATIONS
from sources.schemas import MACRO
from sources.strict_csv import shown

URL = "https://api.stlouisfed.org/fred"

_WINDOW = 1000
_PAGE = 100_000
_VINTAGE_PAGE = 10_000
_PAGES = 100
_FOREVER = "9999-12-31"
_ARCHIVED = np.timedelta64(31, "D")


class Fred(Fetching):
    """Macro series of the Federal Reserve Bank of St. Louis, every vintage of them.

    Parameters
    ----------
    client : to ask with.
    key : of the API; sent as a secret, in no payload, message or log. Without one there is no
        answer: :mod:`sources.live.fred_csv` needs none.
    url : of the API.
    """

    name = "fred"
    folder = "macro"

    def __init__(self, client: Client, key: str | None, url: str = URL) -> None:
        self._client, self._key, self._url = client, key, url

    def download(self, series: str, start: dt.date, end: dt.date) -> tuple[Payload, ...]:
        """Ask for the days on which the series changed, then for its values window by window.

        Raises
        ------
        DataUnavailableError
            Where there is no key.
        ProviderUnavailableError
            Where there is no answer.
        """
        return self.revisions(series, start, end, start)

    def revisions(
        self, series: str, start: dt.date, end: dt.date, since: dt.date
    ) -> tuple[Payload, ...]:
        """Ask like :meth:`download`, but only for what changed since a day, of however old a date.

        The vintage that stood on that day is asked for too, so that what changed can be told.
        """
        source = f"{self.name} {series}"
        if self._key is None:
            raise DataUnavailableError(
                f"{source}: needed a key of FRED's API; found none; fred-csv needs none",
                source=source,
            )
        asked: dict[str, str | int] = {"series_id": series, "file_type": "json"}
        every = asked | {"realtime_start": "1776-07-04", "realtime_end": _FOREVER}
        answers = list(self._pages(source, "series/vintagedates", every, _VINTAGE_PAGE))
        try:
            vintages = _vintages(tuple(answers), source)
        except SchemaError:
            return tuple(answers)  # kept as it came; parse says what is wrong with it
        # What is dated from ``start`` on was not published before it.
        inside = [day for day in vintages if day >= start.isoformat()]
        inside = inside[max(bisect.bisect_right(inside, since.isoformat()) - 1, 0) :]
        for first, beyond in pairwise([*inside[::_WINDOW], ""]):
            window = asked | {
                "realtime_start": first,
                "realtime_end": _day_before(beyond) if beyond else _FOREVER,
                "observation_start": start.isoformat(),
                "observation_end": end.isoformat(),
                "output_type": 1,
            }
            answers.extend(self._pages(source, "series/observations", window, _PAGE))
        return tuple(answers)

    def parse(self, series: str, payloads: tuple[Payload, ...]) -> pd.DataFrame:
        """Return ``date,value,available_at``, one row a vintage; rows without a value left out."""
        source = f"{self.name} {series}"
        vintages = _vintages(payloads, source)
        documents = [_document(payload, source) for payload in payloads]
        _require_every_page(documents, source)
        rows = [row for found in documents for row in found.get("observations", ())]
        if not rows:
            empty = np.array([], dtype="M8[us]")
            return _table(empty, np.array([]), empty)
        date, first, value = _columns(rows, source)
        held = ~np.isnan(value)
        order = np.lexsort((first, date))
        order = order[held[order]]
        date, first, value = date[order], first[order], value[order]
        same = np.append(False, (date[1:] == date[:-1]) & (value[1:] == value[:-1]))
        date, first, value = date[~same], first[~same], value[~same]
        if (began := _continues(payloads, vintages)) is not None:
            fresh = first > np.datetime64(began, "us")
            date, first, value = date[fresh], first[fresh], value[fresh]
        known = _available_at(series, date, first, np.datetime64(vintages[0], "us"))
        # The archive may know a day's first two vintages no better than by one instant.
        again = np.append((date[1:] == date[:-1]) & (known[1:] <= known[:-1]), False)
        return _table(date[~again], value[~again], known[~again])

    def _pages(
        self, source: str, path: str, asked: dict[str, str | int], size: int
    ) -> Iterator[Payload]:
        for page in range(_PAGES):
            payload = self._client.get(
                source,
                f"{self._url}/{path}",
                asked | {"limit": size, "offset": page * size},
                secret={"api_key": self._key or ""},
            )
            yield payload
            try:
                more = (page + 1) * size < _document(payload, source)["count"]
            except SchemaError:
                return
            if not more:
                return


def _document(payload: Payload, source: str) -> dict[str, Any]:
    """Return one page of an answer, checked to be whole: as many entries as it says."""
    found = parse_json(payload, source)
    if not isinstance(found, dict) or "error_message" in found:
        said = found.get("error_message") if isinstance(found, dict) else found
        raise SchemaError(source, expected="observations or vintage dates", found=shown(said))
    names = [name for name in ("observations", "vintage_dates") if name in found]
    numbers = [found.get(name) for name in ("count", "offset", "limit")]
    if (
        len(names) != 1
        or not isinstance(found[names[0]], list)
        or not all(isinstance(number, int) and number >= 0 for number in numbers)
    ):
        raise SchemaError(
            source,
            expected="count, offset, limit, and a list of observations or vintage_dates",
            found=shown(sorted(found)),
        )
    count, offset, limit = (int(number or 0) for number in numbers)
    needed = max(min(count - offset, limit), 0)
    if len(found[names[0]]) != needed:
        raise SchemaError(
            source,
            expected=f"{needed} {names[0]} from {offset} on of {count}",
            found=str(len(found[names[0]])),
        )
    return found


def _require_every_page(documents: list[dict[str, Any]], source: str) -> None:
    """Check that the pages follow on each other, each answer up to its count."""
    reached = total = 0
    for found in [*documents, {"offset": 0}]:
        if (found["offset"] == 0 and reached < total) or found["offset"] not in {0, reached}:
            raise SchemaError(
                source, expected=f"the page from {reached} on of {total}", found="another or none"
            )
        if "count" in found:
            total = found["count"]
            reached = min(found["offset"] + found["limit"], total)


def _vintages(payloads: tuple[Payload, ...], source: str) -> list[str]:
    documents = [_document(payload, source) for payload in payloads]
    found = [day for answer in documents for day in answer.get("vintage_dates", ())]
    if not found:
        raise SchemaError(source, expected="vintage dates", found="none")
    days = cells.days(_texts(found, source), cells.Place(source, "vintage_dates", 1))
    if (days[1:] <= days[:-1]).any():
        raise SchemaError(source, expected="vintage dates ascending", found="others")
    return found


def _continues(payloads: tuple[Payload, ...], vintages: list[str]) -> str | None:
    """Return the first day of real time asked for, where earlier vintages were left out.

    What stood on that day was told in an earlier answer, and with its true day.
    """
    asked = [httpx.URL(payload.url).params for payload in payloads]
    asked = [params for params in asked if "observation_start" in params]
    if not asked:
        return None
    began = min(params["realtime_start"] for params in asked)
    start = min(params["observation_start"] for params in asked)
    return began if any(start <= day < began for day in vintages) else None


def _columns(rows: list[Any], source: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return event date, first day of the vintage, and value of each row."""
    try:
        columns = {
            name: _texts([row[name] for row in rows], source)
            for name in ("date", "realtime_start", "value")
        }
    except (KeyError, TypeError):
        raise SchemaError(
            source, expected="observations with date, realtime_start and value", found="others"
        ) from None
    date = cells.days(columns["date"], cells.Place(source, "date", 1))
    first = cells.days(columns["realtime_start"], cells.Place(source, "realtime_start", 1))
    value = cells.numbers(columns["value"], cells.Place(source, "value", 1), MACRO.absent)
    return date, first, value


def _texts(values: list[Any], source: str) -> pa.ChunkedArray:
    if not all(isinstance(value, str) for value in values):
        wrong = next(value for value in values if not isinstance(value, str))
        raise SchemaError(source, expected="values as text", found=shown(wrong))
    return pa.chunked_array([pa.array(values, pa.string())])


def _available_at(
    series: str, date: np.ndarray, first: np.ndarray, archive: np.datetime64
) -> np.ndarray:
    row = PUBLICATIONS.get(series)
    if row is None or row.lag is None:
        end_of_day: np.ndarray = first + np.timedelta64(1, "D")
        return end_of_day
    known: np.ndarray = first + np.timedelta64(row.lag.minutes, "m")
    unrecorded = (first == archive) & (date < archive - _ARCHIVED)
    by_lag = calendars.available_at_macro(series, date[unrecorded])
    known[unrecorded] = by_lag.tz_localize(None).to_numpy()
    return known


def _table(date: np.ndarray, value: np.ndarray, known: np.ndarray) -> pd.DataFrame:
    available_at = pd.DatetimeIndex(calendars.to_us(known)).tz_localize("UTC")
    return pd.DataFrame(
        {"date": calendars.to_us(date), "value": value, "available_at": available_at}
    )


def _day_before(day: str) -> str:
    return (dt.date.fromisoformat(day) - dt.timedelta(days=1)).isoformat()
