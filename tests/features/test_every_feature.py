"""What holds for every registered feature; the registry makes the list of cases."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from library import ASSETS, EVERYTHING, FEATURES, full_market, undeclared
from markets import scramble_after

from features import REGISTRY, Dataset, build_dataset
from sources import Market, Panel
from sources.files import read_market

FACTOR = 4.0
"""A power of two: multiplying by it rounds nothing, and log(4 x) does by an ulp."""
CUTS = (777, 1402)
REAL_ASSETS = ("BTC", "SOL")
pytestmark = pytest.mark.parametrize(("group", "feature"), FEATURES)


@cache
def generated() -> Market:
    return full_market()


@cache
def whole() -> Dataset:
    return build_dataset(generated(), ASSETS, EVERYTHING)


@cache
def cut(offset: int) -> Dataset:
    return build_dataset(_known_by(generated(), _instant(offset)), ASSETS, EVERYTHING)


def _known_by(market: Market, instant: pd.Timestamp) -> Market:
    """Cut the future off; unlike ``Market.as_of``, keep vintages that were replaced before."""

    def known(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        return {
            n: t[t["available_at"] <= instant].reset_index(drop=True) for n, t in tables.items()
        }

    folders = {n: known(dict(getattr(market, n))) for n in ("prices", "flows", "macro")}
    return replace(market, panel=market.as_of(instant).panel, **folders)


@cache
def scrambled(offset: int) -> Dataset:
    market = scramble_after(generated(), _instant(offset))
    return build_dataset(market, ASSETS, EVERYTHING)


@cache
def shuffled() -> Dataset:
    market = generated()
    order = np.random.default_rng(3)

    def mixed(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        names = order.permutation(list(tables))
        return {
            name: tables[name].sample(frac=1, random_state=5).reset_index(drop=True)
            for name in names
        }

    folders = {name: mixed(dict(getattr(market, name))) for name in ("prices", "flows", "macro")}
    return build_dataset(replace(market, **folders), ASSETS, EVERYTHING)


@cache
def multiplied() -> Dataset:
    start = pd.Timestamp("1990-01-01", tz="UTC")
    return build_dataset(scramble_after(generated(), start, FACTOR), ASSETS, EVERYTHING)


@cache
def last_days() -> Dataset:
    return build_dataset(generated(), ASSETS, EVERYTHING, last_days=3)


@cache
def real(directory: Path) -> tuple[Market, Dataset, Dataset, Dataset]:
    market = read_market(directory)
    market = replace(market, panel=_narrow(market.panel))
    everything = build_dataset(market, REAL_ASSETS, EVERYTHING)
    instant = pd.Timestamp("2024-08-06", tz="UTC")
    before = build_dataset(market.as_of(instant), REAL_ASSETS, EVERYTHING)
    after = build_dataset(scramble_after(market, instant), REAL_ASSETS, EVERYTHING)
    return market, everything, before, after


def _narrow(panel: Panel | None) -> Panel | None:
    """Keep every tenth constituent: what holds for them holds for all, ten times faster."""
    if panel is None:
        return None
    return replace(panel, symbols=panel.symbols[::10], closes=panel.closes[:, ::10].copy())


def _instant(offset: int) -> pd.Timestamp:
    return (pd.Timestamp("2019-01-02") + pd.Timedelta(days=offset + 1)).tz_localize("UTC")


def _column(dataset: Dataset, group: str, feature: str) -> np.ndarray:
    """Return (n, a + a) the feature's values and its group's ages."""
    values = dataset.values[:, :, dataset.names.index(feature)]
    return np.hstack([values, dataset.ages[:, :, dataset.groups.index(group)]])


def _in(dataset: Dataset, feature: str) -> None:
    if feature not in dataset.names:
        pytest.skip("its inputs are not in this market")


def test_it_declares_formula_unit_scaling_and_what_missing_means(group: str, feature: str) -> None:  # noqa: ARG001
    assert not [gap for gap in undeclared(REGISTRY) if gap.startswith(f"{feature} ")]


def test_it_has_a_value_on_the_last_day_and_more_than_one(group: str, feature: str) -> None:  # noqa: ARG001
    column = whole().values[:, :, whole().names.index(feature)]
    assert np.isfinite(column[-1]).all()
    # Retests are rare, and have tests of their own; the panel here is complete.
    if "retest" not in feature and feature not in {"breadth_coverage", "funds_counted"}:
        assert len(np.unique(column[np.isfinite(column)])) > 1


@pytest.mark.parametrize("offset", CUTS)
def test_B02_cutting_off_the_future_changes_no_earlier_value(
    group: str, feature: str, offset: int
) -> None:
    part = cut(offset)
    _in(part, feature)
    assert part.days[-1] == _instant(offset).tz_localize(None) - pd.Timedelta(days=1)
    earlier = _column(whole(), group, feature)[: len(part.days)]
    np.testing.assert_array_equal(earlier, _column(part, group, feature))


@pytest.mark.parametrize("offset", CUTS)
def test_B01_multiplying_the_future_by_a_million_changes_no_earlier_value(
    group: str, feature: str, offset: int
) -> None:
    earlier = _column(whole(), group, feature)[: offset + 1]
    np.testing.assert_array_equal(earlier, _column(scrambled(offset), group, feature)[: offset + 1])


def test_A16_the_order_of_ingestion_changes_nothing(group: str, feature: str) -> None:
    np.testing.assert_array_equal(
        _column(whole(), group, feature), _column(shuffled(), group, feature)
    )


def test_units_scale_as_declared(group: str, feature: str) -> None:  # noqa: ARG001
    scaling = next(f.scaling for g in REGISTRY for f in g.features if f.name == feature)
    at = whole().names.index(feature)
    before, after = whole().values[:, :, at], multiplied().values[:, :, at]
    expected = {
        "invariant": before, "linear": before * FACTOR, "logarithmic": before + np.log(FACTOR),
    }[scaling]  # fmt: skip
    np.testing.assert_allclose(after, expected, rtol=1e-7, atol=1e-10)


def test_one_new_day_from_its_look_back_equals_the_whole_to_the_bit(
    group: str, feature: str
) -> None:
    np.testing.assert_array_equal(
        _column(whole(), group, feature)[-3:], _column(last_days(), group, feature)
    )


def test_it_is_never_infinite(group: str, feature: str) -> None:  # noqa: ARG001
    for dataset in (whole(), scrambled(CUTS[1]), multiplied()):
        assert not np.isinf(dataset.values[:, :, dataset.names.index(feature)]).any()


def test_on_the_real_market_no_future_changes_its_past(
    group: str, feature: str, real_market_dir: Path
) -> None:
    _, everything, before, after = real(real_market_dir)
    _in(everything, feature)
    earlier = _column(everything, group, feature)[: len(before.days)]
    np.testing.assert_array_equal(earlier, _column(before, group, feature))
    np.testing.assert_array_equal(earlier, _column(after, group, feature)[: len(before.days)])
    assert not np.isinf(everything.values[:, :, everything.names.index(feature)]).any()
    assert np.isfinite(everything.values[-1, 0, everything.names.index(feature)])
