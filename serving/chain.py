"""A chain of rows: each carries the sha256 of its content and of the row before it.

The triggers of the database keep honest programs from changing what is written.
Who owns the database can drop a trigger; the chain then shows the first row that
is not what was written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Table, select

from serving.database import reading
from sources.errors import IntegrityError

GENESIS = "0" * 64
"""What the first row names as the hash of the row before it."""


def hash_row(row: Mapping[Any, Any], names: Sequence[str]) -> str:
    """Return the sha256 of the named columns of a row, in order, as JSON.

    Examples
    --------
    >>> hash_row({"position": 1, "as_of": date(2025, 6, 20)}, ["position", "as_of"])[:12]
    '5403537de1fe'
    """

    def plain(value: object) -> object:
        if isinstance(value, datetime):
            return value.isoformat(timespec="microseconds")
        return value.isoformat() if isinstance(value, date) else value

    content = json.dumps([plain(row[name]) for name in names], allow_nan=False)
    return hashlib.sha256(content.encode()).hexdigest()


def hashed_names(table: Table) -> tuple[str, ...]:
    """Return the columns that a row's hash covers: all but the hash."""
    return tuple(column.name for column in table.columns if column.name != "row_hash")


def append(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> int:
    """Append rows at the end of the chain, within a transaction that holds its lock.

    Returns
    -------
    How many were appended.
    """
    names = hashed_names(table)
    last = connection.execute(
        select(table.c.position, table.c.row_hash).order_by(table.c.position.desc()).limit(1)
    ).one_or_none()
    end, row_hash = (0, GENESIS) if last is None else last
    linked = []
    for position, content in enumerate(rows, end + 1):
        row = {**content, "position": position, "previous_hash": row_hash}
        row_hash = hash_row(row, names)
        linked.append({**row, "row_hash": row_hash})
    if linked:
        connection.execute(table.insert(), linked)
    return len(linked)


def verify_chain(engine: Engine, table: Table, place: str) -> int:
    """Check a chain from the first row to the last; return how many rows there are.

    Parameters
    ----------
    table : with ``position``, ``previous_hash`` and ``row_hash``.
    place : what to call it in an error.

    Raises
    ------
    IntegrityError
        Names the first row that is not what was written, or is not there.
    """
    names = hashed_names(table)
    count, previous = 0, GENESIS
    asked = select(table).order_by(table.c.position)
    with (
        reading(engine) as connection,
        connection.execution_options(yield_per=1000).execute(asked) as rows,
    ):
        for count, row in enumerate(rows.mappings(), 1):
            for name, expected in (
                ("position", count),
                ("previous_hash", previous),
                ("row_hash", hash_row(row, names)),
            ):
                if row[name] != expected:
                    what = name.replace("_", " ")
                    raise IntegrityError(
                        f"{place}, row {count}", expected=f"{what} {expected}", found=str(row[name])
                    )
            previous = row["row_hash"]
    return count
