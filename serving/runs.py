"""The daily runs: one at a time, each step noted when it is done, so that a killed run goes on.

The lock is a row that its holder renews. Whoever takes it over raises its fence; a holder that
comes back with an old fence, from a long sleep, say, can write no step any more.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import (
    Column,
    Connection,
    Date,
    Engine,
    Integer,
    String,
    Table,
    Text,
    select,
)

from serving.database import Instant, database_now, metadata, reading, writing
from sources.errors import (
    AlreadyRunningError,
    DataUnavailableError,
    RiskonError,
    without_password,
)

RUNS = Table(
    "daily_runs",
    metadata,
    Column("run", Integer, primary_key=True, autoincrement=False),
    Column("as_of", Date, nullable=False),
    Column("market", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("holder", String(64), nullable=False),
    Column("host", String(256), nullable=False),
    Column("begun_at", Instant, nullable=False),
    Column("heartbeat", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("error", Text),
)
STEPS = Table(
    "daily_steps",
    metadata,
    Column("run", Integer, primary_key=True, autoincrement=False),
    Column("step", String(16), primary_key=True),
    Column("finished_at", Instant, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("summary", Text, nullable=False),
)

LOCK = "daily"
SILENT = timedelta(minutes=10)
"""A holder on another machine that has been silent for so long is taken for dead."""
FRESH = timedelta(hours=1)
"""Steps of a run that was killed are not done again for so long."""
BEAT_SECONDS = 30.0
STEP_NAMES = ("ingest", "settle", "score", "monitor", "retrain")
ASKED, TRAINING, AGAIN = "asked", "training", "again:"
"""Marks beside the steps of a run: its words; a training that began; a step that left trouble."""


class StepDone(BaseModel):
    """A step that was done: what it changed, in rows, and in words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    finished_at: AwareDatetime
    changed: int
    summary: str


class DailyRun(BaseModel):
    """A run, as it stands.

    Attributes
    ----------
    state : ``running``, ``done`` or ``failed``; a run that was killed stays ``running``
        until the next one takes it over.
    steps : that are done, in order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: int
    as_of: date
    market: str
    state: str
    holder: str
    begun_at: AwareDatetime
    heartbeat: AwareDatetime
    finished_at: AwareDatetime | None
    error: str | None
    steps: tuple[StepDone, ...]


@dataclass(frozen=True)
class Held:
    """A run that this process holds.

    Attributes
    ----------
    fence : grows with each holder.
    steps : done by a holder that was killed a short while ago, which need not be done again: the
        first ones, up to one that is not done, was done long ago, or left trouble.
    """

    engine: Engine
    run: int
    fence: int
    steps: tuple[StepDone, ...]

    def renew(self) -> None:
        """Say that the holder lives.

        Raises
        ------
        AlreadyRunningError
            Where another has taken over.
        """
        with writing(self.engine, LOCK) as connection:
            self._change(connection, heartbeat=database_now(connection))

    def done(self, step: str, changed: int, summary: str, *, trouble: bool = False) -> StepDone:
        """Note that a step is done; raises as :meth:`renew`.

        Parameters
        ----------
        trouble : whether it found what the exit code is to say, so that whoever goes on with the
            run does the step again, and finds it too.
        """
        with writing(self.engine, LOCK) as connection:
            now = database_now(connection)
            self._change(connection, heartbeat=now)
            noted = StepDone(step=step, finished_at=now, changed=changed, summary=summary)
            mark = (STEPS.c.run == self.run) & (STEPS.c.step == f"{AGAIN}{step}")
            connection.execute(STEPS.delete().where(mark))
            _note(connection, self.run, noted)
            if trouble:
                _note(connection, self.run, noted.model_copy(update={"step": f"{AGAIN}{step}"}))
        return noted

    def training(self, why: str) -> None:
        """Note that a training begins, which stays known whatever comes of it; raises as renew."""
        self.done(TRAINING, 1, why)

    def finish(self, error: str | None) -> None:
        """End the run; raises as :meth:`renew`."""
        with writing(self.engine, LOCK) as connection:
            now = database_now(connection)
            state = "done" if error is None else "failed"
            self._change(connection, heartbeat=now, finished_at=now, state=state, error=error)

    def _change(self, connection: Connection, **values: object) -> None:
        mine = (RUNS.c.run == self.run) & (RUNS.c.fence == self.fence)
        if connection.execute(RUNS.update().where(mine).values(**values)).rowcount != 1:
            row = connection.execute(select(RUNS).where(RUNS.c.run == self.run)).one()
            raise AlreadyRunningError(
                f"daily run {self.run}", f"fence {self.fence} passed on to {row.holder}"
            )


def _note(connection: Connection, run: int, noted: StepDone) -> None:
    mine = (STEPS.c.run == run) & (STEPS.c.step == noted.step)
    connection.execute(STEPS.delete().where(mine))
    connection.execute(STEPS.insert().values(run=run, **noted.model_dump()))


@contextmanager
def exclusive(
    engine: Engine, lock: Path, as_of: date, market: str, words: str = ""
) -> Iterator[Held]:
    """Hold the one daily run; end it as done, or as failed with the error that leaves the block.

    A run of the same day, market and words that was killed or interrupted is gone on with, and
    any other closed.

    Parameters
    ----------
    lock : file that keeps out the other processes of this machine, and dies with its holder.
    words : the rest of what the run was asked for.

    Raises
    ------
    AlreadyRunningError
        Where another process holds it; names it.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            raise AlreadyRunningError("daily run", holder or "another process") from None
        held = _take(engine, f"{socket.gethostname()}:{lock.resolve()}"[:256], as_of, market, words)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{_me()}\n".encode(), 0)
        try:
            with _beating(held):
                yield held
        except Exception as error:  # any: a run that failed by itself must not look as if it ran
            # What went wrong is what the caller is to hear of; the lock ages by itself.
            with suppress(DataUnavailableError, AlreadyRunningError):
                held.finish(_said(error))
            raise
        held.finish(None)
    finally:
        os.close(descriptor)


def _said(error: Exception) -> str:
    """Return one line on an error; those of others are told by their kind too."""
    if isinstance(error, RiskonError):
        return str(error)
    text = without_password(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text}"[:1000]


def _take(engine: Engine, host: str, as_of: date, market: str, words: str) -> Held:
    with writing(engine, LOCK) as connection:
        now = database_now(connection)
        newest = select(RUNS).order_by(RUNS.c.run.desc()).limit(1)
        last = connection.execute(newest).mappings().one_or_none()
        number, fence, broken = 1, 1, False
        if last is not None:
            broken = last["state"] == "running"
            # In this place the file lock has spoken already: that holder is dead.
            if broken and last["host"] != host and now - last["heartbeat"] < SILENT:
                raise AlreadyRunningError("daily run", last["holder"])
            number, fence = last["run"] + 1, last["fence"] + 1
        mine = {"fence": fence, "holder": _me(), "host": host, "heartbeat": now}
        if last is not None and broken:
            marks = _noted(connection, last["run"])
            asked = marks[ASKED].summary if ASKED in marks else ""
            if (last["as_of"], last["market"], asked) == (as_of, market, words):
                connection.execute(RUNS.update().where(RUNS.c.run == last["run"]).values(**mine))
                return Held(engine, last["run"], fence, _kept(marks, now))
            # With the new fence, its holder can write no step and no end any more.
            closed = {"state": "failed", "finished_at": now, "error": "cut short", "fence": fence}
            connection.execute(RUNS.update().where(RUNS.c.run == last["run"]).values(**closed))
        connection.execute(
            RUNS.insert().values(
                run=number, as_of=as_of, market=market, state="running", begun_at=now, **mine
            )
        )
        if words:
            asked_for = StepDone(step=ASKED, finished_at=now, changed=0, summary=words)
            _note(connection, number, asked_for)
    return Held(engine, number, fence, ())


def _kept(noted: Mapping[str, StepDone], now: datetime) -> tuple[StepDone, ...]:
    """Return the first steps of a run, up to one that is missing, old, or left trouble."""
    kept: list[StepDone] = []
    for name in STEP_NAMES:
        step = noted.get(name)
        if step is None or now - step.finished_at >= FRESH or f"{AGAIN}{name}" in noted:
            break
        kept.append(step)
    return tuple(kept)


@contextmanager
def _beating(held: Held) -> Iterator[None]:
    """Renew the lock while a block runs; that it was lost shows when a step is to be noted."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            with suppress(DataUnavailableError, AlreadyRunningError):
                held.renew()

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"[:64]


def last_run(engine: Engine) -> DailyRun | None:
    """Return the run that was begun last, None before the first."""
    with reading(engine) as connection:
        row = (
            connection.execute(select(RUNS).order_by(RUNS.c.run.desc()).limit(1))
            .mappings()
            .one_or_none()
        )
        return None if row is None else _run(connection, row)


def _noted(connection: Connection, run: int) -> dict[str, StepDone]:
    """Return the steps and the marks of a run, by name."""
    rows = connection.execute(select(STEPS).where(STEPS.c.run == run)).mappings()
    return {
        row["step"]: StepDone(**{name: row[name] for name in StepDone.model_fields}) for row in rows
    }


def _run(connection: Connection, row: Mapping[Any, Any]) -> DailyRun:
    steps = _noted(connection, row["run"])
    return DailyRun(
        **{name: row[name] for name in DailyRun.model_fields if name != "steps"},
        steps=tuple(steps[name] for name in STEP_NAMES if name in steps),
    )
