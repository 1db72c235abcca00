"""The ledger, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

import serving.ledger
from serving import Ledger, Score
from serving.database import open_database, writing
from serving.ledger import _row
from serving.score import ScoreDriver
from sources import DataUnavailableError, IntegrityError

Make = Callable[..., Score]


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM forecasts")).scalar_one())


def test_what_was_recorded_comes_back_equal_to_the_bit(engine: Engine, make_score: Make) -> None:
    random.seed(1)
    drivers = tuple(
        ScoreDriver(
            feature=f"f{i}", value=random.gauss(0, 1) * 10.0**i, contribution=random.random()
        )
        for i in range(-150, 150)
    )
    scores = [
        make_score().model_copy(update={"drivers": drivers, "lower": random.random()}),
        make_score("ETH", probability=None),
        make_score("BTC", 1, probability=5e-324),
    ]
    stored = Ledger(engine).record(scores)
    again = Ledger(open_database(str(engine.url.render_as_string(hide_password=False))))
    assert stored == tuple(scores)
    assert again.find() == (scores[2], scores[0], scores[1])  # by asset, then horizon
    assert [s.model_dump_json() for s in stored] == [s.model_dump_json() for s in scores]
    assert again.get(scores[1].forecast_id) == scores[1]
    assert again.get("0" * 32) is None
    again.engine.dispose()


def test_a_row_from_before_experts_were_kept_is_still_read_and_verified(
    engine: Engine, make_score: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = make_score()
    drivers = f"[{score.drivers[0].model_dump_json()}]"
    monkeypatch.setattr(serving.ledger, "_row", lambda s: {**_row(s), "drivers": drivers})
    (stored,) = Ledger(engine).record([score])
    monkeypatch.undo()
    assert stored == score.model_copy(update={"experts": ()})
    # A row of today goes on top, and the chain holds over both.
    assert Ledger(engine).record([make_score("ETH")]) == (make_score("ETH"),)
    assert Ledger(engine).verify() == 2


def test_what_was_issued_first_stands(engine: Engine, make_score: Make) -> None:
    ledger = Ledger(engine)
    first = make_score(probability=0.6)
    ledger.record([first])
    later = make_score(probability=0.4, data="ef" * 32)
    assert ledger.record([later, make_score("ETH")]) == (first, make_score("ETH"))
    assert count(engine) == 2


def test_an_instant_of_another_zone_is_kept_in_utc(engine: Engine, make_score: Make) -> None:
    zone = timezone(timedelta(hours=-5))
    score = Score.model_validate(
        make_score().model_dump() | {"issued_at": datetime(2024, 6, 20, 20, 0, tzinfo=zone)}
    )
    (stored,) = Ledger(engine).record([score])
    assert stored.issued_at == datetime(2024, 6, 21, 1, 0, tzinfo=UTC)
    assert stored.issued_at.tzinfo is UTC
    assert Ledger(engine).verify() == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE forecasts SET probability = 0.9",
        "UPDATE forecasts SET reason = 'x' WHERE position = 1",
        "DELETE FROM forecasts",
        "DELETE FROM champions",
        "UPDATE champions SET version = 2",
    ],
    ids=lambda statement: f"E01-{statement[:24]}",
)
def test_the_database_refuses_to_change_history(
    engine: Engine, make_score: Make, statement: str
) -> None:
    Ledger(engine).record([make_score()])
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO champions VALUES (1, '2024-01-01 00:00:00', 'promote', 'riskon', 1, "
                "'ab', 'why', false, true, false, '[]', 'me')"
            )
        )
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(text(statement))
    assert Ledger(engine).find() == (make_score(),)


def test_replacing_a_row_is_a_change_too_e01(sqlite_engine: Engine, make_score: Make) -> None:
    Ledger(sqlite_engine).record([make_score()])
    with pytest.raises(DBAPIError, match="append-only"), sqlite_engine.begin() as connection:
        connection.execute(text("INSERT OR REPLACE INTO forecasts SELECT * FROM forecasts"))


def test_eight_writers_of_the_same_day_leave_one_row_a_question_e04_d22(
    engine: Engine, make_score: Make
) -> None:
    start = Barrier(8)

    def write(writer: int) -> tuple[Score, ...]:
        mine = Ledger(open_database(engine.url.render_as_string(hide_password=False)))
        scores = [make_score(a, h, probability=(writer + 1) / 10) for a in "AB" for h in (1, 5)]
        start.wait()
        stored = mine.record(scores)
        mine.engine.dispose()
        return stored

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(write, range(8)))
    assert count(engine) == 4
    assert all(answer == answers[0] for answer in answers)
    # One writer's batch won as a whole.
    assert len({score.probability for score in answers[0]}) == 1
    assert Ledger(engine).verify() == 4


def test_a_batch_is_written_whole_or_not_at_all(engine: Engine, make_score: Make) -> None:
    bad = make_score("ETH").model_copy(update={"forecast_id": make_score().forecast_id})
    with pytest.raises(DataUnavailableError, match="forecast_id"):
        Ledger(engine).record([make_score(), bad])
    assert count(engine) == 0


def test_a_version_that_spoke_with_another_bundle_is_refused(
    engine: Engine, make_score: Make
) -> None:
    Ledger(engine).record([make_score()])
    with pytest.raises(IntegrityError, match="needed forecasts of bundle ef"):
        Ledger(engine).record([make_score(digest="ef" * 32)])


def test_find_takes_the_latest_day_of_a_version_and_filters(
    engine: Engine, make_score: Make
) -> None:
    ledger = Ledger(engine)
    assert ledger.find() == ()
    old, new = make_score(as_of="2024-06-19"), make_score(as_of="2024-06-20", version=2)
    ledger.record([old, make_score("ETH", 1, "2024-06-19")])
    ledger.record([new])
    assert ledger.find() == (new,)
    assert ledger.find(version=1) == (old, make_score("ETH", 1, "2024-06-19"))
    assert ledger.find(date(2024, 6, 19), assets=["BTC"]) == (old,)
    assert ledger.find(date(2024, 6, 19), horizons=[1]) == (make_score("ETH", 1, "2024-06-19"),)
    assert ledger.find(date(2024, 6, 18)) == ()


def test_an_edit_past_the_triggers_is_named_by_its_row_e07(
    engine: Engine, make_score: Make
) -> None:
    ledger = Ledger(engine)
    ledger.record([make_score(a, h) for a in ("BTC", "ETH") for h in (1, 5)])
    assert ledger.verify() == 4
    sqlite = engine.dialect.name == "sqlite"
    with engine.begin() as connection:
        drop = "DROP TRIGGER forecasts_no_update"
        connection.execute(text(drop if sqlite else "ALTER TABLE forecasts DISABLE TRIGGER ALL"))
        # The next float up: a change of one bit.
        edit = "UPDATE forecasts SET probability = 0.30000000000000010 WHERE position = 3"
        connection.execute(text(edit))
    with pytest.raises(IntegrityError, match="ledger, row 3"):
        ledger.verify()


def test_a_row_taken_out_is_named_e07(sqlite_engine: Engine, make_score: Make) -> None:
    ledger = Ledger(sqlite_engine)
    ledger.record([make_score(a, h) for a in ("BTC", "ETH") for h in (1, 5)])
    with sqlite_engine.begin() as connection:
        connection.execute(text("DROP TRIGGER forecasts_no_delete"))
        connection.execute(text("DELETE FROM forecasts WHERE position = 2"))
    with pytest.raises(IntegrityError, match="ledger, row 2: needed position 2; found 3"):
        ledger.verify()


def test_a_database_that_is_not_there_is_one_line_d23(tmp_path: Path) -> None:
    lost = Ledger(open_database("postgresql://someone:secret@127.0.0.1:9/riskon"))
    with pytest.raises(DataUnavailableError) as told:
        lost.find()
    assert "\n" not in str(told.value)
    assert "secret" not in str(told.value)
    garbled = tmp_path / "garbled.db"
    garbled.write_bytes(b"no database at all" * 100)
    with pytest.raises(DataUnavailableError, match="not a database"):
        Ledger(open_database(f"sqlite:///{garbled}")).find()


def test_a_failed_transaction_leaves_nothing(engine: Engine, make_score: Make) -> None:
    ledger = Ledger(engine)

    def interrupted() -> None:
        with writing(engine, "forecasts") as connection:
            ledger._append(connection, [make_score()])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert count(engine) == 0
    assert ledger.record([make_score()]) == (make_score(),)
