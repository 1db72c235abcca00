"""Constituents from the holdings of a fund: snapshots, and who was a member when.

The universe is point-in-time from the first snapshot on: a name belongs to it from the first
session at whose end its snapshot was public, until the last session before it was public that the
name had left. Nobody who was asked on the day could have known better.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import pandas as pd

from sources import calendars
from sources.errors import EmptyFeedError
from sources.live.client import Client
from sources.live.holdings import SNAPSHOT_COLUMNS, parse_holdings
from sources.live.ishares import FUNDS, Fund, download_holdings, holdings_url
from sources.live.provider import Fetching, Payload

_DAY = np.timedelta64(1, "D")


class Constituents(Fetching):
    """Snapshots of a fund's members from its holdings, one for each session asked for.

    Parameters
    ----------
    client : to ask with.
    funds : symbol -> where its files are.
    """

    name = "ishares-constituents"
    folder = "constituents"

    def __init__(self, client: Client, funds: Mapping[str, Fund] = FUNDS) -> None:
        self._client, self._funds = client, funds

    def download(self, series: str, start: dt.date, end: dt.date) -> tuple[Payload, ...]:
        """Ask for the holdings of each session that is published by now, the last 31 of them."""
        url = holdings_url(series, self._funds)
        return download_holdings(self._client, f"{self.name} {series}", url, start, end)

    def parse(self, series: str, payloads: tuple[Payload, ...]) -> pd.DataFrame:
        """Return ``date,symbol,weight,available_at``: one row a member and day, by day."""
        source = f"{self.name} {series}"
        snapshots = []
        for payload in payloads:
            found = parse_holdings(payload, source)
            if found is None:
                continue
            days = np.repeat(found.day, len(found.weights))
            snapshots.append(
                pd.DataFrame(
                    {
                        "date": days,
                        "symbol": pd.Series(list(found.weights), dtype="str"),
                        "weight": list(found.weights.values()),
                        "available_at": calendars.available_at_constituents(days),
                    }
                )
            )
        if not snapshots:
            raise EmptyFeedError(source, expected="holdings of a day", found="none")
        table = pd.concat(snapshots, ignore_index=True)[list(SNAPSHOT_COLUMNS)]
        return table.drop_duplicates().sort_values(
            ["date", "available_at", "symbol"], kind="stable", ignore_index=True
        )


def memberships(snapshots: pd.DataFrame) -> pd.DataFrame:
    """Return ``symbol,start,end`` of the members that snapshots name; end NaT while a member.

    Parameters
    ----------
    snapshots : ``date,symbol,available_at``; of a day that was published twice the earlier
        one counts until the later one is public.

    Returns
    -------
    Sessions, both included. Adding a later snapshot ends some rows and appends others; the part
    of each row before it was public stays as it is.
    """
    open_since: dict[str, np.datetime64] = {}
    spans: list[tuple[str, np.datetime64, np.datetime64]] = []
    dates, symbols = snapshots["date"].to_numpy(), snapshots["symbol"].to_numpy()
    instants = snapshots["available_at"].dt.tz_localize(None).to_numpy()
    order = np.argsort(instants, kind="stable")
    changes = np.flatnonzero(np.diff(instants[order])) + 1
    newest = np.datetime64("0001-01-01", "us")
    for rows in np.split(order, changes) if len(order) else ():
        instant, day = instants[rows[0]], dates[rows].max()
        if day < newest:  # an older day, published again: no news of who is a member
            continue
        newest = day
        # T(d) = d + 1 day: what is known at 13:00 of a session is known at its end.
        first = _session_from(instant - _DAY)
        names = set(symbols[rows[dates[rows] == day]])
        for symbol in sorted(open_since.keys() - names):
            start = open_since.pop(symbol)
            if start < first:
                spans.append((symbol, start, _session_before(first)))
        open_since |= dict.fromkeys(sorted(names - open_since.keys()), first)
    still = np.datetime64("NaT", "us")
    spans.extend((symbol, start, still) for symbol, start in open_since.items())
    spans.sort(key=lambda span: (span[0], span[1]))
    return pd.DataFrame(
        {
            "symbol": pd.Series([span[0] for span in spans], dtype="str"),
            "start": np.array([span[1] for span in spans], dtype="M8[us]"),
            "end": np.array([span[2] for span in spans], dtype="M8[us]"),
        }
    )


def _session_from(instant: np.datetime64) -> np.datetime64:
    """Return the first session whose midnight is at or after an instant."""
    day = pd.Timestamp(instant).ceil("D")
    found = calendars.sessions_between(day, day + pd.Timedelta(days=14))[0]
    return np.datetime64(found, "us")


def _session_before(session: np.datetime64) -> np.datetime64:
    day = pd.Timestamp(session)
    found = calendars.sessions_between(day - pd.Timedelta(days=14), day - pd.Timedelta(days=1))
    return np.datetime64(found[-1], "us")
