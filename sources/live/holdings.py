"""Holdings of a fund as a dated snapshot of its members, and the memberships that follow.

The issuer's CSV has a head (name of the fund, ``Fund Holdings as of``, ``Shares Outstanding``), an
empty line, a table with quoted cells, and after it an empty line and fine print. Without that end,
or with weights that do not add up to 100 %, part of it is missing.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np

from sources.cells import SYMBOL
from sources.errors import EmptyFeedError, SchemaError
from sources.live.provider import Payload, require_text
from sources.live.us_cells import us_day, us_number
from sources.strict_csv import MAX_FIELD_BYTES, shown

SNAPSHOT_COLUMNS = ("date", "symbol", "weight", "available_at")
"""Of a table of snapshots: one row a member and day, weight in percent."""

_AS_OF, _SHARES = "Fund Holdings as of", "Shares Outstanding"
_TICKER, _CLASS, _VALUE, _WEIGHT = "Ticker", "Asset Class", "Market Value", "Weight (%)"
_EQUITY = "Equity"
_BOM = b"\xef\xbb\xbf"
_MOST_LINES = 100_000
_WEIGHTS_OFF = 3.0
_UNNAMED_SHARE = 0.02


@dataclass(frozen=True)
class Holdings:
    """What a fund held at the end of one day.

    Attributes
    ----------
    day : datetime64[us].
    shares_outstanding : of the fund.
    net_assets_usd : sum of all market values, cash and futures included.
    weights : ticker of each listed equity -> percent of the fund; ascending tickers.
    unnamed : equities without a ticker: escrows, rights, what awaits a listing.
    """

    day: np.datetime64
    shares_outstanding: float
    net_assets_usd: float
    weights: dict[str, float]
    unnamed: int


def parse_holdings(payload: Payload, source: str) -> Holdings | None:
    """Read one holdings file; None where the issuer has none for the day (``as of,"-"``).

    Raises
    ------
    SchemaError
        Where it is not such a file, or not all of it.
    EmptyFeedError
        Where it holds no equity.
    """
    raw = require_text(payload, source, ("csv", "text/plain", "octet-stream"))
    lines = _lines(raw, source)
    starts = [i for i, line in enumerate(lines) if _TICKER in line and _WEIGHT in line]
    if len(starts) != 1:
        found = "no such line" if not starts else f"{len(starts)} of them"
        raise SchemaError(source, expected=f"one header with {_TICKER} and {_WEIGHT}", found=found)
    (start,) = starts
    head = {line[0]: line[1] for line in lines[:start] if len(line) > 1}
    missing = [name for name in (_AS_OF, _SHARES) if name not in head]
    if missing:
        raise SchemaError(source, expected=f"a line {missing[0]}", found=shown(", ".join(head)))
    if head[_AS_OF].strip() in {"-", "--"}:
        return None
    header, table = lines[start], _table(lines, start, source)
    place = {name: header.index(name) for name in (_TICKER, _CLASS, _VALUE, _WEIGHT)
             if header.count(name) == 1}  # fmt: skip
    if len(place) < 4:
        raise SchemaError(
            source,
            row=start + 1,
            expected=f"columns {_TICKER}, {_CLASS}, {_VALUE}, {_WEIGHT}",
            found=shown(", ".join(header)),
        )
    values = [us_number(row[place[_VALUE]], source, _VALUE, line) for line, row in table]
    weights = [us_number(row[place[_WEIGHT]], source, _WEIGHT, line) for line, row in table]
    total = float(np.nansum(weights))
    if abs(total - 100) > _WEIGHTS_OFF:
        raise SchemaError(
            source,
            column=_WEIGHT,
            expected=f"weights that add up to 100 within {_WEIGHTS_OFF:g} (is the file cut off?)",
            found=f"{total:.2f} of {len(table)} rows",
        )
    members, unnamed = _members(table, weights, place, source)
    shares = us_number(head[_SHARES], source, _SHARES)
    if not shares > 0:
        raise SchemaError(source, expected=f"{_SHARES} above 0", found=shown(head[_SHARES]))
    return Holdings(
        day=us_day(head[_AS_OF], source, _AS_OF),
        shares_outstanding=shares,
        net_assets_usd=float(np.nansum(values)),
        weights=dict(sorted(members.items())),
        unnamed=unnamed,
    )


def _lines(raw: bytes, source: str) -> list[list[str]]:
    while raw.startswith(_BOM):
        raw = raw.removeprefix(_BOM)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        found = f"byte 0x{raw[error.start]:02x}"
        raise SchemaError(source, expected="UTF-8", found=found) from None
    if any(ord(sign) < 32 and sign not in "\r\n" for sign in set(text)):
        raise SchemaError(source, expected="no control characters", found="one of them")
    lines: list[list[str]] = []
    try:
        for line in csv.reader(io.StringIO(text, newline=""), strict=True):
            lines.append([cell.strip() for cell in line])
            if len(lines) > _MOST_LINES:
                raise SchemaError(source, expected=f"at most {_MOST_LINES} lines", found="more")
    except csv.Error as error:
        found = shown(str(error))
        raise SchemaError(source, row=len(lines) + 1, expected="a CSV line", found=found) from None
    return lines


def _table(lines: list[list[str]], start: int, source: str) -> list[tuple[int, list[str]]]:
    """Return the table's rows with the numbers of their lines, up to the empty line after it."""
    width = len(lines[start])
    rows: list[tuple[int, list[str]]] = []
    for i, line in enumerate(lines[start + 1 :], start=start + 1):
        if not any(line):
            if not rows:
                raise EmptyFeedError(source, expected="at least one holding", found="none")
            return rows
        if len(line) != width:
            raise SchemaError(source, row=i + 1, expected=f"{width} cells", found=str(len(line)))
        if max(map(len, line)) > MAX_FIELD_BYTES:
            raise SchemaError(
                source, row=i + 1, expected=f"cells of at most {MAX_FIELD_BYTES} characters",
                found=str(max(map(len, line))),
            )  # fmt: skip
        rows.append((i + 1, line))
    raise SchemaError(
        source, expected="an empty line after the table (is the file cut off?)", found="none"
    )


def _members(
    table: list[tuple[int, list[str]]], weights: list[float], place: dict[str, int], source: str
) -> tuple[dict[str, float], int]:
    members: dict[str, float] = {}
    unnamed = equities = 0
    for (_, row), weight in zip(table, weights, strict=True):
        if row[place[_CLASS]] != _EQUITY:
            continue
        equities += 1
        ticker = row[place[_TICKER]]
        if SYMBOL.fullmatch(ticker) is None:
            unnamed += 1
            continue
        members[ticker] = members.get(ticker, 0.0) + (0.0 if np.isnan(weight) else weight)
    if not members:
        raise EmptyFeedError(source, expected="at least one equity", found="none")
    if unnamed > max(1, _UNNAMED_SHARE * equities):
        raise SchemaError(
            source,
            column=_TICKER,
            expected="equities with tickers",
            found=f"{unnamed} of {equities} without",
        )
    return members, unnamed
