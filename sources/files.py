"""The ``files`` source: a market directory, read whole and strictly, and written atomically.

How single files are taken: bytes in :mod:`sources.raw_files` and :mod:`sources.strict_csv`, cells
in :mod:`sources.cells`, whole tables in :mod:`sources.tables` and :mod:`sources.constituents`.
Files whose names are no symbols, hidden files and other suffixes are passed over.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from sources import calendars
from sources.cells import SYMBOL
from sources.constituents import read_panel
from sources.errors import DataUnavailableError, SchemaError
from sources.market import CRYPTO_UNIVERSE, Market, Panel
from sources.raw_files import NEXT_STEP, open_file, symbol_files
from sources.schemas import LAYOUTS, check_table
from sources.strict_csv import shown
from sources.tables import build_table

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_market(
    directory: str | Path,
    *,
    crypto: Sequence[str] = CRYPTO_UNIVERSE,
    now: pd.Timestamp | None = None,
) -> Market:
    """Read a market directory of the layout in the contract, section 2.

    Parameters
    ----------
    directory : folder with ``prices/`` and, where there are any, ``flows/``, ``macro/`` and
        ``constituents/``.
    crypto : symbols that trade every day; all others are equities of the XNYS calendar.
    now : instant, with zone, after whose day no row may be dated; the current one by default.

    Returns
    -------
    Market, complete and checked; its tables may be read at any ``available_at`` they carry.

    Raises
    ------
    DataUnavailableError
        Where there is no such directory, no ``prices/`` or no price file in it, or a file cannot
        be read.
    SchemaError
        Where a file is not what its layout says; names file, column and row.
    """
    root = Path(directory)
    prices = price_files(root)
    instant = pd.Timestamp.now("UTC") if now is None else now
    today = calendars.to_us(instant.tz_convert("UTC").tz_localize(None)).to_datetime64()
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    for kind, layout in LAYOUTS.items():
        paths = prices if kind == "prices" else symbol_files(root, kind)
        tables[kind] = {}
        for symbol, path in paths.items():
            tables[kind][symbol] = build_table(
                open_file(root, path), layout, symbol, is_crypto=symbol in crypto, today=today
            )
    return Market(
        prices=tables["prices"],
        flows=tables["flows"],
        macro=tables["macro"],
        panel=read_panel(root, today),
        crypto=tuple(symbol for symbol in crypto if symbol in prices),
        name=str(directory),
    )


def write_market(market: Market, directory: str | Path) -> None:
    """Write a market as a directory that :func:`read_market` reads back to the bit.

    Parameters
    ----------
    market : tables and panel; checked before anything is written.
    directory : made where absent. Each file is replaced at once or not at all; files of
        symbols that the market has not are left alone.

    Raises
    ------
    SchemaError
        Where a table is not as its layout says, or a name is no symbol.
    """
    root = Path(directory)
    contents: dict[str, bytes] = {}
    for folder, symbol, table in market.tables():
        source = f"{folder}/{symbol}.csv"
        if SYMBOL.fullmatch(symbol) is None:
            raise SchemaError(folder, expected="names that are symbols", found=shown(symbol))
        if table.empty:
            raise SchemaError(source, expected="at least one row", found="none")
        check_table(table, folder, source)
        needed = ("date", "available_at", *LAYOUTS[folder].needed)
        held = [name for name in table if name in needed or table[name].notna().any()]
        contents[source] = _csv_bytes(table[held])
    if market.panel is not None:
        contents["constituents/closes.parquet"] = _panel_bytes(market.panel)
        if market.panel.members is not None:
            contents["constituents/members.csv"] = _csv_bytes(market.panel.members)
    for source, content in contents.items():
        _replace(root / source, content)


def price_files(root: Path) -> dict[str, Path]:
    """Return symbol -> file of ``prices/``, of which a market directory has at least one.

    Raises
    ------
    DataUnavailableError
        Where there is no such directory, folder or file; says what is there instead.
    """

    def missing(needed: str, found: str) -> DataUnavailableError:
        return DataUnavailableError(
            f"{root}: needed {needed}; found {found}; {NEXT_STEP}", source=str(root)
        )

    if not root.exists():
        raise missing("a market directory", "nothing")
    if not root.is_dir():
        raise missing("a market directory", "a file")
    if not (root / "prices").is_dir():
        names = sorted(path.name for path in root.iterdir())
        raise missing("a folder prices/", ", ".join(map(shown, names[:5])) or "an empty directory")
    files = symbol_files(root, "prices")
    if not files:
        raise missing("prices/SYMBOL.csv", "no price file in prices/")
    return files


def _csv_bytes(table: pd.DataFrame) -> bytes:
    columns = [_texts(table[name]) for name in table]
    lines = [",".join(map(str, table.columns)), *map(",".join, zip(*columns, strict=True))]
    return ("\n".join(lines) + "\n").encode()


def _texts(column: pd.Series) -> list[str]:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        instants = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        whole = (instants.astype("datetime64[s]") == instants).all()
        texts = np.datetime_as_string(instants, unit="s" if whole else "us")
        return [f"{text}Z" for text in texts.tolist()]
    if column.dtype.kind == "M":
        days = np.datetime_as_string(column.to_numpy(), unit="D").tolist()
        return ["" if day == "NaT" else day for day in days]
    # repr of a float is the shortest text that reads back as the same float.
    return [
        value if isinstance(value, str) else "" if np.isnan(value) else repr(value)
        for value in column.tolist()
    ]


def _panel_bytes(panel: Panel) -> bytes:
    from pyarrow import parquet  # here: only writers need it

    columns: dict[str, pa.Array] = {"date": pa.array(panel.dates, pa.timestamp("us"))}
    for i, symbol in enumerate(panel.symbols):
        columns[symbol] = pa.array(panel.closes[:, i], from_pandas=True)
    session = calendars.is_session(panel.dates)
    rule = calendars.available_at_equity(panel.dates[session]).tz_localize(None).to_numpy()
    if not (session.all() and np.array_equal(rule, panel.available_at)):
        # Only where it says more than the calendar: every other column is a ticker.
        columns["available_at"] = pa.array(panel.available_at, pa.timestamp("us", "UTC"))
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(columns), sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue().to_pybytes())


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
