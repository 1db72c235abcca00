"""The tables of this room, and the database they are in."""

from __future__ import annotations

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

__all__ = [
    "WAIT_SECONDS",
    "Instant",
    "metadata",
    "open_database",
    "reading",
    "writing",
]
