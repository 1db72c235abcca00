"""Where tracking lives: does it answer, and how a new SQLite file comes to be."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sources.errors import TrackingUnavailableError, UnknownNameError

if TYPE_CHECKING:
    from sqlalchemy import URL

SCHEMES = ("http", "https", "sqlite", "postgresql")
PATIENCE_SECONDS = 3.0


def is_http(uri: str) -> bool:
    """Tell whether a URI is a server's."""
    return uri.startswith(("http://", "https://"))


def _url(uri: str) -> URL:
    from sqlalchemy import make_url

    return make_url(uri)


def shown(uri: str) -> str:
    """Return a URI without its password."""
    return _url(uri).render_as_string(hide_password=True) if "@" in uri else uri


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite URI, None for any other."""
    name = _url(uri).database if uri.startswith("sqlite:") else None
    return Path(name) if name and name != ":memory:" else None


def probe(uri: str) -> None:
    """Connect to a server or database once, and give up after three seconds.

    Raises
    ------
    TrackingUnavailableError
        If it does not answer.
    UnknownNameError
        For a URI that is neither a server's nor a database's.
    """
    scheme = uri.partition(":")[0].partition("+")[0]
    if scheme not in SCHEMES:
        raise UnknownNameError("scheme of the tracking URI", scheme, SCHEMES)
    if is_http(uri):
        _probe_server(uri)
    elif scheme == "postgresql":
        _probe_database(uri)


def _probe_server(uri: str) -> None:
    import httpx

    try:
        httpx.get(f"{uri.rstrip('/')}/health", timeout=PATIENCE_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        raise TrackingUnavailableError(shown(uri), first_line(error)) from error


def _probe_database(uri: str) -> None:
    """Connect once: MLflow would try ten times, for minutes."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = create_engine(uri, connect_args={"connect_timeout": int(PATIENCE_SECONDS)})
        engine.connect().close()
        engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        raise TrackingUnavailableError(shown(uri), first_line(error)) from error


def make_sqlite(uri: str, path: Path, migrate: Callable[[str], None]) -> None:
    """Migrate an empty database beside its place, without syncs, and put it there in one step.

    MLflow's migrations sync the disk hundreds of times; and killed half way,
    they would leave a database that nobody can open.

    Parameters
    ----------
    migrate : makes the tables of the URI it is given.

    Raises
    ------
    TrackingUnavailableError
        If the folder cannot be written.
    """
    from sqlalchemy import Engine, event

    def hurry(connection: object, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".mlflow-") as held:
            made = Path(held).resolve() / "mlflow.db"
            event.listen(Engine, "connect", hurry)
            try:
                migrate(f"sqlite:///{made}")
            finally:
                event.remove(Engine, "connect", hurry)
            with made.open("rb+") as handle:
                os.fsync(handle.fileno())
            # Another job was first, or the disk knows no links: then MLflow does it in place.
            with suppress(OSError):
                os.link(made, path)
    except OSError as error:
        raise TrackingUnavailableError(uri, first_line(error)) from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, its name where there is none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
