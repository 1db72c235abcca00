"""Flows of funds from the issuer's own files: change in shares outstanding times NAV.

Two files say it: the workbook with the sheet ``Historical`` (every day since the fund began), and
the holdings of single days, whose head names the shares outstanding and whose rows add up to the
assets. Each day's value is public by the next session's morning, as :mod:`sources.publication` has
it. What a split of the fund's shares makes of a flow is for the gates to see.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from sources import calendars
from sources.errors import EmptyFeedError, SchemaError, UnknownNameError
from sources.live.client import Client
from sources.live.holdings import parse_holdings
from sources.live.provider import Fetching, Payload, require_text
from sources.live.spreadsheet_xml import sheet_rows
from sources.live.us_cells import us_day, us_number
from sources.strict_csv import shown

_SHEET = "Historical"
_DAY, _NAV, _SHARES = "As Of", "NAV per Share", "Shares Outstanding"
_KINDS = ("excel", "xml", "octet-stream", "text/plain")
_MOST_DAYS = 31


@dataclass(frozen=True)
class Fund:
    """Where the files of a fund are; empty where there is none.

    Attributes
    ----------
    history : URL of the workbook with the sheet ``Historical``.
    holdings : URL of the holdings as CSV; a parameter ``asOfDate=20250630`` chooses the day.
    """

    history: str = ""
    holdings: str = ""


def ishares_fund(product: int, path: str, title: str, symbol: str) -> Fund:
    """Return the files of a fund of iShares, by the numbers and names of its page."""
    page = f"https://www.ishares.com/us/products/{product}/{path}"
    return Fund(
        history=f"{page}/1521942788811.ajax?fileType=xls&fileName={title}_fund&dataType=fund",
        holdings=f"{page}/1467271812596.ajax?fileType=csv&fileName={symbol}_holdings&dataType=fund",
    )


FUNDS: Mapping[str, Fund] = {
    "IWM": ishares_fund(239710, "ishares-russell-2000-etf", "iShares-Russell-2000-ETF", "IWM"),
    "IJR": ishares_fund(
        239774, "ishares-core-sp-smallcap-etf", "iShares-Core-SP-Small-Cap-ETF", "IJR"
    ),
}
"""Funds of small caps; the configuration adds others."""


class Shares(Fetching):
    """Flows from the sheet ``Historical``: the whole life of a fund in one answer.

    Parameters
    ----------
    client : to ask with.
    funds : symbol -> where its files are.
    """

    name = "ishares"
    folder = "flows"

    def __init__(self, client: Client, funds: Mapping[str, Fund] = FUNDS) -> None:
        self._client, self._funds = client, funds

    def download(self, series: str, start: dt.date, end: dt.date) -> tuple[Payload, ...]:  # noqa: ARG002 - the file has all days
        """Ask for the workbook; it has all days, whichever are asked for."""
        url = _file(series, self._funds, "history")
        return (self._client.get(f"{self.name} {series}", url),)

    def parse(self, series: str, payloads: tuple[Payload, ...]) -> pd.DataFrame:
        """Return ``date,flow_usd,aum_usd,available_at`` of each day with shares and NAV."""
        source = f"{self.name} {series}"
        (payload,) = payloads
        rows = sheet_rows(require_text(payload, source, _KINDS), _SHEET, source)
        if len(rows) < 2:
            raise EmptyFeedError(source, expected="at least one day", found=f"{len(rows)} rows")
        header = rows[0]
        missing = [name for name in (_DAY, _NAV, _SHARES) if header.count(name) != 1]
        if missing:
            found = shown(", ".join(header))
            raise SchemaError(source, row=1, expected=f"column {missing[0]} once", found=found)
        places = [header.index(name) for name in (_DAY, _NAV, _SHARES)]
        days, navs, shares = [], [], []
        for line, row in enumerate(rows[1:], start=2):
            if len(row) != len(header):
                raise SchemaError(
                    source, row=line, expected=f"{len(header)} cells", found=str(len(row))
                )
            day, nav, outstanding = (row[place] for place in places)
            days.append(us_day(day, source, _DAY, line))
            navs.append(us_number(nav, source, _NAV, line))
            shares.append(us_number(outstanding, source, _SHARES, line))
        return flow_table(np.array(days), np.array(shares), np.array(navs), payload, source)


class HoldingsShares(Fetching):
    """Flows from the holdings of single days: a second source, to compare with the first.

    Parameters
    ----------
    client : to ask with.
    funds : symbol -> where its files are.
    """

    name = "ishares-holdings"
    folder = "flows"

    def __init__(self, client: Client, funds: Mapping[str, Fund] = FUNDS) -> None:
        self._client, self._funds = client, funds

    def download(self, series: str, start: dt.date, end: dt.date) -> tuple[Payload, ...]:
        """Ask for the holdings of the last sessions up to ``end``, and of the one before."""
        url = holdings_url(series, self._funds)
        before = start - dt.timedelta(days=10)  # a session is never further away
        sessions = calendars.sessions_between(before.isoformat(), start.isoformat())
        first = sessions[sessions < pd.Timestamp(start)][-1].date()
        source = f"{self.name} {series}"
        return download_holdings(self._client, source, url, first, end)

    def parse(self, series: str, payloads: tuple[Payload, ...]) -> pd.DataFrame:
        """Return ``date,flow_usd,aum_usd,available_at``; the first day has no flow."""
        source = f"{self.name} {series}"
        found = [parse_holdings(payload, source) for payload in payloads]
        held = [snapshot for snapshot in found if snapshot is not None]
        if not held:
            raise EmptyFeedError(source, expected="holdings of a day", found="none")
        shares = np.array([snapshot.shares_outstanding for snapshot in held])
        navs = np.array([snapshot.net_assets_usd for snapshot in held]) / shares
        days = np.array([snapshot.day for snapshot in held])
        return flow_table(days, shares, navs, payloads[-1], source)


def described_funds(
    more: Mapping[str, Mapping[Literal["history", "holdings"], str]],
) -> dict[str, Fund]:
    """Return the known funds and those that the configuration describes, which win."""
    described = {
        symbol: Fund(history=files.get("history", ""), holdings=files.get("holdings", ""))
        for symbol, files in more.items()
    }
    return {**FUNDS, **described}


def holdings_url(symbol: str, funds: Mapping[str, Fund]) -> str:
    """Return where the holdings of a fund are.

    Raises
    ------
    UnknownNameError
        Where nobody has said so.
    """
    return _file(symbol, funds, "holdings")


def _file(symbol: str, funds: Mapping[str, Fund], kind: Literal["history", "holdings"]) -> str:
    known = {name: getattr(fund, kind) for name, fund in funds.items() if getattr(fund, kind)}
    if symbol not in known:
        raise UnknownNameError(f"{kind} of fund", symbol, sorted(known))
    url: str = known[symbol]
    return url


def download_holdings(
    client: Client, source: str, url: str, start: dt.date, end: dt.date
) -> tuple[Payload, ...]:
    """Ask for the holdings of each session that is published by now, the last 31 of them."""
    sessions = calendars.sessions_between(start.isoformat(), end.isoformat())
    published = calendars.available_at_constituents(sessions)
    sessions = sessions[published <= pd.Timestamp(client.clock.now())]
    return tuple(
        client.get(source, url, {"asOfDate": f"{session:%Y%m%d}"})
        for session in sessions[-_MOST_DAYS:]
    )


def flow_table(
    days: np.ndarray, shares: np.ndarray, navs: np.ndarray, payload: Payload, source: str
) -> pd.DataFrame:
    """Return flows of ``days`` (n,) in any order: ``(shares[t] - shares[t-1]) * nav[t]``, USD.

    A day without shares or NAV is left out; a day whose session before is absent has assets but
    no flow: a change over two days is no day's flow.
    """
    order = np.argsort(days, kind="stable")
    order = order[~np.isnan(shares[order] * navs[order])]
    days, shares, navs = days[order], shares[order], navs[order]
    if (days[1:] == days[:-1]).any():
        twice = np.datetime_as_string(days[1:][days[1:] == days[:-1]][0], unit="D")
        raise SchemaError(source, column=_DAY, expected="each day once", found=f"{twice} twice")
    last = np.datetime64(payload.fetched_at.replace(tzinfo=None), "D")
    if len(days) and days[-1] > last:
        found = np.datetime_as_string(days[-1], unit="D")
        raise SchemaError(source, column=_DAY, expected=f"days up to {last}", found=found)
    if not len(days):
        raise EmptyFeedError(source, expected="a day with shares and NAV", found="none")
    sessions = calendars.sessions_between(*map(pd.Timestamp, (days[0], days[-1]))).to_numpy()
    place = np.searchsorted(sessions, days)
    flow = np.full(len(days), np.nan)
    flow[1:] = np.where(np.diff(place) == 1, np.diff(shares) * navs[1:], np.nan)
    return pd.DataFrame(
        {
            "date": calendars.to_us(days),
            "flow_usd": flow,
            "aum_usd": shares * navs,
            "available_at": calendars.available_at_flows(days),
        }
    )
