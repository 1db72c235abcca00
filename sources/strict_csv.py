"""The strict CSV parser: bytes in, a table of texts out, or one refusal that names the place.

A lenient reader turns an HTML page into a frame of one cell and a number that was cut off into
another number. This one takes UTF-8 without byte-order mark, commas, a header, one line a row,
a line end after the last one, no quotes, no control characters; nothing else.

A file cut exactly at a line end cannot be told from a shorter file: it reads as the rows before
the cut. A cut anywhere else is refused.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sources.errors import SchemaError

MAX_FIELD_BYTES = 1024
"""No number, date or ticker comes near it."""

_SHOWN = 40
_NEWLINE, _COMMA = 10, 44
_FORBIDDEN = np.zeros(256, dtype=bool)
_FORBIDDEN[:32] = _FORBIDDEN[127] = _FORBIDDEN[ord('"')] = True
_FORBIDDEN[_NEWLINE] = False


def shown(value: object) -> str:
    r"""Return a value as messages show it: one line, control characters escaped, 40 at most.

    Examples
    --------
    >>> shown("1,5\x00")
    "'1,5\\x00'"
    """
    text = ascii(value[:50] if isinstance(value, str | bytes) else value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def parse_csv(raw: bytes, source: str) -> pa.Table:
    r"""Parse a whole file strictly, every cell as the text it is.

    Parameters
    ----------
    raw : the file's bytes.
    source : its name for messages.

    Returns
    -------
    Table with one string column a header name, in the file's order; row ``i`` is line ``i + 2``.

    Raises
    ------
    SchemaError
        Where the bytes are not such a file; ``row`` is the line in the file, the header being 1.

    Examples
    --------
    >>> parse_csv(b"date,close\n2024-01-02,1.6\n", "BTC.csv").to_pylist()
    [{'date': '2024-01-02', 'close': '1.6'}]
    """
    raw = raw.replace(b"\r\n", b"\n")
    _refuse_other_formats(raw, source)
    array = np.frombuffer(raw, dtype=np.uint8)
    _refuse_characters(raw, array, source)
    if raw[-1] != _NEWLINE:
        last = raw[raw.rfind(b"\n") + 1 :].decode()
        raise SchemaError(
            source,
            row=raw.count(b"\n") + 1,
            expected="a line end after the last row (is the file cut off?)",
            found=shown(last),
        )
    header = raw[: raw.index(b"\n")].decode()
    names = header.split(",")
    _refuse_header(names, header, source)
    _refuse_ragged(raw, array, len(names), source)
    if raw.count(b"\n") == 1:
        raise SchemaError(source, expected="at least one row", found="a header only")
    return _table(raw, names)


def _refuse_other_formats(raw: bytes, source: str) -> None:
    start = raw[:200].lstrip()
    found = None
    if not start:
        found = f"{len(raw)} bytes" if not raw else "blank lines only"
    elif raw.startswith(b"\xef\xbb\xbf"):
        raise SchemaError(
            source, row=1, expected="UTF-8 without byte-order mark", found="a byte-order mark"
        )
    elif start.startswith(b"<"):
        found = f"an HTML or XML page starting {shown(start.decode('utf-8', 'replace'))}"
    elif start.startswith((b"{", b"[")):
        found = f"JSON starting {shown(start.decode('utf-8', 'replace'))}"
    elif start.startswith((b"PAR1", b"PK\x03\x04", b"\x1f\x8b")):
        found = "a parquet file, zip or gzip archive"
    if found is not None:
        raise SchemaError(source, row=1, expected="a CSV header and rows", found=found)


def _refuse_characters(raw: bytes, array: np.ndarray, source: str) -> None:
    bad = np.flatnonzero(_FORBIDDEN[array])
    if len(bad):
        raise SchemaError(
            source,
            row=raw.count(b"\n", 0, int(bad[0])) + 1,
            expected="plain text without quotes and control characters",
            found=shown(chr(raw[bad[0]])),
        )
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise SchemaError(
            source,
            row=raw.count(b"\n", 0, error.start) + 1,
            expected="UTF-8",
            found=f"byte 0x{raw[error.start]:02x}",
        ) from None


def _refuse_header(names: list[str], header: str, source: str) -> None:
    for separator in ";\t|":
        if separator in header and "," not in header:
            raise SchemaError(
                source,
                row=1,
                expected="columns separated by commas",
                found=f"{separator!r} in {shown(header)}",
            )
    if "" in names or len(set(names)) < len(names):
        twice = next(name for name in names if not name or names.count(name) > 1)
        raise SchemaError(
            source,
            row=1,
            expected="distinct column names",
            found=f"{shown(twice)} twice" if twice else "a column without a name",
        )


def _refuse_ragged(raw: bytes, array: np.ndarray, width: int, source: str) -> None:
    cuts = np.flatnonzero((array == _COMMA) | (array == _NEWLINE))
    ends = np.flatnonzero(array[cuts] == _NEWLINE)
    counts = np.diff(ends, prepend=-1)
    wrong = np.flatnonzero(counts != width)
    if len(wrong):
        row = int(wrong[0])
        start = int(cuts[ends[row - 1]]) + 1
        line = raw[start : int(cuts[ends[row]])].decode()
        raise SchemaError(
            source,
            row=row + 1,
            expected=f"{width} fields",
            found=f"{counts[row] if line else 0} in {shown(line)}",
        )
    sizes = np.diff(cuts, prepend=-1) - 1
    if sizes.max() > MAX_FIELD_BYTES:
        place = int(sizes.argmax())
        raise SchemaError(
            source,
            row=place // width + 1,
            expected=f"fields of at most {MAX_FIELD_BYTES} bytes",
            found=f"{sizes[place]} bytes",
        )


def _table(raw: bytes, names: list[str]) -> pa.Table:
    from pyarrow import csv  # heavy, and only readers need it

    table = csv.read_csv(
        pa.py_buffer(raw),
        # One block a line at least: a row of thousands of tickers is longer than the default.
        read_options=csv.ReadOptions(
            column_names=names, skip_rows=1, use_threads=False, block_size=max(len(raw), 1)
        ),
        parse_options=csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
            quoted_strings_can_be_null=False,
        ),
    )
    return table.combine_chunks()
