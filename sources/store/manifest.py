"""The manifest: which batches there were, what they read, and which segments hold their rows.

A segment that is not in it does not exist. Batches and what they read are append-only;
segments are replaced by compaction, which changes no row.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, Integer, String, Table, Text

from sources.store.database import Instant, new_metadata

metadata = new_metadata()
"""Tables of the store. A server may hold those of many stores, each by its id."""

BATCHES = Table(
    "store_batches",
    metadata,
    Column("store_id", String(36), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("ingested_at", Instant, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("revisions", BigInteger, nullable=False),
    # Of the rows it brought, in order: a rebuild from raw payloads must give the same.
    Column("content_sha256", String(64), nullable=False),
)
FEEDS = Table(
    "store_feeds",
    metadata,
    Column("store_id", String(36), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("folder", String(32), nullable=False),
    Column("name", String(64), nullable=False),
    Column("source", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("payloads", Text, nullable=False),
)
SEGMENTS = Table(
    "store_segments",
    metadata,
    Column("store_id", String(36), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("first_sequence", Integer, nullable=False),
    Column("last_sequence", Integer, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
)
QUARANTINE = Table(
    "store_quarantine",
    metadata,
    Column("store_id", String(36), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("folder", String(32), nullable=False),
    Column("name", String(64), nullable=False),
    Column("event_date", Date),
    Column("reason", Text, nullable=False),
    Column("found", Text, nullable=False),
    Column("payload_sha256", String(64), nullable=False),
)
LOCKS = Table(
    "store_locks",
    metadata,
    Column("store_id", String(36), primary_key=True),
    Column("fence", Integer, nullable=False),
    Column("holder", String(64), nullable=False),
    Column("host", String(256), nullable=False),
    Column("heartbeat", Instant, nullable=False),
    Column("released", Boolean, nullable=False),
)
