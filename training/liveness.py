"""Who is at work on a run, and whether they live: so that runs of a killed job can be closed."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

OWNER, HEARTBEAT = "riskon.owner", "riskon.heartbeat"
BEAT_SECONDS = 20.0
STALE_SECONDS = 300.0
"""Silence after which a run on another machine counts as dead: fifteen beats."""
START_FIELD = 19
"""Of ``/proc/PID/stat`` after the name: when the process started. Numbers of processes return."""


def owner() -> str:
    """Return this machine, process, and when the process started."""
    return f"{socket.gethostname()}/{os.getpid()}/{_started(os.getpid())}"


def signs_of_life() -> dict[str, str]:
    """Return the tags by which a run is known to be at work now."""
    return {OWNER: owner(), HEARTBEAT: str(int(time.time()))}


def is_dead(tags: Mapping[str, str], now: float) -> bool:
    """Tell whether whoever worked on a run is gone; runs that are not ours never are.

    On this machine the process is looked up. Of another machine only silence speaks.
    """
    machine, _, process = tags.get(OWNER, "").rpartition("/")[0].rpartition("/")
    started = tags.get(OWNER, "").rpartition("/")[2]
    if not process.isdigit():
        return False
    if machine == socket.gethostname():
        return not _lives(int(process), started)
    beat = tags.get(HEARTBEAT, "")
    return beat.isdigit() and now - int(beat) > STALE_SECONDS


def _lives(process: int, started: str) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _started(process) == started


def _started(process: int) -> str:
    stat = Path(f"/proc/{process}/stat")
    with suppress(OSError):
        fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        # A zombie has ended, and waits only to be asked how.
        return "ended" if fields[0] == "Z" else fields[START_FIELD]
    return "unknown"  # No /proc on this system: the number alone must do.


@contextmanager
def beating(beat: Callable[[str], None], seconds: float = BEAT_SECONDS) -> Iterator[None]:
    """Call ``beat`` with the time every so often until the block ends; its failures are its own."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(seconds):
            beat(str(int(time.time())))

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=1)
