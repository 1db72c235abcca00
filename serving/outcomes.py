"""Outcomes: what came of each forecast, appended once it is known and never changed.

An outcome that later turns out otherwise, because a close was restated, is a
row of its own with a higher revision and the reason; the highest one counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import (
    Column,
    Connection,
    Date,
    Double,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    select,
)

from serving.database import Instant, metadata
from serving.score import Score

OUTCOMES = Table(
    "outcomes",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("forecast_id", String(32), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("label_end", Date, nullable=False),
    Column("begin_close", Double, nullable=False),
    Column("end_close", Double, nullable=False),
    Column("known_at", Instant, nullable=False),
    Column("settled_at", Instant, nullable=False),
    Column("reason", Text),
    Column("previous_hash", String(64), nullable=False),
    Column("row_hash", String(64), nullable=False),
    UniqueConstraint("forecast_id", "revision", name="uq_outcomes_forecast_revision"),
)

LOCK = "outcomes"
"""Who appends outcomes holds the lock of this name."""

_AT_ONCE = 1000


class Outcome(BaseModel):
    """What came of a forecast.

    Attributes
    ----------
    outcome : 1 if the return exceeded the threshold, else 0.
    label_end : as_of + horizon, the last day the label looks at.
    begin_close, end_close : the two closes that decided it.
    known_at : instant at which both were known; of a revision, when they were restated.
    settled_at : instant of this row, by the database's clock.
    revision : 0 for the first outcome, then 1, 2, ... for restated ones.
    reason : why it was restated; None for the first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    forecast_id: str
    outcome: int
    label_end: date
    begin_close: float
    end_close: float
    known_at: AwareDatetime
    settled_at: AwareDatetime
    revision: int = 0
    reason: str | None = None


class SettledScore(BaseModel):
    """A forecast, and its outcome where that is known.

    Attributes
    ----------
    position : of the forecast in the ledger, from 1 on; the key of paging.
    outcome : as last revised; None while it is not known.
    live : whether it was issued before the next day's bar closed. Only such a
        forecast is evidence of skill; one that was made later, to fill a gap or to
        replay the past, is not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: int
    score: Score
    outcome: Outcome | None
    live: bool


def is_live(as_of: date, issued_at: datetime) -> bool:
    """Say whether a forecast was issued before the bar of the next day closed.

    The bar of day d closes at T(d), the midnight after it, when a forecast as of d can
    be made; from T(d + 1) on the first day of its outcome is known.

    Examples
    --------
    >>> is_live(date(2025, 6, 20), datetime(2025, 6, 21, 23, 59, tzinfo=UTC))
    True
    >>> is_live(date(2025, 6, 20), datetime(2025, 6, 22, 0, 0, tzinfo=UTC))
    False
    """
    first_bar_known = datetime.combine(as_of + timedelta(days=2), datetime.min.time(), UTC)
    return issued_at < first_bar_known


def latest_outcomes(connection: Connection, forecast_ids: Sequence[str]) -> dict[str, Outcome]:
    """Return the outcome of each forecast that has one, as last revised."""
    found: dict[str, Outcome] = {}
    for some in _parts(forecast_ids):
        asked = (
            select(OUTCOMES)
            .where(OUTCOMES.c.forecast_id.in_(some))
            .order_by(OUTCOMES.c.forecast_id, OUTCOMES.c.revision)
        )
        rows = connection.execute(asked).mappings()
        found.update({row["forecast_id"]: _outcome(row) for row in rows})
    return found


def _parts(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[i : i + _AT_ONCE] for i in range(0, len(names), _AT_ONCE))


def _outcome(row: Mapping[Any, Any]) -> Outcome:
    return Outcome(**{name: row[name] for name in Outcome.model_fields})
