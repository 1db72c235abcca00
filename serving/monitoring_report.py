"""What the watch found: typed, and kept in the database a report a run, append-only."""

from __future__ import annotations

from datetime import date

from pydantic import AwareDatetime, BaseModel, ConfigDict
from sqlalchemy import Column, Date, Engine, Integer, String, Table, Text, func, select

from serving.database import Instant, metadata, reading, writing

REPORTS = Table(
    "watch_reports",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("as_of", Date, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("model_digest", String(64), nullable=False),
    Column("content", Text, nullable=False),
)


class Frozen(BaseModel):
    """A finding."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FeatureDrift(Frozen):
    """How a feature's recent values differ from those the model was trained on.

    Attributes
    ----------
    psi : population stability index over the deciles of training.
    ks : greatest distance of the two distribution functions.
    limit_psi, limit_ks : the greatest that any stretch of training of the same length had.
    recent, reference : values that are not missing.
    alarm : whether both limits are exceeded.
    """

    asset: str
    feature: str
    psi: float
    ks: float
    limit_psi: float
    limit_ks: float
    recent: int
    reference: int
    alarm: bool


class InputFreshness(Frozen):
    """How long before T(as_of) an input became known, and how long is allowed."""

    name: str
    available_at: AwareDatetime
    age_days: float
    limit_days: float
    fresh: bool


class Coverage(Frozen):
    """Of the questions of the last days, how many were answered, and how many on time.

    Attributes
    ----------
    days : calendar days looked at, up to the last scored one.
    asked : days x questions of the model.
    answered : with a probability in the ledger.
    live : of these, issued before the next bar closed.
    """

    days: int
    asked: int
    answered: int
    live: int


class TwinSkill(Frozen):
    """Live skill of a negative control, which has none by construction.

    Attributes
    ----------
    twin : ``permuted`` or ``placebo``.
    gain_mnat, gain_lower, gain_upper : as of :class:`serving.verification.Skill`.
    """

    twin: str
    n: int
    gain_mnat: float
    gain_lower: float | None
    gain_upper: float | None
    skill_evidence: float


class Alarm(Frozen):
    """Something that a person should look at.

    Attributes
    ----------
    name : ``freshness``, ``coverage``, ``drift``, ``calibration``, ``skill``, ``control`` or
        ``age`` of the watch; ``freshness``, ``run`` or ``chain`` of the status.
    message : one line: what, needed, found.
    retrain : whether it asks for a new model.
    """

    name: str
    message: str
    retrain: bool = False


class WatchReport(Frozen):
    """What one look found."""

    as_of: date
    model_version: int
    model_digest: str
    trained_through: date
    drift: tuple[FeatureDrift, ...]
    inputs: tuple[InputFreshness, ...]
    coverage: Coverage
    twins: tuple[TwinSkill, ...]
    alarms: tuple[Alarm, ...]


def keep_report(engine: Engine, report: WatchReport) -> bool:
    """Append a report, unless the last one of the day says the same; return whether it did."""
    from serving.database import database_now

    content = report.model_dump_json()
    with writing(engine, "watch_reports") as connection:
        last = connection.execute(
            select(REPORTS.c.content)
            .where(REPORTS.c.as_of == report.as_of)
            .order_by(REPORTS.c.position.desc())
            .limit(1)
        ).scalar_one_or_none()
        if last == content:
            return False
        end = connection.execute(select(func.max(REPORTS.c.position))).scalar_one() or 0
        connection.execute(
            REPORTS.insert().values(
                position=end + 1,
                as_of=report.as_of,
                made_at=database_now(connection),
                model_digest=report.model_digest,
                content=content,
            )
        )
    return True


def last_report(engine: Engine) -> WatchReport | None:
    """Return the report of the latest day, None before the first."""
    asked = (
        select(REPORTS.c.content)
        .order_by(REPORTS.c.as_of.desc(), REPORTS.c.position.desc())
        .limit(1)
    )
    with reading(engine) as connection:
        content = connection.execute(asked).scalar_one_or_none()
    return None if content is None else WatchReport.model_validate_json(content)
