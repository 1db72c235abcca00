"""FRED's vintages are known from the day they were there to read, against a server that keeps some.

The server below answers as the API does: vintages are cut at the edges of the real time asked for,
pages have an offset and a count, more than 2,000 vintages are refused, and so is another key.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from dataclasses import dataclass, field
from itertools import pairwise

import pandas as pd
import pytest
from proxies import FaultyProxy
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from sources import DataUnavailableError, ProviderUnavailableError, SchemaError, known_at
from sources.errors import EmptyFeedError
from sources.gates import disagreements, screen
from sources.live import Client, Limits, Payload, Provider, fred
from sources.live.fred import Fred
from sources.live.fred_csv import FredCsv

KEY = "0123456789abcdef0123456789abcdef"
START, END = dt.date(2024, 1, 1), dt.date(2024, 12, 31)
NOW = dt.datetime(2024, 11, 29, 12, 0, tzinfo=dt.UTC)
FOREVER = "9999-12-31"

# A monthly series, revised: October published on 15 November, revised on 27 November.
UNRATE = [
    ("2024-09-01", "2024-10-04", "4.1"),
    ("2024-10-01", "2024-11-15", "4.2"),
    ("2024-10-01", "2024-11-27", "4.0"),
]


@dataclass
class Archive:
    """ALFRED's archive of one series: (event date, first day of the vintage, value)."""

    rows: list[tuple[str, str, str]]
    asked: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, request: Request) -> Response:
        asked = dict(request.args)
        self.asked.append(asked)
        if asked.get("api_key") != KEY:
            return _error("The value for variable api_key is not registered.")
        names = sorted({first for _, first, _ in self.rows})
        if request.path.endswith("/vintagedates"):
            return _page(asked, "vintage_dates", names)
        since, until = asked["realtime_start"], asked["realtime_end"]
        if sum(since <= name <= until for name in names) > 2000:
            return _error("This exceeds the maximum number of vintage dates allowed (2000).")
        return _page(asked, "observations", self._observations(asked, since, until))

    def _observations(self, asked: dict[str, str], since: str, until: str) -> list[dict[str, str]]:
        found = []
        for date in sorted({date for date, _, _ in self.rows}):
            if not asked["observation_start"] <= date <= asked["observation_end"]:
                continue
            vintages = sorted(row for row in self.rows if row[0] == date)
            ends = [*(_before(first) for _, first, _ in vintages[1:]), FOREVER]
            found += [
                {
                    "realtime_start": max(first, since),
                    "realtime_end": min(end, until),
                    "date": date,
                    "value": value,
                }
                for (_, first, value), end in zip(vintages, ends, strict=True)
                if first <= until and end >= since
            ]
        return found


def _logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return what was logged on our side of the wire."""
    return "\n".join(row.getMessage() for row in caplog.records if row.name != "werkzeug")


def _before(day: str) -> str:
    return (dt.date.fromisoformat(day) - dt.timedelta(days=1)).isoformat()


def _error(message: str, status: int = 400) -> Response:
    body = json.dumps({"error_code": status, "error_message": f"Bad Request.  {message}"})
    return Response(body, status, content_type="application/json; charset=UTF-8")


def _page(asked: dict[str, str], name: str, entries: list) -> Response:
    offset, limit = int(asked["offset"]), int(asked["limit"])
    body = {
        "realtime_start": asked["realtime_start"],
        "realtime_end": asked["realtime_end"],
        "order_by": "observation_date",
        "sort_order": "asc",
        "count": len(entries),
        "offset": offset,
        "limit": limit,
        name: entries[offset : offset + limit],
    }
    return Response(json.dumps(body), content_type="application/json; charset=UTF-8")


@pytest.fixture
def client():
    with Client(Limits(deadline_seconds=5.0, backoff_seconds=0.01)) as client:
        yield client


@pytest.fixture
def serve(httpserver: HTTPServer, client: Client):
    """Return a function that serves an archive and gives the provider that asks it."""

    def start(archive: Archive, key: str = KEY) -> Fred:
        httpserver.clear()
        for path in ("vintagedates", "observations"):
            httpserver.expect_request(f"/fred/series/{path}").respond_with_handler(archive)
        return Fred(client, key, httpserver.url_for("/fred"))

    return start


def _iso(table: pd.DataFrame) -> list[str]:
    return [instant.isoformat() for instant in table["available_at"]]


def test_a_vintage_is_known_from_its_own_day_and_the_earlier_value_stands_until_then(  # A26, A27
    serve,
) -> None:
    table = serve(Archive(UNRATE)).fetch("UNRATE", START, END).table
    assert table.columns.tolist() == ["date", "value", "available_at"]
    assert table.dtypes.astype(str).tolist() == ["datetime64[us]", "float64", "datetime64[us, UTC]"]
    # UNRATE has no hour of its own in the table: the end of the day it was there.
    assert _iso(table) == [
        "2024-10-05T00:00:00+00:00",
        "2024-11-16T00:00:00+00:00",
        "2024-11-28T00:00:00+00:00",
    ]
    october = pd.Timestamp("2024-10-01")
    for instant, value in (("2024-11-15T23:59Z", None), ("2024-11-27T12:00Z", 4.2),
                           ("2024-11-28T00:00Z", 4.0)):  # fmt: skip
        known = known_at(table, pd.Timestamp(instant)).set_index("date")["value"]
        assert known.get(october) == value


def test_a_declared_series_is_known_at_its_hour_of_release(serve) -> None:
    # WALCL of Wednesday 2024-11-20, on FRED on Thursday; declared hour 21:30 UTC.
    archive = Archive([("2024-11-20", "2024-11-21", "6923963.0")])
    assert _iso(serve(archive).fetch("WALCL", START, END).table) == ["2024-11-21T21:30:00+00:00"]


def test_what_was_there_before_the_archive_began_has_the_declared_lag(serve) -> None:
    # The archive of DGS10 begins on 2024-06-03 and holds what was published since January.
    rows = [
        ("2024-01-05", "2024-06-03", "4.05"),
        ("2024-05-24", "2024-06-03", "4.46"),
        ("2024-06-03", "2024-06-04", "4.41"),
    ]
    table = serve(Archive(rows)).fetch("DGS10", START, END).table
    # Friday 2024-01-05: 22:00 UTC of Monday. The others on the archive's own days, even the one
    # that came late: it may have come as late as that.
    assert _iso(table) == [
        "2024-01-08T22:00:00+00:00",
        "2024-06-03T22:00:00+00:00",
        "2024-06-04T22:00:00+00:00",
    ]
    # Nobody knows when a series outside of the table was published: from the archive's first day.
    assert _iso(serve(Archive(rows)).fetch("OTHER", START, END).table)[0][:10] == "2024-06-04"


def test_days_without_a_value_are_left_out(serve) -> None:
    archive = Archive([("2024-11-28", "2024-11-29", "."), ("2024-11-27", "2024-11-29", "4.25")])
    assert serve(archive).fetch("DGS10", START, END).table["value"].tolist() == [4.25]


def test_real_time_is_asked_for_in_windows_and_what_their_edges_cut_is_put_back(
    serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = pd.date_range("2024-01-01", periods=40).strftime("%Y-%m-%d").tolist()
    rows = [(day, later, f"{i}.5") for i, (day, later) in enumerate(pairwise(days))]
    rows += [(days[3], days[30], "77"), (days[3], days[31], "3.5")]
    whole = serve(Archive(rows)).fetch("DGS2", START, END).table
    assert len(whole) == 41
    assert whole["value"].tolist()[3:6] == [3.5, 77.0, 3.5]
    for window in (1, 2, 7):
        monkeypatch.setattr(fred, "_WINDOW", window)
        pd.testing.assert_frame_equal(serve(Archive(rows)).fetch("DGS2", START, END).table, whole)


def test_a_series_of_more_than_2000_vintages_is_not_refused(serve) -> None:
    days = pd.date_range("2018-01-01", periods=2101).strftime("%Y-%m-%d").tolist()
    rows = [(day, later, "1") for day, later in pairwise(days)]
    archive = Archive(rows)
    table = serve(archive).fetch("DGS2", dt.date(2018, 1, 1), END).table
    assert len(table) == 2100
    # 2,100 vintages: two windows of 1,000 and the rest, after one question for the vintages.
    assert len(archive.asked) == 4


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_are_asked_for_until_all_are_there(
    serve, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    whole = serve(Archive(UNRATE)).fetch("UNRATE", START, END).table
    monkeypatch.setattr(fred, "_PAGE", size)
    monkeypatch.setattr(fred, "_VINTAGE_PAGE", size)
    provider = serve(Archive(UNRATE))
    payloads = provider.download("UNRATE", START, END)
    pd.testing.assert_frame_equal(provider.parse("UNRATE", payloads), whole)
    for left_out in range(len(payloads)):
        if len(payloads) > 2:
            with pytest.raises(SchemaError):
                provider.parse("UNRATE", payloads[:left_out] + payloads[left_out + 1 :])


def test_an_incremental_question_takes_no_vintage_from_before_its_days(serve) -> None:
    archive = Archive([("2024-08-01", "2024-09-06", "4.2"), *UNRATE])
    table = serve(archive).fetch("UNRATE", dt.date(2024, 10, 1), END).table
    assert table["value"].tolist() == [4.2, 4.0]
    assert archive.asked[-1]["realtime_start"] == "2024-10-04"


def test_nothing_published_since_is_an_empty_table(serve) -> None:
    table = serve(Archive(UNRATE)).fetch("UNRATE", dt.date(2024, 12, 1), END).table
    assert len(table) == 0
    assert table.dtypes.astype(str).tolist() == ["datetime64[us]", "float64", "datetime64[us, UTC]"]


def test_A06_a_refused_key_is_not_asked_again_and_shown_nowhere(
    serve, caplog: pytest.LogCaptureFixture
) -> None:
    archive = Archive(UNRATE)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ProviderUnavailableError) as caught:
        serve(archive, key="not-registered-0123456789").fetch("UNRATE", START, END)
    assert len(archive.asked) == 1
    assert str(caught.value).startswith("fred UNRATE: needed an answer; found HTTP 400")
    assert "api_key is not registered" in str(caught.value)
    assert "not-registered" not in str(caught.value) + _logged(caplog)


def test_A06_the_key_is_in_no_payload_and_no_log(serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    provider = serve(Archive(UNRATE))
    payloads = provider.fetch("UNRATE", START, END).payloads
    assert KEY not in repr(payloads) + repr(vars(payloads[0])) + _logged(caplog)
    assert "series_id=UNRATE" in payloads[0].url


def test_A06_without_a_key_nobody_is_asked(client: Client) -> None:
    with pytest.raises(DataUnavailableError, match="found none; fred-csv needs none"):
        Fred(client, None).download("DGS10", START, END)


@pytest.mark.parametrize("status", [401, 403])
def test_A06_a_shut_door_is_not_tried_again(
    httpserver: HTTPServer, client: Client, status: int
) -> None:
    httpserver.expect_request("/fred/series/vintagedates").respond_with_data("no", status=status)
    with pytest.raises(ProviderUnavailableError, match=f"HTTP {status}") as caught:
        Fred(client, KEY, httpserver.url_for("/fred")).fetch("DGS10", START, END)
    assert caught.value.attempts == 1


def test_A05_a_server_that_falls_twice_and_rises_gives_one_table(
    serve, httpserver: HTTPServer
) -> None:
    whole = serve(Archive(UNRATE)).fetch("UNRATE", START, END).table
    provider = serve(Archive(UNRATE))
    for status in (503, 500):
        httpserver.expect_oneshot_request("/fred/series/vintagedates").respond_with_data(
            "", status=status
        )
    pd.testing.assert_frame_equal(provider.fetch("UNRATE", START, END).table, whole)
    assert [answer.status_code for _, answer in httpserver.log[-4:]] == [503, 500, 200, 200]


@pytest.mark.parametrize("cut", [60, 250, 400])
def test_A09_A11_an_answer_that_the_network_cuts_off_is_no_answer(
    serve, httpserver: HTTPServer, client: Client, cut: int
) -> None:
    serve(Archive(UNRATE))
    with FaultyProxy(httpserver.port, cut_after=cut) as proxy:
        provider = Fred(client, KEY, f"{proxy.url}/fred")
        with pytest.raises(ProviderUnavailableError) as caught:
            provider.fetch("UNRATE", START, END)
    assert KEY not in str(caught.value)


def _payload(body: str, kind: str = "application/json") -> Payload:
    return Payload("http://fred/", body.encode(), kind, NOW)


VINTAGES = '{"count":1,"offset":0,"limit":10,"vintage_dates":["2024-11-15"]}'
ROW = (
    '{"realtime_start":"2024-11-15","realtime_end":"9999-12-31","date":"2024-10-01","value":"4.2"}'
)


def _body(*rows: str, count: int = 1) -> str:
    return '{"count":%d,"offset":0,"limit":9,"observations":[%s]}' % (count, ",".join(rows))  # noqa: UP031 - braces


def _parse(observations: str) -> pd.DataFrame:
    payloads = (_payload(VINTAGES), _payload(observations))
    return Fred(Client(), KEY).parse("UNRATE", payloads)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        pytest.param("<!DOCTYPE html><html>limit</html>", "an HTML page", id="A07-html"),
        pytest.param('{"error_code":500,"error_message":"Internal"}', "Internal", id="A08-error"),
        pytest.param("[]", "[]", id="A08-list"),
        pytest.param("", "Expecting value", id="A12-empty"),
        pytest.param('{"observations":[]}', "observations", id="A13-no-count"),
        pytest.param(_body(ROW, count=2), "1", id="A11-short"),
        pytest.param(_body(ROW, count=0), "1", id="A11-long"),
        pytest.param(
            '{"count":1,"offset":0,"limit":9,"observations":[{"date":"2024-10-01"}]}', "others",
            id="A13-renamed",
        ),
    ],
)  # fmt: skip
def test_what_is_no_answer_of_the_api_is_refused(body: str, found: str) -> None:
    with pytest.raises(SchemaError) as caught:
        _parse(body)
    assert found in str(caught.value)
    assert str(caught.value).startswith("fred UNRATE")


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ('"4.2"', '"4,2"', "value"), ('"4.2"', '"1,234"', "value"), ('"4.2"', '"inf"', "value"),
        ('"4.2"', '"=1+1"', "value"), ('"4.2"', '"4.2\\u0000"', "value"),
        ('"2024-10-01"', '"10/01/2024"', "date"), ('"2024-10-01"', '"1727740800"', "date"),
        ('"2024-10-01"', '"2024-02-30"', "date"),
        ('"2024-11-15"', '"2024-11-15T08:30"', "realtime_start"),
    ],
)  # fmt: skip
def test_A13_A17_A35_a_cell_of_another_kind_is_refused(old: str, new: str, column: str) -> None:
    body = _body(ROW)
    assert len(_parse(body)) == 1
    with pytest.raises(SchemaError, match=f"column {column}, row 1") as caught:
        _parse(body.replace(old, new, 1))
    assert str(caught.value).isprintable()


def test_A09_an_answer_cut_at_any_byte_is_refused() -> None:
    body = _body(ROW)
    for cut in range(len(body)):
        with pytest.raises(SchemaError):
            _parse(body[:cut])


def test_A08_an_answer_that_cannot_be_read_is_still_handed_out_raw(
    httpserver: HTTPServer, client: Client
) -> None:
    httpserver.expect_request("/fred/series/vintagedates").respond_with_data(
        "<html>maintenance</html>", content_type="text/html"
    )
    provider = Fred(client, KEY, httpserver.url_for("/fred"))
    (payload,) = provider.download("DGS10", START, END)
    assert payload.content == b"<html>maintenance</html>"
    with pytest.raises(SchemaError, match="an HTML page"):
        provider.parse("DGS10", (payload,))


# --- without a key

CSV = "observation_date,DGS10\n2024-11-26,4.30\n2024-11-27,4.25\n2024-11-28,\n2024-11-29,.\n"


def _csv(body: str, series: str = "DGS10", kind: str = "application/csv") -> pd.DataFrame:
    return FredCsv(Client()).parse(series, (_payload(body, kind),))


def test_the_chart_csv_has_the_declared_lag(httpserver: HTTPServer, client: Client) -> None:
    httpserver.expect_request(
        "/graph/fredgraph.csv",
        query_string={"id": "DGS10", "cosd": "2024-01-01", "coed": "2024-12-31"},
    ).respond_with_data(CSV, content_type="application/csv")
    provider = FredCsv(client, httpserver.url_for("/graph/fredgraph.csv"))
    table = provider.fetch("DGS10", START, END).table
    assert table["value"].tolist() == [4.30, 4.25]
    # H.15 of Wednesday 2024-11-27 comes after Thanksgiving, on Friday.
    assert _iso(table) == ["2024-11-27T22:00:00+00:00", "2024-11-29T22:00:00+00:00"]
    assert screen("macro", "DGS10", table, now=pd.Timestamp(NOW)).quarantined.empty


def test_the_older_name_of_the_first_column_is_as_good() -> None:
    pd.testing.assert_frame_equal(_csv(CSV.replace("observation_date", "DATE")), _csv(CSV))


def test_a_monthly_series_without_declared_lag_is_refused() -> None:
    body = "observation_date,CPI\n" + "".join(
        f"2024-{m:02d}-01,30{m % 10}.1\n" for m in range(1, 11)
    )
    with pytest.raises(SchemaError, match="neither daily nor weekly"):
        _csv(body, "CPI")


def test_A12_a_header_alone_is_an_empty_feed() -> None:
    with pytest.raises(EmptyFeedError, match="needed at least one row; found a header only"):
        _csv("observation_date,DGS10\n")


@pytest.mark.parametrize(
    ("body", "kind", "found"),
    [
        pytest.param("<html>wait</html>", "text/html", "an HTML page", id="A07-html"),
        pytest.param(CSV, "text/html", "text/html", id="A07-type"),
        pytest.param('{"error_code":400}', "text/csv", "JSON", id="A08-json"),
        pytest.param("", "text/csv", "0 bytes", id="A12-empty"),
        pytest.param(CSV.replace("DGS10", "DGS2"), "text/csv", "DGS2", id="A13-renamed"),
        pytest.param(CSV.replace(",", ";"), "text/csv", "';'", id="A13-separator"),
        pytest.param(CSV.replace("4.30", "4,30"), "text/csv", "3 in", id="A13-decimal-comma"),
        pytest.param("\ufeff" + CSV, "text/csv", "byte-order", id="A13-bom"),
        pytest.param(CSV.replace("-27", "-26"), "text/csv", "2024-11-26", id="A14-twice"),
        pytest.param(CSV.replace("4.30", "inf"), "text/csv", "inf", id="A23-inf"),
        pytest.param(CSV.replace("4.30", "4.3\x00"), "text/csv", "x00", id="A35-nul"),
    ],
)
def test_what_is_no_chart_csv_is_refused(body: str, kind: str, found: str) -> None:
    with pytest.raises(SchemaError) as caught:
        _csv(body, kind=kind)
    assert found in str(caught.value)


def test_A09_a_csv_cut_at_any_byte_is_refused_or_holds_whole_rows() -> None:
    whole = _csv(CSV)
    for cut in range(len(CSV)):
        try:
            table = _csv(CSV[:cut])
        except (SchemaError, EmptyFeedError):
            continue
        assert CSV[cut - 1] == "\n"
        pd.testing.assert_frame_equal(table, whole.iloc[: len(table)])


def test_A32_api_and_charts_are_compared(serve) -> None:
    rows = [("2024-11-26", "2024-11-27", "4.30"), ("2024-11-27", "2024-11-29", "4.24")]
    api = serve(Archive(rows)).fetch("DGS10", START, END).table
    found = disagreements(api, _csv(CSV), "value", 1e-3)
    assert found["date"].tolist() == [pd.Timestamp("2024-11-27")]


def test_both_are_providers_of_macro_series() -> None:
    for provider in (Fred(Client(), KEY), FredCsv(Client())):
        assert isinstance(provider, Provider)
        assert provider.folder == "macro"
