"""FRED without a key: the CSV of its charts, the latest vintage alone, with declared lags."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from sources import cells
from sources.errors import EmptyFeedError, SchemaError
from sources.live.client import Client
from sources.live.provider import Fetching, Payload, require_text
from sources.raw_files import RawFile
from sources.schemas import MACRO
from sources.strict_csv import parse_csv, shown
from sources.tables import known_by_rule

URL = "https://fred.stlouisfed.org/graph/fredgraph.csv"

_DATES = ("observation_date", "DATE")


class FredCsv(Fetching):
    """Macro series of FRED as its charts offer them.

    A revised value carries the ``available_at`` of the first one: what was revised since is not
    told. For series that are not revised, or from the day on which they are first fetched.

    Parameters
    ----------
    client : to ask with.
    url : of the charts' CSV.
    """

    name = "fred-csv"
    folder = "macro"

    def __init__(self, client: Client, url: str = URL) -> None:
        self._client, self._url = client, url

    def download(self, series: str, start: dt.date, end: dt.date) -> tuple[Payload, ...]:
        """Ask for the observations from ``start`` to ``end``."""
        asked = {"id": series, "cosd": start.isoformat(), "coed": end.isoformat()}
        return (self._client.get(f"{self.name} {series}", self._url, asked),)

    def parse(self, series: str, payloads: tuple[Payload, ...]) -> pd.DataFrame:
        """Return ``date,value,available_at``; rows without a value are left out."""
        source = f"{self.name} {series}"
        (payload,) = payloads
        raw = require_text(payload, source, ("csv", "text/plain"))
        if raw.strip() in {f"{name},{series}".encode() for name in _DATES}:
            raise EmptyFeedError(source, expected="at least one row", found="a header only")
        file = RawFile(source, parse_csv(raw, source), first_row=2)
        names = file.table.column_names
        dates = next((name for name in _DATES if name in names), None)
        if dates is None or series not in names:
            raise SchemaError(
                source,
                row=1,
                expected=f"columns observation_date, {series}",
                found=shown(", ".join(names)),
            )
        date = cells.days(file.table[dates], file.place(dates))
        repeated = np.append(False, date[1:] <= date[:-1])
        file.place(dates).refuse(repeated, file.table[dates], "dates ascending, each once")
        value = cells.numbers(file.table[series], file.place(series), MACRO.absent)
        held = ~np.isnan(value)
        known = known_by_rule(file, "macro", date[held], series)
        return pd.DataFrame(
            {
                "date": date[held],
                "value": value[held],
                "available_at": pd.DatetimeIndex(known).tz_localize("UTC"),
            }
        )
