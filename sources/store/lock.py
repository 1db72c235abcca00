"""One ingest at a time: a file lock that dies with its process, and a fencing token.

The file lock keeps out other processes of this machine, and is gone when its holder is. Where
several machines share a store, its row in the manifest keeps out the others while it is renewed;
whoever lost it finds another fence when it comes to write the manifest, and writes nothing.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, select

from sources.errors import AlreadyRunningError, DataUnavailableError
from sources.store.database import writing
from sources.store.manifest import LOCKS

FILE = "lock"
SILENT = timedelta(minutes=10)
"""Another machine that has not renewed its lock for so long is taken for dead."""


@dataclass(frozen=True)
class Held:
    """A lock that this process holds.

    Attributes
    ----------
    fence : grows with each holder.
    renew : says that the holder lives.
    """

    engine: Engine
    store_id: str
    fence: int

    def renew(self) -> None:
        """Say that the holder lives.

        Raises
        ------
        AlreadyRunningError
            Where another has taken over.
        """
        with writing(self.engine, f"store {self.store_id}") as connection:
            self.check(connection)

    def check(self, connection: Connection) -> None:
        """Check, within a transaction, that nobody has taken over, and renew."""
        found = connection.execute(
            select(LOCKS.c.fence, LOCKS.c.holder).where(LOCKS.c.store_id == self.store_id)
        ).one()
        if found.fence != self.fence:
            raise AlreadyRunningError(
                "ingest", f"fence {self.fence} passed on to {found.holder}, fence {found.fence}"
            )
        connection.execute(
            LOCKS.update()
            .where(LOCKS.c.store_id == self.store_id)
            .values(heartbeat=datetime.now(UTC))
        )


@contextmanager
def exclusive(
    root: Path,
    engine: Engine,
    store_id: str,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Held]:
    """Hold the store's lock.

    Raises
    ------
    AlreadyRunningError
        Where another process holds it; names it.
    """
    descriptor = os.open(root / FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            raise AlreadyRunningError(str(root), holder or "another process") from None
        held = _take(engine, store_id, clock())
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{_me()}\n".encode(), 0)
        try:
            yield held
        finally:
            # What went wrong before is what the caller is to hear of; the lock ages by itself.
            with suppress(DataUnavailableError):
                _release(held)
    finally:
        os.close(descriptor)


def _take(engine: Engine, store_id: str, now: datetime) -> Held:
    with writing(engine, f"store {store_id}") as connection:
        row = connection.execute(select(LOCKS).where(LOCKS.c.store_id == store_id)).one_or_none()
        fence = 1 if row is None else row.fence + 1
        values = {
            "fence": fence,
            "holder": _me(),
            "host": socket.gethostname(),
            "heartbeat": now,
            "released": False,
        }
        if row is None:
            connection.execute(LOCKS.insert().values(store_id=store_id, **values))
            return Held(engine, store_id, fence)
        # On this machine the file lock has spoken already: that holder is dead.
        elsewhere = row.host != socket.gethostname()
        if elsewhere and not row.released and now - row.heartbeat < SILENT:
            raise AlreadyRunningError(store_id, row.holder)
        connection.execute(LOCKS.update().where(LOCKS.c.store_id == store_id).values(**values))
    return Held(engine, store_id, fence)


def _release(held: Held) -> None:
    with writing(held.engine, f"store {held.store_id}") as connection:
        connection.execute(
            LOCKS.update()
            .where(LOCKS.c.store_id == held.store_id, LOCKS.c.fence == held.fence)
            .values(released=True)
        )


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"[:64]
