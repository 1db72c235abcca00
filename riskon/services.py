"""The serving side, wired: database, registry, scorer, server."""

from __future__ import annotations

import ipaddress
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError

from riskon.database import migrate
from riskon.ports import is_taken
from riskon.settings import Settings
from riskon.wiring import open_store
from serving import Ledger, Registry, Scorer, open_database
from sources.errors import DataUnavailableError, IntegrityError, RefusedError
from sources.market import Market
from sources.store import Store, is_store

if TYPE_CHECKING:
    from fastapi import FastAPI

    from models import ModelBundle

GRACE_SECONDS = 20
"""Between SIGTERM and the end, for requests that are under way."""


def open_serving(where: Settings) -> tuple[Registry, Ledger]:
    """Open the database, brought to its newest schema, and what stands on it."""
    engine = open_migrated(where)
    admit = SameLibraries(refuse=where.version_policy == "refuse")
    return Registry(engine, where.artifacts, where.tracking, admit=admit), Ledger(engine)


class SameLibraries:
    """Compares the libraries that a version was trained with to those that are to serve it.

    Parameters
    ----------
    refuse : a version trained with others does not speak; else it is said, once a version.
    """

    def __init__(self, *, refuse: bool) -> None:
        self.refuse = refuse
        self._said: set[str] = set()

    def __call__(self, bundle: ModelBundle) -> None:
        """Admit a bundle.

        Raises
        ------
        IntegrityError
            If it was trained with other libraries, and is to be refused.
        """
        from models import library_versions
        from riskon.output import note

        now, then = library_versions(), bundle.versions
        changed = sorted(name for name in {*now, *then} if now.get(name) != then.get(name))
        if not changed:
            return
        trained, here = (
            ", ".join(f"{name} {held.get(name, 'unknown')}" for name in changed)
            for held in (then, now)
        )
        if self.refuse:
            raise IntegrityError(
                f"version trained through {bundle.trained_through}",
                expected=f"{trained}, with which it was trained, as RISKON_VERSION_POLICY=refuse",
                found=here,
            )
        if trained not in self._said:
            self._said.add(trained)
            note(f"the champion was trained with {trained}; this is {here}")


def open_migrated(where: Settings) -> Engine:
    """Open the database, brought to its newest schema.

    Raises
    ------
    RefusedError
        If its URL is none.
    """
    engine = open_engine(where)
    migrate(engine)
    return engine


def open_engine(where: Settings) -> Engine:
    """Open the database; connects to nothing yet.

    Raises
    ------
    RefusedError
        If its URL is none.
    """
    if where.database_url is None:
        where.home.mkdir(parents=True, exist_ok=True)
    try:
        return open_database(where.database)
    except ArgumentError as error:
        raise RefusedError("RISKON_DATABASE_URL: needed a database URL; found none") from error


def open_scorer(where: Settings) -> Scorer:
    """Load the champion and its ledger.

    Raises
    ------
    ModelNotFoundError
        Before the first promotion.
    """
    registry, ledger = open_serving(where)
    champion = registry.champion()
    bundle = registry.load(champion)
    return Scorer(bundle, champion, ledger, fallback=where.fallback)


def run_server(
    where: Settings, market: Path | None, host: str, port: int, workers: int = 1
) -> None:
    """Serve until stopped, in one process or several that share the port.

    What differs from the environment is put there first: each worker reads it from there alone.

    Raises
    ------
    RefusedError
        On an address that others can reach, without keys; where the port is taken; of a proxy
        that is no address.
    """
    import uvicorn

    from serving.protocol import HEADER_BYTES, PunctualProtocol

    if not where.keys and not _is_loopback(host):
        raise RefusedError(
            f"serve on {host}: needed keys in RISKON_API_KEYS, as others can reach this address; "
            "found none"
        )
    directory = market or where.market_directory
    if not directory.is_dir() and (market or where.market):
        raise DataUnavailableError(
            f"{directory}: needed a market directory; found none; leave it out to serve the "
            "ledger alone",
            source=str(directory),
        )
    if is_taken(host, port):
        raise RefusedError(f"--port {port}: needed a free port of {host}; found it taken")
    forwarding = forwarding_options(where)
    hosts = _listed(where.allowed_hosts)
    os.environ["RISKON_MARKET_SERVED"] = str(directory) if directory.is_dir() else ""
    os.environ["RISKON_ALLOWED_HOSTS"] = ",".join(hosts if host in hosts else (*hosts, host))
    with tempfile.TemporaryDirectory(prefix="riskon-metrics-") as shared:
        if workers > 1:
            # prometheus_client reads it when it is imported.
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
        uvicorn.run(
            "riskon.services:app_from_environment",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            http=PunctualProtocol,
            h11_max_incomplete_event_size=HEADER_BYTES,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            **forwarding,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=GRACE_SECONDS,
            backlog=1024,
        )


def forwarding_options(where: Settings) -> dict[str, Any]:
    """Return whom uvicorn believes when it says who asked, and over what: no one by default.

    Raises
    ------
    RefusedError
        If one of them is no address or network; a name or ``*`` would trust who is not meant.
    """
    trusted = _listed(where.trusted_proxies)
    for proxy in trusted:
        try:
            ipaddress.ip_network(proxy)
        except ValueError as error:
            raise RefusedError(
                f"RISKON_TRUSTED_PROXIES: needed addresses or networks such as 172.18.0.0/16; "
                f"found {proxy!r}"
            ) from error
    return {"proxy_headers": bool(trusted), "forwarded_allow_ips": list(trusted)}


def app_from_environment() -> FastAPI:
    """Return the application of a worker, by the environment alone; connects to nothing yet."""
    from serving.api import ServiceConfig, create_app
    from serving.keys import scoped_keys
    from serving.limits import Limits
    from serving.logs import configure_logging, request_log

    where = Settings()
    configure_logging()
    engine = open_engine(where)
    served = os.environ.get("RISKON_MARKET_SERVED", str(where.market or ""))
    market = Path(served) if served else None
    return create_app(
        ServiceConfig(
            Registry(
                engine,
                where.artifacts,
                where.tracking,
                admit=SameLibraries(refuse=where.version_policy == "refuse"),
            ),
            Ledger(engine),
            market_dir=market,
            allowed_hosts=_listed(where.allowed_hosts),
            api_keys=scoped_keys(where.keys),
            reader=StoreReader(where) if market is not None and is_store(market) else None,
            limits=Limits(
                requests_per_second=where.requests_per_second, seconds=where.deadline_seconds
            ),
            isolated=True,
            fallback=where.fallback,
            poll_seconds=where.poll_seconds,
            precompute=market is not None,
            prepare=lambda: migrate(engine),
            log=request_log(),
        )
    )


class StoreReader:
    """Reads a point-in-time store for the service, again when a batch was added."""

    def __init__(self, where: Settings) -> None:
        self.where = where
        self._store: Store | None = None

    def __getstate__(self) -> dict[str, object]:
        """Go to another process without what is open here."""
        return {"where": self.where, "_store": None}

    def signature(self, directory: Path) -> object:
        """Return the last batch."""
        return self._opened(directory).signature()

    def read(self, directory: Path) -> Market:
        """Return the market of the store."""
        return self._opened(directory).read()

    def _opened(self, directory: Path) -> Store:
        if self._store is None:
            self._store = open_store(directory, self.where)
        return self._store


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
