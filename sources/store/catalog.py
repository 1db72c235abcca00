"""The manifest as the store reads and writes it: batches, what they read, and segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, Engine, func, select

from sources.crashpoints import crashpoint
from sources.store.comparison import Change
from sources.store.database import reading, writing
from sources.store.lock import Held
from sources.store.manifest import BATCHES, FEEDS, QUARANTINE, SEGMENTS
from sources.store.segments import Segment


@dataclass(frozen=True)
class Batch:
    """One ingest that brought something.

    Attributes
    ----------
    sequence : 1 for the first.
    ingested_at : instant, UTC; each later than the one before.
    rows, revisions : how many it brought.
    content_sha256 : of its rows.
    """

    sequence: int
    ingested_at: datetime
    rows: int
    revisions: int
    content_sha256: str


@dataclass(frozen=True)
class FeedRecord:
    """What a batch read: enough to parse the same payloads again."""

    folder: str
    name: str
    source: str
    detail: str
    payloads: tuple[str, ...]


@dataclass(frozen=True)
class QuarantinedRow:
    """A row that a batch kept out, with its reason."""

    sequence: int
    folder: str
    name: str
    event_date: date | None
    reason: str
    found: str
    payload_sha256: str


class Catalog:
    """The manifest of one store."""

    def __init__(self, engine: Engine, store_id: str) -> None:
        self.engine, self.store_id = engine, store_id

    def batches(self) -> tuple[Batch, ...]:
        """Return all batches, from the first to the last."""
        asked = select(BATCHES).where(BATCHES.c.store_id == self.store_id)
        with reading(self.engine) as connection:
            rows = connection.execute(asked.order_by(BATCHES.c.sequence)).all()
        return tuple(
            Batch(r.sequence, r.ingested_at, r.rows, r.revisions, r.content_sha256) for r in rows
        )

    def last(self) -> Batch | None:
        """Return the last batch, or None before there is one."""
        batches = self.batches()
        return batches[-1] if batches else None

    def feeds(self, sequence: int) -> tuple[FeedRecord, ...]:
        """Return what a batch read."""
        asked = select(FEEDS).where(FEEDS.c.store_id == self.store_id, FEEDS.c.sequence == sequence)
        with reading(self.engine) as connection:
            rows = connection.execute(asked.order_by(FEEDS.c.position)).all()
        return tuple(
            FeedRecord(r.folder, r.name, r.source, r.detail, tuple(r.payloads.split()))
            for r in rows
        )

    def segments(self) -> tuple[Segment, ...]:
        """Return the segments that hold the rows, by batch."""
        asked = select(SEGMENTS).where(SEGMENTS.c.store_id == self.store_id)
        order = (SEGMENTS.c.first_sequence, SEGMENTS.c.name)
        with reading(self.engine) as connection:
            rows = connection.execute(asked.order_by(*order)).all()
        return tuple(
            Segment(r.name, r.kind, r.first_sequence, r.last_sequence, r.rows, r.sha256)
            for r in rows
        )

    def quarantine(self) -> tuple[QuarantinedRow, ...]:
        """Return all rows that were kept out, from the first batch to the last."""
        table = QUARANTINE.c
        asked = select(QUARANTINE).where(table.store_id == self.store_id)
        with reading(self.engine) as connection:
            rows = connection.execute(asked.order_by(table.sequence, table.position)).all()
        return tuple(
            QuarantinedRow(
                r.sequence, r.folder, r.name, r.event_date, r.reason, r.found, r.payload_sha256
            )
            for r in rows
        )

    def append(
        self,
        held: Held,
        batch: Batch,
        changes: Sequence[Change],
        segments: Sequence[Segment],
        quarantined: Sequence[QuarantinedRow],
    ) -> None:
        """Write a batch and its segments, all at once: from here on readers see them."""
        with writing(self.engine, f"store {self.store_id}") as connection:
            held.check(connection)
            connection.execute(
                BATCHES.insert().values(
                    store_id=self.store_id,
                    sequence=batch.sequence,
                    ingested_at=batch.ingested_at,
                    rows=batch.rows,
                    revisions=batch.revisions,
                    content_sha256=batch.content_sha256,
                )
            )
            for position, change in enumerate(c for c in changes if c.stored):
                feed = change.feed
                connection.execute(
                    FEEDS.insert().values(
                        store_id=self.store_id,
                        sequence=batch.sequence,
                        position=position,
                        folder=feed.folder,
                        name=feed.name,
                        source=feed.source,
                        detail=feed.detail,
                        payloads=" ".join(feed.payloads),
                    )
                )
            for position, row in enumerate(quarantined):
                connection.execute(
                    QUARANTINE.insert().values(
                        store_id=self.store_id,
                        sequence=batch.sequence,
                        position=position,
                        folder=row.folder,
                        name=row.name,
                        event_date=row.event_date,
                        reason=row.reason,
                        found=row.found,
                        payload_sha256=row.payload_sha256,
                    )
                )
            self._insert(connection, segments)
            crashpoint("in_manifest")

    def swap(self, held: Held, gone: Sequence[Segment], written: Sequence[Segment]) -> None:
        """Put segments with the same rows in the place of others, all at once."""
        with writing(self.engine, f"store {self.store_id}") as connection:
            held.check(connection)
            for segment in gone:
                connection.execute(
                    SEGMENTS.delete().where(
                        SEGMENTS.c.store_id == self.store_id, SEGMENTS.c.name == segment.name
                    )
                )
            self._insert(connection, written)
            crashpoint("in_manifest")

    def database_clock(self) -> datetime:
        """Return the database's own time."""
        with reading(self.engine) as connection:
            now: datetime = connection.execute(select(func.now())).scalar_one()
        return now

    def _insert(self, connection: Connection, segments: Sequence[Segment]) -> None:
        for segment in segments:
            connection.execute(
                SEGMENTS.insert().values(
                    store_id=self.store_id,
                    name=segment.name,
                    kind=segment.kind,
                    first_sequence=segment.first_sequence,
                    last_sequence=segment.last_sequence,
                    rows=segment.rows,
                    sha256=segment.sha256,
                )
            )
