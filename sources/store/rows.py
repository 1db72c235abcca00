"""Rows as they are stored: the columns of each kind of segment, and what is held in memory.

Every row says which event it is of, when it became available, when it came, who said it, and the
sha256 of the raw payload it was read from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from sources.schemas import LAYOUTS

INSTANT = pa.timestamp("us", "UTC")
DAY = pa.timestamp("us")
NAME = pa.dictionary(pa.int32(), pa.string())

_CLOCK = (("available_at", INSTANT), ("ingested_at", INSTANT), ("stamped", pa.bool_()))
_ORIGIN = (("source", NAME), ("payload_sha256", NAME))

KINDS: Mapping[str, pa.Schema] = {
    **{
        kind: pa.schema(
            [
                ("series", NAME),
                ("event_date", DAY),
                *((name, pa.float64()) for name in layout.bounds),
                *_CLOCK,
                *_ORIGIN,
            ]
        )
        for kind, layout in LAYOUTS.items()
    },
    # A panel is kept as wide blocks of many sessions, and these two for what comes after.
    "sessions": pa.schema([("event_date", DAY), *_CLOCK, *_ORIGIN]),
    "cells": pa.schema(
        [("event_date", DAY), ("symbol", NAME), ("value", pa.float64()), *_CLOCK, *_ORIGIN]
    ),
    "members": pa.schema([("symbol", NAME), ("start", DAY), ("end", DAY), *_CLOCK, *_ORIGIN]),
}
"""Kind of segment -> its columns; blocks have one column a symbol instead."""

BLOCK = "block"
PANEL_KINDS = (BLOCK, "sessions", "cells", "members")


@dataclass(frozen=True)
class Block:
    """Many sessions of many constituents, as they arrived together.

    Attributes
    ----------
    dates : (n,) datetime64[us].
    symbols : (m,) tickers.
    closes : (n, m) float64.
    available_at : (n,) datetime64[us].
    ingested_at : datetime64[us], of all rows.
    source, payload_sha256 : of all rows.
    """

    dates: np.ndarray
    symbols: tuple[str, ...]
    closes: np.ndarray
    available_at: np.ndarray
    ingested_at: np.datetime64
    source: str
    payload_sha256: str


@dataclass
class Rows:
    """Rows of every kind: all that a store holds, or what one batch adds to it."""

    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def add(self, kind: str, table: pa.Table) -> None:
        """Append rows of a kind."""
        if len(table):
            self.tables.setdefault(kind, []).append(table)

    def extend(self, other: Rows) -> None:
        """Append all rows of another."""
        for kind, tables in other.tables.items():
            self.tables.setdefault(kind, []).extend(tables)
        self.blocks.extend(other.blocks)

    def table(self, kind: str) -> pa.Table:
        """Return the rows of a kind, in order of arrival."""
        tables = self.tables.get(kind)
        if not tables:
            return KINDS[kind].empty_table()
        return pa.concat_tables(tables).unify_dictionaries().combine_chunks()

    def frame(self, kind: str, known_at: np.datetime64 | None = None) -> pd.DataFrame:
        """Return the rows of a kind that had come by an instant, without their origin.

        Instants are naive UTC microseconds; names are categories.
        """
        table = self.table(kind).drop_columns([name for name, _ in _ORIGIN])
        columns = {name: _column(table[name]) for name in table.column_names}
        if known_at is not None:
            here = columns["ingested_at"] <= known_at
            columns = {name: column[here] for name, column in columns.items()}
        return pd.DataFrame(columns)

    def count(self) -> int:
        """Return how many rows there are, those of blocks included."""
        narrow = sum(len(table) for tables in self.tables.values() for table in tables)
        return narrow + sum(len(block.dates) for block in self.blocks)

    def digest(self) -> str:
        """Return the sha256 of all rows but their origin, in order."""
        total = hashlib.sha256()
        for kind in sorted(self.tables):
            total.update(f"{kind}\n".encode())
            frame = self.frame(kind)
            for name in frame.columns:
                column = frame[name]
                if isinstance(column.dtype, pd.CategoricalDtype):
                    total.update("\n".join(column.astype(str)).encode())
                else:
                    total.update(np.ascontiguousarray(column.to_numpy()).view("u1").data)
        for block in self.blocks:
            total.update(f"block {','.join(block.symbols)} {block.ingested_at}\n".encode())
            for array in (block.dates.view("i8"), block.available_at.view("i8"), block.closes):
                total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()


def make_table(kind: str, columns: Mapping[str, object]) -> pa.Table:
    """Return rows of a kind from arrays; a single text stands for a column of it."""
    schema = KINDS[kind]
    length = max(len(column) for column in columns.values() if isinstance(column, np.ndarray))
    arrays = []
    for name, column_type in zip(schema.names, schema.types, strict=True):
        column = columns[name]
        if isinstance(column, str):
            index = pa.array(np.zeros(length, dtype="int32"))
            arrays.append(pa.DictionaryArray.from_arrays(index, pa.array([column])))
        elif column_type == NAME:
            arrays.append(pa.array(column, pa.string()).dictionary_encode())
        else:
            arrays.append(pa.array(column, column_type))
    return pa.table(arrays, schema=schema)


def _column(values: pa.ChunkedArray) -> np.ndarray | pd.Categorical:
    chunk = values.combine_chunks()
    if isinstance(chunk, pa.ChunkedArray):
        chunk = chunk.chunk(0) if chunk.num_chunks else pa.array([], values.type)
    if pa.types.is_dictionary(values.type):
        codes = chunk.indices.to_numpy(zero_copy_only=False)
        return pd.Categorical.from_codes(codes, categories=chunk.dictionary.to_pylist())
    if pa.types.is_timestamp(values.type):
        column: np.ndarray = chunk.cast(DAY).to_numpy(zero_copy_only=False)
        return column
    plain: np.ndarray = chunk.to_numpy(zero_copy_only=False)
    return plain
