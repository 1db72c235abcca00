"""The store: every datum with the instant it became available and the instant it came.

::

    store.json            what this directory is: its format, its id, where its manifest is
    manifest.db           the manifest, unless a database server holds it
    segments/*.parquet    rows, never changed; what the manifest does not name is not there
    raw/<sha256>.zst      what the sources sent, byte for byte
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from sqlalchemy import Engine

from sources.crashpoints import crashpoint
from sources.errors import DataUnavailableError, IntegrityError, RefusedError
from sources.market import CRYPTO_UNIVERSE, Market, Panel
from sources.store.catalog import Batch, Catalog, FeedRecord, QuarantinedRow
from sources.store.comparison import Change, compare, kinds_of
from sources.store.durable import sweep
from sources.store.feeds import Feed
from sources.store.lock import Held, exclusive
from sources.store.marker import Marker
from sources.store.payloads import keep_payload, read_payload
from sources.store.rows import BLOCK, PANEL_KINDS, Rows
from sources.store.segments import FOLDER, Segment, read_segment, write_segments
from sources.store.views import as_table, by_series, market_of, panel_of

CLOCK_SLACK = timedelta(minutes=5)
"""A clock further behind the last batch than this is wrong."""

MOST_SEGMENTS = 48
"""With more of them than this, blocks not counted, an ingest ends with a compaction."""

_TRIES = 5
_OURS = re.compile(r"[0-9]{6}-[a-z]+-[0-9a-f]{12}\.parquet")

Parse = Callable[[FeedRecord, Sequence[bytes], datetime], Feed]
"""From what a batch read, its payloads, and the instant it was read at, to the feed it made."""


@dataclass(frozen=True)
class Ingested:
    """What an ingest did.

    Attributes
    ----------
    batch : its record; None where the feeds said nothing new.
    changes : of each feed, by folder and name.
    """

    batch: Batch | None
    changes: tuple[Change, ...]


class Store:
    """A point-in-time store in a directory.

    Parameters
    ----------
    root : its directory, with a ``store.json``.
    engine : of the database that holds the manifest, migrated.
    crypto : symbols that trade every day.
    clock : the current instant.
    """

    def __init__(
        self,
        root: Path,
        engine: Engine,
        *,
        crypto: Sequence[str] = CRYPTO_UNIVERSE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.root = root
        self.marker = Marker.read(root)
        self.catalog = Catalog(engine, self.marker.store_id)
        self.crypto = tuple(crypto)
        self.clock = clock

    def keep(self, payload: bytes) -> str:
        """Keep a raw payload, before it is parsed; return its sha256.

        Raises
        ------
        OSError
            Where it cannot be written.
        """
        return keep_payload(self.root, payload)

    def ingest(
        self, feeds: Sequence[Feed], advance: Callable[[str], None] = lambda _: None
    ) -> Ingested:
        """Add what some feeds say that is not held yet, all of it or nothing.

        Asking again with the same feeds adds nothing. When each row became available is stated
        in :mod:`sources.store.arrivals`.

        Parameters
        ----------
        feeds : each of another series, in any order.
        advance : is told the name of each feed that was compared.

        Raises
        ------
        AlreadyRunningError
            Where another process is ingesting.
        SchemaError
            Where a feed contradicts itself or is not as its layout says.
        IntegrityError
            Where what is held is damaged; :meth:`rebuild` mends it.
        RefusedError
            Where the clock is behind the last batch.
        DataUnavailableError
            Where the manifest does not answer.
        OSError
            Where the directory cannot be written.
        """
        with exclusive(self.root, self.catalog.engine, self.marker.store_id) as held:
            self._sweep()
            last = self.catalog.last()
            instant = self._instant(last)
            rows = self._load(kinds_of(feeds))
            added, changes = compare(rows, feeds, _naive(instant), advance)
            sequence = 1 if last is None else last.sequence + 1
            kept_out = self._kept_out(sequence, feeds)
            if not added.count() and not kept_out:
                return Ingested(None, tuple(changes))
            segments = write_segments(self.root, added, sequence, sequence)
            batch = Batch(
                sequence,
                instant,
                sum(change.new for change in changes),
                sum(change.revised for change in changes),
                added.digest(),
            )
            crashpoint("before_manifest")
            self.catalog.append(held, batch, changes, segments, kept_out)
            crashpoint("after_manifest")
            if sum(s.kind != BLOCK for s in self.catalog.segments()) > MOST_SEGMENTS:
                self._compact(held)
            return Ingested(batch, tuple(changes))

    def read(
        self, as_of: pd.Timestamp | None = None, known_at: pd.Timestamp | None = None
    ) -> Market:
        """Return the market.

        Parameters
        ----------
        as_of : instant, with zone; no row that became available later is read.
        known_at : instant, with zone; no row that came to this store later is read.

        Raises
        ------
        DataUnavailableError
            Where the store holds no prices, or held none then.
        IntegrityError
            Where a segment is damaged; names it.
        """
        moment = None if known_at is None else _naive(known_at)
        rows = self._load(None, moment)
        market = market_of(rows, moment, self.crypto, str(self.root))
        if not market.prices:
            batches = self.catalog.batches()
            if known_at is not None and batches:
                first = batches[0].ingested_at.isoformat(timespec="seconds")
                raise DataUnavailableError(
                    f"{self.root}: needed prices that had come by {known_at.isoformat()}; found "
                    f"the first batch at {first}; ask for an instant after it",
                    source=str(self.root),
                )
            raise DataUnavailableError(
                f"{self.root}: needed prices in the store; found none; bring some in with "
                "`riskon ingest`",
                source=str(self.root),
            )
        return market if as_of is None else market.as_of(as_of)

    def read_panel(
        self, as_of: pd.Timestamp | None = None, known_at: pd.Timestamp | None = None
    ) -> Panel | None:
        """Return the constituents alone, as :meth:`read` does; None where none came."""
        moment = None if known_at is None else _naive(known_at)
        panel = panel_of(self._load(PANEL_KINDS, moment), moment)
        return panel if panel is None or as_of is None else panel.as_of(as_of)

    def tables(self, folder: str) -> dict[str, pd.DataFrame]:
        """Return series -> its rows with all vintages, of one folder alone.

        Raises
        ------
        IntegrityError
            Where a segment is damaged; names it.
        """
        frame = self._load((folder,)).frame(folder)
        return {series: as_table(rows) for series, rows in by_series(frame).items()}

    def signature(self) -> object:
        """Return what changes when a batch is added: read again where it differs."""
        last = self.catalog.last()
        return None if last is None else (last.sequence, last.content_sha256)

    def compact(self) -> int:
        """Merge the segments of each kind into one, and return how many are gone.

        No answer changes: rows keep their instants and their origin.
        """
        with exclusive(self.root, self.catalog.engine, self.marker.store_id) as held:
            self._sweep()
            return self._compact(held)

    def rebuild(self, parse: Parse) -> int:
        """Make all segments again from the raw payloads, batch by batch; return how many batches.

        Each batch must give the rows it gave when it came, to the bit.

        Raises
        ------
        IntegrityError
            Where a payload is damaged too, or a batch gives other rows.
        """
        with exclusive(self.root, self.catalog.engine, self.marker.store_id) as held:
            rows = Rows()
            batches = self.catalog.batches()
            for batch in batches:
                feeds = [
                    parse(
                        record,
                        [read_payload(self.root, sha256) for sha256 in record.payloads],
                        batch.ingested_at,
                    )
                    for record in self.catalog.feeds(batch.sequence)
                ]
                added, _ = compare(rows, feeds, _naive(pd.Timestamp(batch.ingested_at)))
                found = added.digest()
                if found != batch.content_sha256:
                    raise IntegrityError(
                        f"{self.root}, batch {batch.sequence} made again from raw payloads",
                        expected=f"rows of sha256 {batch.content_sha256}",
                        found=found,
                    )
                rows.extend(added)
            if batches:
                self._swap(held, self.catalog.segments(), rows, 1, batches[-1].sequence)
            return len(batches)

    def verify(self) -> int:
        """Read every segment and every payload that a batch names; return how many there are.

        Raises
        ------
        IntegrityError
            Names the first file that is not what was written.
        """
        segments = self.catalog.segments()
        for segment in segments:
            read_segment(self.root, segment, Rows())
        payloads = {
            sha256
            for batch in self.catalog.batches()
            for record in self.catalog.feeds(batch.sequence)
            for sha256 in record.payloads
        }
        for sha256 in sorted(payloads):
            read_payload(self.root, sha256)
        return len(segments) + len(payloads)

    def _load(self, kinds: Sequence[str] | None, known_at: np.datetime64 | None = None) -> Rows:
        """Read the segments of some kinds, all by default, that hold rows known at an instant."""
        first_unknown = np.inf
        if known_at is not None:
            later = [b.sequence for b in self.catalog.batches() if _naive(b.ingested_at) > known_at]
            first_unknown = min(later, default=np.inf)
        for attempt in range(_TRIES):
            segments = self.catalog.segments()
            rows = Rows()
            try:
                for segment in segments:
                    if kinds is not None and segment.kind not in kinds:
                        continue
                    if segment.first_sequence < first_unknown:
                        read_segment(self.root, segment, rows)
            except IntegrityError:
                # A compaction may have taken the file away since the manifest was read.
                if attempt + 1 == _TRIES or self.catalog.segments() == segments:
                    raise
            else:
                return rows
        raise AssertionError

    def _compact(self, held: Held) -> int:
        gone = [s for s in self.catalog.segments() if s.kind != BLOCK]
        several = {s.kind for s in gone if sum(o.kind == s.kind for o in gone) > 1}
        gone = [s for s in gone if s.kind in several]
        if not gone:
            return 0
        rows = Rows()
        for segment in gone:
            read_segment(self.root, segment, rows)
        first = min(s.first_sequence for s in gone)
        self._swap(held, gone, rows, first, max(s.last_sequence for s in gone))
        return len(gone)

    def _swap(self, held: Held, gone: Sequence[Segment], rows: Rows, first: int, last: int) -> None:
        written = write_segments(self.root, rows, first, last)
        crashpoint("before_manifest")
        self.catalog.swap(held, gone, written)
        crashpoint("after_manifest")
        for name in {s.name for s in gone} - {s.name for s in written}:
            (self.root / name).unlink(missing_ok=True)
            crashpoint("after_unlink")

    def _sweep(self) -> None:
        """Take away what an interrupted write left; a manifest without batches proves nothing."""
        named = {Path(segment.name).name for segment in self.catalog.segments()}
        sweep(self.root)
        if not named:
            return
        for path in (self.root / FOLDER).glob("*.parquet"):
            if path.name not in named and _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def _instant(self, last: Batch | None) -> pd.Timestamp:
        """Return the instant of a batch: now, and after the one before."""
        now = self.clock().astimezone(UTC)
        if last is not None and now <= last.ingested_at:
            if last.ingested_at - now > CLOCK_SLACK:
                raise RefusedError(
                    f"clock of this machine: needed a time after the last ingest, "
                    f"{last.ingested_at.isoformat()}; found {now.isoformat()}; set it right"
                )
            now = last.ingested_at + timedelta(microseconds=1)
        return pd.Timestamp(now).as_unit("us")

    def _kept_out(self, sequence: int, feeds: Sequence[Feed]) -> list[QuarantinedRow]:
        """Return the rows that the feeds kept out, and no batch before."""
        told = {
            (row.folder, row.name, row.event_date, row.reason, row.found)
            for row in self.catalog.quarantine()
        }
        found: list[QuarantinedRow] = []
        for feed in feeds:
            for row in feed.quarantined:
                day = None if row.event_date is None else row.event_date.date()
                if (feed.folder, feed.name, day, row.reason, row.found) not in told:
                    payload = row.payload_sha256 or (feed.payloads[-1] if feed.payloads else "")
                    found.append(
                        QuarantinedRow(
                            sequence, feed.folder, feed.name, day, row.reason, row.found, payload
                        )
                    )
        return found


def _naive(instant: datetime) -> np.datetime64:
    return np.datetime64(pd.Timestamp(instant).tz_convert("UTC").tz_localize(None), "us")
