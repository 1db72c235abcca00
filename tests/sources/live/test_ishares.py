"""A fund's flows, from files in the layout of its issuer: a workbook in XML and holdings in CSV.

The files are made here: the layout is the issuer's, names and numbers are not.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from pytest_httpserver import HTTPServer

from sources import SchemaError, UnknownNameError
from sources.errors import EmptyFeedError
from sources.gates import disagreements, screen
from sources.live import Client, Payload, Provider
from sources.live.ishares import FUNDS, Fund, HoldingsShares, Shares, described_funds, holdings_url
from sources.live.spreadsheet_xml import sheet_rows

NOW = dt.datetime(2025, 7, 1, 14, 0, tzinfo=dt.UTC)
HEADER = ("As Of", "NAV per Share", "Ex-Dividends", "Shares Outstanding")
# Newest first, as the issuer has it. 2025-06-19 was a holiday.
ROWS = (
    ("Jun 20, 2025", "101.5", "--", "1,150,000.00"),
    ("Jun 18, 2025", "100.0", "--", "1,200,000.00"),
    ("Jun 17, 2025", "102.0", "0.31", "1,000,000.00"),
)


def _row(cells: tuple[str, ...]) -> str:
    data = "".join(
        f'<ss:Cell ss:StyleID="Left"><ss:Data ss:Type="String">{cell}</ss:Data></ss:Cell>\n'
        for cell in cells
    )
    return f"<ss:Row>\n{data}</ss:Row>\n"


def _sheet(name: str, *rows: tuple[str, ...]) -> str:
    body = "".join(map(_row, rows))
    return f'<ss:Worksheet ss:Name="{name}">\n<ss:Table>\n{body}</ss:Table>\n</ss:Worksheet>\n'


def _workbook(*rows: tuple[str, ...], header: tuple[str, ...] = HEADER) -> bytes:
    """Return a workbook with the issuer's own faults: two marks, a stray tag, an ampersand."""
    text = (
        '<?xml version="1.0"?>\n'
        '<ss:Workbook xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">\n'
        '<ss:Styles><ss:Style ss:ID="Left"><ss:Font/></Style></ss:Styles>\n'
        + _sheet("Holdings", ("Ticker", "Name"), ("AAA", "ALPHA & BETA CO"))
        + _sheet("Historical", header, *rows)
        + _sheet("Performance", ("Month", "Total"))
        + "</ss:Workbook>\n"
    )
    return b"\xef\xbb\xbf\xef\xbb\xbf" + text.encode()


def _payload(content: bytes, kind: str = "application/vnd.ms-excel") -> Payload:
    return Payload("http://issuer/", content, kind, NOW)


def _flows(content: bytes, kind: str = "application/vnd.ms-excel") -> pd.DataFrame:
    return Shares(Client()).parse("IWM", (_payload(content, kind),))


def test_a_flow_is_the_change_in_shares_times_the_days_nav(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/IWM", query_string="fileType=xls").respond_with_data(
        _workbook(*ROWS), content_type="application/vnd.ms-excel;charset=UTF-8"
    )
    funds = {"IWM": Fund(history=httpserver.url_for("/IWM?fileType=xls"))}
    with Client() as client:
        fetched = Shares(client, funds).fetch("IWM", dt.date(2025, 6, 17), dt.date(2025, 6, 20))
    table = fetched.table
    assert (fetched.folder, fetched.series, fetched.source) == ("flows", "IWM", "ishares")
    assert table["date"].dt.strftime("%m-%d").tolist() == ["06-17", "06-18", "06-20"]
    # 200,000 shares at 100 came, 50,000 at 101.5 went; Friday follows Wednesday's session.
    assert np.isnan(table["flow_usd"].iloc[0])
    assert table["flow_usd"].tolist()[1:] == [20_000_000.0, -5_075_000.0]
    assert table["aum_usd"].tolist() == [102_000_000.0, 120_000_000.0, 116_725_000.0]
    # 13:00 UTC of the next session: Wednesday, Friday (over the holiday), Monday.
    assert [instant.isoformat() for instant in table["available_at"]] == [
        "2025-06-18T13:00:00+00:00",
        "2025-06-20T13:00:00+00:00",
        "2025-06-23T13:00:00+00:00",
    ]
    assert screen("flows", "IWM", table, now=pd.Timestamp(NOW)).quarantined.empty


def test_a_day_without_shares_leaves_a_hole_and_the_next_day_no_flow() -> None:
    rows = (ROWS[0], ("Jun 18, 2025", "100.0", "--", "--"), ROWS[2])
    table = _flows(_workbook(*rows))
    assert table["date"].dt.day.tolist() == [17, 20]
    assert table["flow_usd"].isna().all()


def test_A16_the_order_of_rows_does_not_matter() -> None:
    pd.testing.assert_frame_equal(_flows(_workbook(*ROWS[::-1])), _flows(_workbook(*ROWS)))


def test_A13_columns_are_found_by_name() -> None:
    header = ("As Of", "Other", "Shares Outstanding", "NAV per Share")
    rows = [(day, "x", shares, nav) for day, nav, _, shares in ROWS]
    pd.testing.assert_frame_equal(_flows(_workbook(*rows, header=header)), _flows(_workbook(*ROWS)))


@pytest.mark.parametrize("name", ["As Of", "NAV per Share", "Shares Outstanding"])
def test_A13_a_column_that_is_renamed_is_missed(name: str) -> None:
    header = tuple("Other" if found == name else found for found in HEADER)
    with pytest.raises(SchemaError, match=f"ishares IWM, row 1: needed column {name} once"):
        _flows(_workbook(*ROWS, header=header))


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        (("2025-06-20", "101.5", "--", "1"), "As Of"),
        (("20/Jun/2025", "101.5", "--", "1"), "As Of"),
        (("Jun 31, 2025", "101.5", "--", "1"), "As Of"),
        (("45828", "101.5", "--", "1"), "As Of"),
        (("Jun 20, 2025", "101,5", "--", "1"), "NAV per Share"),
        (("Jun 20, 2025", "1.", "--", "1"), "NAV per Share"),
        (("Jun 20, 2025", "inf", "--", "1"), "NAV per Share"),
        (("Jun 20, 2025", "=A1", "--", "1"), "NAV per Share"),
        (("Jun 20, 2025", "101.5", "--", "1.150.000"), "Shares Outstanding"),
        (("Jun 20, 2025", "101.5", "--", "N/A"), "Shares Outstanding"),
    ],
)
def test_A13_A17_A23_A35_a_cell_of_another_kind_is_refused(
    cells: tuple[str, ...], column: str
) -> None:
    with pytest.raises(SchemaError, match=f"column {column}, row 2") as caught:
        _flows(_workbook(cells, *ROWS[1:]))
    assert str(caught.value).isprintable()


def test_A17_a_day_after_the_download_is_refused() -> None:
    with pytest.raises(SchemaError, match="needed days up to 2025-07-01; found 2099-06-18"):
        _flows(_workbook(("Jun 18, 2099", "1", "--", "1"), *ROWS))


def test_A14_A15_a_day_twice_is_refused() -> None:
    with pytest.raises(SchemaError, match="needed each day once; found 2025-06-18 twice"):
        _flows(_workbook(ROWS[1], *ROWS))


def test_A24_a_split_of_the_shares_is_seen_by_the_gate() -> None:
    # Two for one on the 18th: shares double, NAV halves, nobody came.
    rows = (
        ("Jun 20, 2025", "50.5", "--", "2000000"),
        ("Jun 18, 2025", "51.0", "--", "2000000"),
        ("Jun 17, 2025", "102.0", "--", "1000000"),
    )
    screened = screen("flows", "IWM", _flows(_workbook(*rows)), now=pd.Timestamp(NOW))
    assert screened.quarantined["reason"].tolist() == ["split of the fund"]
    assert screened.quarantined["date"].dt.day.tolist() == [18]


# --- the workbook as such


def test_A12_a_sheet_without_days_is_an_empty_feed() -> None:
    with pytest.raises(EmptyFeedError, match="found 1 rows"):
        _flows(_workbook())
    with pytest.raises(EmptyFeedError, match="needed a day with shares and NAV"):
        _flows(_workbook(("Jun 20, 2025", "101.5", "--", "-")))


@pytest.mark.parametrize(
    ("content", "kind", "found"),
    [
        pytest.param(b"<!DOCTYPE html><html>", "text/html", "an HTML page", id="A07-html"),
        pytest.param(_workbook(*ROWS), "text/html", "text/html", id="A07-type"),
        pytest.param(b'{"error": 1}', "text/plain", "error", id="A08-json"),
        pytest.param(b"", "", "''", id="A12-empty"),
    ],
)
def test_what_is_no_workbook_is_refused(content: bytes, kind: str, found: str) -> None:
    with pytest.raises(SchemaError) as caught:
        _flows(content, kind)
    assert found in str(caught.value)


def test_A09_a_workbook_cut_at_any_byte_is_refused_or_equal() -> None:
    raw = _workbook(*ROWS)
    whole = _flows(raw)
    for cut in range(len(raw)):
        try:
            table = _flows(raw[:cut])
        except SchemaError:
            continue
        assert raw[cut:] == b"\n"
        pd.testing.assert_frame_equal(table, whole)


def test_A35_a_workbook_with_any_byte_changed_is_refused_or_read_without_a_crash() -> None:
    raw = _workbook(*ROWS)
    rng = np.random.default_rng(3)
    for place in rng.integers(0, len(raw), 400):
        changed = bytearray(raw)
        changed[place] ^= int(rng.integers(1, 256))
        try:
            _flows(bytes(changed))
        except (SchemaError, EmptyFeedError) as error:
            assert str(error).isprintable()


@pytest.mark.parametrize(
    "poison",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        "<!-- a comment -->",
        "<?php ?>",
        "<![CDATA[x]]>",
    ],
)
def test_A10_A35_a_sheet_that_declares_anything_is_refused(poison: str) -> None:
    raw = _workbook(*ROWS).replace(b"<ss:Data", poison.encode() + b"<ss:Data")
    with pytest.raises(SchemaError, match="a declaration or an instruction"):
        _flows(raw)


def test_A10_an_entity_declared_before_the_sheet_is_never_expanded() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "Jun 20, 2025"><!ENTITY b "&a;&a;&a;">]>\n'
    raw = _workbook(("&a;", "101.5", "--", "1"), *ROWS[1:])
    with pytest.raises(SchemaError, match="a well-formed sheet"):
        _flows(raw.replace(b"<ss:Workbook", bomb + b"<ss:Workbook", 1))


@pytest.mark.parametrize(
    ("old", "new", "needed"),
    [
        (b'ss:Name="Historical"', b'ss:Name="Verlauf"', "one sheet Historical; found 0"),
        (b'ss:Name="Performance"', b'ss:Name="Historical"', "one sheet Historical; found 2"),
        (b"</ss:Row>", b"", "a well-formed sheet"),
        (b'<ss:Cell ss:StyleID="Left">', b'<ss:Cell ss:Index="2">', "rows and cells without gaps"),
        (b"101.5", b"1" * 2000, "cells of at most 1024 characters"),
        (b"101.5", b"\xff", "a well-formed sheet"),
        (b"101.5", b"\x00", "a well-formed sheet"),
    ],
)
def test_A35_a_sheet_that_is_no_plain_table_is_refused(old: bytes, new: bytes, needed: str) -> None:
    with pytest.raises(SchemaError) as caught:
        _flows(_workbook(*ROWS).replace(old, new))
    assert needed in str(caught.value)


def test_a_row_with_a_cell_less_is_refused() -> None:
    with pytest.raises(SchemaError, match="row 3: needed 4 cells; found 3"):
        _flows(_workbook(ROWS[0], ROWS[1][:3], ROWS[2]))


def test_the_rows_of_a_sheet_are_texts() -> None:
    rows = sheet_rows(_workbook(*ROWS), "Historical", "x")
    assert rows == [list(HEADER), *map(list, ROWS)]


# --- flows from the holdings, as a second source


def _holdings(day: str, shares: str, value: str) -> bytes:
    return (
        f'A Fund\nFund Holdings as of,"{day}"\nShares Outstanding,"{shares}"\n\n'
        "Ticker,Name,Asset Class,Market Value,Weight (%)\n"
        f'"AAA","ALPHA","Equity","{value}","100.00"\n\n"Fine print."\n'
    ).encode()


def test_A32_flows_from_the_holdings_of_each_day_agree_with_those_of_the_sheet(
    httpserver: HTTPServer,
) -> None:
    days = {
        "20250616": _holdings("-", "-", "-"),
        "20250617": _holdings("Jun 17, 2025", "1,000,000.00", "102,000,000.00"),
        "20250618": _holdings("Jun 18, 2025", "1,200,000.00", "120,000,000.00"),
        "20250620": _holdings("Jun 20, 2025", "1,150,000.00", "116,725,000.00"),
    }
    for day, content in days.items():
        httpserver.expect_request(
            "/h", query_string={"fileType": "csv", "asOfDate": day}
        ).respond_with_data(content, content_type="text/csv;charset=UTF-8")
    funds = {"IWM": Fund(holdings=httpserver.url_for("/h?fileType=csv"))}
    with Client() as client:
        provider = HoldingsShares(client, funds)
        table = provider.fetch("IWM", dt.date(2025, 6, 17), dt.date(2025, 6, 20)).table
    # The session before the first day is asked for too, and nobody has it here.
    assert len(httpserver.log) == 4
    whole = _flows(_workbook(*ROWS))
    pd.testing.assert_frame_equal(table, whole)
    assert len(disagreements(whole, table, "flow_usd", 1e-9)) == 0


def test_A12_days_that_the_issuer_does_not_have_are_an_empty_feed() -> None:
    with pytest.raises(EmptyFeedError, match="needed holdings of a day"):
        HoldingsShares(Client()).parse(
            "IWM", (_payload(_holdings("-", "-", "-"), "text/csv"),)
        )  # fmt: skip


# --- which fund


def test_a_fund_that_nobody_described_is_named_with_those_that_are() -> None:
    with pytest.raises(
        UnknownNameError, match="unknown history of fund 'IBIT': known are IJR, IWM"
    ):
        Shares(Client()).download("IBIT", dt.date(2025, 6, 17), dt.date(2025, 6, 20))


def test_funds_of_the_configuration_are_added_to_those_known() -> None:
    funds = described_funds({"IBIT": {"history": "http://issuer/ibit"}, "IJR": {}})
    assert funds["IBIT"] == Fund(history="http://issuer/ibit")
    assert funds["IWM"] == FUNDS["IWM"]
    # A fund may lack one of the files, and says so when it is asked for.
    with pytest.raises(UnknownNameError, match="unknown holdings of fund 'IBIT': known are IWM"):
        holdings_url("IBIT", funds)


def test_the_known_funds_have_both_files() -> None:
    for fund in FUNDS.values():
        assert fund.history.startswith("https://www.ishares.com/us/products/")
        assert "fileType=xls" in fund.history
        assert "fileType=csv" in fund.holdings


def test_both_are_providers_of_flows() -> None:
    for provider in (Shares(Client()), HoldingsShares(Client())):
        assert isinstance(provider, Provider)
        assert provider.folder == "flows"
