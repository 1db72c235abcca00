"""Sessions beside a clock that never stops: returns that share hours only where they should.

A crypto bar of day d runs from 00:00 to 24:00 UTC. A session d closes at 20:00 or 21:00 UTC
(three hours earlier on half days), so its return from close to close shares its first hours with
the bar of the day before, and after a weekend with two bars and more: correlated by date, crypto
would seem to lead by a day. Hence two measures of a session. *Close to close* is over when the
bar of d ends, so bars of d + 1 and later lie wholly after it. *Open to close* begins at 13:30 or
14:30 UTC of d, so bars of d - 1 and earlier lie wholly before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features import windows
from features.crypto import clean_steps, daily
from features.quotes import JUMP, quoted_price, steps
from sources.errors import DataUnavailableError
from sources.market import Market

OPENED = ("IWM", "RUT", "IJR", "IWN")
CLOSED = ("RUT", "IWM", "IJR", "IWN")
LEAST_OPENS = 0.5
"""Share of sessions that must have an open, for a price to be measured from it."""
HALFLIFE = 60
LARGEST = 5.0


@dataclass(frozen=True)
class Sessions:
    """Small caps by session, crypto by day, last vintage of each.

    Attributes
    ----------
    dates : (m,) sessions, datetime64[D].
    close_to_close, open_to_close : (m,) log returns of small caps; the latter NaN without opens.
    days : (n,) consecutive days, datetime64[D], as far as any asset has bars.
    crypto : asset -> (n,) log returns of the bar of each day.
    symbols : what closes and opens were read from.
    """

    dates: np.ndarray
    close_to_close: np.ndarray
    open_to_close: np.ndarray
    days: np.ndarray
    crypto: dict[str, np.ndarray]
    symbols: tuple[str, str]

    def place(self, lag_days: int = 0) -> np.ndarray:
        """Return (m,) rows of ``days`` that lie some days after each session; -1 where none."""
        place = (self.dates - self.days[0]).astype("int64") + lag_days
        found: np.ndarray = np.where((place >= 0) & (place < len(self.days)), place, -1)
        return found


def read_sessions(
    market: Market, assets: Sequence[str] = ("BTC", "ETH"), *, index: str | None = None
) -> Sessions:
    """Read the returns of small caps and of some assets, as of the market's end.

    Parameters
    ----------
    index : whose closes; the first there is of RUT, IWM, IJR and IWN by default.

    Raises
    ------
    DataUnavailableError
        Where no small-cap price, or none of the assets, is there.
    """
    closed = [s for s in ((index,) if index else CLOSED) if s in market.prices]
    there = [asset for asset in assets if asset in market.crypto]
    for needed, found in ((index or " or ".join(CLOSED), closed), (" or ".join(assets), there)):
        if not found:
            raise DataUnavailableError(
                f"{market.name}: needed prices/{needed}; found {', '.join(sorted(market.prices))}",
                source="prices",
            )
    price = latest(market.prices[closed[0]])
    step = steps(price).iloc[1:]
    opened, symbol = _open_to_close(market)
    bars = {asset: clean_steps(daily(latest(market.prices[asset]))) for asset in there}
    first = min(bar.index[0] for bar in bars.values())
    last = max(bar.index[-1] for bar in bars.values())
    days = pd.date_range(first, last, freq="D", unit="us")
    return Sessions(
        dates=step.index.to_numpy("datetime64[D]"),
        close_to_close=step.to_numpy("float64"),
        open_to_close=opened.reindex(step.index).to_numpy("float64"),
        days=days.to_numpy("datetime64[D]"),
        crypto={a: bar.reindex(days).to_numpy("float64") for a, bar in bars.items()},
        symbols=(closed[0], symbol),
    )


def latest(table: pd.DataFrame) -> pd.DataFrame:
    """Return the last vintage of each date of a bitemporal table, by date."""
    date = table["date"].to_numpy()
    if (date[1:] > date[:-1]).all():
        return table.set_index("date")
    last = table.sort_values(["date", "available_at"], kind="stable")
    return last[~last["date"].duplicated(keep="last")].set_index("date")


def deviations(step: np.ndarray, *, halflife: int = HALFLIFE) -> np.ndarray:
    """Return (n,) returns over the deviation of those before them, cut at +-5.

    The deviation is exponentially weighted and ends the row before, so that a turbulent year
    does not count for ten calm ones, and nothing later is known.
    """
    series = pd.Series(step)
    usual = series.ewm(halflife=halflife, min_periods=halflife).std().shift(1)
    scaled: np.ndarray = (series / usual.where(usual > 0)).clip(-LARGEST, LARGEST).to_numpy()
    return scaled


def _open_to_close(market: Market) -> tuple[pd.Series, str]:
    for symbol in OPENED:
        if symbol not in market.prices:
            continue
        price = latest(market.prices[symbol])
        if price["open"].notna().mean() < LEAST_OPENS:
            continue
        move = windows.logarithm(quoted_price(price)) - windows.logarithm(price["open"])
        return windows.only(move, move.abs() <= JUMP), symbol
    return pd.Series(dtype="float64", index=pd.DatetimeIndex([])), ""
