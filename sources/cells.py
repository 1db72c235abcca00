"""Cells: the columns of a CSV or parquet file as numbers, days and instants, strictly.

Text is taken only in one spelling: ``1.6``, ``-2e-8``, ``2024-01-02``, ``2024-01-02T21:00:00Z``.
What pandas would guess (``1,5``, ``NaN``, ``inf``, ``1.``, ``1704153600``) is refused by row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sources.calendars import to_us
from sources.errors import SchemaError
from sources.strict_csv import shown

NUMBER = r"^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})$"
)
SYMBOL = re.compile(r"[A-Za-z0-9^][A-Za-z0-9.^=_-]{0,31}")

_FIRST_DAY, _LAST_DAY = np.datetime64("1800-01-01"), np.datetime64("2200-01-01")


@dataclass(frozen=True)
class Place:
    """Where a column is, for messages: its file, its name, and the number of its first row."""

    source: str
    column: str
    first_row: int

    def refuse(self, bad: np.ndarray, values: pa.ChunkedArray, expected: str) -> None:
        """Raise for the first row marked ``bad``, if any."""
        if bad.any():
            row = int(bad.argmax())
            found = shown(values[row].as_py())
            raise self.error(expected, found, row)

    def error(self, expected: str, found: str, row: int | None = None) -> SchemaError:
        """Return the refusal of row ``row``, counted from 0."""
        line = None if row is None else row + self.first_row
        return SchemaError(
            self.source, column=self.column, row=line, expected=expected, found=found
        )


def numbers(values: pa.ChunkedArray, place: Place, absent: tuple[str, ...] = ()) -> np.ndarray:
    """Return a column as (n,) float64, NaN where the cell is empty, null or in ``absent``.

    Raises
    ------
    SchemaError
        Where a text is no plain decimal number, or the column is of another type.
    """
    if pa.types.is_null(values.type):
        return np.full(len(values), np.nan)
    if _is_text(values.type):
        text = values.cast(pa.string())
        empty = pc.is_in(text, pa.array(["", *absent, None], pa.string()))
        place.refuse(~(_array(empty) | _matches(text, NUMBER)), text, "a number such as 1234.5")
        values = pc.if_else(empty, pa.scalar(None, pa.string()), text)
    elif not (
        pa.types.is_floating(values.type)
        or pa.types.is_integer(values.type)
        or pa.types.is_decimal(values.type)
    ):
        raise place.error("numbers", f"type {values.type}")
    floats: np.ndarray = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return floats


def days(values: pa.ChunkedArray, place: Place, *, optional: bool = False) -> np.ndarray:
    """Return a column as (n,) datetime64[us] at midnight; NaT for empty where ``optional``.

    Raises
    ------
    SchemaError
        Where a cell is no date of the calendar written YYYY-MM-DD, or a timestamp within a day.
    """
    expected = "a date YYYY-MM-DD"
    if _is_text(values.type):
        text = values.cast(pa.string())
        empty = pc.is_in(text, pa.array(["", None], pa.string()))
        fine = _matches(text, DAY)
        place.refuse(~(fine | _array(empty) if optional else fine), text, expected)
        text = pc.if_else(empty, pa.scalar(None, pa.string()), text)
        parsed = pd.to_datetime(text.to_pandas(), format="%Y-%m-%d", errors="coerce")
        place.refuse(parsed.isna().to_numpy() & ~_array(empty), text, "a date of the calendar")
        result: np.ndarray = to_us(parsed).to_numpy()
    elif pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        if pa.types.is_timestamp(values.type) and values.type.tz is not None:
            raise place.error("dates without time zone", f"type {values.type}")
        result = to_us(values.cast(pa.timestamp("us"), safe=False).to_numpy())
        if not optional:
            place.refuse(np.isnat(result), values, expected)
        within = ~np.isnat(result) & (result.astype("datetime64[D]") != result)
        place.refuse(within, values, "a date without time of day")
    else:
        raise place.error(expected, f"type {values.type}")
    out = (result < _FIRST_DAY) | (result > _LAST_DAY)
    place.refuse(out, values, f"a date from {_FIRST_DAY} to {_LAST_DAY}")
    return result


def instants(values: pa.ChunkedArray, place: Place) -> np.ndarray:
    """Return a column as (n,) datetime64[us], UTC; NaT where the cell is empty or null.

    Raises
    ------
    SchemaError
        Where a cell is no ISO instant with a zone: without one it could be any of 24 hours.
    """
    expected = "an instant with its offset, such as 2024-01-02T21:00:00Z"
    if _is_text(values.type):
        text = values.cast(pa.string())
        empty = pc.is_in(text, pa.array(["", None], pa.string()))
        place.refuse(~(_array(empty) | _matches(text, INSTANT)), text, expected)
        filled = pc.if_else(empty, pa.scalar(None, pa.string()), text)
        parsed = pd.to_datetime(filled.to_pandas(), format="ISO8601", utc=True, errors="coerce")
        place.refuse(parsed.isna().to_numpy() & ~_array(empty), text, expected)
        result: np.ndarray = to_us(parsed.dt.tz_localize(None)).to_numpy()
        return result
    if pa.types.is_null(values.type):
        return np.full(len(values), np.datetime64("NaT", "us"))
    if not pa.types.is_timestamp(values.type) or values.type.tz is None:
        raise place.error(expected, f"type {values.type}")
    # Arrow keeps an instant with a zone as UTC: dropping the zone drops nothing else.
    unzoned = values.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.timestamp("us"))
    known: np.ndarray = to_us(unzoned.to_numpy())
    return known


def symbols(values: pa.ChunkedArray, place: Place) -> list[str]:
    """Return a column of tickers as text: ``NA``, ``TRUE`` and ``1E5`` are tickers.

    Raises
    ------
    SchemaError
        Where a cell is no symbol.
    """
    if not _is_text(values.type):
        raise place.error("tickers", f"type {values.type}")
    names: list[str | None] = values.cast(pa.string()).to_pylist()
    bad = np.array([name is None or SYMBOL.fullmatch(name) is None for name in names], dtype=bool)
    place.refuse(bad, values, "a ticker of letters, digits and .^=_-")
    return [str(name) for name in names]


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _matches(text: pa.ChunkedArray, pattern: str) -> np.ndarray:
    return _array(pc.match_substring_regex(text, pattern))


def _array(mask: pa.ChunkedArray) -> np.ndarray:
    """Return a mask as (n,) bool, null as False."""
    flags: np.ndarray = mask.to_numpy(zero_copy_only=False)
    result: np.ndarray = np.equal(flags, 1).astype(bool)
    return result
