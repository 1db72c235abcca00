"""``riskon ingest --source live`` against one server that speaks every source's format."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from feedserver import FRED_KEY, STOOQ_KEY, Feeds
from feedworld import TODAY, TOMORROW
from proxies import FaultyProxy
from pytest_httpserver import HTTPServer
from store_child import CONTEXT

from riskon.failures import exit_code
from riskon.ingest import explain, ingest
from riskon.live import ingest_live
from riskon.live_providers import Providers
from riskon.wiring import open_store
from sources.errors import DataUnavailableError, UnknownNameError
from sources.live import Client, Deployment, Limits
from sources.live.ishares import FUNDS
from sources.live.series import live_series
from sources.market import CRYPTO_UNIVERSE
from sources.store import MEMBERS, Feed, Parse, Store
from sources.store.comparison import held_members
from sources.store.durable import CRASHPOINTS
from sources.store.payloads import read_payload

SERIES = ("prices/IWM", "prices/BTC", "macro/DGS10", "flows/IWM", "constituents/members")


class Service:
    """A store, the feeds it is filled from, and what was printed."""

    def __init__(self, feeds: Feeds, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.feeds, self.home, self.root = feeds, home, home / "store"
        self.capsys = capsys
        self.stderr = ""

    def run(self, *names: str, limits: Limits | None = None, **more: object) -> dict[str, Any]:
        """Ingest some series; return the summary's rows by series."""
        rows, failure = self.try_(*names, limits=limits, **more)
        if failure is not None:
            raise failure
        return rows

    def try_(
        self, *names: str, limits: Limits | None = None, **more: object
    ) -> tuple[dict[str, Any], DataUnavailableError | None]:
        """Ingest some series; return the summary's rows, and how it failed, if it did."""
        self.feeds.asked.clear()
        failure = None
        self.capsys.readouterr()
        try:
            where = self.feeds.settings(self.home, **more)
            ingest_live(where, self.root, names or SERIES, "json", self.feeds.clock, limits)
        except DataUnavailableError as error:
            failure = error
        out, self.stderr = self.capsys.readouterr()
        return {row["series"]: row for row in json.loads(out)}, failure

    @property
    def store(self) -> Store:
        """The store, opened anew."""
        return open_store(self.root, self.feeds.settings(self.home))

    def close(self, symbol: str, day: str, as_of: dt.datetime) -> float:
        """Return the close of a day as known at an instant."""
        table = self.store.read(pd.Timestamp(as_of)).prices[symbol]
        return float(table.loc[table["date"] == day, "close"].iloc[-1])

    def members(self) -> dict[str, tuple[str, str]]:
        """Return member -> first and last session."""
        table = held_members(self.store._load(("members",)))
        assert table is not None
        return {r.symbol: (str(r.start.date()), "" if pd.isna(r.end) else str(r.end.date()))
                for r in table.itertuples()}  # fmt: skip

    def kept_out(self) -> list[dict[str, str]]:
        """Return what --explain prints."""
        self.capsys.readouterr()
        explain(self.feeds.settings(self.home), self.root, "json")
        found: list[dict[str, str]] = json.loads(self.capsys.readouterr().out)
        return found


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a store filled on the first day; tests copy it."""
    home = tmp_path_factory.mktemp("live")
    with HTTPServer() as server:
        feeds = Feeds(server)
        ingest_live(feeds.settings(home), home / "store", SERIES, "json", feeds.clock)
    return home / "store"


@pytest.fixture
def empty(httpserver: HTTPServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Service:
    """Return a service whose store is not there yet."""
    return Service(Feeds(httpserver), tmp_path, capsys)


@pytest.fixture
def service(empty: Service, filled: Path) -> Service:
    """Return a service that was filled on the first day."""
    shutil.copytree(filled, empty.root)
    return empty


def test_a_first_run_fills_a_store_with_every_kind_of_series(service: Service) -> None:
    market = service.store.read()
    feeds = service.feeds
    # Prices of Monday are out; of the rates and flows Friday's are; Sunday's candle is finished.
    for table, last in (
        (market.prices["IWM"], "2024-12-02"),
        (market.prices["BTC"], "2024-12-01"),
        (market.macro["DGS10"], "2024-11-29"),
        (market.flows["IWM"], "2024-11-29"),
    ):
        assert str(table["date"].max().date()) == last
    bitcoin = market.prices["BTC"].set_index("date")["close"]
    assert bitcoin.loc["2024-10-05"] == feeds.coins["BTC"].closes[dt.date(2024, 10, 5)]
    assert market.macro["DGS10"]["available_at"].iloc[-1].isoformat() == "2024-11-30T22:00:00+00:00"
    # N33 came and N03 left with the snapshot of Friday the 22nd, public on Monday.
    members = service.members()
    assert members["N33"] == ("2024-11-25", "")
    assert members["N03"] == ("2024-11-19", "2024-11-22")
    sources = {(r.folder, r.name): r.source for b in service.store.catalog.batches()
               for r in service.store.catalog.feeds(b.sequence)}  # fmt: skip
    assert sources == {
        ("prices", "IWM"): "yahoo",
        ("prices", "BTC"): "exchange",
        ("macro", "DGS10"): "fred",
        ("flows", "IWM"): "ishares",
        ("constituents", "members"): "ishares-constituents",
    }


def test_b11_a_second_run_brings_nothing_and_asks_for_the_overlap_alone(service: Service) -> None:
    before, batches = service.store.read().digest(), service.store.catalog.batches()
    rows = service.run()
    assert [(row["new"], row["revised"], row["error"]) for row in rows.values()] == [(0, 0, "")] * 5
    assert service.store.read().digest() == before
    assert service.store.catalog.batches() == batches
    firsts = {
        (name, symbol): start for name, symbol, start in reversed(service.feeds.asked) if start
    }
    # 14 days before the last date held; 11-18 is the first session of the last two weeks.
    assert firsts["yahoo", "IWM"] == firsts["stooq", "IWM"] == dt.date(2024, 11, 18)
    assert firsts["klines", "BTC"] == dt.date(2024, 11, 17)
    # Of the rates all days, in the vintages of the last two weeks alone.
    assert firsts["fred", "DGS10"] < dt.date(2024, 8, 1)
    assert firsts["holdings", "IWM"] == dt.date(2024, 11, 18)


def test_a_day_later_each_series_has_one_new_row(service: Service) -> None:
    service.feeds.now = TOMORROW
    rows = service.run()
    assert {name: row["new"] for name, row in rows.items()} == {
        "prices/IWM": 1, "prices/BTC": 1, "macro/DGS10": 1, "flows/IWM": 1,
        "constituents/members": 0,
    }  # fmt: skip
    assert not any(row["revised"] or row["gaps"] or row["stale"] for row in rows.values())
    assert service.stderr == ""


def test_a26_a31_a_revision_is_a_row_of_its_own_and_no_earlier_answer_changes(
    service: Service,
) -> None:
    before = service.store.read(pd.Timestamp(TODAY)).digest()
    first = service.close("IWM", "2024-11-25", TODAY)
    service.feeds.now = TOMORROW
    service.feeds.prices["IWM"].revise("2024-11-25", 1.01)
    service.feeds.macro["DGS10"].append(("2024-11-25", "2024-12-03", "9.99"))
    rows = service.run()
    assert (rows["prices/IWM"]["new"], rows["prices/IWM"]["revised"]) == (1, 1)
    assert (rows["macro/DGS10"]["new"], rows["macro/DGS10"]["revised"]) == (1, 1)
    assert service.store.read(pd.Timestamp(TODAY)).digest() == before
    assert service.close("IWM", "2024-11-25", TOMORROW) == pytest.approx(first * 1.01)
    rate = service.store.read().macro["DGS10"]
    said = rate[rate["date"] == "2024-11-25"]
    # ALFRED says on which day; the table of lags, at which hour.
    assert said["value"].iloc[-1] == 9.99
    assert said["available_at"].iloc[-1].isoformat() == "2024-12-03T22:00:00+00:00"


def test_a26_an_old_observation_that_fred_revises_is_seen_and_nothing_else_is_told_again(
    service: Service,
) -> None:
    before = service.store.read(pd.Timestamp(TODAY))
    service.feeds.now = TOMORROW
    # Two days revised on the 3rd: one of October, far beyond the overlap, and one within it.
    for day in ("2024-10-15", "2024-11-27"):
        service.feeds.macro["DGS10"].append((day, "2024-12-03", "9.99"))
    row = service.run("macro/DGS10")["macro/DGS10"]
    assert (row["new"], row["revised"], row["error"]) == (1, 2, "")
    assert service.store.read(pd.Timestamp(TODAY)).digest() == before.digest()
    rate = service.store.read().macro["DGS10"]
    said = rate[rate["value"] == 9.99]
    assert said["date"].dt.strftime("%Y-%m-%d").tolist() == ["2024-10-15", "2024-11-27"]
    assert {str(t) for t in said["available_at"]} == {"2024-12-03 22:00:00+00:00"}
    assert len(rate) == len(before.macro["DGS10"]) + 3
    row = service.run("macro/DGS10")["macro/DGS10"]
    assert (row["new"], row["revised"]) == (0, 0)
    digest = service.store.read().digest()
    service.store.rebuild(_parse(service))
    assert service.store.read().digest() == digest


@pytest.mark.parametrize("action", ["a24_split", "a25_dividend"])
def test_history_on_another_basis_is_fetched_whole_and_leaves_no_seam(
    service: Service, action: str
) -> None:
    before = service.store.read(pd.Timestamp(TODAY)).digest()
    service.feeds.now = TOMORROW
    bars = service.feeds.prices["IWM"]
    if action == "a24_split":
        bars.split("2024-12-03", 2)
    else:
        bars.pay("2024-12-03", 0.01)
    rows = service.run("prices/IWM")
    # 2024-08-01 to 2024-12-02 are 86 sessions: 22 + 20 + 23 + 20 + 1.
    assert (rows["prices/IWM"]["new"], rows["prices/IWM"]["revised"]) == (1, 86)
    starts = [start for name, _, start in service.feeds.asked if name == "yahoo"]
    assert starts == [dt.date(2024, 11, 18), dt.date(1987, 9, 10)]
    assert "on another basis" in service.stderr
    assert service.store.read(pd.Timestamp(TODAY)).digest() == before
    view = service.store.read(pd.Timestamp(TOMORROW)).prices["IWM"]
    latest = view.drop_duplicates("date", keep="last")
    # The walk moves by at most 1.5 % a day, and by a dividend of 1 % less.
    for column in ("close", "adj_close"):
        if action == "a24_split" or column == "adj_close":
            assert np.abs(np.log(latest[column]).diff()).max() < 0.016
    assert service.run("prices/IWM")["prices/IWM"]["revised"] == 0


def test_a05_the_second_provider_stands_in_for_the_first(service: Service) -> None:
    service.feeds.now = TOMORROW
    service.feeds.faults["yahoo"] = "500"
    rows = service.run("prices/IWM", "prices/SPY", "prices/GLD")
    assert {row["source"] for row in rows.values()} == {"stooq"}
    assert [row["new"] for row in rows.values()] == [1, 87, 87]
    record = service.store.catalog.feeds(service.store.catalog.last().sequence)[0]
    assert record.source == "stooq"
    # After two failures in a row it is left alone: the third series is not asked of it.
    assert {symbol for name, symbol, _ in service.feeds.asked if name == "yahoo"} == {"IWM", "SPY"}
    assert "found HTTP 500" in service.stderr
    assert "not asked again in this run" in service.stderr


def test_who_stands_in_brings_new_days_and_revises_none(service: Service) -> None:
    before = service.store.read(pd.Timestamp(TODAY)).digest()
    service.feeds.now = TOMORROW
    # Another market, 0.4 % dearer on every day: within what two of them may differ by.
    service.feeds.second["BTC"] = 1.004
    service.feeds.faults["exchange"] = "500"
    rows = service.run("prices/BTC")
    assert [rows["prices/BTC"][name] for name in ("source", "new", "revised", "error")] == [
        "klines", 1, 0, "",
    ]  # fmt: skip
    said = service.feeds.coins["BTC"].closes[dt.date(2024, 12, 2)]
    assert service.close("BTC", "2024-12-02", TOMORROW) == pytest.approx(said * 1.004)
    # The first one is back: its word on that day is a revision.
    service.feeds.faults.clear()
    rows = service.run("prices/BTC")
    assert (rows["prices/BTC"]["new"], rows["prices/BTC"]["revised"]) == (0, 1)
    assert service.close("BTC", "2024-12-02", TOMORROW + dt.timedelta(minutes=1)) == said
    service.store.rebuild(_parse(service))
    assert service.store.read(pd.Timestamp(TODAY)).digest() == before


def test_who_stands_in_on_another_basis_is_refused_and_erases_no_close(service: Service) -> None:
    before = service.store.read(pd.Timestamp(TODAY)).digest()
    batches = len(service.store.catalog.batches())
    service.feeds.now = TOMORROW
    service.feeds.prices["IWM"].pay("2024-12-03", 0.01)
    service.feeds.faults["yahoo"] = "500"
    rows, failure = service.try_("prices/IWM")
    assert exit_code(failure) == 3
    assert (rows["prices/IWM"]["new"], rows["prices/IWM"]["revised"]) == (0, 0)
    # Adjusted closes before a dividend of 1 % are 0.99 of what they were.
    assert "which a stand-in may not restate; found it x 0.99" in rows["prices/IWM"]["error"]
    (told,) = service.kept_out()
    assert "a stand-in may not restate" in told["reason"]
    view = service.store.read(pd.Timestamp(TOMORROW))
    assert not view.prices["IWM"]["close"].isna().any()
    assert service.store.read(pd.Timestamp(TODAY)).digest() == before
    assert len(service.store.catalog.batches()) == batches + 1  # what was kept out, and why
    # The first one is back: 86 sessions stand on the new basis, with their closes.
    service.feeds.faults.clear()
    rows = service.run("prices/IWM")
    assert (rows["prices/IWM"]["new"], rows["prices/IWM"]["revised"]) == (1, 86)
    view = service.store.read(pd.Timestamp(TOMORROW) + pd.Timedelta(days=1))
    assert not view.prices["IWM"]["close"].isna().any()


def test_opens_on_another_basis_are_fetched_whole_like_closes(service: Service) -> None:
    service.feeds.now = TOMORROW
    service.feeds.opens["IWM"] = 1.02
    # All of 86 sessions open 2 % higher, and close where they did.
    row = service.run("prices/IWM")["prices/IWM"]
    assert (row["new"], row["revised"], row["error"]) == (1, 86, "")
    starts = [start for name, _, start in service.feeds.asked if name == "yahoo"]
    assert starts == [dt.date(2024, 11, 18), dt.date(1987, 9, 10)]
    assert service.run("prices/IWM")["prices/IWM"]["revised"] == 0


def test_what_the_store_alone_finds_on_another_basis_is_fetched_whole_once(
    service: Service,
) -> None:
    before = service.store.read(pd.Timestamp(TODAY)).digest()
    service.feeds.now = TOMORROW
    bitcoin = service.feeds.coins["BTC"].closes
    # 2 % is what two markets may stand apart, to the gate; to the store it is another basis.
    bitcoin.update({day: round(close * 1.02, 2) for day, close in bitcoin.items()})
    row = service.run("prices/BTC")["prices/BTC"]
    # 2024-08-01 to 2024-12-01 are 123 days: 31 + 30 + 31 + 30 + 1.
    assert (row["new"], row["revised"], row["error"]) == (1, 123, "")
    assert len([name for name, _, _ in service.feeds.asked if name == "exchange"]) == 2
    assert "its whole history came again" in service.stderr
    assert service.store.read(pd.Timestamp(TODAY)).digest() == before
    assert service.run("prices/BTC")["prices/BTC"]["revised"] == 0
    assert service.stderr == ""


def test_a06_a_series_that_a_provider_does_not_know_is_no_outage(empty: Service) -> None:
    rows, failure = empty.try_("prices/IJR", "prices/TLT", "prices/GLD")
    assert failure is not None
    assert "2 of 3" in str(failure)
    assert rows["prices/GLD"]["source"] == "yahoo"


def test_where_both_are_down_the_others_are_stored_and_the_code_is_3(service: Service) -> None:
    service.feeds.now = TOMORROW
    service.feeds.faults |= {"yahoo": "500", "stooq": "500"}
    rows, failure = service.try_()
    assert failure is not None
    assert exit_code(failure) == 3
    assert "1 of 5 live series" in str(failure)
    assert "prices/IWM: stooq IWM: needed an answer; found HTTP 500" in str(failure)
    assert "HTTP 500" in rows["prices/IWM"]["error"]
    assert [rows[name]["new"] for name in SERIES] == [0, 1, 1, 1, 0]
    service.feeds.faults.clear()
    assert service.run()["prices/IWM"]["new"] == 1


def test_a02_a_provider_that_hangs_is_left_and_the_next_one_asked(service: Service) -> None:
    service.feeds.now = TOMORROW
    with FaultyProxy(service.feeds.server.port, blackhole=True) as proxy:
        rows = service.run("prices/IWM", limits=Limits(deadline_seconds=0.5), yahoo_url=proxy.url)
    assert (rows["prices/IWM"]["source"], rows["prices/IWM"]["new"]) == ("stooq", 1)


def test_a32_sources_that_disagree_are_flagged_and_the_first_stands(service: Service) -> None:
    service.feeds.now = TOMORROW
    service.feeds.second |= {"IWM": 1.03}
    rows = service.run("prices/IWM", "prices/BTC")
    assert (rows["prices/IWM"]["differs"], rows["prices/BTC"]["differs"]) == (1, 0)
    assert "differs: prices/IWM: yahoo and stooq differ on 1 of" in service.stderr
    assert "yahoo stands" in service.stderr
    said = service.feeds.prices["IWM"].closes[dt.date(2024, 12, 3)]
    assert service.close("IWM", "2024-12-03", TOMORROW) == said


def test_a07_a09_what_cannot_be_read_is_kept_told_and_asked_again(service: Service) -> None:
    before = service.store.read().digest()
    service.feeds.now = TOMORROW
    service.feeds.faults |= {"yahoo IWM": "html", "stooq IWM": "cut"}
    rows, failure = service.try_("prices/IWM")
    assert exit_code(failure) == 3
    assert rows["prices/IWM"]["quarantined"] == 2
    assert service.store.read().digest() == before
    html, cut = service.kept_out()
    assert "an HTML page" in html["reason"]
    assert read_payload(service.root, html["payload"]) == b"<html>Are you a robot?</html>"
    assert read_payload(service.root, cut["payload"]).startswith(b"Date,Open")
    service.feeds.faults.clear()
    assert service.run("prices/IWM")["prices/IWM"]["new"] == 1
    assert len(service.kept_out()) == 2


def test_what_a_first_provider_said_is_told_though_the_second_stands_in(service: Service) -> None:
    service.feeds.now = TOMORROW
    service.feeds.faults["yahoo"] = "html"
    assert service.run("prices/IWM")["prices/IWM"]["source"] == "stooq"
    (told,) = service.kept_out()
    assert read_payload(service.root, told["payload"]) == b"<html>Are you a robot?</html>"


def test_a24_a_leap_that_one_source_alone_has_is_kept_out(service: Service) -> None:
    service.feeds.now = TOMORROW
    bars = service.feeds.prices["IWM"]
    bars.closes[dt.date(2024, 12, 3)] *= 0.1
    service.feeds.faults["stooq"] = "500"
    rows = service.run("prices/IWM")
    assert (rows["prices/IWM"]["new"], rows["prices/IWM"]["quarantined"]) == (0, 1)
    (told,) = service.kept_out()
    assert (told["date"], "unadjusted jump" in told["reason"]) == ("2024-12-03", True)
    # A second source with the same leap releases it.
    service.feeds.faults.clear()
    assert service.run("prices/IWM")["prices/IWM"]["new"] == 1


def test_a30_a_feed_that_stands_still_is_stale(service: Service) -> None:
    stopped = service.feeds.prices["IWM"].closes
    for day in [day for day in stopped if day > dt.date(2024, 12, 2)]:
        del stopped[day]
    service.feeds.now = TODAY + dt.timedelta(days=10)
    rows = service.run("prices/IWM")
    assert "needed a row at most 7 days old" in rows["prices/IWM"]["stale"]
    # 12-03 to 12-06 and 12-09 to 12-11; the 12th is due half a day after its close.
    assert rows["prices/IWM"]["gaps"] == 7
    assert "prices/IWM: stale:" in service.stderr


def test_members_are_point_in_time_and_a29_a_shrunk_snapshot_changes_none(
    service: Service,
) -> None:
    feeds = service.feeds
    names = feeds.members[dt.date(2024, 12, 2)]
    feeds.members[dt.date(2024, 12, 2)] = [*names[1:], "NEW"]
    feeds.now = TOMORROW
    assert service.run("constituents/members")["constituents/members"]["revised"] == 3
    before = service.members()
    # Public at 13:00 of the 3rd, which is before the end of that session.
    assert before["NEW"] == ("2024-12-03", "")
    assert before[names[0]] == ("2024-11-19", "2024-12-02")
    feeds.members[dt.date(2024, 12, 3)] = names[:3]
    feeds.now = TOMORROW + dt.timedelta(days=1)
    _, failure = service.try_("constituents/members")
    assert exit_code(failure) == 3
    assert "coverage drop: needed at least 95%" in str(failure)
    assert "found 3 (10.0%)" in str(failure)
    assert service.members() == before
    (told,) = service.kept_out()
    assert (told["date"], told["series"]) == ("2024-12-03", "constituents/members")
    assert b'"Dec 03, 2024"' in read_payload(service.root, told["payload"])
    # The day after is whole again: nothing fails, and what was told is told once.
    feeds.members[dt.date(2024, 12, 4)] = [*names[1:], "NEW"]
    feeds.now = TOMORROW + dt.timedelta(days=2)
    service.run("constituents/members")
    assert service.members() == before
    assert len(service.kept_out()) == 1


def test_a_real_cut_of_the_universe_is_the_new_one_after_five_snapshots(service: Service) -> None:
    feeds = service.feeds
    days = [day for day in feeds.members if dt.date(2024, 12, 2) <= day]
    kept = feeds.members[days[0]][:24]  # of 30: a cut of a fifth
    for day in days:
        feeds.members[day] = kept
    # A snapshot is public the next session: on Friday the 6th there are those of 4 days.
    feeds.now = dt.datetime(2024, 12, 6, 23, 30, tzinfo=dt.UTC)
    _, failure = service.try_("constituents/members")
    assert "coverage drop" in str(failure)
    feeds.now = dt.datetime(2024, 12, 9, 23, 30, tzinfo=dt.UTC)
    service.run("constituents/members")
    members = service.members()
    assert {name for name, (_, end) in members.items() if not end} == set(kept)
    # A month later the snapshots it was judged by are not asked for any more, and it stands.
    feeds.faults["holdings"] = "html"
    feeds.now = dt.datetime(2025, 1, 9, 23, 30, tzinfo=dt.UTC)
    service.try_("constituents/members")
    assert service.members() == members


def test_a_snapshot_that_cannot_be_read_stops_no_other(service: Service) -> None:
    service.feeds.now = TOMORROW
    service.feeds.faults["holdings"] = "html"
    before = service.members()
    rows, failure = service.try_("constituents/members")
    assert exit_code(failure) == 3
    assert "an HTML page" in rows["constituents/members"]["error"]
    assert service.members() == before
    assert "an HTML page" in service.kept_out()[0]["reason"]


def test_b07_damaged_segments_are_made_again_from_live_payloads_to_the_bit(
    service: Service,
) -> None:
    feeds = service.feeds
    feeds.now = TOMORROW
    feeds.prices["IWM"].pay("2024-12-03", 0.01)
    feeds.coins["BTC"].closes[dt.date(2024, 12, 2)] *= 5  # kept out, and so it must stay
    feeds.faults["klines"] = "500"
    feeds.members[dt.date(2024, 12, 2)][0] = "NEW"
    service.run()
    before, members = service.store.read().digest(), service.members()
    for path in (service.root / "segments").glob("*.parquet"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        path.write_bytes(bytes(content))
    rows = service.run()
    assert "again from the raw payloads" in service.stderr
    assert not any(row["new"] or row["revised"] for row in rows.values())
    assert service.store.read().digest() == before
    assert service.members() == members
    assert service.store.verify() > 0


def test_b07_files_mend_a_store_that_live_sources_filled_and_ask_nobody(
    service: Service, tmp_path: Path
) -> None:
    before, where = service.store.read(), service.feeds.settings(service.home)
    (tmp_path / "files" / "prices").mkdir(parents=True)
    (tmp_path / "files" / "prices" / "NEW.csv").write_text("date,close\n2024-11-29,7.5\n")
    path = next((service.root / "segments").glob("*prices*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))
    service.feeds.asked.clear()
    ingest(where, service.root, tmp_path / "files", "json")
    assert "again from the raw payloads" in service.capsys.readouterr().err
    assert service.feeds.asked == []
    after = service.store.read()
    assert after.prices["NEW"]["close"].tolist() == [7.5]
    for name in ("IWM", "BTC"):
        pd.testing.assert_frame_equal(after.prices[name], before.prices[name])


def test_the_summary_counts_what_there_is_and_keys_stay_out_of_sight(
    empty: Service, caplog: pytest.LogCaptureFixture
) -> None:
    feeds = empty.feeds
    del feeds.prices["IWM"].closes[dt.date(2024, 10, 15)]
    feeds.faults |= {"fred": "500", "stooq": "500"}
    with caplog.at_level("DEBUG"):
        rows = empty.run()
    assert list(rows) == list(SERIES)
    assert set(rows["prices/IWM"]) == {
        "series", "source", "new", "revised", "quarantined", "gaps", "stale", "differs", "error",
    }  # fmt: skip
    assert (rows["prices/IWM"]["new"], rows["prices/IWM"]["gaps"]) == (85, 1)
    assert (rows["macro/DGS10"]["source"], rows["macro/DGS10"]["error"]) == ("fred-csv", "")
    logged = [r.getMessage() for r in caplog.records if r.name != "werkzeug"]
    files = [path for path in empty.root.rglob("*") if path.is_file()]
    kept = [read_payload(empty.root, path.stem) for path in empty.root.glob("raw/*.zst")]
    assert len(kept) > 5
    texts = [empty.stderr.encode(), json.dumps(rows).encode(), "\n".join(logged).encode(),
             *kept, *(path.read_bytes() for path in files)]  # fmt: skip
    for key in (FRED_KEY, STOOQ_KEY):
        assert not any(key.encode() in text for text in texts)


def test_without_a_key_macro_series_come_from_the_charts_and_a_person_is_told(
    empty: Service,
) -> None:
    rows = empty.run("macro/DGS10", fred_api_key=None)
    assert rows["macro/DGS10"]["source"] == "fred-csv"
    assert "RISKON_FRED_API_KEY is not set" in empty.stderr
    assert empty.stderr.count("\n") == 1


def test_members_that_came_from_files_are_not_replaced(empty: Service) -> None:
    store = open_store(empty.root, empty.feeds.settings(empty.home), create=True)
    table = pd.DataFrame(
        {
            "symbol": pd.Series(["OLD"], dtype="str"),
            "start": np.array(["2020-01-02"], dtype="M8[us]"),
            "end": np.array(["NaT"], dtype="M8[us]"),
        }
    )
    store.clock = empty.feeds.clock.now
    store.ingest([Feed(*MEMBERS, "files", (store.keep(b"file"),), table=table)])
    empty.run("constituents/members")
    assert "do not replace them" in empty.stderr
    assert empty.members() == {"OLD": ("2020-01-02", "")}


def test_a_series_that_nobody_provides_is_named(empty: Service) -> None:
    with pytest.raises(UnknownNameError, match="NASDAQ"):
        empty.run("prices/NASDAQ")
    assert not empty.root.exists()


def _parse(service: Service) -> Parse:
    where = service.feeds.settings(service.home)
    deployment = Deployment(where.live_urls, exchange=where.exchange)
    return Providers(Client(), deployment).parse()


def _work(where: Any, root: Path, now: dt.datetime, point: str) -> None:
    from sources.live import Clock

    os.environ["CRASHPOINT"] = f"{point}:SIGKILL"
    ingest_live(where, root, SERIES[1:], "json", Clock(now=lambda: now, sleep=lambda _: None))


@pytest.mark.parametrize(
    "point",
    [
        "before_manifest",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in CRASHPOINTS
            if name not in {"before_manifest", "after_unlink"}
        ),
    ],
)
def test_b05_after_a_kill_the_next_run_completes_the_store(
    empty: Service, filled: Path, point: str, tmp_path: Path
) -> None:
    where = empty.feeds.settings(tmp_path)
    arguments = (where, empty.root, empty.feeds.now, point)
    child = CONTEXT.Process(target=_work, args=arguments)
    child.start()
    child.join(120)
    assert child.exitcode == -9
    for abandoned in empty.root.rglob(".*.tmp"):
        os.utime(abandoned, (0, 0))  # a young one might be another process's
    empty.run()
    uninterrupted = open_store(filled, where)
    assert empty.store.read().digest() == uninterrupted.read().digest()
    assert empty.store.verify() > 0
    assert not list(empty.root.rglob(".*tmp*"))


@pytest.mark.slow
def test_the_command_asks_for_all_series_and_lists_those_that_failed(
    httpserver: HTTPServer, tmp_path: Path, command
) -> None:
    feeds = Feeds(httpserver)
    feeds.now = dt.datetime.now(dt.UTC)
    told = feeds.environment(tmp_path / "home")
    environment = {
        f"RISKON_{name.upper()}": json.dumps(value) if name == "funds" else str(value)
        for name, value in told.items()
        if name != "home"
    }
    words = ("ingest", "--source", "live", "--market", tmp_path / "store", "--format", "json")
    done = command(*words, **environment)
    assert done.returncode == 3, done.stderr
    rows = {row["series"]: row for row in json.loads(done.stdout)}
    every = live_series(CRYPTO_UNIVERSE, tuple(FUNDS))
    assert list(rows) == [series.label for series in every]
    # The server knows 4 of 15 funds and indices, 2 of 14 coins, 2 of 10 rates, 1 of 2 funds' flows.
    failed = [row for row in rows.values() if row["error"]]
    assert len(failed) == 11 + 12 + 8 + 1
    assert f"{len(failed)} of {len(every)} live series" in done.stderr
    assert all(rows[name]["new"] for name in ("prices/RUT", "prices/ETH", "macro/VIXCLS"))
    assert FRED_KEY not in done.stdout + done.stderr
    assert STOOQ_KEY not in done.stdout + done.stderr
    again = command(*words, "--series", "prices/SPY", **environment)
    assert again.returncode == 0, again.stderr
    assert [row["new"] for row in json.loads(again.stdout)] == [0]
    nobody = command(*words, "--series", "NASDAQ", **environment)
    assert nobody.returncode == 2
    assert nobody.stderr.count("\n") == 1
