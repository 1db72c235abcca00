"""The tables of this room, and the database they are in."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, DateTime, func, literal_column, select

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
    "writing",
]
