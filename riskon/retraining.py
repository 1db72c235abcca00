"""A new champion when the old one is due, or the watch asks for it: trained, judged, promoted."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from models import ModelConfig
from riskon import output as out
from riskon.settings import Settings
from riskon.train import Asked
from serving import Scorer
from serving.database import reading
from serving.monitoring_report import WatchReport
from serving.runs import STEPS, TRAINING, Held
from sources.errors import PromotionRefusedError
from training.spool import waiting

REST_DAYS = 7
"""After a training, whatever came of it, none follows for so many days."""


@dataclass(frozen=True)
class _AsChampion(Asked):
    """A job that trains what the champion is, on the data of now."""

    model: ModelConfig = field(default_factory=ModelConfig)

    @property
    def flags(self) -> dict[str, Any]:
        """Return the settings of the job, the champion's own configuration among them."""
        return {**super().flags, "model": self.model.model_dump(mode="json")}


def retrain(
    where: Settings,
    market: Path,
    scorer: Scorer,
    report: WatchReport | None,
    held: Held,
    *,
    mode: str,
    as_of: date | None,
) -> tuple[int, str]:
    """Train and promote through the gate where the watch asks for it.

    Parameters
    ----------
    held : run in which it happens; that a training begins is noted there, as one that fails is
        followed by a rest too.
    mode : ``auto`` or ``never``.
    as_of : day that was asked for; a replay of the past trains nothing.

    Returns
    -------
    1 where a version was trained, and what happened in words. A version that the gate refuses is
    no error: the champion stays.
    """
    asking = [alarm for alarm in (report.alarms if report else ()) if alarm.retrain]
    if not asking:
        return 0, "not due"
    why = ", ".join(dict.fromkeys(alarm.name for alarm in asking))
    if mode == "never":
        return 0, f"asked for by {why}, but --retrain never"
    if as_of is not None:
        return 0, f"asked for by {why}, but not as of a day of the past"
    if jobs := waiting(where.spool):
        return 0, (
            f"asked for by {why}, but {jobs[-1].name} waits in the spool: riskon sync, "
            "then riskon promote"
        )
    last = last_training(scorer.ledger.engine, held)
    if last is not None and datetime.now(UTC) - last < timedelta(days=REST_DAYS):
        return 0, f"asked for by {why}, but the last was on {last:%Y-%m-%d}; again in {REST_DAYS} d"
    held.training(why)
    return 1, _train_and_promote(where, market, scorer, held, why)


def last_training(engine: Engine, held: Held) -> datetime | None:
    """Return when a daily run trained last, or began to; None before the first.

    One that this run itself began was killed, and is begun again.
    """
    begun = (STEPS.c.step == TRAINING) & (STEPS.c.run != held.run)
    asked = (
        select(STEPS.c.finished_at)
        .where(begun | ((STEPS.c.step == "retrain") & (STEPS.c.changed == 1)))
        .order_by(STEPS.c.finished_at.desc())
        .limit(1)
    )
    with reading(engine) as connection:
        return connection.execute(asked).scalar_one_or_none()


def _train_and_promote(where: Settings, market: Path, scorer: Scorer, held: Held, why: str) -> str:
    from riskon.champions import promote
    from riskon.train import train

    bundle = scorer.bundle
    asked = _AsChampion(
        market=market,
        assets=bundle.assets,
        horizons=bundle.horizons,
        thresholds=sorted({cell.threshold for cell in bundle.cells}),
        seed=bundle.config.seed,
        model=bundle.config,
    )
    out.note(f"Training a successor of version {scorer.model.version}: {why}")
    with redirect_stdout(sys.stderr):
        version = train(where, asked, None, None, "riskon", "table", None, spool=True)
        if version is None:
            return "trained; waits in the spool for the tracking server"
        held.renew()  # Training takes long; whoever took over meanwhile decides.
        try:
            promote(where, version, f"riskon daily: {why}", override=False)
        except PromotionRefusedError as error:
            return f"trained version {version}; the champion stays: {error}"
    return f"version {version} is the champion now, asked for by {why}"
