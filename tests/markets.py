"""Small markets made by hand, with every irregularity a feed can have."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sources import Market, Panel
from sources.calendars import (
    available_at_crypto,
    available_at_equity,
    available_at_flows,
    sessions_between,
)


def random_market(
    *, start: str = "2019-01-02", end: str = "2022-12-30", seed: int = 0, symbols: int = 30
) -> Market:
    """Return random walks: two crypto assets, two funds, one fund's flows, a panel."""
    generator = np.random.default_rng(seed)
    sessions = pd.DatetimeIndex(sessions_between(pd.Timestamp(start), pd.Timestamp(end)))
    days = pd.date_range(start, end, freq="D", unit="us")
    prices = {s: _walk(sessions, generator, 0.012, equity=True) for s in ("IWM", "SPY", "RUT")}
    prices |= {s: _walk(days, generator, 0.03, equity=False) for s in ("BTC", "ETH")}
    flow = generator.normal(0, 3e8, len(sessions))
    flows = pd.DataFrame(
        {
            "date": sessions,
            "flow_usd": flow,
            "aum_usd": 5e10 + np.cumsum(flow),
            "available_at": available_at_flows(sessions),
        }
    )
    steps = generator.normal(0, 0.02, (len(sessions), symbols))
    stamps = pd.Series(available_at_equity(sessions)).dt.tz_convert("UTC").dt.tz_localize(None)
    panel = Panel(
        dates=sessions.to_numpy("datetime64[us]"),
        symbols=tuple(f"S{i:03d}" for i in range(symbols)),
        closes=20 * np.exp(np.cumsum(steps, axis=0)),
        available_at=stamps.to_numpy("datetime64[us]"),
    )
    return Market(prices=prices, flows={"IWM": flows}, panel=panel, crypto=("BTC", "ETH"))


def _walk(
    dates: pd.DatetimeIndex, generator: np.random.Generator, deviation: float, *, equity: bool
) -> pd.DataFrame:
    close = 100 * np.exp(np.cumsum(generator.normal(0, deviation, len(dates))))
    stamps = available_at_equity(dates) if equity else available_at_crypto(dates)
    return pd.DataFrame(
        {
            "date": dates,
            "open": np.nan,
            "high": np.nan,
            "low": np.nan,
            "close": close,
            "adj_close": np.nan,
            "volume": np.nan,
            "available_at": stamps,
        }
    )


def scramble_after(market: Market, instant: pd.Timestamp, factor: float = 1e6) -> Market:
    """Multiply every value that became available after an instant."""

    def scrambled(table: pd.DataFrame) -> pd.DataFrame:
        late = table["available_at"] > instant
        values = table.columns.difference(["date", "available_at"])
        changed = table.copy()
        changed.loc[late, values] = changed.loc[late, values] * factor
        return changed

    panel = market.panel
    if panel is not None:
        late = panel.available_at > instant.tz_localize(None).to_datetime64()
        closes = np.where(late[:, None], panel.closes * factor, panel.closes)
        panel = Panel(panel.dates, panel.symbols, closes, panel.available_at, panel.members)
    return Market(
        prices={s: scrambled(t) for s, t in market.prices.items()},
        flows={s: scrambled(t) for s, t in market.flows.items()},
        macro={s: scrambled(t) for s, t in market.macro.items()},
        panel=panel,
        crypto=market.crypto,
        name=market.name,
    )
