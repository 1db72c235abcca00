"""The suite refuses a feature that does not say what it is, or that sees the future."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from library import ASSETS, full_market, undeclared

from features import Feature, FeatureConfig, Registry, Role, build_dataset
from features.registry import Builder, Tables

IWM = Role("fund", "prices", ("IWM",))


def _registry(build: Builder, feature: Feature, **described: str) -> Registry:
    registry = Registry()
    registry.group("new", block="new", roles=[IWM], features=[feature], **described)(build)
    return registry


def _close(tables: Tables) -> pd.DataFrame:
    return tables["fund"][["close"]].rename(columns={"close": "x"})


def _tomorrow(tables: Tables) -> pd.DataFrame:
    return _close(tables).shift(-1)


def test_a_feature_without_its_declarations_is_refused_by_name() -> None:
    registry = _registry(_close, Feature("x", "close", "USD", 1))
    assert undeclared(registry) == ["x declares no scaling"]
    declared = _registry(_close, Feature("x", "close", "USD", 1, "linear"))
    assert undeclared(declared) == []


def test_a_feature_that_reads_tomorrow_is_caught_by_cutting_tomorrow_off() -> None:
    registry = _registry(_tomorrow, Feature("x", "tomorrow's close", "USD", 1, "linear"))
    config = FeatureConfig(blocks=("new",), selection="all")
    market = full_market(end="2020-06-30")
    whole = build_dataset(market, ASSETS, config, registry=registry)
    day = whole.days[300]
    cut = market.as_of((day + pd.Timedelta(days=1)).tz_localize("UTC"))
    part = build_dataset(cut, ASSETS, config, registry=registry)
    assert not np.array_equal(whole.values[:301], part.values, equal_nan=True)


def test_a_look_back_that_is_too_short_is_caught_by_the_last_day() -> None:
    def mean(tables: Tables) -> pd.DataFrame:
        return _close(tables).rolling(5).mean()

    registry = _registry(mean, Feature("x", "mean of 5", "USD", 4, "linear"))
    config = FeatureConfig(blocks=("new",), selection="all")
    market = full_market(end="2020-06-30")
    whole = build_dataset(market, ASSETS, config, registry=registry)
    last = build_dataset(market, ASSETS, config, registry=registry, last_days=1)
    assert np.isfinite(whole.values[-1]).all()
    assert np.isnan(last.values).all()


@pytest.mark.parametrize("name", ["new", "other"])
def test_a_name_is_registered_once(name: str) -> None:
    registry = _registry(_close, Feature("x", "close", "USD", 1, "linear"))
    with pytest.raises(ValueError, match="registered twice"):
        registry.group(name, block="new", roles=[IWM], features=[Feature("x", "", "", 1)])(_close)
