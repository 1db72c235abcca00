"""Constituents: the panel of adjusted closes, and who was a member when.

A price of 0, a vendor's sign for "no trade", is quarantined: NaN, with a warning that counts them.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sources import cells
from sources.errors import SchemaError
from sources.market import Panel
from sources.raw_files import open_file, symbol_files
from sources.schemas import PRICE_BOUNDS
from sources.strict_csv import shown
from sources.tables import clock, known_by_rule, on_session

if TYPE_CHECKING:
    from pathlib import Path

    from sources.raw_files import RawFile

_LOG = logging.getLogger(__name__)


def read_panel(root: Path, today: np.datetime64) -> Panel | None:
    """Read ``constituents/``: closes (n sessions, m tickers) and members; None without closes.

    Raises
    ------
    SchemaError
        Naming file, column and row of the first thing that is not as the layout says.
    """
    paths = symbol_files(root, "constituents")
    if "closes" not in paths:
        return None
    panel = build_panel(open_file(root, paths["closes"]), today)
    return replace(panel, members=read_members(root))


def build_panel(file: RawFile, today: np.datetime64) -> Panel:
    """Build the panel of one file of closes, as :func:`read_panel` does, without members."""
    names = file.table.column_names
    if "date" not in names:
        raise SchemaError(file.source, row=1, expected="column date", found="no such column")
    symbols = tuple(name for name in names if name not in {"date", "available_at"})
    for name in symbols:
        if cells.SYMBOL.fullmatch(name) is None:
            raise SchemaError(file.source, row=1, expected="tickers as columns", found=shown(name))
    date, known = clock(file, today)
    repeated = np.append(False, date[1:] <= date[:-1])
    file.place("date").refuse(repeated, file.table["date"], "dates ascending, each once")
    keep = on_session(file, date)
    absent = keep & np.isnat(known)
    known[absent] = known_by_rule(file, "prices", date[absent])
    late = np.append(False, known[1:] < known[:-1]) & keep
    if "available_at" in names:
        stated = file.table["available_at"]
        file.place("available_at").refuse(late, stated, "instants that never go back")
        file.place("available_at").refuse(known < date, stated, "instants after the event date")
    return Panel(
        dates=date[keep],
        symbols=symbols,
        closes=np.ascontiguousarray(_closes(file, symbols)[keep]),
        available_at=known[keep],
    )


def _closes(file: RawFile, symbols: tuple[str, ...]) -> np.ndarray:
    matrix = np.empty((len(file.table), len(symbols)), order="F")
    for i, name in enumerate(symbols):
        matrix[:, i] = cells.numbers(file.table[name], file.place(name))
    low, high = PRICE_BOUNDS
    zeros = matrix == 0
    outside = ((matrix < low) & ~zeros) | (matrix > high)
    if outside.any():
        column = int(outside.any(axis=0).argmax())
        row = int(outside[:, column].argmax())
        found = shown(float(matrix[row, column]))
        raise file.place(symbols[column]).error(f"a number in [{low:g}, {high:g}]", found, row)
    if zeros.any():
        named = ", ".join(symbols[i] for i in np.flatnonzero(zeros.any(axis=0))[:5])
        _LOG.warning("%s: %d zero prices quarantined: %s", file.source, zeros.sum(), named)
        matrix[zeros] = np.nan
    return matrix


def read_members(root: Path) -> pd.DataFrame | None:
    """Read ``constituents/members.csv``: ``symbol,start,end``, end NaT while a member.

    Raises
    ------
    SchemaError
        Naming the row that is no membership.
    """
    path = root / "constituents" / "members.csv"
    return build_members(open_file(root, path)) if path.is_file() else None


def build_members(file: RawFile) -> pd.DataFrame:
    """Build the table of one file of memberships, as :func:`read_members` does."""
    for name in ("symbol", "start", "end"):
        if name not in file.table.column_names:
            raise SchemaError(file.source, row=1, expected=f"column {name}", found="none")
    start = cells.days(file.table["start"], file.place("start"))
    end = cells.days(file.table["end"], file.place("end"), optional=True)
    file.place("end").refuse(end < start, file.table["end"], "an end at or after start")
    names = cells.symbols(file.table["symbol"], file.place("symbol"))
    members = pd.DataFrame({"symbol": pd.Series(names, dtype="str"), "start": start, "end": end})
    twice = members.duplicated().to_numpy()
    file.place("symbol").refuse(twice, file.table["symbol"], "each membership once")
    return members
