"""``riskon ingest`` and ``riskon export``: data into a point-in-time store, and out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from riskon import output as out
from riskon.live_providers import Providers, deployment_of
from riskon.settings import Settings
from riskon.wiring import open_store, progress
from sources.errors import DataUnavailableError, IntegrityError, RefusedError
from sources.files import write_market
from sources.live import Client
from sources.store import (
    Change,
    Feed,
    Ingested,
    Parse,
    Store,
    directory_feeds,
    directory_files,
    screened_file,
)

T = TypeVar("T")


def ingest(where: Settings, market: Path | None, directory: Path | None, form: str) -> None:
    """Bring a market directory into the store, through the gates, and print what changed.

    Raises
    ------
    RefusedError
        Where no directory is named.
    DataUnavailableError
        Where the gates refused a series whole, or one stands on another basis than the history
        held before its first date; all others are in the store.
    """
    if directory is None:
        raise RefusedError("--from: needed the market directory to read; found none")
    directory_files(directory)  # before a store is made for what is not there
    root = market or where.market_directory
    store = open_store(root, where, create=True)
    with progress("reading", len(directory_files(directory))) as advance:
        feeds = []
        for feed in directory_feeds(store, directory):
            advance(feed.label)
            feeds.append(screened_file(feed, store.clock(), store.crypto))
    # The store may hold what live sources sent too; to parse it again nobody is asked.
    with Client() as client:
        finish(store, feeds, Providers(client, deployment_of(where)).parse(), form)
    refused = [feed for feed in feeds if feed.refused]
    if refused:
        raise DataUnavailableError(
            f"{refused[0].quarantined[0].reason}; {len(refused)} series refused whole, all others "
            "are in the store; `riskon ingest --explain` lists them",
            source=refused[0].label,
        )


def finish(store: Store, feeds: Sequence[Feed], parse: Parse, form: str) -> Ingested:
    """Add feeds to the store, whatever their source, print the summary, and say what is refused.

    Parameters
    ----------
    store : to add to.
    feeds : parsed, with their payloads kept in the store.
    parse : makes each feed of the store again from its payloads, should a segment be damaged.
    form : of the summary, ``table``, ``json`` or ``csv``.

    Raises
    ------
    DataUnavailableError
        Where a series stands on another basis than the history held before its first date.
    """
    with progress("comparing", len(feeds)) as advance:
        ingested = add(store, feeds, parse, advance)
    print_summary(store, ingested, form)
    rebased = [name for change in ingested.changes for name in change.rebased]
    if rebased:
        raise DataUnavailableError(
            f"{len(rebased)} series on another basis than the history held before them: needed "
            f"their whole history; found {', '.join(rebased[:5])}",
            source=rebased[0],
        )
    return ingested


def add(
    store: Store,
    feeds: Sequence[Feed],
    parse: Parse,
    advance: Callable[[str], None] = lambda _: None,
) -> Ingested:
    """Add feeds to the store; make damaged segments again from the raw payloads first."""
    return mended(store, parse, lambda: store.ingest(feeds, advance))


def mended(store: Store, parse: Parse, act: Callable[[], T]) -> T:
    """Do something with a store; where a segment is damaged, make it again first and repeat."""
    try:
        return act()
    except IntegrityError as damage:
        out.note(f"{damage}; making the segments again from the raw payloads")
        batches = store.rebuild(parse)
        out.note(f"Made the segments of {batches} batch(es) again; nothing is lost.")
        return act()


def explain(where: Settings, market: Path | None, form: str) -> None:
    """Print what was kept out of the store, from the first batch to the last, and why."""
    store = open_store(market or where.market_directory, where)
    kept_out = store.catalog.quarantine()
    rows = [
        {
            "batch": row.sequence,
            "series": f"{row.folder}/{row.name}",
            "date": "" if row.event_date is None else row.event_date.isoformat(),
            "reason": row.reason,
            "found": row.found,
            "payload": row.payload_sha256,
        }
        for row in kept_out
    ]
    if form != "table":
        out.print_rows(rows, form)
        return
    if rows:
        texts = [[str(row[name]) for name in list(rows[0])[:-1]] for row in rows]
        out.print_table(f"Kept out of {store.root}", list(rows[0])[:-1], texts)
    out.note(f"{store.root}: {len(rows)} row(s) or feeds in quarantine.")


def compact(where: Settings, market: Path | None) -> None:
    """Merge the segments of the store."""
    gone = open_store(market or where.market_directory, where).compact()
    out.note(f"Merged {gone} segments." if gone else "Nothing to merge.")


def export(where: Settings, market: Path | None, directory: Path) -> None:
    """Write the store as a market directory that reads back to the same rows and vintages.

    Raises
    ------
    DataUnavailableError
        Where the directory holds something, or the panel has vintages, which its file cannot say.
    """
    store = open_store(market or where.market_directory, where)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise DataUnavailableError(
            f"{directory}: needed a new or empty directory to write a market to; found files",
            source=str(directory),
        )
    found = store.read()
    revisions = None if found.panel is None else found.panel.revisions
    write_market(found, directory)
    if revisions is not None:
        changed = len(revisions.rows) + len(revisions.members)
        out.note(
            f"constituents: {changed} revision(s) are left out: a panel's file holds one vintage; "
            "the last one was written"
        )
    out.note(f"Wrote {store.root} to {directory} (digest {found.digest()[:12]}...).")


def print_summary(store: Store, ingested: Ingested, form: str) -> None:
    """Print per series what is new and what was revised, and the totals."""
    rows = [_row(change) for change in ingested.changes]
    if form != "table":
        out.print_rows(rows, form)
    else:
        shown = [r for r in rows if r["new"] or r["revised"] or r["quarantined"] or r["refused"]]
        columns = ["series", "source", "new", "revised", "duplicates", "quarantined", "refused"]
        if shown:
            texts = [[str(row[name]) for name in columns] for row in shown]
            texts.append(["total", "", *(str(_total(rows, name)) for name in columns[2:6]), ""])
            out.print_table(f"Into {store.root}", columns, texts)
    new, revised = _total(rows, "new"), _total(rows, "revised")
    if ingested.batch is None:
        out.note(f"{store.root}: nothing new in {len(rows)} series.")
    else:
        out.note(
            f"{store.root}: batch {ingested.batch.sequence}, {new} new dates and {revised} "
            f"revisions in {len(rows)} series."
        )
    if kept_out := _total(rows, "quarantined"):
        out.note(f"{kept_out} row(s) or feeds kept out; `riskon ingest --explain` says why.")


def _row(change: Change) -> dict[str, str | int]:
    return {
        "series": change.feed.label,
        "source": change.feed.source,
        "new": change.new,
        "revised": change.revised,
        "duplicates": change.duplicates,
        "quarantined": len(change.feed.quarantined),
        "refused": ", ".join(change.rebased),
    }


def _total(rows: Iterable[dict[str, str | int]], name: str) -> int:
    return sum(int(row[name]) for row in rows)
