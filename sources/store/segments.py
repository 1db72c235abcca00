"""Segments: rows as parquet files with page checksums, known to the manifest by their sha256."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from sources.errors import IntegrityError
from sources.store.durable import write_durably
from sources.store.rows import BLOCK, DAY, INSTANT, NAME, Block, Rows

FOLDER = "segments"
_SESSION = "@event_date"
# A ticker never begins with @.
_BLOCK_CLOCK = ("@available_at", "@ingested_at")
_BLOCK_ORIGIN = ("@source", "@payload_sha256")
_AT_ONCE = 16
WORTH_THREADS = 1 << 22
"""Bytes from which a file is read faster by several threads."""


@dataclass(frozen=True)
class Segment:
    """A file of rows, as the manifest knows it.

    Attributes
    ----------
    name : path in the store, ``segments/...``.
    kind : of its rows, or ``block``.
    first_sequence, last_sequence : the batches that its rows came in.
    rows : how many.
    sha256 : of the file's bytes.
    """

    name: str
    kind: str
    first_sequence: int
    last_sequence: int
    rows: int
    sha256: str


def write_segments(root: Path, rows: Rows, first: int, last: int) -> list[Segment]:
    """Write rows as files that no manifest names yet; return what it is to know of them."""
    narrow = [(kind, rows.table(kind)) for kind in sorted(rows.tables)]
    wide = [(BLOCK, _block_table(block)) for block in rows.blocks]
    return [_write(root, kind, table, first, last) for kind, table in (*narrow, *wide)]


def read_segment(root: Path, segment: Segment, rows: Rows) -> None:
    """Add a segment's rows to some.

    Raises
    ------
    IntegrityError
        Where the file is gone, or its bytes are not those that were written.
    """
    from pyarrow import parquet

    try:
        content = (root / segment.name).read_bytes()
    except FileNotFoundError:
        raise IntegrityError(
            segment.name, expected=f"sha256 {segment.sha256}", found="no such file"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != segment.sha256:
        raise IntegrityError(segment.name, expected=f"sha256 {segment.sha256}", found=found)
    try:
        # Small ones on this thread: a process that ends while pyarrow's threads begin may abort.
        file = parquet.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        table = file.read(use_threads=len(content) >= WORTH_THREADS)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:80]
        raise IntegrityError(segment.name, expected="intact pages", found=reason) from None
    if segment.kind == BLOCK:
        rows.blocks.append(_block(table))
    else:
        rows.add(segment.kind, table)


def _write(root: Path, kind: str, table: pa.Table, first: int, last: int) -> Segment:
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    floats = [field.name for field in table.schema if field.type == pa.float64()]
    parquet.write_table(
        table,
        sink,
        compression="zstd",
        write_page_checksum=True,
        # Prices share their high bytes: split into streams they pack better, and read faster.
        use_dictionary=[f.name for f in table.schema if f.type != pa.float64()],
        use_byte_stream_split=floats,
    )
    content = memoryview(sink.getvalue())
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"{FOLDER}/{last:06d}-{kind}-{sha256[:12]}.parquet"
    write_durably(root / name, content)
    return Segment(name, kind, first, last, len(table), sha256)


def _block_table(block: Block) -> pa.Table:
    length = len(block.dates)
    index = pa.array(np.zeros(length, dtype="int32"))
    ingested = np.full(length, block.ingested_at, dtype="datetime64[us]")
    columns: dict[str, pa.Array] = {
        _SESSION: pa.array(block.dates, DAY),
        _BLOCK_CLOCK[0]: pa.array(block.available_at, INSTANT),
        _BLOCK_CLOCK[1]: pa.array(ingested, INSTANT),
    }
    for name, text in zip(_BLOCK_ORIGIN, (block.source, block.payload_sha256), strict=True):
        columns[name] = pa.DictionaryArray.from_arrays(index, pa.array([text])).cast(NAME)
    closes = np.ascontiguousarray(block.closes.T)
    for j, symbol in enumerate(block.symbols):
        columns[symbol] = pa.array(closes[j])
    return pa.table(columns)


def _block(table: pa.Table) -> Block:
    own = (_SESSION, *_BLOCK_CLOCK, *_BLOCK_ORIGIN)
    symbols = tuple(name for name in table.column_names if name not in own)
    columns = [table[symbol] for symbol in symbols]
    closes = np.empty((len(table), len(symbols)))
    # A few columns at a time turn into rows within the processor's cache.
    across = np.empty((_AT_ONCE, len(table)))
    for first in range(0, len(symbols), _AT_ONCE):
        some = columns[first : first + _AT_ONCE]
        for j, column in enumerate(some):
            across[j] = column.to_numpy()
        closes[:, first : first + len(some)] = across[: len(some)].T
    known, ingested = (
        table[name].combine_chunks().cast(DAY).to_numpy(zero_copy_only=False)
        for name in _BLOCK_CLOCK
    )
    source, payload = (table[name][0].as_py() for name in _BLOCK_ORIGIN)
    return Block(
        dates=table[_SESSION].to_numpy(),
        symbols=symbols,
        closes=closes,
        available_at=known,
        ingested_at=ingested[0],
        source=source,
        payload_sha256=payload,
    )
