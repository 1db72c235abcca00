"""The point-in-time store: what was known when, kept whole, and read back as it stood.

Not imported by :mod:`sources` itself: it needs SQLAlchemy, which pure rooms must not load.
"""

from sources.store.catalog import Batch, FeedRecord, QuarantinedRow
from sources.store.comparison import Change
from sources.store.directory import (
    directory_feeds,
    directory_files,
    parse_file,
    screened_file,
)
from sources.store.feeds import CLOSES, MEMBERS, Feed, Quarantined
from sources.store.marker import MANIFEST, Marker, is_store
from sources.store.store import Ingested, Parse, Store

__all__ = [
    "CLOSES",
    "MANIFEST",
    "MEMBERS",
    "Batch",
    "Change",
    "Feed",
    "FeedRecord",
    "Ingested",
    "Marker",
    "Parse",
    "Quarantined",
    "QuarantinedRow",
    "Store",
    "directory_feeds",
    "directory_files",
    "is_store",
    "parse_file",
    "screened_file",
]
