"""The ledger: every forecast that was ever issued, appended once and never changed.

Each row carries the sha256 of its content and of the row before it, so that
an edit by someone whom the triggers do not stop shows from that row on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Date,
    Double,
    Engine,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    exists,
    func,
    select,
)

from serving.chain import append, verify_chain
from serving.database import Instant, metadata, reading, refuse_skew, retried, writing
from serving.outcomes import OUTCOMES, SettledScore, is_live, latest_outcomes
from serving.score import DataRead, Explanation, InputAge, Score, ScoreDriver, ScoringModel
from sources.crashpoints import crashpoint
from sources.errors import IntegrityError

FORECASTS = Table(
    "forecasts",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("forecast_id", String(32), nullable=False),
    Column("issued_at", Instant, nullable=False),
    Column("as_of", Date, nullable=False),
    Column("asset", String(32), nullable=False),
    Column("horizon_days", Integer, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("probability", Double),
    Column("lower", Double),
    Column("upper", Double),
    Column("base_rate", Double),
    Column("reason", Text),
    Column("model_name", String(256), nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("model_digest", String(64), nullable=False),
    Column("skill_certified", Boolean, nullable=False),
    Column("data_digest", String(64), nullable=False),
    Column("inputs", Text, nullable=False),
    Column("drivers", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("row_hash", String(64), nullable=False),
    UniqueConstraint("forecast_id"),
    # What was issued first stands.
    UniqueConstraint(
        "model_version", "as_of", "asset", "horizon_days", "threshold", name="uq_forecasts_question"
    ),
    Index("ix_forecasts_as_of", "as_of"),
    Index("ix_forecasts_asset_horizon_days_as_of", "asset", "horizon_days", "as_of"),
)  # fmt: skip

_INPUTS = TypeAdapter(tuple[InputAge, ...])
# The column held drivers alone, as a list, before experts were kept beside them.
_EXPLANATION: TypeAdapter[Explanation | tuple[ScoreDriver, ...]] = TypeAdapter(
    Explanation | tuple[ScoreDriver, ...]
)

Question = tuple[int, date, str, int, float]


def _now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """Forecasts in the order they were issued.

    Parameters
    ----------
    engine : of a migrated database.
    clock : of this host; where it is far from the database's, nothing is recorded.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = _now) -> None:
        self.engine = engine
        self.clock = clock

    def record(self, scores: Sequence[Score]) -> tuple[Score, ...]:
        """Append the scores, all or none; return what the ledger holds for each.

        A question that a version has answered before keeps its first answer,
        which is returned in place of the new one.

        Raises
        ------
        IntegrityError
            If another bundle answered under the same version.
        DataUnavailableError
            Where the database does not answer, or its clock is not this host's.
        """
        with reading(self.engine) as connection:
            held = _held(connection, scores)
        if any(_question(score) not in held for score in scores):
            crashpoint("scored")
            held = retried(lambda: self._record(scores))
            crashpoint("recorded")
        answers = tuple(held[_question(score)] for score in scores)
        for score, answer in zip(scores, answers, strict=True):
            if score.model.digest != answer.model.digest:
                raise IntegrityError(
                    f"ledger, version {score.model.version} of {score.model.name}",
                    expected=f"forecasts of bundle {score.model.digest}",
                    found=f"forecasts of bundle {answer.model.digest}",
                )
        return answers

    def _record(self, scores: Sequence[Score]) -> dict[Question, Score]:
        with writing(self.engine, "forecasts") as connection:
            refuse_skew(connection, self.clock)
            held = _held(connection, scores)
            self._append(connection, [s for s in scores if _question(s) not in held])
            crashpoint("appended")
            return _held(connection, scores)

    def _append(self, connection: Connection, scores: Iterable[Score]) -> None:
        append(connection, FORECASTS, map(_row, scores))

    def find(
        self,
        as_of: date | None = None,
        assets: Sequence[str] | None = None,
        horizons: Sequence[int] | None = None,
        version: int | None = None,
    ) -> tuple[Score, ...]:
        """Return the forecasts of a day (of the latest by default), by asset, horizon, version."""
        table = FORECASTS.c
        with reading(self.engine) as connection:
            if as_of is None:
                latest = select(func.max(table.as_of))
                if version is not None:
                    latest = latest.where(table.model_version == version)
                as_of = connection.execute(latest).scalar_one()
            asked = select(FORECASTS).where(table.as_of == as_of)
            if version is not None:
                asked = asked.where(table.model_version == version)
            if assets:
                asked = asked.where(table.asset.in_(assets))
            if horizons:
                asked = asked.where(table.horizon_days.in_(horizons))
            order = (table.asset, table.horizon_days, table.threshold, table.model_version)
            return tuple(
                _score(row) for row in connection.execute(asked.order_by(*order)).mappings()
            )

    def get(self, forecast_id: str) -> Score | None:
        """Return one forecast, or None where there is no such."""
        asked = select(FORECASTS).where(FORECASTS.c.forecast_id == forecast_id)
        with reading(self.engine) as connection:
            row = connection.execute(asked).mappings().one_or_none()
        return None if row is None else _score(row)

    def history(
        self,
        asset: str | None = None,
        horizon: int | None = None,
        start: date | None = None,
        end: date | None = None,
        version: int | None = None,
        after: int | None = None,
        limit: int = 1000,
    ) -> tuple[SettledScore, ...]:
        """Return a page of what was said, in the order it was said, with what came of it.

        Parameters
        ----------
        asset, horizon, version : of the forecasts; all by default.
        start, end : first and last as-of day.
        after : position of the last forecast of the page before; the pages together hold
            every forecast once, whatever is appended meanwhile.
        limit : rows a page holds at most.
        """
        place = FORECASTS.c.position
        asked = select(FORECASTS).where(*_conditions(asset, horizon, start, end, version))
        if after is not None:
            asked = asked.where(place > after)
        with reading(self.engine) as connection:
            rows = connection.execute(asked.order_by(place).limit(limit)).mappings().all()
            outcomes = latest_outcomes(connection, [row["forecast_id"] for row in rows])
        return tuple(
            SettledScore(
                position=row["position"],
                score=_score(row),
                outcome=outcomes.get(row["forecast_id"]),
                live=is_live(row["as_of"], row["issued_at"]),
            )
            for row in rows
        )

    def issued(
        self,
        asset: str | None = None,
        horizon: int | None = None,
        start: date | None = None,
        end: date | None = None,
        version: int | None = None,
    ) -> pd.DataFrame:
        """Return the forecasts that gave a probability, settled or not, a row each.

        Returns
        -------
        A frame with ``position``, ``as_of``, ``asset``, ``horizon_days``, ``threshold``,
        ``probability``, ``base_rate``, ``outcome`` (as last revised, NaN while it is not known),
        ``settled_at`` (of the first outcome, NaT likewise) and ``live``.
        """
        table, first = FORECASTS.c, OUTCOMES.alias("first")
        last, later = OUTCOMES.alias("last"), OUTCOMES.alias("later")
        names = (
            table.position, table.as_of, table.asset, table.horizon_days, table.threshold,
            table.probability, table.base_rate, table.issued_at, last.c.outcome, first.c.settled_at,
        )  # fmt: skip
        is_revised = exists().where(
            later.c.forecast_id == last.c.forecast_id, later.c.revision > last.c.revision
        )
        is_first = (first.c.forecast_id == table.forecast_id) & (first.c.revision == 0)
        asked = (
            select(*names)
            .outerjoin(first, is_first)
            .outerjoin(last, last.c.forecast_id == table.forecast_id)
            .where(~is_revised, table.probability.is_not(None))
            .where(*_conditions(asset, horizon, start, end, version))
        )
        with reading(self.engine) as connection:
            rows = connection.execute(asked).all()
        found = pd.DataFrame([tuple(row) for row in rows], columns=[name.name for name in names])
        on_time = [is_live(row.as_of, row.issued_at) for row in rows]
        return found.assign(
            live=np.array(on_time, dtype=bool),
            outcome=found["outcome"].astype("float64"),
            settled_at=pd.to_datetime(found["settled_at"], utc=True),
        ).drop(columns="issued_at")

    def verify(self) -> int:
        """Check the chain of forecasts from the first row to the last; return how many there are.

        Raises
        ------
        IntegrityError
            Names the first row that is not what was written, or is not there.
        """
        return verify_chain(self.engine, FORECASTS, "ledger")

    def verify_outcomes(self) -> int:
        """Check the chain of outcomes likewise."""
        return verify_chain(self.engine, OUTCOMES, "outcomes")

    def counts(self) -> tuple[int, int]:
        """Return how many forecasts there are, and how many rows of outcomes."""
        asked = [select(func.max(table.c.position)) for table in (FORECASTS, OUTCOMES)]
        with reading(self.engine) as connection:
            found = [connection.execute(question).scalar_one() or 0 for question in asked]
        return found[0], found[1]

    def answered(
        self, asked: Collection[tuple[str, int, float]], start: date, end: date
    ) -> tuple[int, int]:
        """Return how many questions of some days have an answer, and how many of these are live.

        Parameters
        ----------
        asked : asset, horizon in days, and threshold of the questions of each day.
        start, end : first and last as-of day.
        """
        table = FORECASTS.c
        wanted = select(
            table.as_of, table.asset, table.horizon_days, table.threshold, table.issued_at
        ).where(table.as_of >= start, table.as_of <= end)
        first: dict[tuple[date, str, int, float], bool] = {}
        with reading(self.engine) as connection:
            for *question, issued_at in connection.execute(wanted.order_by(table.position)):
                if tuple(question[1:]) in asked:
                    first.setdefault(tuple(question), is_live(question[0], issued_at))
        return len(first), sum(first.values())

    def days(self, start: date, end: date) -> set[date]:
        """Return the as-of days with a forecast, of any version."""
        table = FORECASTS.c
        asked = select(table.as_of).distinct().where(table.as_of >= start, table.as_of <= end)
        with reading(self.engine) as connection:
            return set(connection.execute(asked).scalars())

    def first_day(self) -> date | None:
        """Return the first day with a forecast, None before there is one."""
        with reading(self.engine) as connection:
            return connection.execute(select(func.min(FORECASTS.c.as_of))).scalar_one()

    def latest_day(self) -> date | None:
        """Return the last day with a forecast, None before the first."""
        with reading(self.engine) as connection:
            return connection.execute(select(func.max(FORECASTS.c.as_of))).scalar_one()


def _conditions(
    asset: str | None,
    horizon: int | None,
    start: date | None,
    end: date | None,
    version: int | None,
) -> list[ColumnElement[bool]]:
    table = FORECASTS.c
    conditions = []
    for column, value in (
        (table.asset, asset), (table.horizon_days, horizon), (table.model_version, version),
    ):  # fmt: skip
        if value is not None:
            conditions.append(column == value)
    if start is not None:
        conditions.append(table.as_of >= start)
    if end is not None:
        conditions.append(table.as_of <= end)
    return conditions


def _question(score: Score) -> Question:
    return (score.model.version, score.as_of, score.asset, score.horizon_days, score.threshold)


def _held(connection: Connection, scores: Sequence[Score]) -> dict[Question, Score]:
    """Return what the ledger holds of the versions and days of some scores."""
    held: dict[Question, Score] = {}
    for version, as_of in {(score.model.version, score.as_of) for score in scores}:
        asked = select(FORECASTS).where(
            FORECASTS.c.model_version == version, FORECASTS.c.as_of == as_of
        )
        found = (_score(row) for row in connection.execute(asked).mappings())
        held.update({_question(score): score for score in found})
    return held


def _row(score: Score) -> dict[str, Any]:
    return {
        "forecast_id": score.forecast_id,
        "issued_at": score.issued_at,
        "as_of": score.as_of,
        "asset": score.asset,
        "horizon_days": score.horizon_days,
        "threshold": score.threshold,
        "probability": score.probability,
        "lower": score.lower,
        "upper": score.upper,
        "base_rate": score.base_rate,
        "reason": score.reason,
        "model_name": score.model.name,
        "model_version": score.model.version,
        "model_digest": score.model.digest,
        "skill_certified": score.model.skill_certified,
        "data_digest": score.data.digest,
        "inputs": _INPUTS.dump_json(score.data.inputs).decode(),
        "drivers": Explanation(drivers=score.drivers, experts=score.experts).model_dump_json(),
    }


def _score(row: Mapping[Any, Any]) -> Score:
    kept = _EXPLANATION.validate_json(row["drivers"])
    if not isinstance(kept, Explanation):
        kept = Explanation(drivers=kept, experts=())
    return Score(
        **{
            name: row[name]
            for name in Score.model_fields
            if name in FORECASTS.c and name != "drivers"
        },
        abstained=row["probability"] is None,
        model=ScoringModel(
            name=row["model_name"],
            version=row["model_version"],
            digest=row["model_digest"],
            skill_certified=row["skill_certified"],
        ),
        data=DataRead(digest=row["data_digest"], inputs=_INPUTS.validate_json(row["inputs"])),
        drivers=kept.drivers,
        experts=kept.experts,
    )
