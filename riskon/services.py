"""The serving side, wired: database, registry, scorer, server."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from riskon.database import migrate
from riskon.wiring import settings
from serving import Ledger, Registry, Scorer, open_database
from sources.errors import RefusedError


def open_serving() -> tuple[Registry, Ledger]:
    """Open the database, brought to its newest schema, and what stands on it."""
    where = settings()
    if where.database_url is None:
        where.home.mkdir(parents=True, exist_ok=True)
    engine = open_database(where.database)
    migrate(engine)
    return Registry(engine, where.artifacts, where.tracking), Ledger(engine)


def open_scorer() -> Scorer:
    """Load the champion and its ledger.

    Raises
    ------
    ModelNotFoundError
        Before the first promotion.
    """
    registry, ledger = open_serving()
    champion = registry.champion()
    return Scorer(registry.load(champion), champion, ledger)


def run_server(market: Path | None, host: str, port: int) -> None:
    """Serve until stopped.

    Raises
    ------
    RefusedError
        On an address that others can reach, without keys.
    """
    import uvicorn

    from serving.api import ServiceConfig, create_app
    from serving.guard import hash_key

    where = settings()
    if not where.keys and not _is_loopback(host):
        raise RefusedError(
            f"serve on {host}: needed keys in RISKON_API_KEYS, as others can reach this address; "
            "found none"
        )
    registry, ledger = open_serving()
    directory = market or where.market_directory
    hosts = tuple(h.strip() for h in where.allowed_hosts.split(",") if h.strip())
    app = create_app(
        ServiceConfig(
            registry,
            ledger,
            market_dir=directory if directory.is_dir() else None,
            allowed_hosts=hosts if host in hosts else (*hosts, host),
            api_key_hashes=tuple(hash_key(key) for key in where.keys),
        )
    )
    uvicorn.run(app, host=host, port=port, log_level="info", server_header=False)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
