"""Holdings are a dated snapshot of members, whole or refused; memberships follow from snapshots.

The files are made here: the layout is the issuer's, names and numbers are not.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from sources import SchemaError, sessions_between
from sources.calendars import as_of_instant, available_at_constituents
from sources.errors import EmptyFeedError
from sources.live import Client, Payload, Provider
from sources.live.holdings import Holdings, parse_holdings
from sources.live.ishares import Fund
from sources.live.memberships import Constituents, memberships

NOW = dt.datetime(2025, 7, 1, 14, 0, tzinfo=dt.UTC)
COLUMNS = "Ticker,Name,Sector,Asset Class,Market Value,Weight (%),Quantity,Price,Currency"
# Tickers that other readers take for nothing, a truth and a number.
FILE = (
    "\ufeffA Small Fund\r\n"
    'Fund Holdings as of,"Jun 30, 2025"\r\n'
    'Inception Date,"May 22, 2000"\r\n'
    'Shares Outstanding,"250,000.00"\r\n'
    'Stock,"-"\r\n'
    "\u00a0\r\n"
    f"{COLUMNS}\r\n"
    '"NA","NORTH, ASH INC","Industrials","Equity","30,000,000.00","40.00","5.00","20.00","USD"\r\n'
    '"TRUE","TRUE ""BLUE"" CO","Financials","Equity","22,500,000.00","30.00","5","20","USD"\r\n'
    '"1E5","ONE E FIVE","Utilities","Equity","15,000,000.00","20.00","5.00","20.00","USD"\r\n'
    '"-","ESCROW RIGHTS","Health Care","Equity","0.00","0.00","5.00","0.00","USD"\r\n'
    '"XCSH","CASH POOL","Cash and/or Derivatives","Cash","7,500,000.00","10.00","1","1","USD"\r\n'
    '"SEPX5","FUTURE SEP 25","Cash and/or Derivatives","Futures","0.00","0.00","1","1","USD"\r\n'
    "\r\n"
    '"Fine print in\r\nthree lines, with commas,\r\nand quotes ""so""."\r\n'
)


def _payload(text: str | bytes, kind: str = "text/csv;charset=UTF-8") -> Payload:
    content = text if isinstance(text, bytes) else text.encode()
    return Payload("http://issuer/", content, kind, NOW)


def _holdings(text: str | bytes, kind: str = "text/csv") -> Holdings:
    found = parse_holdings(_payload(text, kind), "ishares IWM")
    assert found is not None
    return found


def test_A28_members_are_the_listed_equities_and_tickers_stay_texts() -> None:
    found = _holdings(FILE)
    assert found.day == np.datetime64("2025-06-30")
    assert found.shares_outstanding == 250_000.0
    assert found.net_assets_usd == 75_000_000.0
    assert found.weights == {"1E5": 20.0, "NA": 40.0, "TRUE": 30.0}
    assert found.unnamed == 1


def test_a_day_that_the_issuer_does_not_have_is_no_snapshot() -> None:
    text = FILE.replace('"Jun 30, 2025"', '"-"')
    assert parse_holdings(_payload(text), "ishares IWM") is None


def test_A09_a_file_cut_at_any_byte_is_refused_or_equal() -> None:
    raw = FILE.encode()
    whole = _holdings(raw)
    end = raw.index(b'\r\n\r\n"Fine print') + 4
    for cut in range(len(raw)):
        try:
            found = _holdings(raw[:cut])
        except (SchemaError, EmptyFeedError) as error:
            assert str(error).isprintable()
            continue
        # Only the fine print may be short of its end.
        assert cut >= end - 1
        assert found == whole


def test_A09_rows_that_are_missing_show_in_the_sum_of_weights() -> None:
    lines = FILE.split("\r\n")
    del lines[8]
    with pytest.raises(SchemaError, match=r"add up to 100 within 3 .*; found 70\.00 of 5 rows"):
        _holdings("\r\n".join(lines))


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        pytest.param(FILE, "<html>captcha</html>", "an HTML page", id="A07-html"),
        pytest.param(FILE, '{"error": "x"}\n', "no such line", id="A08-json"),
        pytest.param(FILE, "", "no such line", id="A12-empty"),
        pytest.param("Ticker,", "Symbol,", "no such line", id="A13-renamed-ticker"),
        pytest.param("Asset Class", "Kind", "Asset Class", id="A13-renamed-class"),
        pytest.param("Fund Holdings as of", "Stand", "Inception Date", id="A13-renamed-day"),
        pytest.param("Shares Outstanding", "Anteile", "Inception Date", id="A13-renamed-shares"),
        pytest.param(",", ";", "expected after", id="A13-separator"),
        pytest.param("40.00", "40,00", "'40,00'", id="A13-decimal-comma"),
        pytest.param("Jun 30, 2025", "30.06.2025", "'30.06.2025'", id="A18-day"),
        pytest.param('"250,000.00"', '"0.00"', "'0.00'", id="A22-no-shares"),
        pytest.param('"250,000.00"', '"-"', "'-'", id="A23-no-shares"),
        pytest.param('"40.00"', '"inf"', "'inf'", id="A23-inf"),
        pytest.param('"40.00"', f'"{"9" * 400}"', "'99999", id="A23-too-large"),
        pytest.param('"40.00"', '"=1+1"', "'=1+1'", id="A35-formula"),
        pytest.param("NORTH", "NO\x00RTH", "one of them", id="A35-nul"),
        pytest.param("NORTH", "N" * 2000, "found 2009", id="A35-long"),
        pytest.param('"NA"', '"N"A"', "expected after", id="A35-quotes"),
        pytest.param('"USD"\r\n"TRUE"', '"USD","x"\r\n"TRUE"', "found 10", id="ragged"),
        pytest.param(COLUMNS, f"{COLUMNS}\r\n{COLUMNS}", "2 of them", id="two-headers"),
    ],
)
def test_what_is_no_holdings_file_is_refused(old: str, new: str, found: str) -> None:
    with pytest.raises((SchemaError, EmptyFeedError)) as caught:
        _holdings(FILE.replace(old, new))
    assert found in str(caught.value)
    assert str(caught.value).isprintable()


def test_A35_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(SchemaError, match="needed UTF-8; found byte 0xff"):
        _holdings(FILE.encode().replace(b"NORTH", b"N\xffRTH"))


def test_A12_a_table_without_rows_or_without_equities_is_an_empty_feed() -> None:
    head = FILE[: FILE.index('"NA"')]
    with pytest.raises(EmptyFeedError, match="at least one holding"):
        _holdings(head + "\r\n")
    with pytest.raises(EmptyFeedError, match="at least one equity"):
        _holdings(FILE.replace('"Equity"', '"Bond"'))


def test_A28_a_file_in_which_tickers_are_missing_is_refused() -> None:
    text = FILE.replace('"TRUE"', '"-"')
    with pytest.raises(SchemaError, match="needed equities with tickers; found 2 of 4 without"):
        _holdings(text)


def test_A35_a_file_with_any_byte_changed_is_refused_or_read_without_a_crash() -> None:
    raw = FILE.encode()
    rng = np.random.default_rng(4)
    for place in rng.integers(0, len(raw), 600):
        changed = bytearray(raw)
        changed[place] = int(rng.choice([0, 10, 13, 34, 44, 45, 48, 57, 65, 194, 255]))
        try:
            parse_holdings(_payload(bytes(changed)), "ishares IWM")
        except (SchemaError, EmptyFeedError) as error:
            assert str(error).isprintable()


# --- snapshots


def _day_file(day: dt.date, weights: dict[str, float]) -> str:
    rows = "".join(f'"{s}","{s} INC","Equity","1.00","{w}"\n' for s, w in weights.items())
    return (
        f'A Fund\nFund Holdings as of,"{day:%b %d, %Y}"\nShares Outstanding,"10"\n\n'
        f'Ticker,Name,Asset Class,Market Value,Weight (%)\n{rows}\n"Fine print."\n'
    )


def test_snapshots_are_fetched_for_each_published_session(httpserver: HTTPServer) -> None:
    asked: list[str] = []

    def issuer(request: Request) -> Response:
        asked.append(request.args["asOfDate"])
        day = dt.datetime.strptime(asked[-1], "%Y%m%d").replace(tzinfo=dt.UTC).date()
        names = {"AAA": 60.0, "NA": 40.0} if day.day < 20 else {"AAA": 50.0, "BBB": 50.0}
        return Response(_day_file(day, names), content_type="text/csv")

    httpserver.expect_request("/IWM").respond_with_handler(issuer)
    funds = {"IWM": Fund(holdings=httpserver.url_for("/IWM"))}
    with Client() as client:
        provider = Constituents(client, funds)
        assert isinstance(provider, Provider)
        fetched = provider.fetch("IWM", dt.date(2025, 6, 18), dt.date(2025, 6, 22))
    # The 19th is a holiday, the 21st and 22nd a weekend.
    assert asked == ["20250618", "20250620"]
    assert fetched.folder == "constituents"
    table = fetched.table
    assert table.columns.tolist() == ["date", "symbol", "weight", "available_at"]
    assert table["symbol"].tolist() == ["AAA", "NA", "AAA", "BBB"]
    assert (
        table["available_at"].dt.strftime("%m-%d %H").tolist()
        == ["06-20 13"] * 2 + ["06-23 13"] * 2
    )
    found = memberships(table)
    # Wednesday's file is public on Friday morning, so it speaks from Friday; Friday's on Monday.
    assert _texts(found) == [
        ["AAA", "2025-06-20", ""],
        ["BBB", "2025-06-23", ""],
        ["NA", "2025-06-20", "2025-06-20"],
    ]


def test_a_session_that_is_not_yet_public_is_not_asked_for(httpserver: HTTPServer) -> None:
    funds = {"IWM": Fund(holdings=httpserver.url_for("/IWM"))}
    with Client() as client:
        # A week has a session; none of the next week's is over.
        start = client.clock.now().date() + dt.timedelta(days=1)
        end = start + dt.timedelta(days=7)
        assert Constituents(client, funds).download("IWM", start, end) == ()
    assert httpserver.log == []


def test_no_snapshot_at_all_is_an_empty_feed() -> None:
    with pytest.raises(EmptyFeedError, match="needed holdings of a day"):
        Constituents(Client()).parse("IWM", ())


SESSIONS = sessions_between("2025-06-02", "2025-07-31")
KNOWN = available_at_constituents(SESSIONS)


def _texts(found: pd.DataFrame) -> list[list[str]]:
    """Return spans as texts, a span without an end with none."""
    days = found.assign(start=found["start"].dt.strftime("%Y-%m-%d"),
                        end=found["end"].dt.strftime("%Y-%m-%d").fillna(""))  # fmt: skip
    return days.to_numpy().tolist()


def _snapshots(*universes: str) -> pd.DataFrame:
    """Return one snapshot a session, each letter a member."""
    place = np.repeat(np.arange(len(universes)), [len(names) for names in universes])
    return pd.DataFrame(
        {
            "date": SESSIONS[place],
            "symbol": pd.Series(list("".join(universes)), dtype="str"),
            "weight": 1.0,
            "available_at": KNOWN[place],
        }
    )


def test_a_name_that_leaves_and_returns_has_two_spans() -> None:
    found = memberships(_snapshots("ab", "a", "a", "ab"))
    # Sessions of June 2025 from Monday the 2nd; a snapshot speaks from the next session on.
    assert _texts(found) == [
        ["a", "2025-06-03", ""],
        ["b", "2025-06-03", "2025-06-03"],
        ["b", "2025-06-06", ""],
    ]


def test_an_older_day_that_is_published_again_is_no_news_of_who_is_a_member() -> None:
    table = _snapshots("ab", "ac", "ac")
    again = table[table["date"] == SESSIONS[0]].assign(
        available_at=pd.Timestamp("2025-06-20T13:00Z").as_unit("us")
    )
    pd.testing.assert_frame_equal(memberships(pd.concat([table, again])), memberships(table))


def _members_on(found: pd.DataFrame, day: pd.Timestamp) -> set[str]:
    within = (found["start"] <= day) & ~(found["end"] < day)
    return set(found.loc[within, "symbol"])


UNIVERSES = st.lists(st.sets(st.sampled_from("abcde"), min_size=1), min_size=1, max_size=12)


@settings(max_examples=60)
@given(universes=UNIVERSES)
def test_A28_who_is_a_member_on_a_day_is_the_last_snapshot_public_by_then(
    universes: list[set[str]],
) -> None:
    table = _snapshots(*map("".join, universes))
    found = memberships(table)
    for day in SESSIONS[:15]:
        # The oracle: of all that is public at T(d), the latest day's names.
        public = table[table["available_at"] <= as_of_instant(day)]
        latest = set(public.loc[public["date"] == public["date"].max(), "symbol"])
        assert _members_on(found, day) == latest


@settings(max_examples=60)
@given(universes=UNIVERSES, cut=st.integers(1, 12))
def test_later_snapshots_change_no_membership_of_an_earlier_day(
    universes: list[set[str]], cut: int
) -> None:
    table = _snapshots(*map("".join, universes))
    then = SESSIONS[cut]
    public = table[table["available_at"] <= as_of_instant(then)]
    if public.empty:
        return
    before, after = memberships(public), memberships(table)
    for day in SESSIONS[: cut + 1]:
        assert _members_on(before, day) == _members_on(after, day)
