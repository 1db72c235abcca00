"""``riskon daily``: ingest, settle, score, watch, retrain, in this order, once a day.

Every step may be done again without harm, so a run that is repeated changes nothing, and one
that was killed is gone on with by the next.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd

from riskon import output as out
from riskon.services import open_scorer
from riskon.settings import Settings
from riskon.wiring import open_market
from serving import Ledger, Score, Scorer, scorable_days
from serving.monitoring_report import Alarm, WatchReport, keep_report, last_report
from serving.monitoring_watch import watch
from serving.runs import DailyRun, Held, exclusive, last_run
from serving.scorer import latest_finished_day
from serving.settlement import settle
from sources import Market, as_of_instant
from sources.crashpoints import crashpoint
from sources.errors import DataUnavailableError, RiskonError, StaleDataError
from sources.store import is_store

LOCK = "daily.lock"


@dataclass(frozen=True)
class Asked:
    """The words of the command line.

    Attributes
    ----------
    as_of : day to score; the latest finished one by default, which alone may retrain.
    ingest : ``none``, ``files`` or ``live``.
    source : market directory to read, for files.
    catch_up : days before that are scored too, where no score of them is there.
    retrain : ``auto`` or ``never``.
    retrain_after : days since training after which the champion is old.
    """

    market: Path | None = None
    as_of: date | None = None
    ingest: str = "none"
    source: Path | None = None
    catch_up: int = 30
    retrain: str = "auto"
    retrain_after: int = 92

    @property
    def words(self) -> str:
        """What a run is asked for beside its day and market; only the same is gone on with."""
        said = {
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "ingest": self.ingest,
            "source": None if self.source is None else str(self.source.resolve()),
            "catch_up": self.catch_up,
            "retrain": self.retrain,
            "retrain_after": self.retrain_after,
        }
        return json.dumps(said)


@dataclass
class Day:
    """A run at work: what its steps hand on to each other.

    Attributes
    ----------
    trouble : errors after which the run went on, and which decide its exit code.
    """

    where: Settings
    asked: Asked
    root: Path
    scorer: Scorer
    now: datetime
    market: Market | None = None
    trouble: list[RiskonError] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        """The ledger of the scorer."""
        return self.scorer.ledger

    def opened(self) -> Market:
        """Return the market as it stands, read once."""
        if self.market is None:
            self.market = open_market(self.root, self.where)
        return self.market

    def last_day(self) -> date:
        """Return the day to score."""
        return self.asked.as_of or scorable_days(self.opened(), self.now)[1]

    def finished_day(self) -> date:
        """Return the day that is looked at: the one asked for, else the latest finished one."""
        return self.asked.as_of or latest_finished_day(self.now)

    def behind(self) -> int:
        """Return the days from the last bar to the finished day; 0 where a day is asked for."""
        return max((self.finished_day() - self.last_day()).days, 0)

    def instant(self) -> datetime:
        """Return the instant of knowledge: T of the day asked for, else the present."""
        if self.asked.as_of is None:
            return self.now
        return min(self.now, as_of_instant(pd.Timestamp(self.asked.as_of)).to_pydatetime())


def daily(where: Settings, asked: Asked, form: str) -> None:
    """Run the day, print what each step did, and say what to look at.

    Raises
    ------
    AlreadyRunningError
        Where another run goes; names its process. Exit code 1.
    ModelNotFoundError
        Before the first promotion. Exit code 4.
    DataUnavailableError
        At the end, where data were missing, stale or refused; all else is done. At once, where
        the day asked for is not over. Exit code 3.
    """
    root = asked.market or where.market_directory
    now = datetime.now(UTC)
    over = latest_finished_day(now)
    if asked.as_of is not None and asked.as_of > over:
        raise DataUnavailableError(
            f"--as-of {asked.as_of}: needed a day that is over, at the latest {over}",
            source="clock",
            as_of=asked.as_of.isoformat(),
        )
    scorer = open_scorer(where)
    day = Day(where, asked, root, scorer, now)
    where.home.mkdir(parents=True, exist_ok=True)
    engine = scorer.ledger.engine
    market = str(root.resolve())
    with exclusive(engine, where.home / LOCK, day.finished_day(), market, asked.words) as held:
        _steps(day, held)
    run = last_run(engine)
    assert run is not None
    show(run, last_report(engine), form)
    if day.trouble:
        raise day.trouble[0]


def _steps(day: Day, held: Held) -> None:
    done = {step.step for step in held.steps}
    with _told() as tell:
        for name, step in STEPS.items():
            crashpoint(f"before_{name}")
            if name in done:
                tell(f"{name}: done by the run that was cut short")
                continue
            # Whoever was taken over is not to train and promote what it could not note.
            held.renew()
            trouble = len(day.trouble)
            changed, summary = step(day, held)
            held.done(name, changed, summary, trouble=len(day.trouble) > trouble)
            tell(f"{name}: {summary}")
            crashpoint(f"after_{name}")


@contextmanager
def _told() -> Iterator[Callable[[str], None]]:
    """Tell each step at once to who watches a terminal; else only where no table will tell it."""
    if sys.stderr.isatty():
        yield out.note
        return
    said: list[str] = []
    with ExitStack() as cut_short:
        cut_short.callback(lambda: out.note("\n".join(said)) if said else None)
        yield said.append
        cut_short.pop_all()


def _ingest(day: Day, _: Held) -> tuple[int, str]:
    asked = day.asked
    if asked.ingest == "none":
        what = "a store, but no source is named" if is_store(day.root) else "a plain directory"
        return 0, f"nothing to ingest: {day.root} is {what}"
    store_was = _batches(day)
    try:
        # Its tables are for people; stdout is for the result of the day.
        with redirect_stdout(sys.stderr):
            if asked.ingest == "live":
                from riskon.live import ingest_live

                ingest_live(day.where, day.root, [], "table")
            else:
                from riskon.ingest import ingest

                ingest(day.where, day.root, asked.source, "table")
    except DataUnavailableError as error:
        # What is there already can still be scored, or abstained from with the reason.
        day.trouble.append(error)
        return _batches(day) - store_was, f"not all: {error}"
    batches = _batches(day) - store_was
    return batches, f"{batches} batch(es) added" if batches else "nothing new"


def _batches(day: Day) -> int:
    from riskon.wiring import open_store

    return len(open_store(day.root, day.where).catalog.batches()) if is_store(day.root) else 0


def _settle(day: Day, _: Held) -> tuple[int, str]:
    made = settle(day.ledger, day.opened(), day.instant())
    changed = made.settled + made.revised
    said = f"{made.settled} outcome(s) settled, {made.revised} revised" if changed else "none due"
    return changed, said + (f", {made.waiting} wait for a close" if made.waiting else "")


def _score(day: Day, _: Held) -> tuple[int, str]:
    last = day.last_day()
    before = day.ledger.counts()[0]
    silent: list[Score] = []
    days = [*missing_days(day.ledger, last, day.asked.catch_up), last]
    for as_of in days:
        try:
            scores = day.scorer.score(day.opened(), as_of)
        except DataUnavailableError as error:
            if as_of == last:
                raise
            out.note(f"as of {as_of}: {error}")  # A gap that cannot be filled stays one.
            continue
        if as_of == last:
            silent = [score for score in scores if score.abstained]
    changed = day.ledger.counts()[0] - before
    said = f"as of {last}: {changed} score(s) issued" if changed else f"as of {last}: all there"
    if len(days) > 1:
        # What was scored late may be due already.
        late = settle(day.ledger, day.opened(), day.instant()).settled
        changed += late
        said += f", {len(days) - 1} missed day(s) looked at, {late} outcome(s) of them settled"
    if silent:
        names = ", ".join(f"{s.asset} {s.horizon_days}d: {s.reason}" for s in silent)
        day.trouble.append(
            DataUnavailableError(f"no probability for {names}", source=silent[0].asset)
        )
        said += f", {len(silent)} abstained"
    if age := day.behind():
        day.trouble.append(
            StaleDataError(
                f"{day.root}, whose last bar is of {last}",
                as_of=day.finished_day().isoformat(), age_days=age, limit_days=0,
            )
        )  # fmt: skip
        said += f", {age} day(s) behind the finished day {day.finished_day()}"
    return changed, said


def missing_days(ledger: Ledger, last: date, catch_up: int) -> list[date]:
    """Return the days before the last one without any score, from the ledger's first day on.

    At most ``catch_up`` days back: what is issued so late is no live forecast, and says so by
    its ``issued_at``.
    """
    first = ledger.first_day()
    if first is None or catch_up < 1:
        return []
    start = max(first, last - timedelta(days=catch_up))
    there = ledger.days(start, last)
    every = (start + timedelta(days=i) for i in range((last - start).days))
    return [day for day in every if day not in there]


def _monitor(day: Day, _: Held) -> tuple[int, str]:
    # As of the day that is over, and not of the last bar, whose inputs are as fresh as ever.
    report = watch(day.scorer, day.opened(), day.finished_day(), day.asked.retrain_after)
    if age := day.behind():
        # Ages of inputs are told as of the last bar: those of a feed that stopped stay young.
        message = f"prices: needed a bar of {day.finished_day()}; found the last {age} days before"
        alarms = (Alarm(name="freshness", message=message), *report.alarms)
        report = report.model_copy(update={"alarms": alarms})
    kept = keep_report(day.ledger.engine, report)
    count = len(report.alarms)
    said = f"{count} alarm(s): {', '.join(a.name for a in report.alarms)}" if count else "no alarm"
    return int(kept), said if kept else f"as before, {said}"


def _retrain(day: Day, held: Held) -> tuple[int, str]:
    from riskon.retraining import retrain

    if day.behind():
        return 0, f"not on prices that end on {day.last_day()}"
    return retrain(
        day.where, day.root, day.scorer,
        last_report(day.ledger.engine), held, mode=day.asked.retrain, as_of=day.asked.as_of,
    )  # fmt: skip


STEPS: dict[str, Callable[[Day, Held], tuple[int, str]]] = {
    "ingest": _ingest,
    "settle": _settle,
    "score": _score,
    "monitor": _monitor,
    "retrain": _retrain,
}


def show(run: DailyRun, report: WatchReport | None, form: str) -> None:
    """Print what a run did, and the alarms."""
    alarms = report.alarms if report is not None else ()
    if form == "json":
        content = run.model_dump(mode="json") | {
            "changed": sum(step.changed for step in run.steps),
            "alarms": [alarm.model_dump(mode="json") for alarm in alarms],
        }
        sys.stdout.write(json.dumps(content, indent=2, allow_nan=False) + "\n")
        return
    if form == "csv":
        out.print_rows([step.model_dump(mode="json") for step in run.steps], form)
        return
    rows = [[step.step, str(step.changed), step.summary] for step in run.steps]
    out.print_table(f"Daily run {run.run}, {run.market}", ["step", "changed", "what"], rows)
    if not any(step.changed for step in run.steps):
        out.note("Nothing changed.")
    for alarm in alarms:
        out.note(f"ALARM {alarm.name}: {alarm.message}")
