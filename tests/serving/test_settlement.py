"""Outcomes: written once both closes are known, revised when restated, chained like forecasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from serving import Ledger, Score
from serving.outcomes import OUTCOMES
from serving.settlement import Settlement, settle
from serving.verification import verify_live
from sources import IntegrityError, Market, available_at_crypto

Make = Callable[..., Score]

FIRST = date(2024, 6, 20)


def market_of(
    closes: list[float], late: Mapping[int, str] | None = None, restated: Mapping[int, float] = {}
) -> Market:
    """Return BTC from 2024-06-20 on; some closes known late, some stated anew on July 3."""
    dates = pd.date_range(FIRST, periods=len(closes), freq="D", unit="us")
    known = pd.Series(available_at_crypto(dates))
    for place, instant in (late or {}).items():
        known[place] = pd.Timestamp(instant)
    table = pd.DataFrame({"date": dates, "close": closes, "available_at": known})
    again = table.iloc[list(restated)].assign(
        close=list(restated.values()), available_at=pd.Timestamp("2024-07-03T09:00Z").as_unit("us")
    )
    if len(again):
        table = pd.concat([table, again], ignore_index=True).sort_values(
            ["date", "available_at"], ignore_index=True
        )
    nothing = dict.fromkeys(("open", "high", "low", "adj_close", "volume"), np.nan)
    return Market({"BTC": table.assign(**nothing)}, {}, crypto=("BTC",))


def at(day: int, hour: int = 0, minute: int = 5) -> datetime:
    """Return an instant of that day of June 2024, days past the 30th in July."""
    midnight = datetime(2024, 6, 1, hour, minute, tzinfo=UTC)
    return midnight + timedelta(days=day - 1)


def rows(engine: Engine) -> list[tuple[int, int]]:
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT outcome, revision FROM outcomes ORDER BY position")
        ).all()
    return [(row[0], row[1]) for row in found]


def test_an_outcome_is_written_once_both_closes_are_known_and_never_before(
    engine: Engine, make_score: Make
) -> None:
    ledger = Ledger(engine)
    ledger.record([make_score(horizon_days=1), make_score(horizon_days=5)])
    rises = market_of([100.0, 101.0, 99.0, 99.0, 99.0, 99.0])
    # June 20 + 1 day closes at midnight of the 22nd.
    assert settle(ledger, rises, at(21, 23, 59)) == Settlement(0, 0, 0)
    assert settle(ledger, rises, at(22, 0, 0)) == Settlement(1, 0, 0)
    assert settle(ledger, rises, at(26, 0, 0)) == Settlement(1, 0, 0)
    one, five = (item.outcome for item in ledger.history())
    assert one is not None
    assert five is not None
    assert (one.outcome, one.begin_close, one.end_close) == (1, 100.0, 101.0)
    assert (five.outcome, five.label_end) == (0, date(2024, 6, 25))
    assert one.known_at == datetime(2024, 6, 22, tzinfo=UTC)
    assert abs(one.settled_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert ledger.verify_outcomes() == 2


def test_a_close_that_comes_late_is_waited_for(ledger: Ledger, make_score: Make) -> None:
    ledger.record([make_score(horizon_days=1)])
    late = market_of([100.0, 101.0], late={1: "2024-06-24T12:00Z"})
    assert settle(ledger, late, at(24, 11)) == Settlement(0, 0, 1)
    assert settle(ledger, late, at(24, 13)) == Settlement(1, 0, 0)


def test_E02_the_same_outcome_twice_is_one_row_and_another_one_is_a_revision_with_its_reason(
    engine: Engine, make_score: Make
) -> None:
    ledger = Ledger(engine)
    ledger.record([make_score(horizon_days=1)])
    rises = market_of([100.0, 101.0], restated={1: 99.5})
    settle(ledger, rises, at(22))
    assert settle(ledger, rises, at(22)) == Settlement(0, 0, 0)
    # On July 3 the close is stated anew, below.
    assert settle(ledger, rises, at(33, 10)) == Settlement(0, 1, 0)
    assert settle(ledger, rises, at(34)) == Settlement(0, 0, 0)
    assert rows(engine) == [(1, 0), (0, 1)]
    (item,) = ledger.history()
    assert item.outcome is not None
    assert item.outcome.reason == "closes restated: 100.0 and 101.0 are now 100.0 and 99.5"
    (counted,) = verify_live(ledger).cells
    assert counted.frequency == 0.0
    assert ledger.verify_outcomes() == 2
    assert ledger.verify() == 1


def test_E02_settling_as_of_the_past_brings_no_restated_outcome_back(
    engine: Engine, make_score: Make
) -> None:
    ledger = Ledger(engine)
    ledger.record([make_score(horizon_days=1)])
    rises = market_of([100.0, 101.0], restated={1: 99.5})
    settle(ledger, rises, at(22))
    # The close is stated anew on July 3 at nine.
    for instant, revised in ((at(34), 1), (at(23), 0), (at(35), 0), (at(22), 0)):
        assert settle(ledger, rises, instant) == Settlement(0, revised, 0)
    assert rows(engine) == [(1, 0), (0, 1)]
    (item,) = ledger.history()
    assert item.outcome is not None
    assert item.outcome.known_at == datetime(2024, 7, 3, 9, tzinfo=UTC)


def test_E02_a_first_settlement_after_a_restatement_writes_both_rows_and_a_second_none(
    engine: Engine, make_score: Make
) -> None:
    ledger = Ledger(engine)
    ledger.record([make_score(horizon_days=1)])
    rises = market_of([100.0, 101.0], restated={1: 99.5})
    assert settle(ledger, rises, at(34)) == Settlement(1, 1, 0)
    assert settle(ledger, rises, at(34)) == Settlement(0, 0, 0)
    assert rows(engine) == [(1, 0), (0, 1)]
    assert ledger.verify_outcomes() == 2


@pytest.mark.parametrize("statement", ["UPDATE outcomes SET outcome = 1", "DELETE FROM outcomes"])
def test_E01_the_database_refuses_to_change_an_outcome(
    engine: Engine, make_score: Make, statement: str
) -> None:
    ledger = Ledger(engine)
    ledger.record([make_score(horizon_days=1)])
    settle(ledger, market_of([100.0, 99.0]), at(22))
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(text(statement))
    assert rows(engine) == [(0, 0)]


def test_E07_an_outcome_edited_past_the_triggers_is_named_by_its_row(
    engine: Engine, make_score: Make
) -> None:
    ledger = Ledger(engine)
    ledger.record([make_score(horizon_days=1), make_score(horizon_days=5)])
    settle(ledger, market_of([100.0, 99.0, 98.0, 98.0, 98.0, 98.0]), at(28))
    assert ledger.verify_outcomes() == 2
    sqlite = engine.dialect.name == "sqlite"
    drop = "DROP TRIGGER outcomes_no_update"
    with engine.begin() as connection:
        connection.execute(text(drop if sqlite else "ALTER TABLE outcomes DISABLE TRIGGER ALL"))
        connection.execute(text("UPDATE outcomes SET outcome = 1 WHERE position = 2"))
    with pytest.raises(IntegrityError, match="outcomes, row 2: needed row hash"):
        ledger.verify_outcomes()


def test_two_that_settle_at_once_write_each_outcome_once(
    engine: Engine, make_score: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, falls = Ledger(engine), market_of([100.0, 99.0])
    ledger.record([make_score(horizon_days=1)])

    # The other one settles between our look and our writing.
    def other(_: Ledger) -> None:
        monkeypatch.undo()
        settle(ledger, falls, at(22))

    import serving.settlement as settling

    write = settling._write
    monkeypatch.setattr(settling, "_write", lambda *asked: (other(ledger), write(*asked))[1])
    assert settle(ledger, falls, at(22)) == Settlement(0, 0, 0)
    assert rows(engine) == [(0, 0)]


def test_history_is_read_by_pages_that_hold_every_forecast_once(
    engine: Engine, make_score: Make
) -> None:
    ledger = Ledger(engine)
    days = [f"2024-06-{day}" for day in (20, 21, 22)]
    ledger.record([make_score(a, h, d) for d in days for a in ("BTC", "ETH") for h in (1, 5)])
    settle(ledger, market_of([100.0, 99.0, 101.0, 100.0]), at(23))
    first = ledger.history(limit=5)
    ledger.record([make_score("BTC", 1, "2024-06-23")])
    rest = ledger.history(after=first[-1].position, limit=100)
    assert [item.position for item in (*first, *rest)] == list(range(1, 14))
    settled = {item.score.as_of: item.outcome for item in ledger.history("BTC", 1)}
    came = [None if came is None else came.outcome for came in settled.values()]
    assert came == [0, 1, None, None]
    span = ledger.history(start=date(2024, 6, 21), end=date(2024, 6, 22), version=1)
    assert [item.position for item in span] == list(range(5, 13))
    assert ledger.history(version=2) == ()
    assert OUTCOMES.name == "outcomes"


def test_only_what_was_issued_before_the_next_bar_closed_is_live_evidence(
    ledger: Ledger, make_score: Make
) -> None:
    # T of June 20 is the midnight after it; the bar of the 21st closes a day later.
    times = {"BTC": at(21, 23, 59), "ETH": at(22, 0, 0)}
    scores = [
        make_score(asset, 1).model_copy(update={"issued_at": instant})
        for asset, instant in times.items()
    ]
    ledger.record(scores)
    falls = market_of([100.0, 99.0])
    both = Market(falls.prices | {"ETH": falls.prices["BTC"]}, {}, crypto=("BTC", "ETH"))
    settle(ledger, both, at(25))
    assert [item.live for item in ledger.history()] == [True, False]
    found = verify_live(ledger)
    assert [skill.asset for skill in found.cells] == ["BTC"]
    assert [skill.asset for skill in found.replayed] == ["ETH"]
    assert (found.n_forecasts, found.n_settled, found.n_live) == (2, 2, 1)
