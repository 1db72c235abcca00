"""Stores for tests: on both kinds of manifest, with a clock of their own, and small feeds."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from sqlalchemy import Engine

from riskon.database import migrate
from sources import Panel, available_at_crypto, available_at_equity
from sources.calendars import available_at_flows, sessions_between
from sources.store import CLOSES, MANIFEST, Feed, Marker, Store
from sources.store.database import open_database

PAYLOAD = "0" * 64


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, now: str) -> None:
        self.set(now)

    def set(self, now: str) -> None:
        self.now = datetime.fromisoformat(now)

    def __call__(self) -> datetime:
        return self.now


def make_store(root: Path, engine: Engine | None = None, clock: Clock | None = None) -> Store:
    """Return a store whose manifest is in its directory, or in a migrated database."""
    Marker.make(root, "directory" if engine is None else "server")
    if engine is None:
        engine = open_database(f"sqlite:///{root / MANIFEST}", wal=False)
        migrate(engine)
    return Store(root, engine, clock=clock or Clock("2024-06-20T22:00:00+00:00"))


def bars(
    days: list[str], closes: list[float], adjusted: list[float] | None = None, *, coin: bool = True
) -> pd.DataFrame:
    """Return price rows that become available by the calendar."""
    date = pd.DatetimeIndex(days).as_unit("us")
    known = available_at_crypto(date) if coin else available_at_equity(date)
    nothing = np.full(len(date), np.nan)
    return pd.DataFrame(
        {
            "date": date,
            **dict.fromkeys(("open", "high", "low"), nothing),
            "close": np.array(closes, dtype=float),
            "adj_close": nothing if adjusted is None else np.array(adjusted, dtype=float),
            "volume": nothing,
            "available_at": known,
        }
    )


def coin(days: list[str], closes: list[float], **more: object) -> Feed:
    """Return a feed of BTC without instants of its own."""
    return Feed("prices", "BTC", "test", (PAYLOAD,), bars(days, closes), **more)


def fund(days: list[str], closes: list[float], adjusted: list[float] | None = None) -> Feed:
    """Return a feed of a fund without instants of its own."""
    return Feed("prices", "IWM", "test", (PAYLOAD,), bars(days, closes, adjusted, coin=False))


def flows(rows: list[tuple[str, float, str | None]]) -> Feed:
    """Return a feed of flows: date, USD, and the feed's own instant or None."""
    date = pd.DatetimeIndex([row[0] for row in rows]).as_unit("us")
    own = pd.to_datetime([row[2] for row in rows], utc=True).as_unit("us")
    known = own.where(own.notna(), available_at_flows(date))
    table = pd.DataFrame(
        {
            "date": date,
            "flow_usd": [row[1] for row in rows],
            "aum_usd": 1e9,
            "available_at": known,
        }
    )
    return Feed("flows", "IWM", "test", (PAYLOAD,), table, stated=own.notna())


def closes(start: str, columns: dict[str, list[float]]) -> Feed:
    """Return a feed of constituents over the sessions from a day on."""
    length = len(next(iter(columns.values())))
    days = sessions_between(start, "2024-12-31")[:length]
    known = available_at_equity(days).tz_localize(None).to_numpy()
    matrix = np.array(list(columns.values()), dtype=float).T.copy()
    return Feed(
        *CLOSES, "test", (PAYLOAD,), panel=Panel(days.to_numpy(), tuple(columns), matrix, known)
    )


def said(table: pd.DataFrame, column: str = "close") -> list[tuple[str, float, str]]:
    """Return date, value and instant of each row, as short texts."""
    return [
        (
            str(row.date.date()),
            float(getattr(row, column)),
            row.available_at.strftime("%m-%dT%H:%M"),
        )
        for row in table.itertuples()
    ]


def instant(text: str) -> pd.Timestamp:
    """Return an instant in UTC."""
    return pd.Timestamp(text, tz="UTC")
