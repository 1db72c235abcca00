"""Schemas: which columns a table has, in which ranges, and what holds between them.

A :class:`Layout` is the one statement of a table's columns and bounds. The readers check a
header against it, and :func:`check_table` a whole frame, with the pandera schema made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sources.errors import SchemaError
from sources.strict_csv import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandera.pandas as pa

PRICE_BOUNDS = (1e-10, 1e11)
"""USD. The cheapest coins trade near 1e-8; adjusting for reverse splits takes shares to 2e10."""

_OHLC_TOLERANCE = 1e-6
_LISTED = 5


@dataclass(frozen=True)
class Layout:
    """The columns of one kind of table.

    Attributes
    ----------
    kind : ``prices``, ``flows`` or ``macro``.
    bounds : value column -> (lowest, highest) finite value, both allowed; NaN is absent.
    needed : value columns that a file must have.
    one_of : value columns of which a file, and each row, must have at least one.
    absent : texts that stand for an absent number, besides the empty one.
    """

    kind: str
    bounds: Mapping[str, tuple[float, float]]
    needed: tuple[str, ...]
    one_of: tuple[str, ...]
    absent: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the frame, in order."""
        return ("date", *self.bounds, "available_at")


PRICES = Layout(
    "prices",
    dict.fromkeys(("open", "high", "low", "close", "adj_close"), PRICE_BOUNDS)
    | {"volume": (0.0, 1e18)},
    needed=(),
    one_of=("close", "adj_close"),
)
FLOWS = Layout(
    "flows",
    {"flow_usd": (-1e13, 1e13), "aum_usd": (0.0, 1e14)},
    needed=("flow_usd", "aum_usd"),
    one_of=("flow_usd", "aum_usd"),
)
MACRO = Layout(
    "macro", {"value": (-1e15, 1e15)}, needed=("value",), one_of=("value",), absent=(".",)
)
LAYOUTS: Mapping[str, Layout] = {layout.kind: layout for layout in (PRICES, FLOWS, MACRO)}
"""Folder of the market directory -> layout of its tables."""


def check_header(names: Sequence[str], layout: Layout, source: str) -> None:
    """Check that a file has the columns it must; order is free and others are passed over.

    Raises
    ------
    SchemaError
        Naming the columns that are missing and those that were found in their place.
    """
    missing = [name for name in ("date", *layout.needed) if name not in names]
    expected = ", ".join(missing)
    if not set(layout.one_of) & set(names):
        expected = ", ".join(m for m in missing if m not in layout.one_of)
        expected += (", " if expected else "") + " or ".join(layout.one_of)
    if expected:
        known = set(layout.columns)
        other = [name for name in names if name not in known]
        found = "other columns " + ", ".join(map(shown, other[:_LISTED]))
        found += ", ..." if len(other) > _LISTED else ""
        raise SchemaError(
            source,
            row=1,
            expected=f"column {expected}",
            found=found if other else "no such column",
        )


def check_table(table: pd.DataFrame, kind: str, source: str, first_row: int = 0) -> None:
    """Check a table of the market, whole: columns, types, ranges, order, and their relations.

    Parameters
    ----------
    table : frame as :class:`sources.market.Market` describes it.
    kind : ``prices``, ``flows`` or ``macro``.
    source : its name for messages.
    first_row : what the message calls the frame's row with label 0.

    Raises
    ------
    SchemaError
        Naming the first row that is not as the layout says.
    """
    from pandera.errors import SchemaErrors  # slow to import

    try:
        schema(kind).validate(table, lazy=True)
    except SchemaErrors as failure:
        raise _refusal(failure.failure_cases, table, LAYOUTS[kind], source, first_row) from None


@cache
def schema(kind: str) -> pa.DataFrameSchema:
    """Return the pandera schema of a kind of table: ``prices``, ``flows`` or ``macro``."""
    import pandera.pandas as pa  # slow to import

    layout = LAYOUTS[kind]
    columns: dict[str, Any] = {"date": pa.Column("datetime64[us]")}
    for name, (low, high) in layout.bounds.items():
        within = pa.Check.in_range(low, high, error=f"{name}|a number in [{low:g}, {high:g}]")
        columns[name] = pa.Column("float64", within, nullable=True)
    columns["available_at"] = pa.Column(pd.DatetimeTZDtype("us", "UTC"))
    one_of = layout.one_of
    checks = [
        pa.Check(_in_microseconds, error="timestamps in microseconds"),
        pa.Check(
            lambda table: table[list(one_of)].notna().any(axis=1),
            error=f"{one_of[0]}|a value in {' or '.join(one_of)}",
        ),
        pa.Check(_ordered, error="date|dates ascending, one twice only with a later available_at"),
        pa.Check(_known_after, error="available_at|an instant at or after the event date"),
    ]
    if kind == "prices":
        checks.append(pa.Check(_high_above, error="high|high at or above open, low and close"))
        checks.append(pa.Check(_low_below, error="low|low at or below open and close"))
    return pa.DataFrameSchema(columns, checks=checks, strict=True, ordered=True)


def _in_microseconds(table: pd.DataFrame) -> bool:
    # pandera takes a column's unit for a detail.
    return bool(
        table["date"].dtype == "datetime64[us]"
        and table["available_at"].dtype == "datetime64[us, UTC]"
    )


def _ordered(table: pd.DataFrame) -> pd.Series:
    date, known = table["date"].to_numpy(), table["available_at"].dt.tz_localize(None).to_numpy()
    ascending = np.ones(len(table), dtype=bool)
    same = date[1:] == date[:-1]
    ascending[1:] = (date[1:] > date[:-1]) | (same & (known[1:] > known[:-1]))
    return pd.Series(ascending, index=table.index)


def _known_after(table: pd.DataFrame) -> pd.Series:
    after: pd.Series = table["available_at"].dt.tz_localize(None) >= table["date"]
    return after


def _high_above(table: pd.DataFrame) -> pd.Series:
    top = table["high"] * (1 + _OHLC_TOLERANCE)
    return ~(table[["open", "low", "close"]].max(axis=1) > top)


def _low_below(table: pd.DataFrame) -> pd.Series:
    bottom = table["low"] * (1 - _OHLC_TOLERANCE)
    return ~(table[["open", "close"]].min(axis=1) < bottom)


def _refusal(
    failures: pd.DataFrame, table: pd.DataFrame, layout: Layout, source: str, first_row: int
) -> SchemaError:
    rows = failures[failures["index"].notna()]
    if rows.empty:  # of the frame's shape: a column's name, type or place
        wanted, found = ", ".join(layout.columns), ", ".join(map(str, table.columns))
        if wanted == found:
            wanted = "datetime64[us], float64 and datetime64[us, UTC]"
            found = ", ".join(sorted({str(kind) for kind in table.dtypes}))
        return SchemaError(source, expected=f"columns {wanted}", found=found)
    # Of the first row's failures a column's own comes before the relations between columns.
    order = rows["index"].astype(int) * 2 + (rows["schema_context"] != "Column")
    first = rows.iloc[int(order.argmin())]
    column, _, expected = str(first["check"]).rpartition("|")
    column = column or str(first["column"])
    label = int(first["index"])
    value = table.loc[label, column]
    if isinstance(value, pd.Timestamp):
        value = value.isoformat() if value.tzinfo else value.date().isoformat()
    return SchemaError(
        source,
        column=column,
        row=label + first_row,
        expected="a value" if expected == "not_nullable" else expected,
        found=shown(float(value)) if isinstance(value, float) else str(value),
    )
