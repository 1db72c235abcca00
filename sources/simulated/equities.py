"""The equities of a simulated market: index, funds and flows.

Everything here is made of the index's own law, each ticker's beta to it, and noise of its own;
nothing looks at crypto. Each component draws from its own stream, row by row, so that a longer
market begins with the shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources.calendars import available_at_equity, available_at_flows
from sources.simulated.noise import VolatilityRegime, legible_volume, stream
from sources.simulated.passage import IndexLaw

INDEX = "RUT"
FUND = "IWM"
CREDIT = "HYG"
INDEX_LAW = IndexLaw(mean=0.10 / 252, scale=0.0115, regime=VolatilityRegime())

FLOW_SCALE = 0.005
"""Flow over assets of one unit of surprise."""
_DIVIDENDS = 0.013 / 252
_GAP_SHARE = 0.3
_MISSING_SHARE = 1 / 500


@dataclass(frozen=True)
class Ticker:
    """A fund: its beta to the index, daily deviation of its own, first price, columns left out."""

    beta: float
    own_scale: float
    first_price: float
    absent: tuple[str, ...] = ()


_ONLY_ADJUSTED = ("open", "high", "low", "close", "volume")
TICKERS = {
    INDEX: Ticker(1.0, 0.0, 850.0, ("adj_close",)),
    FUND: Ticker(1.0, 0.0003, 85.0),
    "IWN": Ticker(0.95, 0.004, 76.0, _ONLY_ADJUSTED),
    "IWO": Ticker(1.05, 0.004, 96.0, _ONLY_ADJUSTED),
    "IJR": Ticker(0.97, 0.003, 39.0, _ONLY_ADJUSTED),
    "MDY": Ticker(0.95, 0.003, 188.0),
    "SPY": Ticker(0.80, 0.005, 146.0),
    "QQQ": Ticker(0.90, 0.008, 67.0),
    "RSP": Ticker(0.82, 0.004, 54.0),
    "HYG": Ticker(0.20, 0.003, 94.0),
    "LQD": Ticker(0.05, 0.003, 121.0),
}


@dataclass(frozen=True)
class IndexPath:
    """The index, a row a session.

    Attributes
    ----------
    shocks : (m,) standard normal; what crypto may share on the day.
    states : (m,) int64, volatility state.
    moves : (m,) log returns; 0 on the first session, which sets the level.
    """

    shocks: np.ndarray
    states: np.ndarray
    moves: np.ndarray


def simulate_index(
    sessions: int, seed: int, leads: np.ndarray | None = None, correlation: float = 0.0
) -> IndexPath:
    """Draw the index for a number of sessions.

    Parameters
    ----------
    leads : (sessions,) standard normal shocks that the index shares; None for none.
    correlation : of the index's shock with them.
    """
    states, variance = INDEX_LAW.regime.simulate(sessions, stream(seed, "index volatility"))
    shocks = stream(seed, "index").standard_normal(sessions)
    if leads is not None:
        shocks = np.sqrt(1 - correlation**2) * shocks + correlation * leads
    moves = INDEX_LAW.mean + INDEX_LAW.scale * np.sqrt(variance) * shocks
    moves[:1] = 0.0
    return IndexPath(shocks, states, moves)


def credit_shocks(sessions: int, seed: int) -> np.ndarray:
    """Return (sessions,) standard normal shocks of high yield, over what the index explains.

    They can be had back from the files: the log return of HYG less its beta times the index's,
    over its own scale.
    """
    return stream(seed, f"prices {CREDIT}").standard_normal(sessions)


def price_tables(
    index: IndexPath, dates: pd.DatetimeIndex, seed: int, *, missing_bars: bool
) -> dict[str, pd.DataFrame]:
    """Make the price table of each ticker.

    Parameters
    ----------
    index : m sessions.
    dates : (m,) their dates.
    missing_bars : leave out about one row in 500 of every ticker but the index and HYG.

    Returns
    -------
    symbol -> frame of the market's layout.
    """
    known = available_at_equity(dates)
    tables = {}
    for symbol, ticker in TICKERS.items():
        rng = stream(seed, f"prices {symbol}")
        own = rng.standard_normal(len(dates))
        log_close = np.log(ticker.first_price) + np.cumsum(
            ticker.beta * index.moves + ticker.own_scale * own
        )
        table = bars(log_close, _GAP_SHARE, 0.004, stream(seed, f"bars {symbol}"))
        table["adj_close"] = table["close"] * np.exp(_DIVIDENDS * np.arange(len(dates)))
        volume_rng = stream(seed, f"volume {symbol}")
        table["volume"] = legible_volume(index.states, 3e7, volume_rng)
        table[list(ticker.absent)] = np.nan
        table.insert(0, "date", dates)
        table["available_at"] = known
        lost = stream(seed, f"missing {symbol}").random(len(dates)) < _MISSING_SHARE
        if missing_bars and symbol not in {INDEX, CREDIT}:
            table = table[~lost].reset_index(drop=True)
        tables[symbol] = table
    return tables


def bars(
    log_close: np.ndarray, gap_share: float, wick: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Put open, high and low around closes.

    Parameters
    ----------
    log_close : (n,) float64.
    gap_share : share of the move that is there at the open; the first row opens at its close.
    wick : typical distance of high and low beyond open and close, as log return.

    Returns
    -------
    frame ``open,high,low,close``.
    """
    previous = np.concatenate([log_close[:1], log_close[:-1]])
    log_open = previous + gap_share * (log_close - previous)
    wicks = wick * np.abs(rng.standard_normal((len(log_close), 2)))
    return pd.DataFrame(
        {
            "open": np.exp(log_open),
            "high": np.exp(np.maximum(log_open, log_close) + wicks[:, 0]),
            "low": np.exp(np.minimum(log_open, log_close) - wicks[:, 1]),
            "close": np.exp(log_close),
        }
    )


def flow_table(flows: np.ndarray, index: IndexPath, dates: pd.DatetimeIndex) -> pd.DataFrame:
    """Make the fund's flow table, published at 13:00 UTC of the next session.

    ``flow_usd / (aum_usd - flow_usd)`` is the day's creation over shares outstanding, so the
    units of surprise can be had back from the file.

    Parameters
    ----------
    flows : (m,) float64, in units of surprise.
    """
    creation = FLOW_SCALE * flows
    nav = TICKERS[FUND].first_price * np.exp(np.cumsum(index.moves))
    shares = 3e8 * np.cumprod(1 + creation)
    return pd.DataFrame(
        {
            "date": dates,
            "flow_usd": shares / (1 + creation) * creation * nav,
            "aum_usd": shares * nav,
            "available_at": available_at_flows(dates),
        }
    )
