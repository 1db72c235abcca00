"""The ledger when clocks, connections and other transactions misbehave, and after a restore."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from postgres import Postgres, binary, postgres
from sqlalchemy import Connection, Engine, select, text

import sources.store.database
from riskon.database import migrate
from serving import Ledger, Score
from serving.chain import verify_chain
from serving.database import open_database, reading, retried, writing
from serving.ledger import FORECASTS
from serving.outcomes import OUTCOMES
from serving.settlement import settle
from sources import DataUnavailableError

Make = Callable[..., Score]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """Run a PostgreSQL that the tests of this module may stop."""
    with postgres() as running:
        yield running


@pytest.fixture
def own(server: Postgres) -> Iterator[Engine]:
    """Return a migrated database on that server."""
    engine = fresh(server.url)
    migrate(engine)
    yield engine
    engine.dispose()


def fresh(server: str) -> Engine:
    name = f"test_{secrets.token_hex(6)}"
    admin = open_database(f"{server}/postgres")
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return open_database(f"{server}/{name}")


def hashes(engine: Engine) -> list[str]:
    """Return the row hashes of both chains, each checked on the way."""
    found: list[str] = []
    for table in (FORECASTS, OUTCOMES):
        assert verify_chain(engine, table, table.name) > 0
        with reading(engine) as connection:
            asked = select(table.c.row_hash).order_by(table.c.position)
            found += connection.execute(asked).scalars()
    return found


def filled(engine: Engine, make_score: Make, falling: Callable[[], object]) -> Ledger:
    ledger = Ledger(engine)
    ledger.record([make_score(a, h) for a in ("BTC", "ETH") for h in (1, 5)])
    settle(ledger, falling(), datetime(2024, 7, 10, tzinfo=UTC))  # type: ignore[arg-type]
    return ledger


def test_E05_a_copy_made_by_sqlites_backup_while_it_is_written_has_the_same_hashes(
    sqlite_engine: Engine, make_score: Make, falling: Callable[[], object], tmp_path: Path
) -> None:
    ledger = filled(sqlite_engine, make_score, falling)
    kept = hashes(sqlite_engine)
    # A writer is at work: the copy is of before, whole.
    with writing(sqlite_engine, "forecasts") as connection:
        ledger._append(connection, [make_score("SOL")])
        source = sqlite3.connect(str(sqlite_engine.url.database))
        with sqlite3.connect(tmp_path / "backup.db") as target:
            source.backup(target)
        target.close()
        source.close()
    restored = open_database(f"sqlite:///{tmp_path / 'backup.db'}")
    assert hashes(restored) == kept
    # And it is a ledger: it goes on where it was.
    Ledger(restored).record([make_score("SOL")])
    assert Ledger(restored).verify() == 5
    restored.dispose()


def test_E05_a_dump_restored_into_another_database_has_the_same_hashes(
    own: Engine, server: Postgres, make_score: Make, falling: Callable[[], object], tmp_path: Path
) -> None:
    filled(own, make_score, falling)
    kept, dump = hashes(own), tmp_path / "ledger.dump"
    url = f"{server.url}/{own.url.database}"
    subprocess.run([binary("pg_dump"), "-Fc", "-f", dump, url], check=True, timeout=60)
    target = fresh(server.url)
    to = f"{server.url}/{target.url.database}"
    command = [binary("pg_restore"), "--exit-on-error", "--single-transaction", "-d", to, dump]
    subprocess.run(command, check=True, timeout=60)
    assert hashes(target) == kept
    # The triggers came along.
    with pytest.raises(Exception, match="append-only"), target.begin() as connection:
        connection.execute(text("DELETE FROM outcomes"))
    Ledger(target).record([make_score("SOL")])
    assert Ledger(target).verify() == 5
    target.dispose()


@pytest.mark.parametrize("minutes", [-6, 6])
def test_E06_A34_a_host_whose_clock_is_off_by_six_minutes_issues_nothing(
    engine: Engine, make_score: Make, minutes: int
) -> None:
    wrong = Ledger(engine, clock=lambda: datetime.now(UTC) + timedelta(minutes=minutes))
    with pytest.raises(DataUnavailableError, match="clock of this host: needed it within 5 min"):
        wrong.record([make_score()])
    right = Ledger(engine, clock=lambda: datetime.now(UTC) + timedelta(minutes=4))
    assert right.record([make_score()]) == (make_score(),)
    assert right.counts() == (1, 0)


def test_E06_an_outcome_is_stamped_by_the_databases_clock(
    own: Engine, make_score: Make, falling: Callable[[], object]
) -> None:
    ledger = filled(own, make_score, falling)
    # Three minutes behind, by its own idea of clock_timestamp(), found before pg_catalog's.
    with own.begin() as connection:
        name = own.url.database
        connection.execute(text(
            "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "
            "$$ SELECT pg_catalog.clock_timestamp() - interval '3 minutes' $$"
        ))  # fmt: skip
        connection.execute(text(f"ALTER DATABASE {name} SET search_path = public, pg_catalog"))
    own.dispose()
    ledger.record([make_score("BTC", 2)])
    settle(ledger, falling(), datetime(2024, 7, 10, tzinfo=UTC))  # type: ignore[arg-type]
    (new,) = ledger.history(horizon=2)
    assert new.outcome is not None
    behind = datetime.now(UTC) - new.outcome.settled_at
    assert timedelta(minutes=3) <= behind < timedelta(minutes=4)


def test_E09_a_deadlock_is_tried_again_and_nothing_is_lost_or_doubled(
    own: Engine, make_score: Make
) -> None:
    ledger, answers = Ledger(own), []
    thread = threading.Thread(target=lambda: answers.append(ledger.record([make_score()])))
    with own.connect() as other, other.begin():
        other.execute(text("LOCK TABLE forecasts IN SHARE ROW EXCLUSIVE MODE"))
        thread.start()
        time.sleep(0.3)  # It holds the ledger's lock now, and waits for the table.
        # The server ends the one of the two that has waited longer: the ledger's.
        key = int.from_bytes(hashlib.sha256(b"forecasts").digest()[:8], signed=True)
        other.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
    thread.join(20)
    assert answers == [(make_score(),)]
    assert ledger.verify() == 1


def test_E09_what_loses_for_ever_is_given_up_after_three_tries(own: Engine) -> None:
    tries = []

    def lose() -> None:
        tries.append(1)
        with writing(own, "forecasts") as connection:
            connection.execute(text(
                "DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$"
            ))  # fmt: skip

    with pytest.raises(DataUnavailableError, match="lost"):
        retried(lose)
    assert len(tries) == 3
    with pytest.raises(DataUnavailableError, match="does not exist"), reading(own) as connection:
        retried(lambda: connection.execute(text("SELECT * FROM nothing")))


def test_E10_after_a_restart_of_the_database_the_next_call_goes_through(
    server: Postgres, own: Engine, make_score: Make
) -> None:
    ledger = Ledger(own)
    ledger.record([make_score()])
    server.stop()
    try:
        with pytest.raises(DataUnavailableError, match="needed an answer"):
            ledger.find()
    finally:
        server.start()
    assert ledger.find() == (make_score(),)
    assert ledger.record([make_score("ETH")]) == (make_score("ETH"),)
    assert ledger.verify() == 2


def test_E10_an_exhausted_pool_is_one_line_and_no_wait_for_ever(
    own: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources.store.database, "WAIT_SECONDS", 0.5)
    narrow = open_database(own.url.render_as_string(hide_password=False))
    held = [narrow.connect() for _ in range(15)]  # Five pooled, and ten over it.
    began = time.monotonic()
    with pytest.raises(DataUnavailableError, match="needed an answer; found QueuePool limit"):
        Ledger(narrow).find()
    assert time.monotonic() - began < 5
    held.pop().close()
    assert Ledger(narrow).find() == ()
    for connection in held:
        connection.close()
    narrow.dispose()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_E08_with_ten_million_rows_reads_go_by_index_and_their_p99_is_unchanged(
    own: Engine, make_score: Make
) -> None:
    """Fill by SQL: 10 assets x 4 horizons x 250 versions x 1,000 days."""
    ledger = Ledger(own)
    day = datetime(2024, 6, 20, tzinfo=UTC).date()
    ledger.record([make_score(a, h) for a in ("BTC", "ETH") for h in (1, 5)])

    def reads() -> dict[str, float]:
        """Return the p99 of each read in seconds, the least of five rounds: others run too."""
        asked = {
            "find": lambda: ledger.find(day, version=1),
            "latest": ledger.latest_day,
            "history": lambda: ledger.history("BTC", 5, start=day, end=day, limit=10),
        }
        found = {}
        for name, read in asked.items():
            rounds = []
            for _ in range(5):
                spent = []
                for _ in range(100):
                    began = time.perf_counter()
                    read()
                    spent.append(time.perf_counter() - began)
                rounds.append(sorted(spent)[98])
            found[name] = min(rounds)
        return found

    before = reads()
    with own.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        # Filled without indexes, which are then made again as they were: much faster.
        made_again = _without_indexes(connection)
        names = [c.name for c in FORECASTS.columns]
        made = {
            "position": "4 + row_number() over ()",
            "forecast_id": "md5(v || '|' || d || '|' || a || '|' || h)",
            "as_of": "date '2021-01-01' + d",
            "asset": "'A' || a",
            "horizon_days": "h",
            "model_version": "v + 1",
            "inputs": "'[]'",
            "drivers": "'[]'",
        }
        columns = ", ".join(f"{made[n]} AS {n}" if n in made else f"f.{n}" for n in names)
        connection.execute(text(
            f"INSERT INTO forecasts ({', '.join(names)}) SELECT {columns} FROM "
            "(SELECT * FROM forecasts WHERE position = 1) f, generate_series(1, 250) v, "
            "generate_series(1, 1000) d, generate_series(1, 10) a, generate_series(1, 4) h"
        ))  # fmt: skip
        for statement in made_again:
            connection.execute(text(statement))
        connection.execute(text("ANALYZE forecasts"))
    assert ledger.counts()[0] == 10_000_004
    for asked in (
        "SELECT * FROM forecasts WHERE as_of = '2022-02-02' AND model_version = 7",
        "SELECT * FROM forecasts WHERE forecast_id = 'ab'",
        "SELECT max(as_of) FROM forecasts WHERE model_version = 7",
        "SELECT * FROM forecasts WHERE position > 5000000 ORDER BY position LIMIT 100",
        "SELECT * FROM forecasts WHERE asset = 'A1' AND horizon_days = 2 AND as_of = '2022-02-02'",
    ):
        with own.connect() as connection:
            plan = "\n".join(connection.execute(text(f"EXPLAIN {asked}")).scalars())
        assert "Index" in plan, plan
        assert "Seq Scan" not in plan, plan
    after = reads()
    for name, p99 in after.items():
        assert p99 <= max(2 * before[name], before[name] + 0.005), (before, after)


def _without_indexes(connection: Connection) -> list[str]:
    """Drop constraints and indexes of the forecasts; return what makes them again."""
    constraints = connection.execute(text(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = 'forecasts'::regclass AND contype IN ('p', 'u')"
    )).all()  # fmt: skip
    for name, _ in constraints:
        connection.execute(text(f"ALTER TABLE forecasts DROP CONSTRAINT {name}"))
    indexes = connection.execute(text(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'forecasts'"
    )).all()  # fmt: skip
    for name, _ in indexes:
        connection.execute(text(f"DROP INDEX {name}"))
    assert len(constraints) == 3
    assert len(indexes) == 2
    return [
        *(f"ALTER TABLE forecasts ADD CONSTRAINT {name} {what}" for name, what in constraints),
        *(what for _, what in indexes),
    ]
