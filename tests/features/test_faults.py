"""Feeds as they break: a defined value or a missing one, never an exception, never infinity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from library import ASSETS, EVERYTHING, full_market

from features import Dataset, FeatureConfig, build_dataset
from sources import Market

SPLIT = 400
"""Row of the session on which a symbol splits ten to one."""


@pytest.fixture(scope="module")
def full() -> Market:
    return full_market(end="2021-06-30")


def _each(market: Market, change: Callable[[pd.DataFrame], pd.DataFrame], *only: str) -> Market:
    """Change the tables of some symbols, or of all."""

    def changed(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        return {n: change(t.copy()) if n in only or not only else t for n, t in tables.items()}

    folders = {n: changed(dict(getattr(market, n))) for n in ("prices", "flows", "macro")}
    return replace(market, **folders)


def _values(table: pd.DataFrame) -> list[str]:
    return list(table.columns.difference(["date", "available_at"]))


def _constant(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**dict.fromkeys(_values(table), 7.3))


def _all_missing(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**dict.fromkeys(_values(table), np.nan))


def _zero(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**dict.fromkeys(_values(table), 0.0))


def _gap(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(index=range(150, 210), errors="ignore").reset_index(drop=True)


def _missing_run(table: pd.DataFrame) -> pd.DataFrame:
    table.loc[150:210, _values(table)] = np.nan
    return table


def _late_listing(table: pd.DataFrame) -> pd.DataFrame:
    return table.iloc[len(table) // 2 :].reset_index(drop=True)


def _one_row(table: pd.DataFrame) -> pd.DataFrame:
    return table.iloc[:1].reset_index(drop=True)


def _reused(table: pd.DataFrame) -> pd.DataFrame:
    """Return a symbol that delists, and another company that takes its name a year later."""
    table.loc[300:, _values(table)] *= 37.0
    return table.drop(index=range(200, 300), errors="ignore").reset_index(drop=True)


def _split(table: pd.DataFrame) -> pd.DataFrame:
    if "close" not in table:
        return table
    return table.assign(close=np.where(table.index < SPLIT, table["close"], table["close"] / 10))


EQUITIES = ("IWM", "SPY", "RUT", "IWN", "IWO", "IJR", "GSPC", "QQQ", "RSP", "HYG", "LQD")
CASES = [
    pytest.param(_constant, (), id="B15-constant-series"),
    pytest.param(_zero, (), id="A22-zero"),
    pytest.param(_all_missing, EQUITIES, id="A23-all-missing"),
    pytest.param(_all_missing, ASSETS, id="A23-asset-all-missing"),
    pytest.param(_missing_run, (), id="A23-sixty-missing"),
    pytest.param(_gap, (), id="A20-sixty-rows-absent"),
    pytest.param(_late_listing, (*EQUITIES, "ETH"), id="A28-late-listing"),
    pytest.param(_one_row, EQUITIES, id="B14-first-day"),
    pytest.param(_one_row, (), id="B14-first-day-of-everything"),
    pytest.param(_reused, EQUITIES, id="A28-symbol-re-used"),
    pytest.param(_split, (*EQUITIES, *ASSETS), id="A24-split"),
]


@pytest.mark.parametrize(("change", "only"), CASES)
def test_a_broken_feed_gives_defined_or_missing_values(
    full: Market, change: Callable[[pd.DataFrame], pd.DataFrame], only: tuple[str, ...]
) -> None:
    built = build_dataset(_each(full, change, *only), ASSETS, EVERYTHING)
    assert len(built.names) > 200
    assert not np.isinf(built.values).any()


@pytest.mark.parametrize("folder", ["flows", "macro", "panel"])
def test_a_folder_that_is_absent_leaves_its_groups_out_by_name(full: Market, folder: str) -> None:
    market = replace(full, **{folder: None if folder == "panel" else {}})
    built = build_dataset(market, ASSETS, EVERYTHING)
    needed = "constituents" if folder == "panel" else folder
    assert any(why.startswith(needed) for why in built.omitted.values())
    assert not set(built.omitted) & set(built.groups)


def test_a_market_of_one_coin_still_has_its_own_features(full: Market) -> None:
    market = Market(prices={"ETH": full.prices["ETH"]}, crypto=("ETH",))
    alone = FeatureConfig(blocks=("crypto",), selection="all")
    built = build_dataset(market, ("ETH",), alone)
    assert set(built.groups) == {
        "own_momentum",
        "own_highs",
        "own_volume",
        "own_scaled",
        "calendar",
    }


def _same(one: Dataset, other: Dataset, names: list[str]) -> None:
    at = [one.names.index(name) for name in names]
    np.testing.assert_allclose(one.values[:, :, at], other.values[:, :, at], atol=1e-9)


def test_A24_a_split_that_the_adjusted_close_explains_changes_no_feature(full: Market) -> None:
    whole = build_dataset(full, ASSETS, EVERYTHING)
    split = build_dataset(_each(full, _split, "IWM", "IJR"), ASSETS, EVERYTHING)
    names = [n for n in whole.names if n.startswith(("small_", "sp600_"))]
    # IWM's adjusted close is absent in this market: what spans its split is missing instead.
    _same(whole, split, [n for n in names if n.startswith("sp600_")])
    at = split.names.index("small_return_20s")
    day = full.prices["IWM"]["date"].iloc[SPLIT]
    spans = split.days.get_loc(day) + np.arange(20)
    assert np.isnan(split.values[spans, :, at]).all()
    known = ~np.isnan(split.values[:, 0, at])
    np.testing.assert_allclose(split.values[known, 0, at], whole.values[known, 0, at], atol=1e-12)


def test_A25_a_dividend_that_restates_all_history_changes_nothing_already_said(
    full: Market,
) -> None:
    table = full.prices["IWM"].assign(adj_close=full.prices["IWM"]["close"] * 0.95)
    first = replace(full, prices={**full.prices, "IWM": table})
    restated_at = pd.Timestamp("2021-03-01 22:00", tz="UTC").as_unit("us")
    earlier = table[table["available_at"] < restated_at]
    again = earlier.assign(adj_close=earlier["adj_close"] * 0.99, available_at=restated_at)
    vintages = pd.concat([table, again]).sort_values(["date", "available_at"], ignore_index=True)
    second = replace(full, prices={**full.prices, "IWM": vintages})
    one, two = (build_dataset(m, ASSETS, EVERYTHING) for m in (first, second))
    at = one.position(pd.Timestamp("2021-02-28")) + 1
    np.testing.assert_array_equal(one.values[:at], two.values[:at])


def test_A21_A19_on_a_weekend_equities_are_fridays_with_their_age_and_coins_are_todays(
    full: Market,
) -> None:
    built = build_dataset(full, ASSETS, EVERYTHING)
    sunday = built.position(pd.Timestamp("2021-05-23"))
    age = dict(zip(built.groups, built.ages[sunday, 0], strict=True))
    assert (age["small_cap_momentum"], age["own_momentum"]) == (2.0, 0.0)
    small, own = (built.names.index(n) for n in ("small_return_5s", "own_return_5d"))
    friday = built.values[sunday - 2, 0]
    assert built.values[sunday, 0, small] == friday[small]
    assert built.values[sunday, 0, own] != friday[own]


def test_B04_a_table_in_nanoseconds_gives_the_same_features(full: Market) -> None:
    def nano(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(date=table["date"].dt.as_unit("ns"))

    one = build_dataset(full, ASSETS, EVERYTHING)
    other = build_dataset(_each(full, nano, "IWM", "IJR", "VIXCLS"), ASSETS, EVERYTHING)
    assert one.digest == other.digest
