"""What the strict parser takes, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.errors import SchemaError
from sources.strict_csv import MAX_FIELD_BYTES, parse_csv, shown

GOOD = b"date,close\n2024-01-02,1.6\n2024-01-03,1.75\n"


def _refusal(raw: bytes) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        parse_csv(raw, "prices/BTC.csv")
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    assert message.startswith("prices/BTC.csv")
    assert len(caught.value.found) < 120
    return caught.value


def test_every_cell_is_the_text_it_is() -> None:  # A28
    table = parse_csv(b"symbol,n\nNA,\nTRUE,1\n1E5,null\n", "members.csv")
    assert table.to_pydict() == {"symbol": ["NA", "TRUE", "1E5"], "n": ["", "1", "null"]}


def test_line_ends_of_windows_are_line_ends() -> None:
    assert parse_csv(GOOD.replace(b"\n", b"\r\n"), "x").equals(parse_csv(GOOD, "x"))


@pytest.mark.parametrize("cut", range(len(GOOD)))
def test_a_file_cut_at_any_byte_is_refused_or_is_its_first_rows(cut: int) -> None:  # A09
    # Cuts right after a line end leave a whole, shorter file: nothing can tell them apart.
    lines = GOOD[:cut].count(b"\n")
    if GOOD[:cut].endswith(b"\n") and lines > 1:
        assert parse_csv(GOOD[:cut], "x").equals(parse_csv(GOOD, "x").slice(0, lines - 1))
    else:
        _refusal(GOOD[:cut])


@pytest.mark.parametrize(
    ("raw", "row", "found"),
    [
        pytest.param(b"<!DOCTYPE html>\n<html>", 1, "HTML", id="A07-html-page"),
        pytest.param(b"\n\n  <html>\n", 1, "HTML", id="A07-html-after-blank-lines"),
        pytest.param(b'{"error": "limit"}\n', 1, "JSON", id="A08-json-error"),
        pytest.param(b"[]\n", 1, "JSON", id="A08-json-list"),
        pytest.param(b"", 1, "0 bytes", id="A12-empty"),
        pytest.param(b"\n \n", 1, "blank", id="A12-blank"),
        pytest.param(b"date,close\n", None, "header only", id="A12-header-only"),
        pytest.param(GOOD[:-1], 3, "'2024-01-03,1.75'", id="A09-no-line-end"),
        pytest.param(b"\xef\xbb\xbf" + GOOD, 1, "byte-order", id="A13-bom"),
        pytest.param(GOOD.replace(b",", b";"), 1, "';'", id="A13-semicolons"),
        pytest.param(GOOD.replace(b"1.6", b"1,6"), 2, "3 in", id="A13-decimal-comma"),
        pytest.param(GOOD.replace(b"1.6", b'"1,600"'), 2, "'\"'", id="A13-thousands"),
        pytest.param(b"date,date\n1,2\n", 1, "'date' twice", id="A13-column-twice"),
        pytest.param(b"date,\n1,2\n", 1, "without a name", id="A13-column-without-name"),
        pytest.param(GOOD + b"2024-01-04\n", 4, "1 in '2024-01-04'", id="A09-short-row"),
        pytest.param(GOOD + b"\n", 4, "0 in", id="blank-line"),
        pytest.param(GOOD.replace(b"1.6", b"1\x00"), 2, "'\\x00'", id="A35-nul"),
        pytest.param(GOOD.replace(b"1.75", b"\x1b[2J"), 3, "'\\x1b'", id="A35-control"),
        pytest.param(GOOD.replace(b"1.75", b"1\xff"), 3, "0xff", id="A35-not-utf-8"),
        pytest.param(GOOD.replace(b"1.75", b"7" * 10**6), 3, "1000000 bytes", id="A35-1MB-field"),
        pytest.param(b"PAR1" + GOOD, 1, "parquet", id="parquet-named-csv"),
    ],
)
def test_what_is_no_plain_csv_is_refused_by_row(raw: bytes, row: int | None, found: str) -> None:
    refusal = _refusal(raw)
    assert refusal.row == row
    assert found in refusal.found


def test_a_field_may_be_as_long_as_the_limit() -> None:
    table = parse_csv(b"a,b\n1," + b"x" * MAX_FIELD_BYTES + b"\n", "x")
    assert len(table["b"][0].as_py()) == MAX_FIELD_BYTES


def test_what_messages_show_is_short_and_printable() -> None:
    assert shown("1,5\x00\n") == "'1,5\\x00\\n'"
    assert len(shown("7" * 10**6)) == 40
    assert shown("\u202e\N{SNOWMAN}").isprintable()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_one_refusal(raw: bytes) -> None:  # A35
    try:
        table = parse_csv(raw, "prices/BTC.csv")
    except SchemaError as refusal:
        assert str(refusal).isprintable()
    else:
        assert len(table) == raw.replace(b"\r\n", b"\n").count(b"\n") - 1


@given(
    st.lists(st.lists(st.text("ab1.-", max_size=5), min_size=3, max_size=3), min_size=1, max_size=9)
)
def test_what_was_joined_by_commas_comes_back(rows: list[list[str]]) -> None:
    raw = "\n".join(["x,y,z", *map(",".join, rows), ""]).encode()
    table = parse_csv(raw, "x")
    assert [list(row.values()) for row in table.to_pylist()] == rows
