"""A cluster on this machine, and the connection of a job to one, wherever it is."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sources.errors import RefusedError

if TYPE_CHECKING:
    from distributed import Worker

    from training.cluster import Cluster

HERE = "127.0.0.1"
DASHBOARD_PORT = 8787


@contextmanager
def joined_to(address: str | None, workers: int | None) -> Iterator[Cluster | None]:
    """Connect to the cluster of an address; None where none is asked for.

    Raises
    ------
    RefusedError
        If workers of this machine are asked for as well, or the cluster runs other code.
    ClusterUnavailableError
        If it does not answer.
    """
    if address is None:
        yield None
        return
    if workers is not None:
        raise RefusedError(
            f"--workers {workers}: needed none beside --cluster, which has its own; found both"
        )
    from training.cluster import joined

    with joined(address) as found:
        _say(f"On cluster {address}, with {_count(found.size)}.")
        yield found


def serve(workers: int, port: int) -> None:
    """Run a scheduler and workers of one thread each until Ctrl-C or SIGTERM, which ends them all.

    The address goes to stdout. Only this machine reaches it: who reaches a scheduler may run code.

    Raises
    ------
    RefusedError
        If the port is taken.
    """
    if port and _is_taken(port):
        raise RefusedError(
            f"--port {port}: needed a free port of {HERE}; found it taken; --port 0 takes any"
        )
    asyncio.run(_serve(workers, port))


async def _serve(workers: int, port: int) -> None:
    import dask
    from distributed import LocalCluster, Scheduler, SchedulerPlugin

    class Tell(SchedulerPlugin):
        """Says what Dask's own log, which is noise to others, would say."""

        def remove_worker(self, scheduler: Scheduler, worker: str, **_: object) -> None:
            if not stop.is_set() and scheduler.status.name == "running":
                _say(f"worker {worker} is gone; another takes its place")

    dask.config.set({"distributed.worker.multiprocessing-method": "spawn"})
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    pages = importlib.util.find_spec("bokeh") is not None
    page = 0 if _is_taken(DASHBOARD_PORT) else DASHBOARD_PORT
    async with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host=HERE,
        scheduler_port=port,
        # Without bokeh there are no pages to show.
        dashboard_address=f"{HERE}:{page}" if pages else None,
        silence_logs=logging.CRITICAL + 1,
        preload=[__name__],
        asynchronous=True,
    ) as cluster:
        cluster.scheduler.add_plugin(Tell())
        sys.stdout.write(f"{cluster.scheduler_address}\n")
        sys.stdout.flush()
        _say(f"{_count(workers)} of one thread; Ctrl-C ends all.")
        link = cluster.dashboard_link if pages else "needed bokeh to show one; found none"
        _say(f"Dask's dashboard: {link}")
        _say(f"Next: riskon train ... --cluster {cluster.scheduler_address}")
        await stop.wait()


def dask_setup(_worker: Worker) -> None:
    """Prepare a worker: Ctrl-C is for whoever started it, and the first trial need not import."""
    import training.cluster  # noqa: F401 - imports what trials use

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _say(message: str) -> None:
    """Say something to a person; riskon.output would import what only workers need."""
    sys.stderr.write(f"{message}\n")


def _count(workers: int) -> str:
    return f"{workers} worker{'s' if workers > 1 else ''}"


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HERE, port))
        except OSError:
            return True
    return False
