"""A small made-up world of prices, rates, funds and members, and what is done to it."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field

from sources.calendars import sessions_between

FIRST = dt.date(2024, 8, 1)
"""Before this day the world has no history: a first run is small, though it asks for decades."""

TODAY = dt.datetime(2024, 12, 2, 23, 30, tzinfo=dt.UTC)
"""A Monday night: prices of this day are out, rates and holdings of Friday, coins of Sunday."""

TOMORROW = TODAY + dt.timedelta(days=1)

_LAST = dt.date(2025, 3, 31)


@dataclass
class Bars:
    """The closes of a symbol as traded, and what is done to them afterwards.

    Attributes
    ----------
    closes : day -> close as it was said that day.
    factors : (day from which it holds, what divides all closes before it): splits.
    dividends : the same for adjusted closes alone.
    """

    closes: dict[dt.date, float]
    factors: list[tuple[dt.date, float]] = field(default_factory=list)
    dividends: list[tuple[dt.date, float]] = field(default_factory=list)

    def split(self, day: str, ratio: float) -> None:
        """Split shares: from a day on, each is ``ratio`` of them."""
        since = dt.date.fromisoformat(day)
        self.factors.append((since, ratio))
        self.closes |= {d: c / ratio for d, c in self.closes.items() if d >= since}

    def pay(self, day: str, share: float) -> None:
        """Pay a dividend of a share of the price."""
        self.dividends.append((dt.date.fromisoformat(day), 1 - share))

    def revise(self, day: str, factor: float) -> None:
        """Say another close of a day, from now on."""
        self.closes[dt.date.fromisoformat(day)] *= factor

    def bars(self, today: dt.date) -> list[tuple[dt.date, float, float]]:
        """Return day, close and adjusted close as a vendor says them on a day."""
        found = []
        for day, close in sorted(self.closes.items()):
            if day > today:
                break
            split = math.prod(f for since, f in self.factors if day < since <= today)
            paid = math.prod(f for since, f in self.dividends if day < since <= today)
            found.append((day, close / split, close / split * paid))
        return found


class World:
    """Everything that is to know of the world.

    Attributes
    ----------
    prices, coins : symbol -> bars.
    macro : series -> rows (event date, first day of the vintage, value).
    funds : symbol -> rows (day, NAV, shares outstanding).
    members : day -> tickers held at its end.
    """

    def __init__(self) -> None:
        days = [day.date() for day in sessions_between(FIRST.isoformat(), _LAST.isoformat())]
        every = [FIRST + dt.timedelta(days=i) for i in range((_LAST - FIRST).days + 1)]
        self.prices = {
            symbol: Bars(walk(days, 40.0 * (i + 1), i))
            for i, symbol in enumerate(("IWM", "SPY", "GLD", "^RUT"))
        }
        self.coins = {"BTC": Bars(walk(every, 60000.0, 7)), "ETH": Bars(walk(every, 2500.0, 8))}
        self.macro = {
            name: [(day.isoformat(), later(day, 1), f"{4 + math.sin(i / 5):.2f}")
                   for i, day in enumerate(days)]
            for name in ("DGS10", "VIXCLS")
        }  # fmt: skip
        self.funds = {
            "IWM": [(day, 200 + 3 * math.sin(i / 4), 1e6 * (250 + i % 7))
                    for i, day in enumerate(days)]
        }  # fmt: skip
        names = [f"N{i:02d}" for i in range(40)]
        self.members = {day: names[i // 20 : i // 20 + 30] for i, day in enumerate(days)}


def walk(days: list[dt.date], start: float, phase: int) -> dict[dt.date, float]:
    """Return closes that move by at most 2 % a day, and never stand still."""
    closes, close = {}, start
    for i, day in enumerate(days):
        close *= 1 + 0.01 * math.sin(0.7 * i + phase) + 0.005 * math.cos(2.9 * i)
        closes[day] = round(close, 2)
    return closes


def later(day: dt.date, days: int) -> str:
    return (day + dt.timedelta(days=days)).isoformat()
