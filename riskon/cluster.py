"""A cluster on this machine, and the connection of a job to one, wherever it is."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

from riskon.ports import is_taken
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
    if port and is_taken(HERE, port):
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
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # A thread that a library began before SIGINT is blocked below may be the one to get it.
    loop.add_signal_handler(signal.SIGINT, stop.set)

    def hear() -> None:
        signal.sigwait({signal.SIGINT})
        loop.call_soon_threadsafe(stop.set)

    # A terminal sends Ctrl-C to workers too. They are born with it blocked, as this thread has
    # it, so that none complains, not even one that is just starting. Python's tracker of
    # resources unblocks it where it starts: so it is started before.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=hear, daemon=True).start()
    pages = importlib.util.find_spec("bokeh") is not None
    page = 0 if is_taken(HERE, DASHBOARD_PORT) else DASHBOARD_PORT
    async with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host=HERE,
        scheduler_port=port,
        # Without it Dask would serve its figures on all addresses of the machine.
        dashboard_address=f"{HERE}:{page}",
        silence_logs=logging.CRITICAL + 1,
        preload=[__name__],
        asynchronous=True,
    ) as cluster:
        cluster.scheduler.add_plugin(Tell())
        sys.stdout.write(f"{cluster.scheduler_address}\n")
        sys.stdout.flush()
        _say(f"{_count(workers)} of one thread; Ctrl-C ends all.")
        link = cluster.dashboard_link
        _say(f"Dask's dashboard: {link if pages else 'needed bokeh to show one; found none'}")
        _say(f"Next: riskon train ... --cluster {cluster.scheduler_address}")
        await stop.wait()


def dask_setup(_worker: Worker) -> None:
    """Import what trials use, so that the first need not."""
    import training.cluster  # noqa: F401 - that is all


def _say(message: str) -> None:
    """Say something to a person; riskon.output would import what only workers need."""
    sys.stderr.write(f"{message}\n")


def _count(workers: int) -> str:
    return f"{workers} worker{'s' if workers > 1 else ''}"
