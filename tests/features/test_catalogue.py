"""The page of features, the selection, the schema, and the highs by date."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from library import ASSETS, EVERYTHING, full_market

from features import (
    REGISTRY,
    DatasetSchema,
    FeatureConfig,
    all_time_highs,
    build_dataset,
    markdown,
    select_groups,
)
from features.explain import closest_approach
from features.retests import resistance_turned_support
from features.selection import CORE
from sources import Market
from sources.errors import SchemaError, UnknownNameError
from sources.files import read_market

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"
ACCEPT = "RISKON_ACCEPT_GOLDEN"


def test_the_page_of_features_is_what_the_registry_says() -> None:
    if os.environ.get(ACCEPT):
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(markdown(REGISTRY))
    assert PAGE.read_text() == markdown(REGISTRY), f"run pytest with {ACCEPT}=1 to write it again"
    for group in REGISTRY:
        for feature in group.features:
            assert f"`{feature.name}`" in markdown(REGISTRY)


def test_the_default_selection_is_the_curated_core() -> None:
    chosen = [f.name for group in select_groups(REGISTRY, FeatureConfig()) for f in group.features]
    assert sorted(chosen) == sorted(CORE)
    assert len(CORE) == 84


def test_features_are_added_and_taken_away_by_name() -> None:
    config = FeatureConfig(blocks=("crypto",), include=("vix_log",), exclude=("own_return_1d",))
    chosen = [f.name for group in select_groups(REGISTRY, config) for f in group.features]
    assert "vix_log" in chosen
    assert "own_return_1d" not in chosen
    assert "vix_change_7d" not in chosen


def test_an_unknown_name_lists_those_that_come_near() -> None:
    with pytest.raises(UnknownNameError, match="own_return_20d"):
        select_groups(REGISTRY, FeatureConfig(include=("own_retrun_20d",)))
    with pytest.raises(UnknownNameError, match="momentum"):
        select_groups(REGISTRY, FeatureConfig(blocks=("momentun",)))


def test_B13_a_drift_of_the_schema_is_named() -> None:
    market = full_market(end="2020-06-30")
    now = build_dataset(market, ASSETS, FeatureConfig(blocks=("crypto",)))
    stored = DatasetSchema.model_validate_json(now.schema().model_dump_json())
    assert now.drift(stored) == ()
    first, second, *rest = stored.columns
    old = DatasetSchema(
        columns=(first.model_copy(update={"version": 7, "unit": "%"}),
                 second.model_copy(update={"name": "gone"}), *rest)
    )  # fmt: skip
    assert now.drift(old.model_dump()) == (
        "feature gone: is missing",
        f"feature {first.name}: unit is 1, stored %",
        f"feature {first.name}: version is 1, stored 7",
        f"feature {second.name}: is new",
    )
    with pytest.raises(SchemaError, match="gone"):
        now.schema().require(old, "dataset")


def test_the_highs_are_listed_by_date_with_what_they_exceed() -> None:
    # A year of 100, then 101 (row 252), 300 rows of 90, then 102: 301 sessions later.
    closes = [100.0] * 252 + [101.0] + [90.0] * 300 + [102.0]
    dates = pd.date_range("2020-01-01", periods=len(closes), unit="us")
    table = pd.DataFrame({"date": dates, "close": closes, "adj_close": np.nan})
    table["available_at"] = (dates + pd.Timedelta(days=1)).tz_localize("UTC")
    listed = all_time_highs(Market(prices={"RUT": table}), "RUT")
    assert listed["close"].tolist() == [101.0, 102.0]
    assert listed["previous_high"].tolist() == [100.0, 101.0]
    assert listed["sessions_since_previous"].tolist()[1:] == [301.0]
    assert listed["first_of_cluster"].tolist() == [True, True]
    with pytest.raises(UnknownNameError, match="RUT"):
        all_time_highs(Market(prices={"RUT": table}), "RTY")


@pytest.mark.parametrize("index", ["RUT", "IWM"])
def test_the_highs_of_the_real_russell_2000_stand_in_the_calendar(
    real_market_dir: Path, index: str
) -> None:
    market = read_market(real_market_dir)
    listed = all_time_highs(market, index).set_index("date")
    recent = listed.loc["2020-01-01":]
    # The first cluster after the crash of 2020 begins in November 2020, the last ends a year on.
    assert recent.index[recent["first_of_cluster"]].strftime("%Y-%m-%d").tolist() == ["2020-11-13"]
    assert recent.index[-1] == pd.Timestamp("2021-11-08")
    # By plain maximum: no later close is above that of 2021-11-08.
    closes = market.prices[index].set_index("date")["close"]
    assert closes.idxmax() == pd.Timestamp("2021-11-08")
    day, nearness = closest_approach(market, index, pd.Timestamp("2021-11-08"))
    assert day == pd.Timestamp("2024-11-25")
    assert 0.999 < nearness < 1.0


@pytest.mark.parametrize(
    ("after", "opened", "held"),
    [
        # Level 100, broken at 101. Leaves at 103, comes back to 101, leaves again: it holds.
        pytest.param([101, 103, 101, 103, 104], [1, 1, 1, 0, 0], [0, 0, 0, 1, 0], id="holds"),
        pytest.param([101, 103, 101, 97, 103], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0], id="fails"),
        # Never leaves the level: what stays at it has not come back to it.
        pytest.param([101, 101, 101, 101, 103], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], id="never-left"),
    ],
)
def test_a_retest_is_a_return_to_the_level_that_is_left_upwards_again(
    after: list[float], opened: list[float], held: list[float]
) -> None:
    price = pd.Series([100.0, 90.0, *after])
    breakout = pd.Series([0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    built = resistance_turned_support(price, breakout, 20.0)
    assert built["breakout_open"].tolist()[2:] == opened
    assert built["retest_held"].tolist()[2:] == held


def test_net_liquidity_is_in_trillions_from_millions_and_billions() -> None:
    market = full_market(end="2020-06-30")
    built = build_dataset(market, ASSETS, EVERYTHING)
    day = built.position(pd.Timestamp("2020-06-25"))  # a Thursday: H.4.1 of the 24th is out
    at = built.names.index("net_liquidity")
    macro = {n: t.set_index("date")["value"] for n, t in market.macro.items()}
    # USD million, million and billion; repo of the day itself is known in the evening.
    expected = (
        macro["WALCL"]["2020-06-24"] / 1e6
        - macro["WTREGEN"]["2020-06-24"] / 1e6
        - macro["RRPONTSYD"]["2020-06-25"] / 1e3
    )
    assert built.values[day, 0, at] == pytest.approx(expected, rel=1e-12)
    wednesday = built.values[day - 1, 0, at]
    assert wednesday != built.values[day, 0, at]
