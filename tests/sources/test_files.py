"""How a market directory is read: what is taken, what is settled, what is refused and where."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from sources import DataUnavailableError, Market, SchemaError, known_at, read_market

if TYPE_CHECKING:
    from pathlib import Path

NOW = pd.Timestamp("2024-06-03T12:00Z")
PRICES = "date,open,high,low,close,adj_close,volume\n"
# Friday, Monday (Memorial Day is 27 May), Friday.
SPY = "date,close\n2024-05-24,529.44\n2024-05-28,529.81\n2024-05-31,527.37\n"
BTC = "date,close\n2024-06-01,67706.94\n2024-06-02,67751.6\n"


def _market(folder: Path, **files: str | bytes) -> Path:
    """Write files, ``prices__BTC='...'`` being prices/BTC.csv, beside a good price file."""
    for name, content in {"prices__SPY": SPY, **files}.items():
        path = folder / (name.replace("__", "/") + ("" if "." in name else ".csv"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def _refusal(folder: Path, **files: str | bytes) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        read_market(_market(folder, **files), now=NOW)
    assert str(caught.value).isprintable()
    return caught.value


def _iso(table: pd.DataFrame) -> list[str]:
    return [instant.isoformat() for instant in table["available_at"]]


def test_a_table_has_all_columns_in_order_and_their_types(tmp_path: Path) -> None:
    market = read_market(_market(tmp_path, prices__BTC=BTC), now=NOW)
    table = market.prices["BTC"]
    assert ",".join(table.columns) == PRICES.strip() + ",available_at"
    assert table["date"].dtype == "datetime64[us]"
    assert table["available_at"].dtype == "datetime64[us, UTC]"
    assert (table.dtypes.iloc[1:7] == "float64").all()
    assert table["close"].tolist() == [67706.94, 67751.6]
    assert table[["open", "adj_close", "volume"]].isna().all(axis=None)
    assert isinstance(table.index, pd.RangeIndex)
    assert market.crypto == ("BTC",)


def test_without_available_at_the_contracts_clock_rules(tmp_path: Path) -> None:
    market = read_market(
        _market(
            tmp_path,
            prices__BTC=BTC,
            flows__IWM="date,flow_usd,aum_usd\n2024-05-24,-5,1e9\n",
            macro__WALCL="date,value\n2024-05-29,7284319\n",
        ),
        now=NOW,
    )
    assert _iso(market.prices["SPY"])[0] == "2024-05-24T20:00:00+00:00"
    assert _iso(market.prices["BTC"])[0] == "2024-06-02T00:00:00+00:00"
    assert _iso(market.flows["IWM"]) == ["2024-05-28T13:00:00+00:00"]
    assert _iso(market.macro["WALCL"]) == ["2024-05-30T21:30:00+00:00"]


def test_a_files_own_available_at_wins_cell_by_cell_in_any_offset(tmp_path: Path) -> None:  # A18
    rows = (
        "available_at,close,note,date\n"
        "2024-05-24T18:00:00-05:00,529.44,x,2024-05-24\n"
        ",529.81,,2024-05-28\n"
        "2024-05-31 23:00:00.25Z,527.37,,2024-05-31\n"
    )
    table = read_market(_market(tmp_path, prices__SPY=rows), now=NOW).prices["SPY"]
    # 18:00 at UTC-5 is 23:00 UTC; the empty cell is the exchange's close.
    assert _iso(table) == [
        "2024-05-24T23:00:00+00:00",
        "2024-05-28T20:00:00+00:00",
        "2024-05-31T23:00:00.250000+00:00",
    ]


def test_a_revision_leaves_the_earlier_value_standing_until_it_is_known(  # A15, A26
    tmp_path: Path,
) -> None:
    rows = (
        "date,value,available_at\n"
        "2024-05-29,1.0,2024-05-30T12:00:00Z\n"
        "2024-05-29,2.0,2024-06-01T12:00:00Z\n"
    )
    table = read_market(_market(tmp_path, macro__X=rows), now=NOW).macro["X"]
    assert table["value"].tolist() == [1.0, 2.0]
    assert known_at(table, pd.Timestamp("2024-06-01T11:59Z"))["value"].tolist() == [1.0]
    assert known_at(table, pd.Timestamp("2024-06-01T12:00Z"))["value"].tolist() == [2.0]


def test_macro_rows_without_a_value_are_left_out(tmp_path: Path) -> None:
    rows = "date,value\n2024-05-24,4.4\n2024-05-27,.\n2024-05-28,\n2024-05-29,-0.5\n"
    table = read_market(_market(tmp_path, macro__DGS10=rows), now=NOW).macro["DGS10"]
    assert table["value"].tolist() == [4.4, -0.5]


def test_a_coin_worth_next_to_nothing_survives(tmp_path: Path) -> None:
    rows = "date,close,volume\n2024-06-01,2.5e-8,0\n"
    market = read_market(_market(tmp_path, prices__PEPE=rows), crypto=("PEPE",), now=NOW)
    assert market.prices["PEPE"]["close"].tolist() == [2.5e-8]


def test_a_row_on_a_closed_day_is_quarantined_and_counted(  # A20
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = "date,close\n2025-01-08,590.0\n2025-01-09,590.0\n2025-01-10,580.5\n"
    with caplog.at_level(logging.WARNING):
        market = read_market(
            _market(tmp_path, prices__SPY=rows), now=pd.Timestamp("2025-02-01T00:00Z")
        )
    assert market.prices["SPY"]["close"].tolist() == [590.0, 580.5]
    assert "prices/SPY.csv: 1 row(s) quarantined" in caplog.text
    assert "2025-01-09" in caplog.text


def test_an_equity_that_trades_on_weekends_is_refused(tmp_path: Path) -> None:  # A21
    rows = "date,close\n2024-05-31,1.0\n2024-06-01,1.0\n2024-06-02,1.0\n"
    refusal = _refusal(tmp_path, prices__PEPE=rows)
    assert "crypto universe" in refusal.expected
    assert refusal.row == 3


def test_a_monthly_series_must_say_when_it_was_known(tmp_path: Path) -> None:
    rows = "date,value\n2024-01-01,308.4\n2024-02-01,310.3\n2024-03-01,312.3\n"
    assert "available_at" in _refusal(tmp_path, macro__CPI=rows).expected


HEADER = "date,open,high,low,close,volume,available_at\n"


@pytest.mark.parametrize(
    ("row", "column", "needed", "found"),
    [
        pytest.param("2024-05-31,,,,,,", "close", "a value", "nan", id="A23-no-price"),
        pytest.param("2024-05-31,,,,0,,", "close", "[1e-10, 1e+11]", "0.0", id="A22-zero"),
        pytest.param("2024-05-31,,,,-1.5,,", "close", "[1e-10", "-1.5", id="A22-negative"),
        pytest.param("2024-05-31,,,,1e-12,,", "close", "[1e-10", "1e-12", id="A22-tiny"),
        pytest.param("2024-05-31,,,,1e12,,", "close", "[1e-10", "1000000000000.0", id="A22-huge"),
        pytest.param("2024-05-31,,,,1e400,,", "close", "[1e-10", "inf", id="A22-overflow"),
        pytest.param("2024-05-31,,,,1,-1,", "volume", "[0, 1e+18]", "-1.0", id="A22-volume"),
        pytest.param("2024-05-31,,,,inf,,", "close", "a number", "'inf'", id="A23-inf"),
        pytest.param("2024-05-31,,,,-inf,,", "close", "a number", "'-inf'", id="A23-minus-inf"),
        pytest.param("2024-05-31,,,,NaN,,", "close", "a number", "'NaN'", id="A23-nan-text"),
        pytest.param("2024-05-31,,,,N/A,,", "close", "a number", "'N/A'", id="A23-n/a"),
        pytest.param("2024-05-31,,,,oops,,", "close", "a number", "'oops'", id="A23-text"),
        pytest.param("2024-05-31,,,,1.,,", "close", "a number", "'1.'", id="A09-cut-number"),
        pytest.param("2024-05-31,,,, 1.5,,", "close", "a number", "' 1.5'", id="blank-in-number"),
        pytest.param("2024-05-31,,,,0x1F,,", "close", "a number", "'0x1F'", id="hexadecimal"),
        pytest.param("2024-05-31,,,,=1+1,,", "close", "a number", "'=1+1'", id="A35-formula"),
        pytest.param("2024-05-31,5,4,3,3.5,,", "high", "high at or above", "4.0", id="open>high"),
        pytest.param("2024-05-31,4,4,5,4,,", "high", "high at or above", "4.0", id="low>high"),
        pytest.param("2024-05-31,4,5,3,2,,", "low", "low at or below", "3.0", id="close<low"),
        pytest.param("2024-06-04,,,,1,,", "date", "up to today", "'2024-06-04'", id="A17-tomorrow"),
        pytest.param("2099-01-02,,,,1,,", "date", "up to today", "'2099-01-02'", id="A17-2099"),
        pytest.param("1717113600,,,,1,,", "date", "YYYY-MM-DD", "'1717113600'", id="A17-epoch"),
        pytest.param("20240531,,,,1,,", "date", "YYYY-MM-DD", "'20240531'", id="compact-date"),
        pytest.param("31/05/2024,,,,1,,", "date", "YYYY-MM-DD", "'31/05/2024'", id="local-date"),
        pytest.param("2024-05-32,,,,1,,", "date", "calendar", "'2024-05-32'", id="A17-no-date"),
        pytest.param("2023-02-29,,,,1,,", "date", "calendar", "'2023-02-29'", id="A17-no-leap"),
        pytest.param("0001-01-01,,,,1,,", "date", "1800-01-01", "'0001-01-01'", id="A17-year-1"),
        pytest.param(",,,,1,,", "date", "YYYY-MM-DD", "''", id="no-date"),
        pytest.param("2024-05-30,,,,9,,", "date", "ascending", "2024-05-30", id="A15-two-values"),
        pytest.param("2024-05-30,,,,1,,", "date", "ascending", "2024-05-30", id="A14-same-row"),
        pytest.param("2024-05-29,,,,1,,", "date", "ascending", "2024-05-29", id="A16-unsorted"),
        pytest.param(
            "2024-05-31,,,,1,,2024-05-31T20:00:00", "available_at", "offset",
            "'2024-05-31T20:00:00'", id="A18-naive",
        ),
        pytest.param(
            "2024-05-31,,,,1,,2024-05-31T25:00:00Z", "available_at", "offset",
            "'2024-05-31T25:00:00Z'", id="A18-no-instant",
        ),
        pytest.param(
            "2024-05-31,,,,1,,2024-05-30T23:59:59Z", "available_at", "after the event date",
            "2024-05-30T23:59:59+00:00", id="A19-known-before-it-happened",
        ),
        pytest.param(
            "2024-05-31,,,,1,,2099-01-01T00:00:00Z", "available_at", "before 2024-07-04",
            "'2099-01-01T00:00:00Z'", id="A17-known-in-2099",
        ),
    ],
)  # fmt: skip
def test_a_bad_row_is_refused_by_file_column_and_line(
    tmp_path: Path, row: str, column: str, needed: str, found: str
) -> None:
    # The bad row is the third line, after the header and a good row of 2024-05-30.
    refusal = _refusal(tmp_path, prices__SPY=HEADER + "2024-05-30,,,,1,,\n" + row + "\n")
    assert (refusal.source, refusal.column, refusal.row) == ("prices/SPY.csv", column, 3)
    assert needed in refusal.expected
    assert refusal.found == found
    assert str(refusal).startswith(f"prices/SPY.csv, column {column}, row 3: needed ")


@pytest.mark.parametrize(
    ("file", "header", "needed", "found"),
    [
        pytest.param("prices__X", "Date,close", "column date", "'Date'", id="A13-case"),
        pytest.param("prices__X", "day,close", "column date", "'day'", id="A13-renamed"),
        pytest.param("prices__X", "date,last", "close or adj_close", "'last'", id="A13-no-close"),
        pytest.param("flows__X", "date,flow,aum_usd", "column flow_usd", "'flow'", id="A13-flow"),
        pytest.param("macro__X", "date,x,y", "value", "'x', 'y'", id="A13-value"),
        pytest.param("macro__X", "a,b,c,d,e,f,g", "column date", "'e', ...", id="A13-many"),
    ],
)
def test_a_header_that_lacks_a_column_is_refused_with_the_difference(
    tmp_path: Path, file: str, header: str, needed: str, found: str
) -> None:
    row = ",".join("1" for _ in header.split(","))
    refusal = _refusal(tmp_path, **{file: f"{header}\n{row}\n"})
    assert refusal.row == 1
    assert needed in refusal.expected
    assert refusal.found.endswith(found)


@pytest.mark.parametrize("folder", ["prices", "flows", "macro", "constituents"])
def test_every_folder_is_parsed_strictly(tmp_path: Path, folder: str) -> None:  # A07
    name = "closes" if folder == "constituents" else "X"
    refusal = _refusal(tmp_path, **{f"{folder}__{name}": "<html>rate limit</html>\n"})
    assert refusal.source == f"{folder}/{name}.csv"
    assert "HTML" in refusal.found


def test_a_directory_without_prices_says_what_it_needs_and_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other" / "stuff").mkdir(parents=True)
    (tmp_path / "bare" / "prices").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    for name, found in [
        ("nowhere", "found nothing"),
        ("file", "found a file"),
        ("empty", "found an empty directory"),
        ("other", "found 'stuff'"),
        ("bare", "found no price file in prices/"),
    ]:
        with pytest.raises(DataUnavailableError, match=found) as caught:
            read_market(tmp_path / name)
        assert "riskon simulate" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_files_that_are_no_symbols_are_passed_over(tmp_path: Path) -> None:  # B06
    folder = _market(tmp_path, **{"prices__.SPY.csv.tmp": "x", "prices__.hidden.csv": "x"})
    _market(tmp_path, **{"prices__a b.csv": "x", "prices__README.md": "x"})
    assert list(read_market(folder, now=NOW).prices) == ["SPY"]


def test_two_files_of_one_symbol_are_refused(tmp_path: Path) -> None:
    assert "one file" in _refusal(tmp_path, **{"prices__SPY.parquet": b"x"}).expected


def test_a_link_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    folder = _market(tmp_path / "market")
    (tmp_path / "outside.csv").write_text(BTC)
    (folder / "prices" / "BTC.csv").symlink_to(tmp_path / "outside.csv")
    assert "inside the directory" in _refusal(folder).expected


def _parquet(**columns: pa.Array) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table(columns), sink, write_page_checksum=True)
    return bytes(sink.getvalue().to_pybytes())


DAYS = pa.array(np.array(["2024-05-30", "2024-05-31"], dtype="datetime64[D]"))


def test_parquet_is_as_good_as_csv(tmp_path: Path) -> None:
    columns = {"date": DAYS, "close": pa.array([1, 2]), "open": pa.array([1.0, None])}
    from_parquet = _market(tmp_path / "a", **{"prices__BTC.parquet": _parquet(**columns)})
    text = "date,close,open\n2024-05-30,1,1\n2024-05-31,2,\n"
    from_csv = _market(tmp_path / "b", prices__BTC=text)
    pd.testing.assert_frame_equal(
        read_market(from_parquet, now=NOW).prices["BTC"],
        read_market(from_csv, now=NOW).prices["BTC"],
    )


def test_a_flipped_bit_in_parquet_is_refused_or_changes_nothing(tmp_path: Path) -> None:  # B07
    good = _parquet(date=DAYS, close=pa.array([1.25, 2.5]))
    path = _market(tmp_path, **{"prices__BTC.parquet": good}) / "prices" / "BTC.parquet"
    clean = read_market(tmp_path, now=NOW)
    refused = 0
    random = np.random.default_rng(7)
    for place in random.choice(len(good), 200, replace=False):
        broken = bytearray(good)
        broken[place] ^= 1 << int(random.integers(8))
        path.write_bytes(bytes(broken))
        try:
            assert read_market(tmp_path, now=NOW).digest() == clean.digest()
        except SchemaError as refusal:
            assert refusal.source == "prices/BTC.parquet"
            assert str(refusal).isprintable()
            refused += 1
    assert refused > 50  # the rest hit parts of the footer that carry no value


@pytest.mark.parametrize(
    ("columns", "needed"),
    [
        ({"date": pa.array([1717027200, 1717113600])}, "a date YYYY-MM-DD"),
        ({"date": DAYS, "close": pa.array([True, False])}, "numbers"),
        ({"date": DAYS, "close": pa.array([1.0, np.inf])}, "[1e-10, 1e+11]"),
        ({"date": DAYS, "available_at": DAYS.cast(pa.timestamp("us"))}, "offset"),
    ],
)
def test_parquet_of_other_types_is_refused(
    tmp_path: Path, columns: dict[str, pa.Array], needed: str
) -> None:
    columns = {"close": pa.array([1.0, 2.0])} | columns
    refusal = _refusal(tmp_path, **{"prices__BTC.parquet": _parquet(**columns)})
    assert needed in refusal.expected


def _with_panel(folder: Path, closes: str, **files: str) -> Market:
    return read_market(_market(folder, constituents__closes=closes, **files), now=NOW)


CLOSES = "date,NA,TRUE,1E5\n2024-05-30,1,2.5,\n2024-05-31,1.5,0,3\n"


def test_tickers_that_look_like_values_stay_tickers(  # A28
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    members = "symbol,start,end\nNA,2020-01-01,2021-01-01\nNA,2022-01-01,\nTRUE,2020-01-01,\n"
    panel = _with_panel(tmp_path, CLOSES, constituents__members=members).panel
    assert panel is not None
    assert panel.symbols == ("NA", "TRUE", "1E5")
    # A price of 0 says "no trade": NaN, and counted.
    np.testing.assert_array_equal(panel.closes, [[1, 2.5, np.nan], [1.5, np.nan, 3]])
    assert "1 zero prices quarantined: TRUE" in caplog.text
    assert panel.available_at.tolist() == [
        pd.Timestamp("2024-05-30T20:00").to_pydatetime(),
        pd.Timestamp("2024-05-31T20:00").to_pydatetime(),
    ]
    assert panel.members is not None
    assert panel.members["symbol"].tolist() == ["NA", "NA", "TRUE"]
    assert panel.members["end"].isna().tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("name", "content", "column", "row"),
    [
        ("closes", "date,A\n2024-05-30,1\n2024-05-30,1\n", "date", 3),
        ("closes", "date,A\n2024-05-31,1\n2024-05-30,1\n", "date", 3),
        ("closes", "date,A\n2024-05-30,-1\n", "A", 2),
        ("closes", "date,A,B\n2024-05-30,1,x\n", "B", 2),
        ("closes", "date,A\n2024-06-04,1\n", "date", 2),
        ("closes", "date,A B\n2024-05-30,1\n", None, 1),
        ("closes", "day,A\n2024-05-30,1\n", None, 1),
        ("members", "symbol,start\nA,2024-01-01\n", None, 1),
        ("members", "symbol,start,end\nA,2024-01-02,2024-01-01\n", "end", 2),
        ("members", "symbol,start,end\nA,,\n", "start", 2),
        ("members", "symbol,start,end\n,2024-01-01,\n", "symbol", 2),
        ("members", "symbol,start,end\nA,2024-01-01,\nA,2024-01-01,\n", "symbol", 3),
    ],
)
def test_bad_constituents_are_refused_by_column_and_line(
    tmp_path: Path, name: str, content: str, column: str | None, row: int
) -> None:
    files = {"constituents__closes": CLOSES, f"constituents__{name}": content}
    refusal = _refusal(tmp_path, **files)
    assert (refusal.source, refusal.column, refusal.row) == (
        f"constituents/{name}.csv", column, row,
    )  # fmt: skip
