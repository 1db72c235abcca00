"""Trials and cells on a Dask cluster: the same numbers to the bit, and a lost member costs nothing.

The only module of training that knows Dask, and only inside functions. Each task is
sent to one member that is free, never two to one, so that a trial begins on record when it begins.
Dask itself repeats nothing: where a member is gone, the task comes back as lost and is begun
again, as it is where a process of this machine dies. What trials are scored on travels once to
each member. All of a cluster must run the same code on the same libraries.

Whoever reaches a scheduler can run code on all its members: it belongs on an address that
nobody else reaches, or behind Dask's TLS.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from models import CellRows, ModelConfig, library_versions
from sources.errors import ClusterUnavailableError, RefusedError
from training.trial import Arena, Evaluator, Outcome
from training.walkforward import CellRun, run_cell
from training.workers import IMPOSSIBLE, LOST, Begin, Run, Task, run_task

if TYPE_CHECKING:
    from distributed import Client, Future

PATIENCE_SECONDS = 8.0
"""Within which a scheduler answers."""
MEMBER_SECONDS = 60.0
"""Within which a member says what it runs, for which it imports it, takes data, or gives a result:
much, as whoever is late is taken for lost."""
EMPTY_SECONDS = 30.0
"""Within which a cluster without a member that is ready gets one: a nanny restarts one in five."""
TICK_SECONDS = 0.25
CELL_RETRIES = 3
ROOMS = ("sources", "features", "models", "training")
"""Packages whose code a member runs."""

_ALONE = threading.Lock()
"""Of a member that was given more threads than one: it works on one task at a time all the same."""


@contextmanager
def joined(address: str) -> Iterator[Cluster]:
    """Connect to a cluster, and see that it can do our work.

    Raises
    ------
    RefusedError
        For an address that is none, or members that run other code or other libraries.
    ClusterUnavailableError
        If its scheduler does not answer, or no member is ready.
    """
    _probe(address)
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    _quieten()
    with warnings.catch_warnings():
        # We compare more than Dask does, and say it in one line.
        warnings.simplefilter("ignore", VersionMismatchWarning)
        try:
            client = Client(address, timeout=PATIENCE_SECONDS, set_as_default=False, name="riskon")
        except (OSError, TimeoutError, ImportError) as error:
            raise ClusterUnavailableError(address, f"none ({_first_line(error)})") from error
    try:
        yield Cluster(client, address)
    finally:
        # Of a scheduler that is gone there is nobody to take leave of.
        with suppress(OSError, TimeoutError):
            client.close(timeout=PATIENCE_SECONDS)


class Cluster:
    """The members of a cluster, each of which does one thing at a time.

    Raises
    ------
    RefusedError, ClusterUnavailableError
        As :func:`joined`.
    """

    def __init__(self, client: Client, address: str) -> None:
        self._client, self.address = client, address
        self._admitted: set[str] = set()
        self._ready_since = time.monotonic()
        self._admit(self._some_members())

    @property
    def size(self) -> int:
        """Number of members that were there when last asked."""
        return len(self._admitted)

    @contextmanager
    def trials(self, arena: Arena) -> Iterator[Run]:
        """Yield what runs trials on an arena."""
        held: dict[str, Future[Any]] = {}

        def place_on(member: str) -> Future[Any]:
            if member not in held:
                held[member] = self._put(member, _Held(arena))
            return held[member]

        def run(places: Sequence[int], begin: Begin) -> Iterator[tuple[int, Outcome]]:
            def begun(place: int) -> _Work | Outcome:
                task = begin(place)
                if task is None:
                    return IMPOSSIBLE
                return _Work(_try, lambda member: (place_on(member), task))

            for place, outcome in self._each(places, begun):
                yield place, LOST if outcome is None else outcome

        try:
            yield run
        finally:
            held.clear()

    def cells(self, tasks: Sequence[CellRows], config: ModelConfig) -> Iterator[CellRun]:
        """Yield each cell walked forward, as it is done.

        Raises
        ------
        ClusterUnavailableError
            If the members that walk a cell are lost again and again, or the scheduler is.
        """
        lost = dict.fromkeys(range(len(tasks)), 0)

        def begun(at: int) -> _Work:
            return _Work(_walk, lambda member: (self._put(member, tasks[at]), config))

        while lost:
            for at, run in self._each(sorted(lost), begun):
                if run is not None:
                    del lost[at]
                    # The rows need not come back.
                    yield CellRun(tasks[at], *run)
                    continue
                lost[at] += 1
                if lost[at] > CELL_RETRIES:
                    raise ClusterUnavailableError(
                        self.address, f"it lost {tasks[at].cell} {lost[at]} times"
                    )

    def _put(self, member: str, thing: object) -> Future[Any]:
        """Bring something to a member, where it stays as long as it is needed."""
        made: Future[Any] = self._client.scatter(
            thing, workers=[member], hash=False, timeout=MEMBER_SECONDS
        )
        return made

    def _each(
        self, keys: Sequence[int], begun: Callable[[int], _Work | Outcome]
    ) -> Iterator[tuple[int, Any]]:
        """Yield what becomes of each task: its result, or None where its member is gone."""
        queue = iter(keys)
        waiting: dict[str, tuple[int, Future[Any]]] = {}
        left = True
        while True:
            ready = self._ready(busy=waiting)
            for member in [m for m in waiting if m not in self._admitted]:
                key, future = waiting.pop(member)
                future.cancel()
                yield key, None
            while left and ready:
                key = next(queue, -1)
                left = key >= 0
                if not left:
                    break
                work = begun(key)
                if isinstance(work, Outcome):
                    yield key, work
                elif (sent := self._send(work, ready[0])) is None:
                    self._admitted.discard(ready.pop(0))
                    yield key, None
                else:
                    waiting[ready.pop(0)] = key, sent
            if not waiting and not left:
                return
            for member in self._wait(waiting):
                key, future = waiting.pop(member)
                yield key, self._result(future)

    def _ready(self, busy: Mapping[str, object]) -> list[str]:
        """Return the members that are free, of those that are there now."""
        members = self._members()
        self._admitted &= members.keys()
        self._admit([member for member in members if member not in self._admitted])
        ready = [m for m, status in members.items() if status == "running" and m in self._admitted]
        if ready or any(member in members for member in busy):
            self._ready_since = time.monotonic()
        elif time.monotonic() - self._ready_since > EMPTY_SECONDS:
            raise ClusterUnavailableError(
                self.address, f"no member ready for {EMPTY_SECONDS:g} s", needed="a worker"
            )
        return [member for member in ready if member not in busy]

    def _send(self, work: _Work, member: str) -> Future[Any] | None:
        """Send a task to a member; None where it is gone before it has all it needs."""
        from distributed import CancelledError

        try:
            return self._client.submit(
                work.function, *work.arguments(member), workers=[member],
                allow_other_workers=False, pure=False, retries=0,
            )  # fmt: skip
        except (OSError, TimeoutError, CancelledError):
            self._members()
            return None

    def _wait(self, waiting: Mapping[str, tuple[int, Future[Any]]]) -> list[str]:
        """Return the members that are done, after a moment at most."""
        from distributed import CancelledError, wait

        if not waiting:
            time.sleep(TICK_SECONDS)
            return []
        with suppress(TimeoutError, CancelledError), self._client.as_current():
            futures = [future for _, future in waiting.values()]
            wait(futures, timeout=TICK_SECONDS, return_when="FIRST_COMPLETED")
        done = [member for member, (_, future) in waiting.items() if future.done()]
        return sorted(done, key=lambda member: waiting[member][0])

    def _result(self, future: Future[Any]) -> Any:
        from distributed import CancelledError
        from distributed.scheduler import KilledWorker

        try:
            return future.result(timeout=MEMBER_SECONDS)
        except (KilledWorker, CancelledError, OSError, TimeoutError):
            # Done, and gone before it could be fetched; or the scheduler is.
            self._members()
            return None

    def _some_members(self) -> list[str]:
        """Return the members, of which there is one after a few seconds at most."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not (members := self._members()):
            if time.monotonic() > until:
                raise ClusterUnavailableError(self.address, "none", needed="a worker")
            time.sleep(TICK_SECONDS)
        return list(members)

    def _members(self) -> dict[str, str]:
        """Return the address and the status of each member that the scheduler knows now."""
        scheduler = self._client.scheduler
        # A client that connects again has lost its tasks.
        if scheduler is None or self._client.status != "running":
            raise ClusterUnavailableError(self.address, "none (the connection closed)")
        try:
            found = self._client.sync(
                scheduler.identity, n_workers=-1, callback_timeout=PATIENCE_SECONDS
            )
        except (OSError, TimeoutError) as error:
            raise ClusterUnavailableError(self.address, f"none ({_first_line(error)})") from error
        return {member: worker["status"] for member, worker in found["workers"].items()}

    def _admit(self, members: Sequence[str]) -> None:
        """Take up members that run what we run.

        Raises
        ------
        RefusedError
            If one does not.
        """
        if not members:
            return
        ours = what_runs()
        try:
            answers = self._client.sync(
                self._client._run,  # noqa: SLF001 - run() waits for a member that hangs for ever
                what_runs, workers=list(members), on_error="return",
                callback_timeout=MEMBER_SECONDS,
            )  # fmt: skip
        except (OSError, TimeoutError):
            # One is gone already, or hangs; they are asked again in the next turn.
            return
        for member, theirs in answers.items():
            if isinstance(theirs, OSError):
                continue
            if not isinstance(theirs, dict):
                raise RefusedError(f"worker {member}: needed riskon; found {_first_line(theirs)}")
            other = [name for name in ours if theirs.get(name) != ours[name]]
            if other:
                raise RefusedError(
                    f"worker {member}: needed "
                    + ", ".join(f"{name} {ours[name]}" for name in other)
                    + "; found "
                    + ", ".join(str(theirs.get(name)) for name in other)
                )
            self._admitted.add(member)


@dataclass(frozen=True)
class _Work:
    """What a member is to do, and with what, which may have to be brought there first."""

    function: Callable[..., Any]
    arguments: Callable[[str], tuple[Any, ...]]


class _Held:
    """What a member keeps as long as we are there: the arena, and what trials share on it."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self._evaluator: Evaluator | None = None

    @property
    def evaluator(self) -> Evaluator:
        """Built by the first trial."""
        if self._evaluator is None:
            self._evaluator = Evaluator(self.arena)
        return self._evaluator

    def __reduce__(self) -> tuple[object, ...]:
        """Travel without what can be built again."""
        return (_Held, (self.arena,))


def _try(held: _Held, task: Task) -> Outcome:
    with _ALONE:
        return run_task(held.evaluator, task)


def _walk(rows: CellRows, config: ModelConfig) -> tuple[object, object]:
    with _ALONE:
        run = run_cell(rows, config)
    return run.path, run.snapshots


def what_runs() -> dict[str, str]:
    """Return what must be the same everywhere: the versions of the libraries, and our code."""
    return {**library_versions(), "distributed": version("distributed"), "riskon": _code()}


@cache
def _code() -> str:
    """Return the beginning of the sha256 of the code that a member runs."""
    root = Path(__file__).resolve().parents[1]
    found = sha256()
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            found.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()[:12]


def _probe(address: str) -> None:
    """Connect once: Dask would try for many seconds, and say less."""
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or port is None:
        raise RefusedError(f"--cluster {address!r}: needed tcp://HOST:PORT or tls://HOST:PORT")
    try:
        socket.create_connection((parts.hostname, port), timeout=PATIENCE_SECONDS).close()
    except OSError as error:
        raise ClusterUnavailableError(address, f"none ({_first_line(error)})") from error


def _quieten() -> None:
    """Keep Dask's log to itself: what matters of it is said as an error."""
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("distributed."):
            logging.getLogger(name).setLevel(logging.NOTSET)


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
