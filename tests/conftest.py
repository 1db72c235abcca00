"""What every room's tests share."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import Engine, text

sys.path.insert(0, str(Path(__file__).parent))

from markets import random_market
from postgres import postgres

from riskon.database import migrate
from sources import Market
from sources.store.database import open_database

ROOT = Path(__file__).resolve().parents[1]

# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def real_market_dir() -> Path:
    """Return the folder of real daily data; skip, visibly, where it is absent."""
    folder = Path(os.environ.get("RISKON_REAL_MARKET", ROOT.parent / "shared" / "market"))
    if not (folder / "prices" / "BTC.csv").is_file():
        pytest.skip(f"real market absent: {folder}")
    return folder


@pytest.fixture(scope="session")
def market() -> Market:
    """Return a small random market of four years."""
    return random_market()


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Start a PostgreSQL of our own; skip, visibly, where its programs are absent."""
    with postgres() as server:
        yield server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'riskon.db'}"
    server = request.getfixturevalue("postgres_url")
    name = f"test_{secrets.token_hex(6)}"
    admin = open_database(f"{server}/postgres")
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return f"{server}/{name}"


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    """Return a migrated database, of each kind in turn."""
    opened = open_database(empty_url)
    migrate(opened)
    yield opened
    opened.dispose()
