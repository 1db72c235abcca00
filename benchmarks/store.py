"""The store: ingesting a market, one more day, and the panel as of an instant; one JSON line.

The panel is read as of an instant by the store, and by pandas from the store's own parquet
segment, in turns. Without a real market (RISKON_REAL_MARKET) a random one of its size is made.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from riskon.settings import Settings  # noqa: E402
from riskon.wiring import open_store  # noqa: E402
from sources import (  # noqa: E402
    Market,
    Panel,
    available_at_crypto,
    available_at_equity,
    read_market,
    sessions_between,
    write_market,
)
from sources.store import Store, directory_feeds  # noqa: E402

SYMBOLS, ROUNDS = 2246, 5


def main() -> None:
    """Measure, and print one line."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        real = Path(os.environ.get("RISKON_REAL_MARKET", ROOT.parent / "shared" / "market"))
        market = read_market(real) if (real / "prices").is_dir() else _random_market()
        assert market.panel is not None
        write_market(_without_last_session(market), where / "first")
        write_market(market, where / "second")
        write_market(_last_days(market), where / "day")
        store = open_store(where / "store", Settings(home=where), create=True)
        seconds = {
            "ingest_market": _timed(lambda: _ingest(store, where / "first")),
            # As live sources fetch it: the last ten days, of which one is new.
            "ingest_one_day": _timed(lambda: _ingest(store, where / "day")),
            "ingest_all_again": _timed(lambda: _ingest(store, where / "second")),
        }
        block = next(s for s in store.catalog.segments() if s.kind == "block")
        path = where / "store" / block.name
        instant = pd.Timestamp("2024-06-20", tz="UTC")
        sides: dict[str, Callable[[], object]] = {
            "pandas_read_panel": lambda: pd.read_parquet(path),
            "store_read_panel_as_of": lambda: _panel_as_of(store, instant),
            "store_read_market": store.read,
        }
        for name, side in sides.items():
            seconds[name] = min(_timed(side) for _ in range(ROUNDS))
        ratio = seconds["store_read_panel_as_of"] / seconds["pandas_read_panel"]
        result = {
            "benchmark": "store",
            "symbols": len(market.panel.symbols),
            "sessions": len(market.panel.dates),
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
            "store_over_pandas": round(ratio, 2),
        }
        print(json.dumps(result))


def _ingest(store: Store, directory: Path) -> None:
    store.ingest(list(directory_feeds(store, directory)))


def _panel_as_of(store: Store, instant: pd.Timestamp) -> Panel:
    panel = store.read_panel(instant)
    assert panel is not None
    return panel


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _without_last_session(market: Market) -> Market:
    assert market.panel is not None
    return market.as_of(pd.Timestamp(market.panel.available_at[-2], tz="UTC"))


def _last_days(market: Market) -> Market:
    panel = market.panel
    assert panel is not None
    since = pd.Timestamp(panel.dates[-1]) - pd.Timedelta(days=10)

    def last(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        cut = {name: table[table["date"] >= since] for name, table in tables.items()}
        return {name: t.reset_index(drop=True) for name, t in cut.items() if len(t)}

    new = panel.dates >= since.to_datetime64()
    return Market(
        last(market.prices),
        last(market.flows),
        last(market.macro),
        Panel(panel.dates[new], panel.symbols, panel.closes[new], panel.available_at[new]),
        market.crypto,
    )


def _random_market() -> Market:
    generator = np.random.default_rng(0)
    sessions = sessions_between("2012-01-03", "2025-06-27")
    days = pd.date_range("2015-01-01", "2025-06-27", freq="D", unit="us")

    def bars(dates: pd.DatetimeIndex, known: pd.DatetimeIndex) -> pd.DataFrame:
        walk = 100 * np.exp(np.cumsum(generator.normal(0, 0.01, len(dates))))
        columns = dict.fromkeys(("open", "high", "low", "close", "adj_close"), walk)
        return pd.DataFrame({"date": dates, **columns, "volume": 1e6, "available_at": known})

    prices = {name: bars(days, available_at_crypto(days)) for name in ("BTC", "ETH")}
    prices |= {f"F{i:02d}": bars(sessions, available_at_equity(sessions)) for i in range(36)}
    closes = 20 * np.exp(np.cumsum(generator.normal(0, 0.02, (len(sessions), SYMBOLS)), axis=0))
    known = available_at_equity(sessions).tz_localize(None).to_numpy()
    names = tuple(f"S{i:04d}" for i in range(SYMBOLS))
    panel = Panel(sessions.to_numpy(), names, closes.clip(1e-3, 1e6).round(4), known)
    return Market(prices=prices, panel=panel, crypto=("BTC", "ETH"))


if __name__ == "__main__":
    main()
