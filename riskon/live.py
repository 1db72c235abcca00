"""``riskon ingest --source live``: ask, keep the raw answer, screen it, add it to the store."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from riskon import output as out
from riskon.ingest import add
from riskon.settings import Settings
from riskon.wiring import open_store, progress
from sources.errors import (
    DataUnavailableError,
    ProviderUnavailableError,
    RiskonError,
    SchemaError,
)
from sources.gates import Screened, screen, screen_snapshots
from sources.live import TOLERANCES, Agreement, Client, Deployment, Provider, cross_check
from sources.live.ishares import FUNDS, described_funds
from sources.live.provider import Payload
from sources.live.reading import members_feed, payloads_of, read_again, screened_feed
from sources.live.registry import make_provider
from sources.live.series import LiveSeries, chosen_series, live_series
from sources.market import Market
from sources.schemas import LAYOUTS
from sources.store import (
    MEMBERS,
    Change,
    Feed,
    FeedRecord,
    Parse,
    Quarantined,
    Store,
    parse_file,
)
from sources.store.payloads import read_payload

OVERLAP_DAYS = 14
"""Asked for again each time, so that a revision of the last two weeks is seen."""

GIVE_UP_AFTER = 2
"""Failures in a row after which a provider is left alone for the rest of the run."""

LEAP = 0.2
"""Daily log return that a second source has to confirm before a gate calls it an error."""


@dataclass
class Told:
    """What there is to tell of one series at the end."""

    series: LiveSeries
    source: str = ""
    failures: list[str] = field(default_factory=list)
    failed: bool = False
    change: Change | None = None
    gaps: int = 0
    stale: str | None = None
    agreement: Agreement | None = None

    def row(self) -> dict[str, Any]:
        """Return the row of the summary."""
        change = self.change
        return {
            "series": self.series.label,
            "source": self.source,
            "new": change.new if change else 0,
            "revised": change.revised if change else 0,
            "quarantined": len(change.feed.quarantined) if change else 0,
            "gaps": self.gaps,
            "stale": self.stale or "",
            "differs": 0 if self.agreement is None else len(self.agreement.disagreements),
            "error": "; ".join(self.failures) if self.failed else "",
        }


def ingest_live(
    where: Settings, market: Path | None, names: Sequence[str], form: str,
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> None:  # fmt: skip
    """Bring the newest rows of live series into the store, a class of series at a time.

    What a class brought is in the store before the next is asked for: a run that is cut short
    is taken up by the next. A series that fails stops no other.

    Parameters
    ----------
    names : series to ask for, all by default.
    form : of the summary, ``table``, ``json`` or ``csv``.

    Raises
    ------
    UnknownNameError
        For a series that nobody provides.
    DataUnavailableError
        At the end, where series failed; lists them.
    """
    funds = {**FUNDS, **described_funds(where.funds)}
    root = market or where.market_directory
    store = open_store(root, where, create=True)
    asked = chosen_series(live_series(store.crypto, tuple(funds)), names)
    deployment = Deployment(
        where.live_urls, where.live_keys, exchange=where.exchange,
        exchange_quote=where.exchange_quote, funds=funds, cache=where.home / "cache",
    )  # fmt: skip
    every: list[Told] = []
    with Client() as client, progress("asking", len(asked)) as advance:
        providers = Providers(client, deployment)
        for _, members in groupby(asked, lambda series: (series.folder, series.asked[0][0])):
            run = _Run(store, providers, pd.Timestamp(clock()))
            every += run.bring(list(members), advance)
    summarise(store, every, form)
    failed = [told for told in every if told.failed]
    if failed:
        listed = "; ".join(f"{told.series.label}: {told.failures[-1]}" for told in failed)
        raise DataUnavailableError(
            f"{len(failed)} of {len(every)} live series: needed an answer that can be used; "
            f"found none for {listed}",
            source=failed[0].series.label,
        )


class Providers:
    """Providers by name, each made once, and left alone once it does not answer."""

    def __init__(self, client: Client, deployment: Deployment) -> None:
        self._client, self._deployment = client, deployment
        self._made: dict[str, Provider] = {}
        self._failures: Counter[str] = Counter()

    def of(self, name: str) -> Provider:
        """Return a provider.

        Raises
        ------
        DataUnavailableError
            Where it failed several times in a row.
        """
        if self._failures[name] >= GIVE_UP_AFTER:
            raise DataUnavailableError(
                f"{name}: needed an answer to one of the last {GIVE_UP_AFTER} questions; "
                "found none; not asked again in this run",
                source=name,
            )
        if name not in self._made:
            self._made[name] = make_provider(name, self._client, self._deployment)
        return self._made[name]

    def ask(self, name: str, asked: str, start: dt.date, end: dt.date) -> tuple[Payload, ...]:
        """Download, and count a provider's failures in a row."""
        provider = self.of(name)
        try:
            answers = provider.download(asked, start, end)
        except DataUnavailableError:
            self._failures[name] += 1
            raise
        self._failures[name] = 0
        return answers

    def parse(self) -> Parse:
        """Return what makes the store's feeds again of their payloads, files among them."""

        def parse(record: FeedRecord, contents: Sequence[bytes], now: dt.datetime) -> Feed:
            if record.source == "files":
                return parse_file(record, contents, now)
            provider = make_provider(record.source, self._client, self._deployment)
            return read_again(provider, record, contents)

        return parse


class _Run:
    """One class of series: asked, screened and added in one batch."""

    def __init__(self, store: Store, providers: Providers, now: pd.Timestamp) -> None:
        self.store, self.providers, self.now = store, providers, now
        self.today = now.date()
        self.held = _held(store)

    def bring(self, asked: Sequence[LiveSeries], advance: Callable[[str], None]) -> list[Told]:
        """Ask for some series, add what came, and tell of each."""
        every: list[Told] = []
        feeds: list[Feed] = []
        for series in asked:
            told = Told(series)
            feed = self._ask(told)
            told.failed = feed is None and bool(told.failures)
            if feed is not None and not feed.payloads:
                feed = None  # nothing can be finished yet
            if feed is not None:
                feeds.append(feed)
            every.append(told)
            advance(series.label)
        if feeds:
            ingested = add(self.store, feeds, self.providers.parse())
            changes = {change.feed.label: change for change in ingested.changes}
            for told in every:
                told.change = changes.get(told.series.label)
        return every

    def _ask(self, told: Told) -> Feed | None:
        """Return the feed of the first provider whose answer passes, or of what it kept out."""
        refused: list[Quarantined] = []
        kept: list[str] = []
        for place, (name, asked) in enumerate(told.series.asked):
            hashes: list[str] = []
            try:
                provider = self.providers.of(name)
                feed = self._from(provider, asked, told, place, hashes)
            except DataUnavailableError as error:
                told.failures.append(str(error))
                if hashes and not isinstance(error, ProviderUnavailableError):
                    refused.append(Quarantined(str(error)))
            except SchemaError as error:
                told.failures.append(str(error))
                refused.append(Quarantined(str(error)))
            else:
                told.source = name
                return feed
            kept += hashes
        if refused and kept and told.series.folder in LAYOUTS:
            # What could not be used is told by `--explain`, and its payload is kept.
            told.failed = True
            return _nothing(told.series, told.series.asked[0][0], kept, refused)
        return None

    def _from(
        self, provider: Provider, asked: str, told: Told, place: int, hashes: list[str]
    ) -> Feed:
        series = told.series
        if series.folder == "constituents":
            return self._members(provider, asked, hashes)
        held: pd.DataFrame | None = None
        if self.held is not None:
            held = getattr(self.held, series.folder).get(series.name)
        start = series.start
        if held is not None and len(held):
            start = held["date"].max().date() - dt.timedelta(days=OVERLAP_DAYS)
        payloads = self._download(provider, asked, start, hashes)
        if not payloads:
            return Feed(series.folder, series.name, provider.name, ())
        screened = self._screen(provider, asked, payloads, told, place, start, held)
        if screened.rebased is not None:
            # Split, or paid a dividend: history as held and as it is now are two adjustments.
            payloads = self._download(provider, asked, series.start, hashes)
            screened = self._screen(provider, asked, payloads, told, place, series.start, None)
        told.gaps, told.stale = len(screened.gaps), screened.stale
        return screened_feed(
            series.folder, series.name, provider, asked, payloads, screened, hashes
        )

    def _download(
        self, provider: Provider, asked: str, start: dt.date, hashes: list[str]
    ) -> tuple[Payload, ...]:
        """Ask, and keep what comes before anyone tries to read it."""
        payloads = self.providers.ask(provider.name, asked, start, self.today)
        hashes[:] = [self.store.keep(payload.content) for payload in payloads]
        return payloads

    def _screen(
        self, provider: Provider, asked: str, payloads: tuple[Payload, ...], told: Told,
        place: int, start: dt.date, held: pd.DataFrame | None,
    ) -> Screened:  # fmt: skip
        series = told.series
        table = provider.parse(asked, payloads)
        return screen(
            series.folder, series.name, table, held, now=self.now,
            is_crypto=series.name in self.store.crypto,
            released=self._checked(told, place, start, table),
        )  # fmt: skip

    def _checked(
        self, told: Told, place: int, start: dt.date, table: pd.DataFrame
    ) -> list[np.datetime64]:
        """Compare prices with the next source; return the leaps that both have."""
        series = told.series
        if series.folder != "prices" or place + 1 >= len(series.asked):
            return []
        name, asked = series.asked[place + 1]
        try:
            other = self.providers.of(name)
            payloads = self.providers.ask(name, asked, start, self.today)
            if not payloads:
                return []
            second = other.parse(asked, payloads)
        except RiskonError as error:
            told.failures.append(f"not compared: {error}")
            return []
        kind = "crypto" if series.name in self.store.crypto else "equity"
        tables = {told.series.asked[place][0]: table, name: second}
        told.agreement = cross_check(series.label, tables, TOLERANCES[kind])
        return _leaps(table, told.agreement)

    def _members(self, provider: Provider, asked: str, hashes: list[str]) -> Feed:
        """Return the members by all snapshots that changed them, those of earlier runs included."""
        before = _last_record(self.store)
        earlier: tuple[Payload, ...] = ()
        start = self.today - dt.timedelta(days=OVERLAP_DAYS)
        if before is not None and before.source == provider.name:
            contents = [read_payload(self.store.root, sha256) for sha256 in before.payloads]
            earlier = payloads_of(before, contents)
        payloads = self._download(provider, asked, start, hashes)
        every = (*earlier, *(p for p in payloads if p.sha256 not in {e.sha256 for e in earlier}))
        if not every:
            return Feed(*MEMBERS, provider.name, ())
        snapshots = provider.parse(asked, every)
        accepted, kept_out = screen_snapshots(snapshots)
        hashes[:] = [self.store.keep(payload.content) for payload in every]
        return members_feed(provider, asked, every, hashes, accepted, kept_out)


def summarise(store: Store, every: Sequence[Told], form: str) -> None:
    """Print a row a series: new rows, revisions, quarantine, gaps, staleness, disagreement."""
    rows = [told.row() for told in every]
    if form != "table":
        out.print_rows(rows, form)
    else:
        columns = ["series", "source", "new", "revised", "quarantined", "gaps", "differs"]
        texts = [[str(row[name]) for name in columns] for row in rows]
        totals = (str(sum(int(row[name]) for row in rows)) for name in columns[2:])
        out.print_table(f"Into {store.root}", columns, [*texts, ["total", "", *totals]])
    for told in every:
        if told.stale:
            out.note(f"stale: {told.stale}")
        if told.agreement is not None and not told.agreement.agrees:
            out.note(f"differs: {told.agreement}")
        if not told.failed:
            for failure in told.failures:
                out.note(f"{told.series.label}: {failure}")


def _held(store: Store) -> Market | None:
    """Return what the store holds, or None where it holds no prices yet."""
    try:
        return store.read()
    except DataUnavailableError:
        return None


def _last_record(store: Store) -> FeedRecord | None:
    records = [
        record
        for batch in store.catalog.batches()
        for record in store.catalog.feeds(batch.sequence)
        if (record.folder, record.name) == MEMBERS
    ]
    return records[-1] if records else None


def _nothing(
    series: LiveSeries, source: str, hashes: Sequence[str], refused: Sequence[Quarantined]
) -> Feed:
    layout = LAYOUTS[series.folder]
    columns: Mapping[str, pd.Series] = {
        name: pd.Series([], dtype="float64") for name in layout.columns
    }
    table = pd.DataFrame(columns).assign(
        date=pd.Series([], dtype="datetime64[us]"),
        available_at=pd.Series([], dtype="datetime64[us, UTC]"),
    )[list(layout.columns)]
    return Feed(
        series.folder, series.name, source, tuple(hashes), table=table,
        detail="refused", quarantined=tuple(refused),
    )  # fmt: skip


def _leaps(table: pd.DataFrame, agreement: Agreement) -> list[np.datetime64]:
    """Return the days on which a price leaps and the second source does not disagree."""
    closes = table.drop_duplicates("date", keep="last").set_index("date")
    price = closes["adj_close"].fillna(closes["close"])
    steps = np.log(price.where(price > 0)).diff()
    differ = set(agreement.disagreements["date"])
    alone = set(agreement.only_first)
    return [
        np.datetime64(day, "us")
        for day in steps.index[steps.abs() > LEAP]
        if day not in differ and day not in alone
    ]
