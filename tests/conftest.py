"""What every room's tests share."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from markets import random_market

from sources import Market

ROOT = Path(__file__).resolve().parents[1]


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
