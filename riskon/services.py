"""The serving side, wired: database, registry, scorer, server."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError

from models import ModelBundle, library_versions
from riskon.database import migrate
from riskon.output import note
from riskon.settings import Settings
from riskon.wiring import open_store
from serving import Ledger, Registry, Scorer, open_database
from sources.errors import DataUnavailableError, IntegrityError, RefusedError
from sources.market import Market
from sources.store import Store, is_store


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
    if where.database_url is None:
        where.home.mkdir(parents=True, exist_ok=True)
    try:
        engine = open_database(where.database)
    except ArgumentError as error:
        raise RefusedError("RISKON_DATABASE_URL: needed a database URL; found none") from error
    migrate(engine)
    return engine


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
    return Scorer(bundle, champion, ledger)


def run_server(where: Settings, market: Path | None, host: str, port: int) -> None:
    """Serve until stopped.

    Raises
    ------
    RefusedError
        On an address that others can reach, without keys.
    """
    import uvicorn

    from serving.api import ServiceConfig, create_app
    from serving.guard import hash_key

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
    registry, ledger = open_serving(where)
    hosts = tuple(h.strip() for h in where.allowed_hosts.split(",") if h.strip())
    app = create_app(
        ServiceConfig(
            registry,
            ledger,
            market_dir=directory if directory.is_dir() else None,
            allowed_hosts=hosts if host in hosts else (*hosts, host),
            api_key_hashes=tuple(hash_key(key) for key in where.keys),
            reader=StoreReader(where) if is_store(directory) else None,
        )
    )
    uvicorn.run(app, host=host, port=port, log_level="info", server_header=False)


class StoreReader:
    """Reads a point-in-time store for the service, again when a batch was added."""

    def __init__(self, where: Settings) -> None:
        self.where = where
        self._store: Store | None = None

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


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
