"""A process of its own that ingests or compacts, to be killed, starved or run beside others."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path

from stores import Clock, closes, coin, make_store

from sources.calendars import sessions_between
from sources.errors import RiskonError
from sources.store.database import open_database

FIRST, SECOND = "2024-06-20T22:00:00+00:00", "2024-06-21T22:00:00+00:00"
CONTEXT = multiprocessing.get_context("forkserver")
# One import for all children: they fork from a server that has done nothing else.
CONTEXT.set_forkserver_preload(["store_child", "pyarrow.parquet", "pandera.pandas"])
sessions_between("2024-01-02", "2024-01-03")  # builds the calendar, once for all of them too


def feeds(value: float) -> list[object]:
    """Return a coin and a panel of which one value differs."""
    return [
        coin(["2024-06-17", "2024-06-18"], [value, 2.0]),
        closes("2024-06-17", {"A": [value, 2.0]}),
    ]


def start(
    root: Path,
    what: float | str,
    now: str,
    *,
    url: str = "",
    point: str = "",
    limit: int = 0,
    barrier: Barrier | None = None,
) -> BaseProcess:
    """Start a process that ingests a value, or compacts; what it has to say is in ``said``."""
    arguments = (root, what, now, url, point, limit, barrier)
    process = CONTEXT.Process(target=_work, args=arguments)
    process.start()
    return process


def run(root: Path, what: float | str, now: str, **more: object) -> int:
    """Run such a process to its end; return its exit code."""
    process = start(root, what, now, **more)
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def _work(
    root: Path, what: float | str, now: str, url: str, point: str, limit: int, barrier: Barrier
) -> None:
    if point:
        os.environ["CRASHPOINT"] = point if ":" in point else f"{point}:SIGKILL"
    store = make_store(root, open_database(url) if url else None, Clock(now))
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    if barrier is not None:
        barrier.wait()
    try:
        store.keep(f"payload {what}".encode() * 200)
        if what == "compact":
            store.compact()
        else:
            store.ingest(feeds(float(what)))
    except (RiskonError, OSError) as error:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        (root.parent / f"said-{os.getpid()}").write_text(f"{type(error).__name__}: {error}")
        os._exit(1)
