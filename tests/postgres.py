"""A PostgreSQL of our own, that tests may stop and start."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Postgres:
    """A cluster in a folder of its own, on a port of its own."""

    home: Path
    port: int
    pg_ctl: str

    @property
    def url(self) -> str:
        """Return the URL of the server, without a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.home} -c fsync=off"
        log = str(self.home / "log")
        run_as_postgres(
            self.pg_ctl, "-D", str(self.home / "cluster"), "-w", "-l", log, "-o", options, "start"
        )

    def stop(self) -> None:
        """Stop the server as a crash does: at once, with nothing finished."""
        cluster = str(self.home / "cluster")
        run_as_postgres(self.pg_ctl, "-D", cluster, "-w", "-m", "immediate", "stop")


def run_as_postgres(*command: str) -> None:
    """Run a command of PostgreSQL, which refuses to work for root."""
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*as_user, *command], check=True, cwd="/", stdout=subprocess.DEVNULL)


def binary(name: str) -> str | None:
    """Return the path of a program of PostgreSQL, the newest there is."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL; skip, visibly, where its programs are absent."""
    initdb, pg_ctl = binary("initdb"), binary("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL absent: no initdb and pg_ctl")
    home = Path(tempfile.mkdtemp(prefix="riskon-pg-"))
    if os.geteuid() == 0:
        shutil.chown(home, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cluster = str(home / "cluster")
    run_as_postgres(
        initdb, "-D", cluster, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"
    )
    server = Postgres(home, port, pg_ctl)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(home)
