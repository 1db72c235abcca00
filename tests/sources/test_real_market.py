"""The real market directory reads whole; counts and first days are those of its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from sources import Market, available_at_macro, read_market, write_market

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def market(real_market_dir: Path) -> Market:
    return read_market(real_market_dir)


def test_every_file_is_a_table_with_all_its_rows(market: Market, real_market_dir: Path) -> None:
    for folder, symbol, table in market.tables():
        lines = (real_market_dir / folder / f"{symbol}.csv").read_bytes().count(b"\n")
        assert len(table) == lines - 1, f"{folder}/{symbol}"
    assert (len(market.prices), len(market.flows), len(market.macro)) == (21, 1, 10)
    assert market.crypto == ("BTC", "ETH", "SOL", "XRP", "DOGE", "BNB")


@pytest.mark.parametrize(
    ("folder", "symbol", "first", "last", "known"),
    [
        ("prices", "BTC", "2014-09-17", "2025-06-30", "2014-09-18T00:00Z"),
        ("prices", "BNB", "2017-11-09", "2025-06-09", "2017-11-10T00:00Z"),
        ("prices", "SPY", "1993-01-29", "2025-06-30", "1993-01-29T21:00Z"),
        # In May New York is at UTC-4.
        ("prices", "IWM", "2000-05-26", "2025-06-30", "2000-05-26T20:00Z"),
        ("flows", "IWM", "2000-05-23", "2025-06-30", "2000-05-24T13:00Z"),
        ("macro", "WALCL", "2002-12-18", "2025-06-25", "2002-12-19T21:30Z"),
        ("macro", "DGS10", "1998-01-02", "2025-06-30", "1998-01-05T21:00Z"),
    ],
)
def test_a_series_begins_ends_and_becomes_known_when_it_should(
    market: Market, folder: str, symbol: str, first: str, last: str, known: str
) -> None:
    table = getattr(market, folder)[symbol]
    assert table["date"].iloc[0] == pd.Timestamp(first)
    assert table["date"].iloc[-1] == pd.Timestamp(last)
    assert table["available_at"].iloc[0] == pd.Timestamp(known)


def test_the_panel_is_whole_and_a_zero_is_no_price(market: Market) -> None:
    panel = market.panel
    assert panel is not None
    assert panel.closes.shape == (3392, 2246)
    assert str(panel.dates[0]).startswith("2012-01-03")
    assert not (panel.closes <= 0).any()
    zeros = panel.closes[:, panel.symbols.index("DEC")]
    # 732 sessions from 2021-01-04 to 2023-11-29 at price 0 in the file.
    span = (panel.dates >= np.datetime64("2021-01-04")) & (
        panel.dates <= np.datetime64("2023-11-29")
    )
    assert np.isnan(zeros[span]).sum() >= 700


def test_the_table_of_lags_is_never_ahead_of_the_release_calendars(market: Market) -> None:
    # Without its own available_at a series must not be known before it was.
    for series, table in market.macro.items():
        early = available_at_macro(series, table["date"]) < pd.DatetimeIndex(table["available_at"])
        assert not early.any(), f"{series}: {table['date'][early].iloc[0]}"


def test_the_real_market_survives_a_round_trip(market: Market, tmp_path: Path) -> None:
    write_market(market, tmp_path)
    assert read_market(tmp_path).digest() == market.digest()
