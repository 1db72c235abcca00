"""A market directory as feeds: each file kept as it is, then parsed like ``files`` does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sources import calendars, cells
from sources.constituents import build_members, build_panel
from sources.errors import DataUnavailableError, SchemaError
from sources.files import price_files
from sources.gates import screen, screen_panel
from sources.market import Panel
from sources.raw_files import RawFile, decode_file, read_bytes, symbol_files
from sources.schemas import LAYOUTS
from sources.store.catalog import FeedRecord
from sources.store.feeds import (
    CLOSES,
    MEMBERS,
    Feed,
    Quarantined,
    keys_of,
    quarantined_rows,
    without,
)
from sources.store.store import Store
from sources.tables import build_table

SOURCE = "files"


def directory_files(root: Path) -> list[tuple[str, str, Path]]:
    """Return folder, name and path of every file of a market directory that a store takes.

    Raises
    ------
    DataUnavailableError
        Where it is no market directory.
    SchemaError
        Where a symbol has two files.
    """
    found = [("prices", symbol, path) for symbol, path in price_files(root).items()]
    for folder in (*(kind for kind in LAYOUTS if kind != "prices"), "constituents"):
        paths = symbol_files(root, folder)
        wanted = {name for _, name in (CLOSES, MEMBERS)}
        found += [
            (folder, name, path)
            for name, path in paths.items()
            if folder != "constituents" or name in wanted
        ]
    return found


def directory_feeds(store: Store, root: Path) -> Iterator[Feed]:
    """Yield the feed of each file of a market directory, its bytes kept in the store first.

    Raises
    ------
    DataUnavailableError
        Where it is no market directory, or a file cannot be read.
    SchemaError
        Where a file is not what its layout says; names file, column and row.
    """
    now = store.clock()
    for folder, name, path in directory_files(root):
        payload = read_bytes(root, path)
        sha256 = store.keep(payload)
        detail = json.dumps(
            {"file": path.relative_to(root).as_posix(), "crypto": name in store.crypto}
        )
        record = FeedRecord(folder, name, SOURCE, detail, (sha256,))
        yield parse_file(record, [payload], now)


def parse_file(record: FeedRecord, payloads: Sequence[bytes], now: datetime) -> Feed:
    """Parse the bytes of a file into its feed; the same bytes and instant give the same feed.

    Raises
    ------
    SchemaError
        Where the file is not what its layout says; names file, column and row.
    """
    detail = json.loads(record.detail)
    file = decode_file(payloads[0], detail["file"])
    today = calendars.to_us(pd.Timestamp(now).tz_convert("UTC").tz_localize(None)).to_datetime64()
    table: pd.DataFrame | None = None
    panel: Panel | None = None
    stated: np.ndarray | bool = False
    kept_out = detail.get("kept_out", [])
    if (record.folder, record.name) == CLOSES:
        panel = build_panel(file, today)
        if kept_out:
            keep = ~np.isin(panel.dates, np.array([day for day, _ in kept_out], "datetime64[us]"))
            panel = replace(
                panel, dates=panel.dates[keep], closes=panel.closes[keep],
                available_at=panel.available_at[keep],
            )  # fmt: skip
        stated = _stated(file, panel.dates, panel.available_at)
    elif (record.folder, record.name) == MEMBERS:
        table = build_members(file)
    else:
        layout = LAYOUTS[record.folder]
        file = _in_order(file)
        table = build_table(
            file, layout, record.name, is_crypto=bool(detail["crypto"]), today=today
        )
        table = without(table, kept_out)
        known = table["available_at"].dt.tz_localize(None).to_numpy()
        stated = _stated(file, table["date"].to_numpy(), known)
    return Feed(
        record.folder, record.name, record.source, record.payloads, table, panel, stated,
        record.detail, checked=True,
    )  # fmt: skip


def screened_file(feed: Feed, now: datetime, crypto: Sequence[str]) -> Feed:
    """Put a feed through the gates: what fails is left out, and told in its quarantine.

    A file states its own clock and history, so it is screened by itself and not against the
    store, whose rules of arrival keep the past as it was.
    """
    detail, instant = json.loads(feed.detail), pd.Timestamp(now)
    if feed.panel is not None:
        panel, failed = screen_panel(feed.panel)
        if failed.empty:
            return feed
        kept = np.isin(feed.panel.dates, panel.dates)
        detail["kept_out"] = keys_of(failed)
        return replace(
            feed, panel=panel, stated=np.broadcast_to(feed.stated, len(kept))[kept],
            detail=json.dumps(detail), quarantined=quarantined_rows(failed),
        )  # fmt: skip
    if feed.table is None or feed.folder not in LAYOUTS:
        return feed
    try:
        screened = screen(
            feed.folder, feed.name, feed.table, now=instant, is_crypto=feed.name in crypto,
            own_clock=True,
        )  # fmt: skip
    except DataUnavailableError as error:
        return replace(
            feed, table=feed.table.iloc[:0], stated=False, quarantined=(Quarantined(str(error)),)
        )
    if screened.quarantined.empty:
        return feed
    detail["kept_out"] = keys_of(screened.quarantined)
    table = without(feed.table, detail["kept_out"])
    kept = pd.MultiIndex.from_frame(feed.table[["date", "available_at"]]).isin(
        pd.MultiIndex.from_frame(table[["date", "available_at"]])
    )
    return replace(
        feed, table=table, stated=np.broadcast_to(feed.stated, len(kept))[kept],
        detail=json.dumps(detail), quarantined=quarantined_rows(screened.quarantined),
    )  # fmt: skip


def _stated(file: RawFile, dates: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return which rows (n,) became available when the file itself says."""
    if "available_at" not in file.table.column_names:
        return np.zeros(len(dates), dtype=bool)
    date = cells.days(file.table["date"], file.place("date"))
    own = cells.instants(file.table["available_at"], file.place("available_at"))
    there = pd.MultiIndex.from_arrays([date[~np.isnat(own)], own[~np.isnat(own)]])
    found: np.ndarray = pd.MultiIndex.from_arrays([dates, known]).isin(there)
    return found


def _in_order(file: RawFile) -> RawFile:
    """Return a file with its rows by date and availability, each once, whatever their order.

    Messages name a row of such a file by its place after sorting, and say so.
    """
    names = file.table.column_names
    if "date" not in names:
        return file
    date = cells.days(file.table["date"], file.place("date"))
    if (date[1:] > date[:-1]).all():
        return file
    known = np.zeros(len(date), dtype="datetime64[us]")
    if "available_at" in names:
        known = cells.instants(file.table["available_at"], file.place("available_at"))
    same, later = date[1:] == date[:-1], known[1:] > known[:-1]
    if ((date[1:] > date[:-1]) | (same & later)).all():
        return file
    order = np.lexsort((known, date))
    table = file.table.take(pa.array(order))
    texts = [pc.fill_null(column.cast(pa.string()), "") for column in table.columns]
    rows = pc.binary_join_element_wise(*texts, ",").to_pylist()
    keep = [i for i, row in enumerate(rows) if row not in set(rows[max(i - 8, 0) : i])]
    return RawFile(f"{file.source} (sorted)", table.take(pa.array(keep)), file.first_row)


def refuse_parse(record: FeedRecord, payloads: Sequence[bytes], now: datetime) -> Feed:
    """Parse what ``files`` read, and refuse all else: its provider's parser is not here."""
    if record.source == SOURCE:
        return parse_file(record, payloads, now)
    raise SchemaError(
        f"{record.folder}/{record.name}", expected=f"source {SOURCE}", found=record.source
    )
