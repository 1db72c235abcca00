"""What is written is read back to the bit, and replaced at once or not at all."""

from __future__ import annotations

import os
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sources import Market, Panel, SchemaError, read_market, sessions_between, write_market

if TYPE_CHECKING:
    from pathlib import Path

NOW = pd.Timestamp("2024-07-01T00:00Z")
SESSIONS = sessions_between("2024-05-01", "2024-06-20")
PRICE = st.floats(1e-10, 1e11)


def _table(
    days: pd.DatetimeIndex, delay_us: list[float], columns: dict[str, list[float]]
) -> pd.DataFrame:
    """Known ``delay_us`` microseconds after the day is over."""
    known = (days + pd.Timedelta(days=1)).tz_localize("UTC") + pd.to_timedelta(delay_us, unit="us")
    table = pd.DataFrame({"date": days, **columns, "available_at": known.as_unit("us")})
    return table.astype(dict.fromkeys(columns, "float64"))


@st.composite
def markets(draw: st.DrawFn) -> Market:
    """Draw a small market: equities, a coin with revisions, a flow, a macro series, a panel."""
    size = draw(st.integers(1, 6))
    days = SESSIONS[:size]

    def column(value: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(value, min_size=size, max_size=size))

    delays = column(st.integers(0, 10**9))
    nothing = [np.nan] * size
    prices: dict[str, list[float]] = {
        "open": nothing, "high": nothing, "low": nothing, "close": column(PRICE),
        "adj_close": column(PRICE | st.just(np.nan)), "volume": column(st.floats(0, 1e18)),
    }  # fmt: skip
    coin = pd.concat(
        [_table(days, [0] * size, prices), _table(days, [1] * size, prices)]
    ).sort_values(["date", "available_at"], ignore_index=True)
    flows = {"flow_usd": column(st.floats(-1e12, 1e12)), "aum_usd": nothing}
    panel = None
    if draw(st.booleans()):
        closes = np.array([column(PRICE | st.just(np.nan)) for _ in range(3)]).T
        known = days.to_numpy() + np.timedelta64(draw(st.integers(20, 30)), "h")
        members = pd.DataFrame(
            {
                "symbol": pd.Series(["NA", "1E5"], dtype="str"),
                "start": days[[0, 0]],
                "end": pd.DatetimeIndex(["2024-05-02", None], dtype="datetime64[us]"),
            }
        )
        panel = Panel(days.to_numpy(), ("NA", "TRUE", "1E5"), closes, known, members)
    return Market(
        prices={"SPY": _table(days, delays, prices), "BTC": coin},
        flows={"IWM": _table(days, delays, flows)},
        macro={"X": _table(days, delays, {"value": column(st.floats(-1e15, 1e15))})},
        panel=panel,
        crypto=("BTC",),
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(markets())
def test_a_market_written_and_read_is_the_same_market(market: Market) -> None:
    with TemporaryDirectory() as folder:
        write_market(market, folder)
        back = read_market(folder, now=NOW)
        assert back.digest() == market.digest()
        assert back.crypto == market.crypto
        for (*name, table), (*name_back, table_back) in zip(
            market.tables(), back.tables(), strict=True
        ):
            assert name == name_back
            pd.testing.assert_frame_equal(table, table_back, check_exact=True)
        assert (back.panel is None) == (market.panel is None)
        if back.panel is not None and market.panel is not None:
            assert back.panel.symbols == market.panel.symbols
            np.testing.assert_array_equal(back.panel.closes, market.panel.closes)
            np.testing.assert_array_equal(back.panel.available_at, market.panel.available_at)
            assert back.panel.members is not None
            assert market.panel.members is not None
            pd.testing.assert_frame_equal(back.panel.members, market.panel.members)


def _small(close: float = 1.5) -> Market:
    columns = {name: [np.nan] for name in ("open", "high", "low")}
    columns |= {"close": [close], "adj_close": [np.nan], "volume": [np.nan]}
    return Market(prices={"SPY": _table(SESSIONS[:1], [0], columns)})


def test_the_files_are_plain_and_carry_when_each_row_was_known(tmp_path: Path) -> None:
    write_market(_small(0.1), tmp_path)
    text = (tmp_path / "prices" / "SPY.csv").read_text()
    assert text == "date,close,available_at\n2024-05-01,0.1,2024-05-02T00:00:00Z\n"


def test_a_market_that_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"prices/SPY\.csv, column close, row 0"):
        write_market(_small(-1.0), tmp_path)
    sneaky = replace(_small(), prices={"../SPY": _small().prices["SPY"]})
    with pytest.raises(SchemaError, match="names that are symbols"):
        write_market(sneaky, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(  # B08
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_market(_small(1.5), tmp_path)
    before = (tmp_path / "prices" / "SPY.csv").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_market(_small(2.5), tmp_path)
    assert [path.name for path in (tmp_path / "prices").iterdir()] == ["SPY.csv"]
    assert (tmp_path / "prices" / "SPY.csv").read_bytes() == before


def test_a_flipped_bit_in_written_closes_is_found(tmp_path: Path) -> None:  # B07
    days = SESSIONS[:30].to_numpy()
    closes = np.random.default_rng(3).uniform(1, 2, (30, 1))
    write_market(replace(_small(), panel=Panel(days, ("A",), closes, days)), tmp_path)
    path = tmp_path / "constituents" / "closes.parquet"
    good = path.read_bytes()
    # Random floats do not compress: their bytes stand in the page as they are.
    place = good.index(closes[15, 0].tobytes())
    path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
    with pytest.raises(SchemaError, match=r"constituents/closes\.parquet: needed an intact"):
        read_market(tmp_path, now=NOW)
