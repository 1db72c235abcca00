"""``riskon ingest --source live``: ask, keep the raw answer, screen it, add it to the store."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from riskon import output as out
from riskon.ingest import add, mended
from riskon.live_members import ask_members
from riskon.live_providers import Providers, deployment_of
from riskon.live_summary import Told, summarise
from riskon.settings import Settings
from riskon.wiring import crypto_universe, open_store, progress
from sources.errors import (
    DataUnavailableError,
    ProviderUnavailableError,
    RiskonError,
    SchemaError,
    UnknownNameError,
)
from sources.gates import Screened, screen
from sources.live import TOLERANCES, Client, Clock, Limits, Provider, cross_check
from sources.live.crosscheck import confirmed_leaps
from sources.live.ishares import described_funds
from sources.live.provider import Payload
from sources.live.reading import STATED_BY_SOURCE, refused_feed, screened_feed
from sources.live.series import LiveSeries, chosen_series, live_series, without_provider
from sources.schemas import LAYOUTS
from sources.store import Change, Feed, Quarantined, Store

OVERLAP_DAYS = 14
"""Asked for again each time, so that a revision of the last two weeks is seen."""


def ingest_live(
    where: Settings,
    market: Path | None,
    names: Sequence[str],
    form: str,
    clock: Clock | None = None,
    limits: Limits | None = None,
) -> None:
    """Bring the newest rows of live series into the store, a class of series at a time.

    What a class brought is in the store before the next is asked for: a run that is cut short
    is taken up by the next. A series that fails stops no other.

    Parameters
    ----------
    where : settings: where providers are, and their keys.
    market : store to fill, made where it is not there yet.
    names : series to ask for, all by default.
    form : of the summary, ``table``, ``json`` or ``csv``.
    clock : the system's by default.
    limits : of time, size and patience with each question.

    Raises
    ------
    UnknownNameError
        For a series that nobody provides.
    DataUnavailableError
        At the end, where series failed; lists them.
    """
    clock = clock or Clock()
    funds = tuple(described_funds(where.funds))
    asked = chosen_series(live_series(crypto_universe(where), funds), names)
    if "fred" not in where.live_keys and any(series.folder == "macro" for series in asked):
        out.note("RISKON_FRED_API_KEY is not set: macro series without their vintages")
        asked = without_provider(asked, "fred")
    store = open_store(market or where.market_directory, where, create=True)
    store.clock = clock.now
    every: list[Told] = []
    with Client(limits, clock) as client, progress("asking", len(asked)) as advance:
        providers = Providers(client, deployment_of(where))
        for _, members in groupby(asked, lambda series: (series.folder, series.asked[0][0])):
            run = _Run(store, providers, pd.Timestamp(clock.now()))
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


class _Run:
    """One class of series: asked, screened and added in one batch."""

    def __init__(self, store: Store, providers: Providers, now: pd.Timestamp) -> None:
        self.store, self.providers, self.now = store, providers, now
        self.today = now.date()
        self.held: dict[str, pd.DataFrame] = {}

    def bring(self, asked: Sequence[LiveSeries], advance: Callable[[str], None]) -> list[Told]:
        """Ask for some series, add what came, and tell of each."""
        folder = asked[0].folder
        parse = self.providers.parse()
        if folder in LAYOUTS:
            self.held = mended(self.store, parse, lambda: self.store.tables(folder))
        every: list[Told] = []
        feeds: list[Feed] = []
        for series in asked:
            told = Told(series)
            feed = self._ask(told)
            if feed is not None and feed.payloads:  # without any, nothing is finished yet
                feeds.append(feed)
            every.append(told)
            advance(series.label)
        if not feeds:
            return every
        changes = {c.feed.label: c for c in add(self.store, feeds, parse).changes}
        whole = [told for told in every if _rebased(changes, told)]
        feeds = [feed for told in whole if (feed := self._ask(told, whole=True)) is not None]
        if feeds := [feed for feed in feeds if feed.payloads]:
            changes |= {c.feed.label: c for c in add(self.store, feeds, parse).changes}
        for told in every:
            told.change = changes.get(told.series.label)
            if told in whole and not told.failed and not _rebased(changes, told):
                told.notes.append("on another basis for the store; its whole history came again")
            if told.change is not None and told.change.rebased:
                told.failed = True
                told.failures.append(
                    f"{told.source}: needed its whole history, as it stands on another basis than "
                    f"what is held; found {', '.join(told.change.rebased)}"
                )
        return every

    def _ask(self, told: Told, *, whole: bool = False) -> Feed | None:
        """Return the feed of the first provider whose answer passes, or of what it kept out."""
        series = told.series
        refused: list[Quarantined] = []
        kept: list[str] = []
        for place, (name, asked) in enumerate(series.asked):
            hashes: list[str] = []
            try:
                provider = self.providers.of(name)
                feed = self._from(provider, asked, told, place, hashes, whole=whole)
            except (DataUnavailableError, SchemaError, UnknownNameError) as error:
                told.failures.append(str(error))
                if hashes and not isinstance(error, ProviderUnavailableError):
                    refused.append(Quarantined(str(error), payload_sha256=hashes[-1]))
            else:
                told.source = name
                # What the providers before it sent is told too.
                quarantined = (*refused, *feed.quarantined)
                return replace(feed, quarantined=quarantined) if feed.payloads else feed
            kept += hashes
        told.failed = True
        if refused and series.folder in LAYOUTS:
            # What could not be used is told by `--explain`, and its payload is kept.
            return refused_feed(series.folder, series.name, series.asked[0][0], kept, refused)
        return None

    def _from(
        self, provider: Provider, asked: str, told: Told, place: int, hashes: list[str],
        *, whole: bool,
    ) -> Feed:  # fmt: skip
        series = told.series
        if series.folder == "constituents":
            start = self.today - dt.timedelta(days=OVERLAP_DAYS)
            days = (start, self.today)
            return ask_members(self.store, self.providers, provider, asked, days, told)
        held = self.held.get(series.name)
        start = series.start
        # Who stands in for another brings new days; what is held is not theirs to revise.
        known = held["date"].max() if place and held is not None and len(held) else None
        if whole:
            held = None
        since = None
        if held is not None and len(held):
            recent = held["date"].max().date() - dt.timedelta(days=OVERLAP_DAYS)
            if provider.name in STATED_BY_SOURCE:
                # It says when it said what: what was revised since is asked for, however old.
                since = self._heard(series, provider.name, recent)
            else:
                start = recent
        payloads = self._download(provider, asked, start, hashes, since)
        if not payloads:
            return Feed(series.folder, series.name, provider.name, ())
        screened = self._screen(provider, asked, payloads, told, place, start, held)
        if (factor := screened.rebased) is not None:
            if place:
                raise DataUnavailableError(
                    f"{provider.name} {asked}: needed the basis of the history held from another "
                    f"source, which a stand-in may not restate; found it x {factor:.6g}",
                    source=f"{provider.name} {asked}",
                )
            # Split, or paid a dividend: history as held and as it is now are two adjustments.
            payloads = self._download(provider, asked, series.start, hashes)
            screened = self._screen(provider, asked, payloads, told, place, series.start, None)
            told.notes.append(f"on another basis (x {factor:.6g}); its whole history came again")
        told.gaps, told.stale = len(screened.gaps), screened.stale
        return screened_feed(
            series.folder, series.name, provider, asked, payloads, screened, hashes, known
        )

    def _heard(self, series: LiveSeries, source: str, otherwise: dt.date) -> dt.date:
        """Return the day since which a source's word on a series may not be held, with overlap."""
        for batch in reversed(self.store.catalog.batches()):
            for record in self.store.catalog.feeds(batch.sequence):
                if (record.folder, record.name, record.source) == (
                    series.folder,
                    series.name,
                    source,
                ):
                    return batch.ingested_at.date() - dt.timedelta(days=OVERLAP_DAYS)
        return otherwise

    def _download(
        self, provider: Provider, asked: str, start: dt.date, hashes: list[str],
        since: dt.date | None = None,
    ) -> tuple[Payload, ...]:  # fmt: skip
        """Ask, and keep what comes before anyone tries to read it."""
        payloads = self.providers.ask(provider.name, asked, start, self.today, since)
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
            is_crypto=series.name in self.store.crypto, stands_in=place > 0,
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
            told.notes.append(f"not compared: {error}")
            return []
        kind = "crypto" if series.name in self.store.crypto else "equity"
        tables = {series.asked[place][0]: table, name: second}
        told.agreement = cross_check(series.label, tables, TOLERANCES[kind])
        return confirmed_leaps(table, told.agreement)


def _rebased(changes: Mapping[str, Change], told: Told) -> bool:
    """Tell whether the store refused a series, as it stands on another basis than what is held."""
    change = changes.get(told.series.label)
    return change is not None and bool(change.rebased)
