"""The database: SQLite in a file or PostgreSQL, and the two ways to talk to it.

Used by all who keep tables: the store's manifest here, forecasts and champions in ``serving``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Connection,
    DateTime,
    Dialect,
    Engine,
    MetaData,
    TypeDecorator,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from sources.errors import DataUnavailableError

WAIT_SECONDS = 30
"""No statement, and no wait for a lock, takes longer."""


def new_metadata() -> MetaData:
    """Return an empty collection of tables, with the one convention of names."""
    return MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Instant(TypeDecorator[datetime]):
    """An instant in UTC, with microseconds, on databases with and without time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        """Refuse what has no zone; SQLite keeps the UTC clock time."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"needed an instant with zone; found {value}")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        """Return the instant in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def open_database(url: str, *, wal: bool = True) -> Engine:
    """Return an engine; connects to nothing yet.

    SQLite runs with full syncs, in WAL mode unless told otherwise, and waits for locks;
    PostgreSQL goes through psycopg 3, with connections tried before they are used.

    Parameters
    ----------
    url : of SQLAlchemy.
    wal : False for a file that is copied with its folder, or read where nobody may write.
    """
    parsed = make_url(url)
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "postgresql":
        limits = f"-c statement_timeout={WAIT_SECONDS}s -c timezone=UTC"
        return create_engine(
            parsed,
            pool_pre_ping=True,
            pool_timeout=WAIT_SECONDS,
            connect_args={"connect_timeout": 5, "options": limits},
            hide_parameters=True,
        )
    engine = create_engine(parsed, hide_parameters=True)
    event.listen(engine, "connect", _prepare_wal if wal else _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that reads.

    Raises
    ------
    DataUnavailableError
        Where the database does not answer, or lacks its tables.
    """
    with _answering(engine), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine, lock: str) -> Iterator[Connection]:
    """Open a transaction that writes, one at a time among all who name the same lock.

    What was committed before is seen, and all is written or nothing: SQLite
    takes its one write lock at once, PostgreSQL an advisory lock of that name.

    Raises
    ------
    DataUnavailableError
        Where the database does not answer, lacks its tables, or refuses to write.
    """
    with _answering(engine), engine.connect() as connection:
        connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        with connection.begin():
            if engine.dialect.name == "postgresql":
                key = int.from_bytes(hashlib.sha256(lock.encode()).digest()[:8], signed=True)
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
            yield connection


@contextmanager
def _answering(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        cause = getattr(error, "orig", None) or error
        found = str(cause).strip().splitlines()
        raise DataUnavailableError(
            f"database {engine.url.render_as_string(hide_password=True)}: needed an answer; "
            f"found {found[0] if found else type(cause).__name__}",
            source="database",
        ) from error


def _prepare_sqlite(connection: Any, _: object) -> None:
    # The driver's own implicit BEGIN comes too late to serialise readers that go on to write.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={WAIT_SECONDS * 1000}",
        "synchronous=FULL",
        "foreign_keys=ON",
        # Without it INSERT OR REPLACE deletes past the triggers.
        "recursive_triggers=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_wal(connection: Any, record: object) -> None:
    _prepare_sqlite(connection, record)
    connection.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
