"""The series a service needs, and who is asked for each: the first that answers stands.

A series is named as in the market directory; a provider may call it otherwise (Yahoo ``^RUT``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sources.errors import UnknownNameError

EQUITY_START = dt.date(1987, 9, 10)
"""An all-time high needs all history: the Russell 2000 is published from this day on."""

CRYPTO_START = dt.date(2013, 1, 1)
MACRO_START = dt.date(2003, 1, 1)

FUNDS = ("IWM", "IWN", "IWO", "IJR", "MDY", "SPY", "RSP", "QQQ", "TLT", "HYG", "LQD", "GLD", "UUP")
INDICES = ("RUT", "GSPC")
MACRO = (
    "WALCL", "WTREGEN", "RRPONTSYD", "DGS2", "DGS10", "T10Y2Y", "T10YIE", "EFFR", "DTWEXBGS",
    "VIXCLS",
)  # fmt: skip


@dataclass(frozen=True)
class LiveSeries:
    """One series, and who is asked for it.

    Attributes
    ----------
    folder, name : as in the market directory.
    asked : (provider, what it calls the series), in order of priority.
    start : first event date to ask for where nothing is held yet.
    """

    folder: str
    name: str
    asked: tuple[tuple[str, str], ...]
    start: dt.date

    @property
    def label(self) -> str:
        """Name for messages: ``prices/BTC``."""
        return f"{self.folder}/{self.name}"


def live_series(crypto: Sequence[str], funds: Sequence[str]) -> tuple[LiveSeries, ...]:
    """Return the series of a deployment.

    Parameters
    ----------
    crypto : symbols that trade every day.
    funds : those whose shares outstanding and holdings an issuer publishes; members of the first
        are the universe.
    """
    prices = [
        *(_prices(symbol, f"^{symbol}", EQUITY_START) for symbol in INDICES),
        *(_prices(symbol, symbol, EQUITY_START) for symbol in FUNDS),
        *(LiveSeries("prices", s, (("exchange", s), ("klines", s)), CRYPTO_START) for s in crypto),
    ]
    macro = [
        LiveSeries("macro", name, (("fred", name), ("fred-csv", name)), MACRO_START)
        for name in MACRO
    ]
    flows = [
        LiveSeries("flows", f, (("ishares", f), ("ishares-holdings", f)), EQUITY_START)
        for f in funds
    ]
    today = dt.date.max
    members = [
        LiveSeries("constituents", "members", (("ishares-constituents", fund),), today)
        for fund in funds[:1]
    ]
    return (*prices, *macro, *flows, *members)


def _prices(name: str, asked: str, start: dt.date) -> LiveSeries:
    return LiveSeries("prices", name, (("yahoo", asked), ("stooq", asked)), start)


def chosen_series(every: Sequence[LiveSeries], names: Sequence[str]) -> tuple[LiveSeries, ...]:
    """Return the series of some names, ``prices/IWM`` or ``IWM``; all of them for none.

    Raises
    ------
    UnknownNameError
        For a name that no series has; lists those there are.
    """
    for name in names:
        if not any(name in {series.label, series.name} for series in every):
            raise UnknownNameError("series", name, [series.label for series in every])
    return tuple(s for s in every if not names or s.label in names or s.name in names)


def without_provider(every: Sequence[LiveSeries], name: str) -> tuple[LiveSeries, ...]:
    """Return series of which a provider is not asked, such as one whose key is not there."""
    return tuple(
        replace(series, asked=tuple(pair for pair in series.asked if pair[0] != name))
        for series in every
    )
