"""The store: what was known when, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markets import random_market
from sqlalchemy import Engine
from stores import Clock, bars, closes, coin, flows, fund, instant, make_store, said

from sources import (
    DataUnavailableError,
    Market,
    RiskonError,
    SchemaError,
    read_market,
    write_market,
)
from sources.errors import RefusedError
from sources.store import MEMBERS, Feed, Marker, Quarantined, Store, directory_feeds, parse_file

LATER = "2024-06-24T22:00:00+00:00"


@pytest.fixture
def clock() -> Clock:
    return Clock("2024-06-20T22:00:00+00:00")


@pytest.fixture
def store(tmp_path: Path, engine: Engine, clock: Clock) -> Store:
    """Return a store whose manifest is on each kind of database in turn."""
    in_directory = engine.dialect.name == "sqlite"
    return make_store(tmp_path / "store", None if in_directory else engine, clock)


def test_a_market_directory_reads_back_the_same_to_the_bit(
    store: Store, market: Market, tmp_path: Path
) -> None:
    members = pd.DataFrame(
        {
            "symbol": pd.Series(["S001", "S000"], dtype="str"),
            "start": pd.to_datetime(["2019-03-01", "2019-01-02"]).as_unit("us"),
            "end": pd.to_datetime([None, "2020-03-02"]).as_unit("us"),
        }
    )
    assert market.panel is not None
    write_market(replace(market, panel=replace(market.panel, members=members)), tmp_path / "files")
    plain = read_market(tmp_path / "files")
    store.ingest(list(directory_feeds(store, tmp_path / "files")))
    found = store.read()
    assert_same(found, plain)
    write_market(found, tmp_path / "exported")
    assert_same(read_market(tmp_path / "exported"), plain)


def assert_same(found: Market, expected: Market) -> None:
    assert found.digest() == expected.digest()
    assert found.crypto == expected.crypto
    for (folder, name, table), (_, _, other) in zip(found.tables(), expected.tables(), strict=True):
        pd.testing.assert_frame_equal(table, other, check_exact=True, obj=f"{folder}/{name}")
    assert (found.panel is None) == (expected.panel is None)
    if found.panel is not None and expected.panel is not None:
        assert found.panel.symbols == expected.panel.symbols
        assert found.panel.closes.tobytes() == expected.panel.closes.tobytes()
        assert found.panel.closes.flags["C_CONTIGUOUS"]
        if expected.panel.members is not None:
            pd.testing.assert_frame_equal(found.panel.members, expected.panel.members)


def test_B11_the_same_feeds_again_add_nothing(store: Store, clock: Clock) -> None:
    feeds = [
        coin(["2024-06-18", "2024-06-19"], [1, 2]),
        flows([("2024-06-18", 5.0, "2024-06-19T13:00Z"), ("2024-06-18", 6.0, "2024-06-20T13:00Z")]),
        closes("2024-06-17", {"A": [1, 2], "B": [np.nan, 4]}),
    ]
    first = store.ingest(feeds)
    digest = store.read().digest()
    clock.set(LATER)
    again = store.ingest(feeds)
    assert first.batch is not None
    assert again.batch is None
    assert not any(change.stored for change in again.changes)
    assert store.read().digest() == digest
    assert len(store.catalog.batches()) == 1


def test_A27_new_days_become_available_by_the_calendar_whenever_they_come(
    store: Store, clock: Clock
) -> None:
    store.ingest([coin(["2024-06-18"], [1])])
    clock.set(LATER)
    change = store.ingest([coin(["2024-06-18", "2024-06-19", "2024-06-20"], [1, 2, 3])]).changes[0]
    assert (change.new, change.revised) == (2, 0)
    assert said(store.read().prices["BTC"]) == [
        ("2024-06-18", 1.0, "06-19T00:00"),
        ("2024-06-19", 2.0, "06-20T00:00"),
        ("2024-06-20", 3.0, "06-21T00:00"),
    ]


def test_A31_a_restated_and_a_backfilled_day_are_known_from_their_arrival(
    store: Store, clock: Clock
) -> None:
    store.ingest([coin(["2024-06-16", "2024-06-18"], [1, 3])])
    before = store.read().digest()
    clock.set(LATER)
    change = store.ingest([coin(["2024-06-16", "2024-06-17", "2024-06-18"], [9, 2, 3])]).changes[0]
    assert (change.new, change.revised) == (1, 1)
    assert said(store.read().prices["BTC"]) == [
        ("2024-06-16", 1.0, "06-17T00:00"),
        ("2024-06-16", 9.0, "06-24T22:00"),
        ("2024-06-17", 2.0, "06-24T22:00"),
        ("2024-06-18", 3.0, "06-19T00:00"),
    ]
    assert store.read(as_of=instant("2024-06-24T21:59")).digest() == before
    assert store.read(known_at=instant("2024-06-24T21:59")).digest() == before


def test_A26_a_flow_restated_at_a_stated_instant_is_the_new_one_from_then_on(
    store: Store, clock: Clock
) -> None:
    first = ("2024-06-17", 5.0, "2024-06-18T13:00Z")
    store.ingest([coin(["2024-06-18"], [1]), flows([first])])
    clock.set(LATER)
    store.ingest([flows([first, ("2024-06-17", 7.0, "2024-06-20T13:00Z")])])

    def known(at: str) -> float:
        return float(store.read(as_of=instant(at)).flows["IWM"]["flow_usd"].iloc[-1])

    assert known("2024-06-18T13:00") == 5.0
    assert known("2024-06-20T12:59") == 5.0
    assert known("2024-06-20T13:00") == 7.0
    # The store itself came to know it later.
    then = store.read(instant("2024-06-20T13:00"), known_at=instant("2024-06-24T21:59"))
    assert said(then.flows["IWM"], "flow_usd") == [("2024-06-17", 5.0, "06-18T13:00")]


def test_A15_a_feed_that_contradicts_what_it_said_changes_nothing_before_it_arrived(
    store: Store, clock: Clock
) -> None:
    store.ingest([coin(["2024-06-18"], [1]), flows([("2024-06-17", 5.0, "2024-06-18T13:00Z")])])
    other = flows([("2024-06-17", 6.0, "2024-06-18T13:00Z")])
    clock.set(LATER)
    assert store.ingest([other]).changes[0].revised == 1
    expected = [("2024-06-17", 5.0, "06-18T13:00"), ("2024-06-17", 6.0, "06-24T22:00")]
    assert said(store.read().flows["IWM"], "flow_usd") == expected
    clock.set("2024-06-25T22:00:00+00:00")
    assert store.ingest([other]).batch is None
    # It takes that back: the last word counts, from its own arrival on.
    store.ingest([flows([("2024-06-17", 5.0, "2024-06-18T13:00Z")])])
    expected.append(("2024-06-17", 5.0, "06-25T22:00"))
    assert said(store.read().flows["IWM"], "flow_usd") == expected


def test_A15_two_values_for_one_day_in_one_feed_are_refused_and_nothing_is_stored(
    store: Store,
) -> None:
    with pytest.raises(SchemaError, match=r"prices/BTC.*one set of values.*two for 2024-06-18"):
        store.ingest([coin(["2024-06-18", "2024-06-18"], [1, 2]), fund(["2024-06-18"], [1])])
    with pytest.raises(DataUnavailableError, match="riskon ingest"):
        store.read()


def test_A14_identical_rows_are_one_and_counted(store: Store) -> None:
    feed = coin(["2024-06-17", "2024-06-18", "2024-06-18", "2024-06-17"], [1, 2, 2, 1])
    change = store.ingest([feed]).changes[0]
    assert (change.new, change.duplicates) == (2, 2)
    assert len(store.read().prices["BTC"]) == 2


def test_A16_the_order_of_rows_feeds_and_columns_changes_nothing(tmp_path: Path) -> None:
    table = bars(["2024-06-16", "2024-06-17", "2024-06-18"], [1, 2, 3])
    panel = closes("2024-06-17", {"A": [1, 2], "B": [3, 4]})
    turned = closes("2024-06-17", {"B": [3, 4], "A": [1, 2]})
    digests = set()
    for i, feeds in enumerate(
        (
            [Feed("prices", "BTC", "test", ("0" * 64,), table), fund(["2024-06-18"], [1]), panel],
            [turned, fund(["2024-06-18"], [1]),
             Feed("prices", "BTC", "test", ("0" * 64,), table.iloc[[2, 0, 1]])],
        )
    ):  # fmt: skip
        store = make_store(tmp_path / str(i))
        store.ingest(feeds)
        digests.add(store.read().digest())
    assert len(digests) == 1


def test_A25_history_adjusted_for_a_dividend_moves_with_the_first_day_after_it(
    store: Store, clock: Clock
) -> None:
    days = ["2024-06-10", "2024-06-11", "2024-06-12", "2024-06-13"]
    store.ingest(
        [coin(["2024-06-12"], [1]), fund(days, [100.0, 101, 102, 103], [100.0, 101, 102, 103])]
    )
    before = store.read().digest(instant("2024-06-14T00:00"))
    clock.set(LATER)
    # A dividend on the 14th: all adjusted closes before it are multiplied by 0.99.
    adjusted = [99.0, 99.99, 100.98, 101.97, 104.0]
    change = store.ingest(
        [fund([*days, "2024-06-14"], [100.0, 101, 102, 103, 104], adjusted)]
    ).changes[0]
    assert (change.new, change.revised) == (1, 4)
    table = store.read().prices["IWM"]
    assert set(said(table, "adj_close")[1::2][:4]) == {
        ("2024-06-10", 99.0, "06-14T20:00"),
        ("2024-06-11", 99.99, "06-14T20:00"),
        ("2024-06-12", 100.98, "06-14T20:00"),
        ("2024-06-13", 101.97, "06-14T20:00"),
    }
    assert store.read().digest(instant("2024-06-14T00:00")) == before
    # No instant shows the old basis beside the new row: the last return is 104 / 101.97.
    for at in ("2024-06-14T20:00", "2024-07-01T00:00"):
        known = store.read(as_of=instant(at)).prices["IWM"].drop_duplicates("date", keep="last")
        assert known["adj_close"].pct_change().iloc[-1] == pytest.approx(104 / 101.97 - 1)


@pytest.mark.parametrize(
    ("rows", "value"),
    [
        # Beside neighbours that are within a thousandth of it, and did not move.
        ([4], 100.09),
        # One factor, but what came before did not move by it.
        ([4, 5, 6], 200.0),
        # One factor from the first row on, but not to the last: nothing among the new days did it.
        ([0, 1, 2, 3, 4, 5], 200.0),
    ],
)
def test_A31_rows_that_are_restated_without_all_of_history_are_known_from_their_arrival(
    rows: list[int], value: float, store: Store, clock: Clock
) -> None:
    days = [f"2024-06-{day:02d}" for day in range(1, 20)]
    store.ingest([coin(days[:10], [100.0] * 10)])
    clock.set(LATER)
    again = [value if i in rows else 100.0 for i in range(19)]
    change = store.ingest([coin(days, again)]).changes[0]
    assert (change.new, change.revised) == (9, len(rows))
    restated = [row for row in said(store.read().prices["BTC"]) if row[1] == value]
    assert restated == [(days[i], value, "06-24T22:00") for i in rows]
    # The 11th is out, and nothing of what was restated is.
    then = store.read(instant("2024-06-12T00:00")).prices["BTC"]
    assert then["close"].tolist() == [100.0] * 11


def test_A25_a_feed_on_another_basis_than_older_history_is_refused_until_it_brings_it_all(
    store: Store, clock: Clock
) -> None:
    days = ["2024-06-10", "2024-06-11", "2024-06-12", "2024-06-13"]
    store.ingest([fund(days, [100.0, 102, 104, 106])])
    before = store.read().digest()
    clock.set(LATER)
    halved = fund([*days[1:], "2024-06-14"], [51.0, 52, 53, 54])
    change = store.ingest([halved]).changes[0]
    assert change.rebased == ("IWM from 2024-06-11",)
    assert not change.stored
    assert store.read().digest() == before
    assert store.ingest([fund([*days, "2024-06-14"], [50.0, 51, 52, 53, 54])]).changes[0].stored


def test_a_value_restated_before_it_was_out_is_known_when_it_was_to_be(
    store: Store, clock: Clock
) -> None:
    # The candle of the 20th closes at midnight; at 22:00 it is not finished.
    store.ingest([coin(["2024-06-19", "2024-06-20"], [1, 2])])
    clock.set("2024-06-20T23:00:00+00:00")
    store.ingest([coin(["2024-06-20"], [2.5])])
    assert said(store.read().prices["BTC"])[-1] == ("2024-06-20", 2.5, "06-21T00:00")
    earlier = store.read(known_at=instant("2024-06-20T22:30"))
    assert said(earlier.prices["BTC"])[-1] == ("2024-06-20", 2.0, "06-21T00:00")
    assert len(store.read().prices["BTC"]) == 2


def test_absent_values_say_nothing(store: Store, clock: Clock) -> None:
    full = bars(["2024-06-18"], [2], [3])
    store.ingest([Feed("prices", "BTC", "test", ("0" * 64,), full)])
    clock.set(LATER)
    assert store.ingest([coin(["2024-06-18"], [2])]).batch is None
    assert store.read().prices["BTC"]["adj_close"].tolist() == [3.0]


def test_A28_absent_values_beside_a_restated_one_erase_nothing(store: Store, clock: Clock) -> None:
    days, nothing = ["2024-06-17", "2024-06-18"], [np.nan, np.nan]
    store.ingest([coin(["2024-06-18"], [1]), fund(days, [10.0, 11.0], [9.0, 10.0])])
    clock.set(LATER)
    assert store.ingest([fund(days, nothing, [9.0, 10.5])]).changes[0].revised == 1
    last = store.read().prices["IWM"].iloc[-1]
    assert (last["close"], last["adj_close"]) == (11.0, 10.5)
    # What one of two feeds does not say and the other does is no revision, however often they come.
    for day in (25, 26):
        clock.set(f"2024-06-{day}T22:00:00+00:00")
        assert store.ingest([fund(days, [10.0, 11.0], nothing)]).batch is None
        assert store.ingest([fund(days, nothing, [9.0, 10.5])]).batch is None


def test_A28_a_vintage_stated_for_the_past_is_filled_with_what_was_known_then(
    store: Store, clock: Clock
) -> None:
    def fed(flow: float, assets: float, at: str) -> Feed:
        feed = flows([("2024-06-10", flow, at)])
        assert feed.table is not None
        return replace(feed, table=feed.table.assign(aum_usd=assets))

    store.ingest([fed(5.0, 100.0, "2024-06-11T13:00Z")])
    store.ingest([fed(7.0, 300.0, "2024-06-15T13:00Z")])
    clock.set(LATER)
    store.ingest([fed(6.0, np.nan, "2024-06-13T13:00Z")])
    found = store.tables("flows")["IWM"]
    assert found["flow_usd"].tolist() == [5.0, 6.0, 7.0]
    assert found["aum_usd"].tolist() == [100.0, 100.0, 300.0]


def test_known_at_recreates_every_earlier_state_in_whatever_order_the_rest_came(
    store: Store, clock: Clock
) -> None:
    generator = np.random.default_rng(8)
    days = [f"2024-06-{day:02d}" for day in range(1, 19)]
    taken = [(coin(days[:9], list(range(1, 10))), closes("2024-06-03", {"A": [1, 2], "B": [3, 4]}))]
    for _ in range(12):
        some = sorted(generator.choice(18, 6, replace=False))
        values = generator.uniform(1, 100, 6).tolist()
        first = ("2024-06-03", "2024-06-04", "2024-06-05")[generator.integers(3)]
        cells = {s: generator.uniform(1, 9, 2).tolist() for s in generator.permutation(list("ABC"))}
        taken.append((coin([days[i] for i in some], values), closes(first, cells)))
    states = []
    for minute, feeds in enumerate(taken):
        clock.set(f"2024-06-20T22:{minute:02d}:00+00:00")
        store.ingest(list(feeds))
        found = store.read()
        states.append((clock.now, found.digest(), found))
    for moment, digest, then in states:
        again = store.read(known_at=pd.Timestamp(moment))
        assert again.digest() == digest
        assert_same(again, then)


def test_sessions_and_cells_of_constituents_have_vintages_too(store: Store, clock: Clock) -> None:
    store.ingest([coin(["2024-06-18"], [1]), closes("2024-06-17", {"A": [1, 2], "B": [3, 4]})])
    first = store.read()
    clock.set(LATER)
    # A new session, a restated cell, and a symbol that nobody knew.
    feed = closes("2024-06-17", {"A": [1, 2.5, 3], "B": [3, 4, 5], "C": [7, 8, 9]})
    change = store.ingest([feed]).changes[0]
    assert (change.new, change.revised) == (1, 3)
    panel = store.read().panel
    assert panel is not None
    assert panel.symbols == ("A", "B", "C")
    assert panel.closes.tolist() == [[1, 3, 7], [2.5, 4, 8], [3, 5, 9]]
    # 17 and 18 June; the 19th is a holiday, so the third session is the 20th.
    assert [str(day)[:10] for day in panel.dates] == ["2024-06-17", "2024-06-18", "2024-06-20"]
    then = store.read(as_of=instant("2024-06-20T20:00")).panel
    assert then is not None
    np.testing.assert_array_equal(then.closes, [[1, 3, np.nan], [2, 4, np.nan], [3, 5, 9]])
    until = instant("2024-06-20T00:00")
    assert store.read().digest(until) == first.digest(until)
    assert store.read(known_at=instant("2024-06-24T21:59")).digest() == first.digest()
    clock.set("2024-06-25T22:00:00+00:00")
    assert store.ingest([feed]).batch is None


def test_A15_a_feed_of_constituents_that_contradicts_itself_changes_nothing_before_it_arrived(
    store: Store, clock: Clock
) -> None:
    def stated(value: float, at: str) -> Feed:
        feed = closes("2024-06-10", {"A": [1, value, 3], "B": [5, 5, 5]})
        assert feed.panel is not None
        known = feed.panel.available_at.copy()
        known[1] = np.datetime64(at, "us")
        return replace(feed, panel=replace(feed.panel, available_at=known), stated=True)

    def answer(at: str) -> float:
        panel = store.read_panel(instant(at))
        assert panel is not None
        return float(panel.closes[1, 0])

    store.ingest([closes("2024-06-10", {"A": [1, 2, 3], "B": [5, 5, 5]})])
    # A: stated for the 14th; another value of that instant; one of an earlier instant.
    for day, value, at in (
        (21, 2.5, "2024-06-14"),
        (22, 9.9, "2024-06-14"),
        (23, 7.7, "2024-06-13"),
    ):
        clock.set(f"2024-06-{day}T22:00:00+00:00")
        assert store.ingest([stated(value, at)]).changes[0].revised == 1
        clock.set(f"2024-06-{day}T23:00:00+00:00")
        assert store.ingest([stated(value, at)]).batch is None
    since = ["2024-06-13T23:59", "2024-06-14", "2024-06-22T22:00", "2024-06-23T22:00"]
    assert [answer(at) for at in since] == [2.0, 2.5, 9.9, 7.7]
    assert [answer(at) for at in ("2024-06-22T21:59", "2024-06-23T21:59")] == [2.5, 9.9]


def test_A28_nan_in_a_later_feed_of_constituents_erases_nothing(store: Store, clock: Clock) -> None:
    store.ingest([coin(["2024-06-18"], [1]), closes("2024-06-17", {"A": [1, 2], "B": [3, 4]})])
    clock.set(LATER)
    assert store.ingest([closes("2024-06-17", {"A": [np.nan, 2], "B": [np.nan] * 2})]).batch is None


def test_A25_a_constituent_adjusted_for_a_split_moves_with_the_first_new_session(
    store: Store, clock: Clock
) -> None:
    store.ingest(
        [coin(["2024-06-18"], [1]), closes("2024-06-10", {"A": [8, 12, 16], "B": [1, 2, 3]})]
    )
    clock.set(LATER)
    store.ingest([closes("2024-06-10", {"A": [4, 6, 8, 9], "B": [1, 2, 3, 4]})])
    before = store.read(as_of=instant("2024-06-13T19:59")).panel
    after = store.read(as_of=instant("2024-06-13T20:00")).panel
    assert before is not None
    assert after is not None
    assert before.closes[:, 0].tolist() == [8, 12, 16]
    assert after.closes[:, 0].tolist() == [4, 6, 8, 9]


def test_members_are_as_they_were_known(store: Store, clock: Clock) -> None:
    def members(ends: list[str | None]) -> Feed:
        table = pd.DataFrame(
            {
                "symbol": pd.Series(["A", "B"], dtype="str"),
                "start": pd.to_datetime(["2020-01-02"] * 2).as_unit("us"),
                "end": pd.to_datetime(pd.Series(ends)).dt.as_unit("us"),
            }
        )
        return Feed(*MEMBERS, "test", ("0" * 64,), table)

    panel = closes("2024-06-17", {"A": [1, 2], "B": [3, 4]})
    store.ingest([coin(["2024-06-18"], [1]), panel, members([None, None])])
    clock.set(LATER)
    store.ingest([members([None, "2024-06-21"])])
    for at, left in (("2020-06-01", 0), ("2024-06-24T21:59", 0), ("2024-06-24T22:00", 1)):
        found = store.read(as_of=instant(at)).panel
        assert found is not None
        assert found.members is not None
        assert found.members["end"].notna().sum() == left
    assert store.ingest([members([None, "2024-06-21"])]).batch is None


def test_members_that_came_alone_before_the_closes_are_known_from_their_arrival(
    store: Store, clock: Clock
) -> None:
    table = pd.DataFrame(
        {
            "symbol": pd.Series(["A"], dtype="str"),
            "start": pd.to_datetime(["2024-06-20"]).as_unit("us"),
            "end": pd.to_datetime([None]).as_unit("us"),
        }
    )
    store.ingest([Feed(*MEMBERS, "test", ("0" * 64,), table)])
    clock.set(LATER)
    store.ingest([closes("2024-06-10", {"A": [1, 2], "B": [3, 4]})])
    # As where the closes come first: before the members came all constituents count.
    for at, known in (("2024-06-20T21:59", False), ("2024-06-20T22:00", True)):
        panel = store.read_panel(instant(at))
        assert panel is not None
        assert (panel.members is not None) == known


def test_members_in_another_order_are_the_same_members(store: Store, clock: Clock) -> None:
    def members(symbols: list[str]) -> Feed:
        table = pd.DataFrame(
            {
                "symbol": pd.Series(symbols, dtype="str"),
                "start": pd.to_datetime(["2020-01-02"] * len(symbols)).as_unit("us"),
                "end": pd.to_datetime([None] * len(symbols)).as_unit("us"),
            }
        )
        payload = store.keep(",".join(symbols).encode())
        return Feed(*MEMBERS, "test", (payload,), table)

    first = [closes("2024-06-17", {"A": [1, 2], "B": [3, 4]}), members(["A", "B"])]
    store.ingest(first)
    clock.set(LATER)
    for same in (["B", "A"], ["A", "B", "B"]):
        assert store.ingest([members(same)]).batch is None
    added = store.ingest([members(["B", "C", "A"])])
    assert added.changes[0].revised == 1
    assert len(store.catalog.feeds(2)) == 1


def test_many_new_sessions_are_kept_as_a_block_beside_the_first(store: Store, clock: Clock) -> None:
    generator = np.random.default_rng(2)
    whole = {s: generator.uniform(1, 9, 230).tolist() for s in ("A", "B", "C")}
    store.ingest(
        [coin(["2024-06-18"], [1]), closes("2024-01-02", {s: v[:100] for s, v in whole.items()})]
    )
    clock.set("2024-12-30T22:00:00+00:00")
    turned = {s: whole[s] for s in ("C", "A", "B")}
    store.ingest([closes("2024-01-02", turned)])
    panel = store.read().panel
    assert panel is not None
    assert panel.symbols == ("A", "B", "C")
    np.testing.assert_array_equal(panel.closes, np.array([whole[s] for s in "ABC"]).T)
    assert panel.revisions is None
    assert sorted(s.kind for s in store.catalog.segments()) == ["block", "block", "prices"]


def test_compaction_changes_no_answer(store: Store, clock: Clock) -> None:
    for day in range(10, 20):
        clock.set(f"2024-06-{day + 1}T22:00:00+00:00")
        days = [f"2024-06-{d:02d}" for d in range(8, day + 1)]
        restated = [float(d) for d in range(8, day)] + [day + 0.5]
        store.ingest([coin(days, restated), fund([days[-1]], [1.0]) if day in (13, 14) else
                      closes("2024-06-10", {"A": restated})])  # fmt: skip
    moments = [None, *(pd.Timestamp(b.ingested_at) for b in store.catalog.batches())]
    before = [store.read(known_at=m).digest() for m in moments]
    count = len(store.catalog.segments())
    gone = store.compact()
    assert gone > 0
    assert len(store.catalog.segments()) < count
    assert [store.read(known_at=m).digest() for m in moments] == before
    assert {p.name for p in (store.root / "segments").iterdir()} == {
        Path(s.name).name for s in store.catalog.segments()
    }
    assert store.compact() == 0
    clock.set("2024-06-28T22:00:00+00:00")
    assert store.ingest([coin(["2024-06-19"], [19.5])]).batch is None


def test_quarantined_rows_are_told_once_with_their_reason(store: Store, clock: Clock) -> None:
    reason = Quarantined("close fell by 90 % in a day", "0.1", pd.Timestamp("2024-06-18"))
    feed = coin(["2024-06-17"], [1], quarantined=(reason,))
    store.ingest([feed])
    clock.set(LATER)
    store.ingest([feed])
    (row,) = store.catalog.quarantine()
    assert (row.folder, row.name, row.reason) == ("prices", "BTC", reason.reason)


def test_A34_a_clock_that_jumped_back_is_refused(store: Store, clock: Clock) -> None:
    store.ingest([coin(["2024-06-18"], [1])])
    clock.set("2024-06-19T22:00:00+00:00")
    with pytest.raises(RefusedError, match="after the last ingest, 2024-06-20T22:00:00"):
        store.ingest([coin(["2024-06-18"], [2])])
    # A few minutes are not refused, but no batch is stamped before another.
    clock.set("2024-06-20T21:58:00+00:00")
    second = store.ingest([coin(["2024-06-18"], [2])]).batch
    assert second is not None
    assert second.ingested_at > store.catalog.batches()[0].ingested_at


def test_two_stores_share_a_server_and_nothing_else(tmp_path: Path, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("a SQLite manifest is in its store")
    one, other = (make_store(tmp_path / name, engine) for name in ("one", "other"))
    one.ingest([coin(["2024-06-18"], [1])])
    other.ingest([coin(["2024-06-18"], [2])])
    assert one.read().prices["BTC"]["close"].tolist() == [1.0]
    assert other.read().prices["BTC"]["close"].tolist() == [2.0]


def test_every_row_names_its_source_its_payload_and_when_it_came(store: Store) -> None:
    sha256 = store.keep(b"raw")
    table = bars(["2024-06-18"], [1])
    store.ingest([Feed("prices", "BTC", "exchange", (sha256,), table)])
    (segment,) = store.catalog.segments()
    row = pd.read_parquet(store.root / segment.name).iloc[0]
    assert row["source"] == "exchange"
    assert row["payload_sha256"] == sha256
    assert row["ingested_at"] == instant("2024-06-20T22:00")
    assert row["event_date"] == pd.Timestamp("2024-06-18")
    assert (store.root / "raw" / f"{sha256}.zst").is_file()


def test_a_rebuild_from_raw_payloads_gives_the_same_rows(
    store: Store, clock: Clock, tmp_path: Path
) -> None:
    market = random_market(start="2023-01-03", end="2024-06-14", symbols=5)
    write_market(market, tmp_path / "files")
    store.ingest(list(directory_feeds(store, tmp_path / "files")))
    path = tmp_path / "files" / "prices" / "BTC.csv"
    lines = path.read_text().splitlines()
    lines[5] = lines[5].replace(lines[5].split(",")[1], "123.25")
    path.write_text("\n".join(lines[:-3]) + "\n")
    clock.set(LATER)
    store.ingest(list(directory_feeds(store, tmp_path / "files")))
    before = store.read()
    for segment in (store.root / "segments").iterdir():
        segment.unlink()
    with pytest.raises(RiskonError, match="no such file"):
        store.read()
    assert store.rebuild(parse_file) == 2
    assert_same(store.read(), before)
    assert store.verify() > 0


def test_a_directory_that_is_no_store_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError, match=r"needed a store; found no store\.json"):
        Marker.read(tmp_path)
