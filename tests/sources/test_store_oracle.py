"""The store against an oracle in plain loops, over feeds with revisions, ties and late data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores import Clock, make_store

from sources.calendars import available_at_flows
from sources.store import Feed
from sources.store.comparison import compare
from sources.store.rows import Rows
from sources.store.views import market_of

DAYS = [pd.Timestamp(f"2024-03-{day:02d}") for day in range(1, 11)]
BEGIN = pd.Timestamp("2024-03-04T06:00Z")

Said = tuple[int, float, float, int | None]
"""Day, flow, assets under management (NaN for nothing said), and hour of its own, or None."""


@dataclass
class Row:
    day: int
    values: tuple[float, float]
    available: pd.Timestamp
    ingested: pd.Timestamp
    stamped: bool


@dataclass
class Oracle:
    """The rules of docs/adr/0005, one row after another."""

    rows: list[Row] = field(default_factory=list)

    def latest(self, day: int) -> Row | None:
        found = None
        for row in self.rows:
            later = found is None or (row.available, row.ingested) > (
                found.available,
                found.ingested,
            )
            if row.day == day and later:
                found = row
        return found

    def fill(self, day: int, values: tuple[float, float], at: pd.Timestamp) -> tuple[float, float]:
        """Put what was known at an instant where nothing is said."""
        known = Oracle([row for row in self.rows if row.available <= at]).latest(day)
        if known is None:
            return values
        flow, assets = (
            b if math.isnan(a) else a for a, b in zip(values, known.values, strict=True)
        )
        return flow, assets

    def ingest(self, feed: list[Said], now: pd.Timestamp) -> None:
        said = sorted({(d, _available(d, own)): (d, f, a, own) for d, f, a, own in feed}.items())
        last_day = max((row.day for row in self.rows), default=-1)
        fresh = not self.rows
        added = []
        for place, ((day, available), (_, flow, assets, own)) in enumerate(said):
            final = place + 1 == len(said) or said[place + 1][0][0] != day
            several = sum(key[0] == day for key, _ in said) > 1
            stated = own is not None or several
            latest = self.latest(day)
            values = (flow, assets)
            arrival = max(now, available)
            if latest is None:
                late = not fresh and not stated and day < last_day
                added.append(Row(day, values, arrival if late else available, now, late))
                continue
            same = _says_nothing_else(values, latest.values)
            there = None
            for row in self.rows:
                if row.day == day and row.available == available:
                    there = row if there is None or row.ingested > there.ingested else there
            overruled = any(
                row.stamped and row.day == day and row.available >= available for row in self.rows
            )
            if stated and there is None and not overruled:
                added.append(Row(day, self.fill(day, values, available), available, now, False))
                continue
            contradicts = there is not None and not _says_nothing_else(values, there.values)
            speaks = not stated or contradicts or (overruled and latest.stamped)
            if final and not same and speaks:
                since = max(arrival, latest.available)
                added.append(Row(day, self.fill(day, values, since), since, now, True))
        self.rows += added

    def read(self, as_of: pd.Timestamp, known: pd.Timestamp) -> list[tuple[int, tuple[str, str]]]:
        found = []
        for day in range(len(DAYS)):
            best = None
            for row in self.rows:
                if row.day != day or row.available > as_of or row.ingested > known:
                    continue
                if best is None or (row.available, row.ingested) > (best.available, best.ingested):
                    best = row
            if best is not None:
                found.append((day, (repr(best.values[0]), repr(best.values[1]))))
        return found


def _says_nothing_else(said: tuple[float, float], there: tuple[float, float]) -> bool:
    return all(math.isnan(a) or a == b for a, b in zip(said, there, strict=True))


@cache
def _available(day: int, own: int | None) -> pd.Timestamp:
    if own is None:
        return available_at_flows(pd.DatetimeIndex([DAYS[day]]))[0]
    return DAYS[day].tz_localize("UTC") + pd.Timedelta(hours=own)


VALUES = st.sampled_from([1.0, 2.0, 3.0])
ROW = st.tuples(
    st.integers(0, len(DAYS) - 1),
    VALUES,
    VALUES | st.just(math.nan),
    st.none() | st.integers(0, 3).map(lambda step: 12 * step),
)
FEED = st.lists(ROW, min_size=1, max_size=8, unique_by=lambda r: (r[0], _available(r[0], r[3])))
STEP = st.sampled_from([1, 11, 12, 24, 49])


def _feed(said: list[Said], *, checked: bool = False) -> Feed:
    table = pd.DataFrame(
        {
            "date": pd.DatetimeIndex([DAYS[row[0]] for row in said]).as_unit("us"),
            "flow_usd": [row[1] for row in said],
            "aum_usd": [row[2] for row in said],
            "available_at": pd.DatetimeIndex([_available(r[0], r[3]) for r in said]).as_unit("us"),
        }
    )
    stated = np.array([row[3] is not None for row in said])
    payload = ("0" * 64,)
    return Feed("flows", "IWM", "test", payload, table, stated=stated, checked=checked)


def _agree(oracle: Oracle, rows: Rows, moments: list[pd.Timestamp]) -> None:
    instants = {row.available for row in oracle.rows}
    instants |= {instant - pd.Timedelta("1us") for instant in instants}
    for known in moments:
        table = _flows(rows, known)
        dates = [DAYS.index(day) for day in table["date"]]
        since = table["available_at"].tolist()
        values = list(zip(table["flow_usd"].tolist(), table["aum_usd"].tolist(), strict=True))
        for as_of in instants:
            last = {d: v for d, at, v in zip(dates, since, values, strict=True) if at <= as_of}
            found = [(day, (repr(flow), repr(assets))) for day, (flow, assets) in last.items()]
            assert found == oracle.read(as_of, known), (as_of, known)


def _flows(rows: Rows, known: pd.Timestamp) -> pd.DataFrame:
    return market_of(rows, _naive(known), (), "test").flows["IWM"]


def _naive(instant: pd.Timestamp) -> np.datetime64:
    return np.datetime64(instant.tz_localize(None), "us")


STORIES = {
    "feeds": st.lists(FEED, min_size=1, max_size=5),
    "steps": st.lists(STEP, min_size=5, max_size=5),
}
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=8, suppress_health_check=QUIET)
@given(**STORIES)
def test_B03_the_store_says_what_an_oracle_in_plain_loops_says(
    feeds: list[list[Said]], steps: list[int]
) -> None:
    with TemporaryDirectory() as folder:
        clock = Clock(BEGIN.isoformat())
        store = make_store(Path(folder) / "store", None, clock)
        oracle, now, moments = Oracle(), BEGIN, []
        for said, step in zip(feeds, steps, strict=False):
            clock.set(now.isoformat())
            store.ingest([_feed(said)])
            oracle.ingest(said, now)
            # Again, in reverse: nothing new.
            assert store.ingest([_feed(said[::-1])]).batch is None
            moments.append(now)
            now += pd.Timedelta(hours=step)
        rows = store._load(None)
        _agree(oracle, rows, moments)
        store.compact()
        pd.testing.assert_frame_equal(_flows(store._load(None), now), _flows(rows, now))


def _compared(feeds: list[list[Said]], steps: list[int]) -> None:
    """Compare in memory what would be written."""
    rows, oracle, now, moments = Rows(), Oracle(), BEGIN, []
    for said, step in zip(feeds, steps, strict=False):
        ordered = sorted(said, key=lambda row: (row[0], _available(row[0], row[3])))
        feed = _feed(ordered, checked=True)
        added, _ = compare(rows, [feed], _naive(now))
        rows.extend(added)
        oracle.ingest(said, now)
        assert compare(rows, [feed], _naive(now + pd.Timedelta("1us")))[0].count() == 0
        moments.append(now)
        now += pd.Timedelta(hours=step)
    _agree(oracle, rows, moments)


@settings(max_examples=60, suppress_health_check=QUIET)
@given(**STORIES)
def test_B03_the_rows_a_feed_adds_are_the_oracles(
    feeds: list[list[Said]], steps: list[int]
) -> None:
    _compared(feeds, steps)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@settings(max_examples=10_000, suppress_health_check=QUIET)
@given(**STORIES)
def test_B03_the_rows_a_feed_adds_are_the_oracles_ten_thousand_times(
    feeds: list[list[Said]], steps: list[int]
) -> None:
    _compared(feeds, steps)
