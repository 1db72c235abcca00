"""Raw files of a market directory: found, opened, and decoded into cells; nothing interpreted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from sources.cells import SYMBOL, Place
from sources.errors import DataUnavailableError, SchemaError
from sources.strict_csv import parse_csv, shown

if TYPE_CHECKING:
    from pathlib import Path

_LOG = logging.getLogger(__name__)

NEXT_STEP = "point --market at a market directory, or make one with `riskon simulate`"


class RawFile(NamedTuple):
    """A file as read: its path in the directory, its cells, and how its rows are counted."""

    source: str
    table: pa.Table
    first_row: int

    def place(self, column: str) -> Place:
        """Return where a column of this file is, for messages."""
        return Place(self.source, column, self.first_row)


def symbol_files(root: Path, folder: str) -> dict[str, Path]:
    """Return symbol -> file, sorted, of the csv and parquet files of a folder; none, no folder.

    Raises
    ------
    SchemaError
        Where a symbol has both a csv and a parquet file.
    DataUnavailableError
        Where the folder is there and holds no such file.
    """
    if not (root / folder).is_dir():
        return {}
    found: dict[str, Path] = {}
    for path in sorted((root / folder).iterdir()):
        if path.suffix not in {".csv", ".parquet"} or path.name.startswith("."):
            continue
        if SYMBOL.fullmatch(path.stem) is None or not path.is_file():
            _LOG.warning("%s/%s: passed over, not a symbol's file", folder, shown(path.name))
            continue
        if path.stem in found:
            raise SchemaError(
                f"{folder}/{path.name}",
                expected="one file a symbol",
                found=f"{found[path.stem].name} beside it",
            )
        found[path.stem] = path
    if not found and folder != "prices":
        # An absent folder is a choice; an empty one is a file that was forgotten.
        raise DataUnavailableError(
            f"{root}: needed a file in {folder}/, or no such folder; found none", source=folder
        )
    return found


def open_file(root: Path, path: Path) -> RawFile:
    """Read and decode one csv or parquet file of the directory ``root``.

    Raises
    ------
    DataUnavailableError
        Where the file cannot be read.
    SchemaError
        Where it is not what its suffix says, is damaged, or is a link out of the directory.
    """
    return decode_file(read_bytes(root, path), path.relative_to(root).as_posix())


def read_bytes(root: Path, path: Path) -> bytes:
    """Return the bytes of a file of the directory ``root``, as :func:`open_file` does."""
    source = path.relative_to(root).as_posix()
    if not path.resolve().is_relative_to(root.resolve()):
        raise SchemaError(source, expected="a file inside the directory", found="a link out of it")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataUnavailableError(
            f"{source}: needed a readable file; found {error.strerror}; {NEXT_STEP}",
            source=source,
        ) from None


def decode_file(raw: bytes, source: str) -> RawFile:
    """Decode the bytes of a csv or parquet file, by the suffix of its name ``source``."""
    if source.endswith(".csv"):
        return RawFile(source, parse_csv(raw, source), first_row=2)
    return RawFile(source, _parse_parquet(raw, source), first_row=1)


def _parse_parquet(raw: bytes, source: str) -> pa.Table:
    from pyarrow import parquet

    try:
        # Read as it stands: read_table would scan it as a data set, by threads of its own.
        table = parquet.ParquetFile(pa.BufferReader(raw), page_checksum_verification=True).read()
    except (OSError, pa.ArrowException) as error:
        reason = shown(" ".join(str(error).split()))
        raise SchemaError(source, expected="an intact parquet file", found=reason) from None
    if len(set(table.column_names)) < len(table.column_names):
        raise SchemaError(source, expected="distinct column names", found="one of them twice")
    if len(table) == 0:
        raise SchemaError(source, expected="at least one row", found="none")
    return table
