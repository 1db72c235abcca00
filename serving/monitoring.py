"""How things stand: who speaks, how fresh its inputs are, what the watch and the last run found."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from pydantic import AwareDatetime

from serving.champions import Champion, ChampionHistory
from serving.ledger import Ledger
from serving.monitoring_report import (
    Alarm,
    Coverage,
    FeatureDrift,
    Frozen,
    InputFreshness,
    TwinSkill,
    last_report,
)
from serving.runs import SILENT, DailyRun, last_run
from sources.errors import IntegrityError

BEHIND_DAYS = 1
"""The day that was over yesterday should be scored; more days behind is an alarm."""


class ChampionStatus(Frozen):
    """Who speaks, and how long ago it learned."""

    name: str
    version: int
    digest: str
    promoted_at: AwareDatetime
    reason: str
    skill_certified: bool
    trained_through: date | None
    trained_age_days: int | None


class ChainState(Frozen):
    """What the chains are worth: rows checked, and the first bad one in words."""

    checked: bool
    forecasts: int
    outcomes: int
    broken: str | None


class Status(Frozen):
    """How things stand at an instant.

    Attributes
    ----------
    champion : None before the first promotion.
    latest_scored : the last day with a forecast; None before the first.
    days_behind : finished days since then; None before the first.
    watched : the day that inputs, drift, coverage and twins are of; None before the first look.
    chain : of forecasts and of outcomes; not checked unless asked.
    alarms : of the watch, and of what stands here; none is good.
    """

    made_at: AwareDatetime
    champion: ChampionStatus | None
    latest_scored: date | None
    days_behind: int | None
    watched: date | None
    inputs: tuple[InputFreshness, ...]
    drift: tuple[FeatureDrift, ...]
    coverage: Coverage | None
    twins: tuple[TwinSkill, ...]
    last_run: DailyRun | None
    chain: ChainState
    alarms: tuple[Alarm, ...]


def status(
    ledger: Ledger,
    champions: ChampionHistory,
    *,
    now: datetime | None = None,
    check_chain: bool = True,
) -> Status:
    """Return how things stand, from the database alone.

    Parameters
    ----------
    check_chain : walk both chains to their ends, which takes a second for some 10,000 rows.
    """
    instant = now or datetime.now(UTC)
    champion, _ = champions.current()
    report, run = last_report(ledger.engine), last_run(ledger.engine)
    latest = ledger.latest_day()
    finished = instant.astimezone(UTC).date() - timedelta(days=1)
    behind = None if latest is None else max((finished - latest).days, 0)
    chain = _chain(ledger, check=check_chain)
    trained = report.trained_through if report and champion else None
    if report and champion and report.model_digest != champion.digest:
        trained = None  # The report is of the champion before.
    alarms = list(report.alarms if report else ())
    if chain.broken:
        alarms.append(Alarm(name="chain", message=chain.broken))
    if behind is not None and behind > BEHIND_DAYS:
        alarms.append(
            Alarm(
                name="freshness",
                message=f"ledger: needed scores as of {finished}; found the last as of {latest}",
            )
        )
    if run is not None and run.state == "failed":
        alarms.append(Alarm(name="run", message=f"daily run {run.run} failed: {run.error}"))
    if run is not None and run.state == "running" and instant - run.heartbeat > SILENT:
        alarms.append(
            Alarm(name="run", message=f"daily run {run.run} silent since {run.heartbeat:%FT%H:%MZ}")
        )
    return Status(
        made_at=instant,
        champion=None if champion is None else _champion(champion, trained, finished),
        latest_scored=latest,
        days_behind=behind,
        watched=report.as_of if report else None,
        inputs=report.inputs if report else (),
        drift=report.drift if report else (),
        coverage=report.coverage if report else None,
        twins=report.twins if report else (),
        last_run=run,
        chain=chain,
        alarms=tuple(alarms),
    )


def _champion(champion: Champion, trained: date | None, finished: date) -> ChampionStatus:
    return ChampionStatus(
        name=champion.name,
        version=champion.version,
        digest=champion.digest,
        promoted_at=champion.promoted_at,
        reason=champion.reason,
        skill_certified=champion.skill_certified,
        trained_through=trained,
        trained_age_days=None if trained is None else (finished - trained).days,
    )


def _chain(ledger: Ledger, *, check: bool) -> ChainState:
    forecasts, outcomes, broken = *ledger.counts(), None
    if check:
        try:
            ledger.verify()
            ledger.verify_outcomes()
        except IntegrityError as error:
            broken = str(error)
    return ChainState(checked=check, forecasts=forecasts, outcomes=outcomes, broken=broken)
