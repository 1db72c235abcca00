"""The daily run: in order, repeated without change, killed and gone on with, one at a time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from sqlalchemy import Engine

import riskon.champions
import riskon.daily_run
import riskon.train
import serving.ledger
import serving.settlement
from riskon.daily_run import STEPS as ORDER
from riskon.daily_run import Asked, daily, missing_days
from riskon.retraining import retrain
from riskon.services import open_scorer
from riskon.settings import Settings
from serving import Ledger, Score
from serving.database import open_database
from serving.monitoring_report import Alarm, WatchReport, last_report
from serving.runs import RUNS, SILENT, STEPS, Held, exclusive, last_run
from sources import DataUnavailableError
from sources.errors import AlreadyRunningError, RefusedError, StaleDataError

DAY = date(2024, 5, 15)


class Home:
    """A home of one's own, in which version 1 speaks."""

    def __init__(self, root: Path, market: Path) -> None:
        self.where = Settings(home=root)
        self.market = market
        self.ledger = Ledger(open_database(self.where.database))

    def asked(self, as_of: date = DAY, **words: object) -> Asked:
        return Asked(**{"market": self.market, "as_of": as_of, "retrain": "never"} | words)

    def daily(self, as_of: date = DAY, **words: object) -> None:
        daily(self.where, self.asked(as_of, **words), "json")

    def held(self) -> AbstractContextManager[Held]:
        return exclusive(self.ledger.engine, self.where.home / "lock", DAY, "market")

    def killed(self, as_of: date, point: str) -> None:
        """Run in a process of its own, which ends itself with SIGKILL at a point."""
        command = ["daily", "--market", self.market, "--as-of", as_of, "--retrain", "never"]
        done = subprocess.run(
            [sys.executable, "-c", "from riskon.cli import main; main()", *map(str, command)],
            env=os.environ | {"RISKON_HOME": str(self.where.home), "CRASHPOINT": point},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == -9, done.stderr

    def said(self) -> list[dict[str, object]]:
        """Return all forecasts but for the instant of their making, checking the chains."""
        self.ledger.verify()
        self.ledger.verify_outcomes()
        every = self.ledger.history(limit=10_000)
        return sorted(
            (item.score.model_dump(exclude={"issued_at"}) for item in every),
            key=lambda row: (row["as_of"], row["asset"], row["horizon_days"]),
        )


@pytest.fixture
def home(champion_home: Path, tmp_path: Path) -> Home:
    root = Path(shutil.copytree(champion_home / "home", tmp_path / "home"))
    return Home(root, champion_home / "market")


def test_a_day_is_settled_scored_and_watched_and_to_run_it_again_changes_nothing(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    home.daily(date(2024, 5, 10))
    capsys.readouterr()
    home.daily()
    first = json.loads(capsys.readouterr().out)
    # Of the 10th's questions, two of one day and two of five are due by T of the 15th. Four a
    # day are scored from the 11th to the 15th, and of the first four days the two of one day due.
    assert {step["step"]: step["changed"] for step in first["steps"]} == {
        "ingest": 0, "settle": 4, "score": 20 + 8, "monitor": 1, "retrain": 0,
    }  # fmt: skip
    before = home.ledger.counts()
    home.daily()
    second = json.loads(capsys.readouterr().out)
    assert second["changed"] == 0
    assert home.ledger.counts() == before == (24, 12)
    assert (second["run"], second["state"]) == (3, "done")
    daily(home.where, home.asked(), "table")
    told = capsys.readouterr()
    assert told.err == "Nothing changed.\n"  # Each step is told once, by the table.
    assert [line.split()[0] for line in told.out.splitlines()[2:7]] == list(ORDER)


def test_a_terminal_is_told_each_step_as_it_goes(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller, terminal = os.openpty()
    with os.fdopen(terminal, "w") as screen:
        monkeypatch.setattr(sys, "stderr", screen)
        home.daily()
        screen.flush()
        seen = os.read(controller, 65536).decode()
        monkeypatch.undo()
    os.close(controller)
    assert [name for name in ORDER if f"{name}: " in seen] == list(ORDER)


def test_a_run_that_fails_tells_what_it_had_done_as_no_table_does(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataUnavailableError):  # Before the market's first day there is no score.
        home.daily(date(2019, 5, 15))
    told = capsys.readouterr()
    assert told.out == ""
    ingest, settle = told.err.splitlines()
    assert ingest.startswith("ingest: nothing to ingest")
    assert settle == "settle: none due"


def test_missed_days_are_scored_as_far_back_as_is_asked(
    ledger: Ledger, make_score: Callable[..., Score]
) -> None:
    last = date(2024, 6, 20)
    assert missing_days(ledger, last, 30) == []  # Before the first score, nothing was missed.
    ledger.record([make_score(as_of=f"2024-06-{day}") for day in (10, 17)])
    found = missing_days(ledger, last, 5)
    assert [day.day for day in found] == [15, 16, 18, 19]
    assert len(missing_days(ledger, last, 30)) == 8
    assert missing_days(ledger, last, 0) == []


def test_D26_D32_a_run_killed_between_scoring_commit_and_answer_is_gone_on_with(
    home: Home, tmp_path: Path
) -> None:
    clean = Home(Path(shutil.copytree(home.where.home, tmp_path / "clean")), home.market)
    for one in (home, clean):
        one.daily(date(2024, 5, 10))
    # Of five days, the third is scored and not committed.
    home.killed(DAY, "scored@3:SIGKILL")
    assert {row["as_of"].day for row in home.said()} == {10, 11, 12}
    # The next run ends between commit and answer.
    home.killed(DAY, "recorded:SIGKILL")
    assert {row["as_of"].day for row in home.said()} == {10, 11, 12, 13}
    home.daily()
    clean.daily()
    assert home.said() == clean.said()
    run = last_run(home.ledger.engine)
    assert run is not None
    assert (run.run, run.state) == (2, "done")
    assert [step.step for step in run.steps] == list(riskon.daily_run.STEPS)


POINTS = [f"{when}_{step}" for step in riskon.daily_run.STEPS for when in ("before", "after")]


@pytest.mark.slow
@pytest.mark.parametrize("point", [*POINTS, "scored", "appended", "recorded", "settling"])
def test_D26_a_run_killed_at_any_point_leaves_what_the_next_one_completes(
    home: Home, tmp_path: Path, point: str
) -> None:
    clean = Home(Path(shutil.copytree(home.where.home, tmp_path / "clean")), home.market)
    for one in (home, clean):
        one.daily(date(2024, 5, 12))
    home.killed(DAY, f"{point}:SIGKILL")
    home.daily()
    clean.daily()
    assert home.said() == clean.said()
    outcomes = [
        [(i.score.forecast_id, i.outcome and i.outcome.outcome) for i in one.ledger.history()]
        for one in (home, clean)
    ]
    assert sorted(outcomes[0]) == sorted(outcomes[1])
    assert home.ledger.counts() == clean.ledger.counts()


def test_an_interrupt_at_any_step_leaves_what_the_next_run_completes(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same in one process, as an interrupt unwinds nothing that is committed."""
    home.daily(date(2024, 5, 13))
    for point in ("settling", "appended", "after_score"):

        def stop(name: str, wanted: str = point) -> None:
            if name == wanted:
                raise KeyboardInterrupt

        for module in (riskon.daily_run, serving.ledger, serving.settlement):
            monkeypatch.setattr(module, "crashpoint", stop)
        with pytest.raises(KeyboardInterrupt):
            home.daily()
        monkeypatch.undo()
    home.daily()
    assert len(home.said()) == 12
    assert home.ledger.counts() == (12, 4)
    run = last_run(home.ledger.engine)
    assert run is not None
    assert (run.run, run.state) == (2, "done")


def test_the_second_of_two_runs_is_told_who_runs_and_a_silent_one_is_taken_over(
    engine: Engine, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    with exclusive(engine, here, DAY, "market") as held:
        with (
            pytest.raises(AlreadyRunningError, match=f"found process {os.getpid()} on"),
            exclusive(engine, here, DAY, "market"),
        ):
            pass
        # From another machine, whose files are its own: the row in the database speaks.
        with (
            pytest.raises(AlreadyRunningError, match="daily run: already running"),
            exclusive(engine, there, DAY, "market"),
        ):
            pass
        held.done("ingest", 0, "nothing")
        long_ago = datetime.now(UTC) - SILENT - timedelta(seconds=1)
        with engine.begin() as connection:
            connection.execute(RUNS.update().values(heartbeat=long_ago))
        with exclusive(engine, there, DAY, "market") as taken:
            assert taken.run == held.run
            assert [step.step for step in taken.steps] == ["ingest"]
            # The first one wakes up, and can write no more.
            with pytest.raises(AlreadyRunningError, match="fence 1 passed on to"):
                held.done("settle", 4, "too late")
        with pytest.raises(AlreadyRunningError):
            held.renew()
        with engine.begin() as connection:
            connection.execute(RUNS.update().values(fence=held.fence))
    run = last_run(engine)
    assert run is not None
    assert [step.step for step in run.steps] == ["ingest"]


def test_a_run_of_another_day_that_was_killed_is_closed(engine: Engine, tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        exclusive(engine, tmp_path / "lock", DAY, "market"),
    ):
        raise KeyboardInterrupt
    run = last_run(engine)
    assert run is not None
    assert run.state == "running"
    with exclusive(engine, tmp_path / "lock", date(2024, 5, 16), "market") as held:
        assert held.run == 2
    with engine.connect() as connection:
        states = connection.execute(RUNS.select().order_by(RUNS.c.run)).mappings().all()
    assert [(row["state"], row["error"]) for row in states] == [
        ("failed", "cut short"), ("done", None),
    ]  # fmt: skip


def test_the_holder_of_a_closed_run_can_write_no_step_and_no_end_any_more(
    engine: Engine, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"

    def sleep() -> None:
        with exclusive(engine, here, DAY, "market") as asleep:
            long_ago = datetime.now(UTC) - SILENT - timedelta(seconds=1)
            with engine.begin() as connection:
                connection.execute(RUNS.update().values(heartbeat=long_ago))
            with exclusive(engine, there, date(2024, 5, 16), "market"):
                for late in (asleep.renew, lambda: asleep.done("retrain", 1, "too late")):
                    with pytest.raises(AlreadyRunningError):
                        late()
            # And the block that ends well is no end of the run.

    with pytest.raises(AlreadyRunningError, match="fence 1 passed on to"):
        sleep()
    with engine.connect() as connection:
        states = connection.execute(RUNS.select().order_by(RUNS.c.run)).mappings().all()
    assert [(row["run"], row["state"], row["error"]) for row in states] == [
        (1, "failed", "cut short"), (2, "done", None),
    ]  # fmt: skip


def test_a_holder_that_was_taken_over_does_not_begin_another_step(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def taken(name: str) -> None:
        if name == "before_retrain":
            with home.ledger.engine.begin() as connection:
                connection.execute(RUNS.update().values(fence=RUNS.c.fence + 1))

    monkeypatch.setattr(riskon.daily_run, "crashpoint", taken)
    steps = riskon.daily_run.STEPS | {"retrain": lambda *_: begun.append(1) or (0, "")}
    monkeypatch.setattr(riskon.daily_run, "STEPS", steps)
    with pytest.raises(AlreadyRunningError, match="fence 1 passed on"):
        home.daily()
    assert begun == []


def test_only_what_was_asked_in_the_same_words_is_gone_on_with_and_trouble_is_found_again(
    engine: Engine, tmp_path: Path
) -> None:
    def cut(words: str, *, trouble: bool = False) -> list[str]:
        """Return the steps that a run begins with; end it after three."""
        with (
            suppress(KeyboardInterrupt),
            exclusive(engine, tmp_path / "lock", DAY, "market", words) as held,
        ):
            kept = [step.step for step in held.steps]
            held.done("ingest", 0, "nothing")
            held.done("settle", 0, "none", trouble=trouble)
            held.done("score", 4, "scored")
            raise KeyboardInterrupt
        return kept

    assert cut("--ingest none") == []
    assert cut("--ingest none", trouble=True) == ["ingest", "settle", "score"]
    # What settle left is to be found again, and what follows it built on that.
    assert cut("--ingest none") == ["ingest"]
    assert cut("--ingest none") == ["ingest", "settle", "score"]
    assert cut("--ingest live") == []
    assert Asked(ingest="live").words != Asked().words != Asked(as_of=DAY).words


def test_a_run_that_fails_by_any_error_is_ended_as_failed_and_says_why(
    engine: Engine, tmp_path: Path
) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        exclusive(engine, tmp_path / "lock", DAY, "market"),
    ):
        raise ZeroDivisionError("of postgresql://me:secret@host/db\nby 0")
    run = last_run(engine)
    assert run is not None
    assert run.state == "failed"
    assert run.error == "ZeroDivisionError: of postgresql://***@host/db by 0"


def test_A30_a_feed_that_stopped_is_told_at_the_end_and_the_watch_looks_at_the_finished_day(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The market ends on 2024-06-20; the 22nd is over."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime(2024, 6, 23, 0, 10, tzinfo=tz)

    monkeypatch.setattr(riskon.daily_run, "datetime", Later)
    said = r"last bar is of 2024-06-20: stale as of 2024-06-22: needed at most 0 days old; found 2$"
    asked = Asked(market=home.market)
    for _ in range(2):
        with pytest.raises(StaleDataError, match=said) as raised:
            daily(home.where, asked, "json")
        assert raised.value.exit_code == 3
        assert "\n" not in str(raised.value)
    first, second = (json.loads(text + "}") for text in capsys.readouterr().out.split("\n}\n")[:2])
    # All else is done: four scores as of the last bar, and a report; and nothing twice.
    assert [step["changed"] for step in first["steps"]] == [0, 0, 4, 1, 0]
    assert (second["state"], second["changed"]) == ("done", 0)
    report = last_report(home.ledger.engine)
    assert report is not None
    assert report.as_of == date(2024, 6, 22)
    assert "freshness" in {alarm.name for alarm in report.alarms}
    assert first["steps"][4]["summary"] == "not on prices that end on 2024-06-20"
    # The day itself, where it is what is asked for, is whole.
    daily(home.where, home.asked(date(2024, 6, 20)), "json")
    # Interrupted after scoring, the run that goes on with it finds it again.

    def stop(name: str) -> None:
        if name == "after_monitor":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(riskon.daily_run, "crashpoint", stop)
        with pytest.raises(KeyboardInterrupt):
            daily(home.where, asked, "json")
    with pytest.raises(StaleDataError, match=said):
        daily(home.where, asked, "json")


def test_where_a_score_is_withheld_all_else_is_done_and_the_run_says_so_at_its_end(
    home: Home, tmp_path: Path
) -> None:
    lost = Path(shutil.copytree(home.market, tmp_path / "lost"))
    text = (lost / "prices" / "IWM.csv").read_text().splitlines(keepends=True)
    kept = [line for line in text if not "2024-05" <= line[:10] < "2024-07"]
    (lost / "prices" / "IWM.csv").write_text("".join(kept))
    with pytest.raises(DataUnavailableError, match="no probability for BTC 1d: stale: prices/IWM"):
        daily(home.where, home.asked(market=lost), "table")
    run = last_run(home.ledger.engine)
    assert run is not None
    assert run.state == "done"
    report = last_report(home.ledger.engine)
    assert report is not None
    assert {alarm.name for alarm in report.alarms} >= {"freshness", "coverage"}


def test_files_are_ingested_into_a_store_first_and_a_second_time_bring_nothing(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"market": tmp_path / "store", "ingest": "files", "source": home.market}
    home.daily(**words)
    first = json.loads(capsys.readouterr().out)
    home.daily(**words)
    second = json.loads(capsys.readouterr().out)
    steps = [one["steps"][0]["summary"] for one in (first, second)]
    assert steps == ["1 batch(es) added", "nothing new"]
    assert first["steps"][2]["changed"] == 4
    assert second["changed"] == 0


def _report_and_due(home: Home) -> tuple[WatchReport, WatchReport]:
    """Return what the watch said last, and the same with an alarm that asks for a training."""
    report = last_report(home.ledger.engine)
    assert report is not None
    old = Alarm(name="age", message="old", retrain=True)
    return report, report.model_copy(update={"alarms": (old,)})


def test_a_successor_is_trained_when_the_watch_asks_and_the_gate_decides(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training itself is tested where it is done; here version 2 is what it would register."""
    scorer = open_scorer(home.where)
    home.daily()
    report, due = _report_and_due(home)
    calls = []
    monkeypatch.setattr(riskon.train, "train", lambda *asked, **_: calls.append(asked) or 2)

    def asked(
        mode: str = "auto", as_of: date | None = None, report: WatchReport = due
    ) -> tuple[int, str]:
        with home.held() as held:
            return retrain(home.where, home.market, scorer, report, held, mode=mode, as_of=as_of)

    assert asked(report=report)[0] == 0
    assert asked("never") == (0, "asked for by age, but --retrain never")
    assert asked(as_of=DAY)[1].endswith("but not as of a day of the past")
    assert calls == []
    changed, said = asked()
    (job,) = calls
    # What the champion is, on the data of now.
    assert job[1].flags["model"] == scorer.bundle.config.model_dump(mode="json")
    assert job[1].flags["horizons"] == [1, 5]
    assert changed == 1
    assert said.startswith("trained version 2; the champion stays: version 2 refused")
    assert open_scorer(home.where).model.version == 1
    # And not again tomorrow.
    assert "but the last was on" in asked()[1]
    assert len(calls) == 1


def test_after_a_training_that_fails_the_next_run_rests_and_one_that_was_killed_trains_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = open_scorer(home.where)
    home.daily()
    _, due = _report_and_due(home)
    ends: list[BaseException] = [KeyboardInterrupt(), MemoryError("no room")]
    calls = []

    def fails(*asked: object, **_: object) -> int:
        calls.append(asked)
        raise ends[len(calls) - 1]

    monkeypatch.setattr(riskon.train, "train", fails)

    def asked() -> tuple[int, str]:
        with home.held() as held:
            return retrain(home.where, home.market, scorer, due, held, mode="auto", as_of=None)

    with pytest.raises(KeyboardInterrupt):
        asked()
    with pytest.raises(MemoryError):  # The same run: it is gone on with.
        asked()
    run = last_run(home.ledger.engine)
    assert run is not None
    assert (run.run, run.state, run.error) == (2, "failed", "MemoryError: no room")
    assert run.steps == ()  # A training that began is no step.
    changed, said = asked()
    assert changed == 0
    assert "but the last was on" in said
    # Nor is a version promoted by who was taken over while it trained.

    def overtaken(*_: object, **__: object) -> int:
        with home.ledger.engine.begin() as connection:
            connection.execute(RUNS.update().values(fence=RUNS.c.fence + 1))
        return 2

    monkeypatch.setattr(riskon.train, "train", overtaken)
    promoted: list[object] = []
    monkeypatch.setattr(riskon.champions, "promote", lambda *_, **__: promoted.append(1))
    with home.ledger.engine.begin() as connection:
        connection.execute(STEPS.update().values(finished_at=datetime(2024, 5, 1, tzinfo=UTC)))
    with pytest.raises(AlreadyRunningError, match="passed on"):
        asked()
    assert promoted == []
    # While a job waits to be sent, no other is trained, however long.
    job = home.where.spool / "20240516T000000-aa"
    job.mkdir(parents=True)
    (job / "record.json").write_text("{}")
    assert "20240516T000000-aa waits in the spool: riskon sync" in asked()[1]
    assert len(calls) == 2


def test_D09_a_day_that_is_not_over_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    asked = Asked(market=tmp_path, as_of=date(9999, 12, 31))
    with pytest.raises(DataUnavailableError, match=r"needed a day that is over, at the latest"):
        daily(Settings(home=tmp_path / "home"), asked, "json")
    assert not (tmp_path / "home").exists()


def test_a_source_without_its_directory_is_refused() -> None:
    from riskon.cli_daily import Ingest
    from riskon.cli_daily import daily as command

    with pytest.raises(RefusedError, match="needed --from DIR exactly with files; found none"):
        command(ingest=Ingest.FILES)
    with pytest.raises(RefusedError, match="--as-of: needed a day as YYYY-MM-DD"):
        command(as_of="20240515")
