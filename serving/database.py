"""The tables of this room, and the database they are in."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection, DateTime, func, literal_column, select

from sources.errors import DataUnavailableError
from sources.store.database import (
    WAIT_SECONDS,
    Instant,
    new_metadata,
    open_database,
    reading,
    writing,
)

metadata = new_metadata()
"""Tables of the serving room, each declared in the module that owns it."""


T = TypeVar("T")

TRIES = 3
"""A transaction that lost to another is tried so often in all."""
SKEW_LIMIT = timedelta(minutes=5)
"""A host whose clock differs from the database's by more issues nothing."""
_LOST = ("40001", "40P01")
"""SQLSTATE of a serialization failure, and of a deadlock."""


def retried(act: Callable[[], T]) -> T:
    """Do a whole transaction again where it lost to another, at most three times in all.

    Raises
    ------
    DataUnavailableError
        As ``act`` does; at once, where to try again would not help.
    """
    for attempt in range(1, TRIES):
        try:
            return act()
        except DataUnavailableError as error:
            cause = getattr(error.__cause__, "orig", None)
            if getattr(cause, "sqlstate", None) not in _LOST:
                raise
            # Two that lost to each other must not meet again.
            time.sleep(random.uniform(0.0, 0.1) * attempt)  # noqa: S311 - no secret
    return act()


def refuse_skew(connection: Connection, clock: Callable[[], datetime]) -> datetime:
    """Return the database's instant; refuse to write where this host's clock is far from it.

    Raises
    ------
    DataUnavailableError
        Where the clocks differ by more than five minutes.
    """
    here, there = clock(), database_now(connection)
    if abs(here - there) > SKEW_LIMIT:
        raise DataUnavailableError(
            f"clock of this host: needed it within {SKEW_LIMIT.seconds // 60} minutes of the "
            f"database's, {there:%Y-%m-%dT%H:%M:%SZ}; found {here:%Y-%m-%dT%H:%M:%SZ}; "
            "set it by NTP, then try again",
            source="clock",
        )
    return there


def database_now(connection: Connection) -> datetime:
    """Return the instant by the database's clock, which all of its programs share."""
    if connection.dialect.name == "postgresql":
        asked = select(func.clock_timestamp(type_=DateTime(timezone=True)))
        return connection.execute(asked).scalar_one().astimezone(UTC)
    asked = select(literal_column("strftime('%Y-%m-%d %H:%M:%f', 'now')"))
    return datetime.fromisoformat(f"{connection.execute(asked).scalar_one()}+00:00")


__all__ = [
    "WAIT_SECONDS",
    "Instant",
    "database_now",
    "metadata",
    "open_database",
    "reading",
    "refuse_skew",
    "retried",
    "writing",
]
