"""The daily runs: one at a time, each step noted when it is done, so that a killed run goes on.

The lock is a row that its holder renews. Whoever takes it over raises its fence; a holder that
comes back with an old fence, from a long sleep, say, can write no step any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
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

from serving.database import Instant, metadata, reading

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
STEP_NAMES = ("ingest", "settle", "score", "monitor", "retrain")


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


def last_run(engine: Engine) -> DailyRun | None:
    """Return the run that was begun last, None before the first."""
    with reading(engine) as connection:
        row = (
            connection.execute(select(RUNS).order_by(RUNS.c.run.desc()).limit(1))
            .mappings()
            .one_or_none()
        )
        return None if row is None else _run(connection, row)


def _run(connection: Connection, row: Mapping[Any, Any]) -> DailyRun:
    rows = connection.execute(select(STEPS).where(STEPS.c.run == row["run"])).mappings()
    steps = {
        step["step"]: StepDone(**{name: step[name] for name in StepDone.model_fields})
        for step in rows
    }
    return DailyRun(
        **{name: row[name] for name in DailyRun.model_fields if name != "steps"},
        steps=tuple(steps[name] for name in STEP_NAMES if name in steps),
    )
