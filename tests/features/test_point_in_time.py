"""The past of a feature does not change, whatever the future brings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markets import scramble_after

from features import REGISTRY, Dataset, build_dataset
from features.clock import first_day_known, point_in_time
from features.selection import CORE
from sources import Market

ASSETS = ("BTC", "ETH")


@pytest.fixture(scope="module")
def whole(market: Market) -> Dataset:
    return build_dataset(market, ASSETS)


def _same_until(day: pd.Timestamp, one: Dataset, other: Dataset) -> None:
    at, to = one.position(day) + 1, other.position(day) + 1
    assert one.names == other.names
    np.testing.assert_array_equal(one.values[:at], other.values[:to])
    np.testing.assert_array_equal(one.ages[:at], other.ages[:to])
    np.testing.assert_array_equal(one.volatility[:at], other.volatility[:to])
    np.testing.assert_array_equal(one.has_close[:at], other.has_close[:to])


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offset=st.integers(400, 1400))
def test_B02_cutting_off_the_future_changes_no_earlier_feature(
    market: Market, whole: Dataset, offset: int
) -> None:
    day = whole.days[offset]
    cut = build_dataset(market.as_of((day + pd.Timedelta(days=1)).tz_localize("UTC")), ASSETS)
    assert cut.days[-1] == day
    _same_until(day, whole, cut)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offset=st.integers(400, 1400))
def test_B01_multiplying_the_future_by_a_million_changes_no_earlier_feature(
    market: Market, whole: Dataset, offset: int
) -> None:
    day = whole.days[offset]
    scrambled = scramble_after(market, (day + pd.Timedelta(days=1)).tz_localize("UTC"))
    _same_until(day, whole, build_dataset(scrambled, ASSETS))


def test_every_core_feature_is_in_the_dataset_or_its_group_is_named_as_left_out(
    whole: Dataset,
) -> None:
    for group in REGISTRY:
        names = {feature.name for feature in group.features} & set(CORE)
        assert names <= set(whole.names) or group.name in whole.omitted
    # The market has no IWN and IWO, no bonds, and no macro series.
    no_macro = {"liquidity_scaled", "rate_scaled", "vix_level"}
    no_bonds = {"credit_scaled", "credit_pressure"}
    assert set(whole.omitted) == {"value_minus_growth"} | no_bonds | no_macro


def test_every_feature_has_values_and_none_is_infinite(whole: Dataset) -> None:
    last = whole.values[-1]
    assert np.isfinite(last).all(), [
        n for n, v in zip(whole.names, last.T, strict=True) if not np.isfinite(v).all()
    ]
    assert not np.isinf(whole.values).any()


def test_A27_a_late_row_counts_only_once_it_is_known() -> None:
    # Rows of days 1, 2, 3 of January, the second published on the 5th. On the 3rd and 4th the
    # last two known rows are 1 and 3 (sum 1 + 100); from the 5th on they are 2 and 3.
    table = _table([("2024-01-01", 1.0, "2024-01-01T12"), ("2024-01-02", 10.0, "2024-01-05T12"),
                    ("2024-01-03", 100.0, "2024-01-03T12")])  # fmt: skip
    days = pd.date_range("2024-01-01", "2024-01-06", freq="D", unit="us")
    values, age = point_in_time(_sum_of_two, {"x": table}, days)
    assert values["sum"].tolist()[2:] == [101.0, 101.0, 110.0, 110.0]
    assert np.isnan(values["sum"].to_numpy()[:2]).all()
    assert age.tolist() == [0.0, 1.0, 0.0, 1.0, 2.0, 3.0]


def test_A26_a_restated_row_keeps_its_earlier_value_as_of_an_earlier_day() -> None:
    # The row of the 2nd says 10 until it is restated as 20 on the 4th.
    table = _table([("2024-01-01", 1.0, "2024-01-01T12"), ("2024-01-02", 10.0, "2024-01-02T12"),
                    ("2024-01-02", 20.0, "2024-01-04T12")])  # fmt: skip
    days = pd.date_range("2024-01-02", "2024-01-05", freq="D", unit="us")
    values, _ = point_in_time(_sum_of_two, {"x": table}, days)
    assert values["sum"].tolist() == [11.0, 11.0, 21.0, 21.0]


def test_a_row_of_two_inputs_is_known_once_both_are() -> None:
    # The second input is published a day later, so day d reads row d - 1 of both.
    one = _table([(f"2024-01-0{i}", float(i), f"2024-01-0{i}T21") for i in range(1, 6)])
    two = _table([(f"2024-01-0{i}", 10.0 * i, f"2024-01-0{i + 1}T13") for i in range(1, 6)])
    days = pd.date_range("2024-01-01", "2024-01-06", freq="D", unit="us")
    values, age = point_in_time(
        lambda tables: (tables["one"] + tables["two"]).rename(columns={"x": "sum"}),
        {"one": one, "two": two},
        days,
    )
    assert values["sum"].tolist()[1:] == [11.0, 22.0, 33.0, 44.0, 55.0]
    assert age.tolist()[1:] == [1.0] * 5


def test_a_datum_counts_on_the_day_whose_closing_midnight_it_reaches() -> None:
    # T(d) is the midnight after d: noon of the 3rd and the midnight that ends it are both in
    # time for the 3rd; a microsecond later is the 4th.
    stamps = np.array(["2024-01-03T12", "2024-01-04T00", "2024-01-04T00:00:00.000001"], "M8[us]")
    assert first_day_known(stamps).astype(str).tolist() == [
        "2024-01-03",
        "2024-01-03",
        "2024-01-04",
    ]


@settings(max_examples=60)
@given(st.data())
def test_B03_point_in_time_equals_a_plain_recomputation_on_every_day(data: st.DataObject) -> None:
    count, hour = data.draw(st.integers(3, 14)), st.sampled_from(["00", "12"])
    rows = [
        (
            f"2024-01-{data.draw(st.integers(1, 12)):02d}",
            float(data.draw(st.integers(-9, 9))),
            f"2024-01-{data.draw(st.integers(12, 26)):02d}T{data.draw(hour)}",
        )
        for _ in range(count)
    ]
    table = _table(list({(date, at): (date, value, at) for date, value, at in rows}.values()))
    days = pd.date_range("2024-01-12", "2024-01-27", freq="D", unit="us")
    values, _ = point_in_time(_sum_of_two, {"x": table}, days)
    for i, day in enumerate(days):
        known: dict[pd.Timestamp, tuple[pd.Timestamp, float]] = {}
        for row in table.itertuples():
            in_time = row.available_at <= (day + pd.Timedelta(days=1)).tz_localize("UTC")
            if in_time and (row.date not in known or known[row.date][0] <= row.available_at):
                known[row.date] = (row.available_at, row.x)
        last = [known[date][1] for date in sorted(known)][-2:]
        expected = sum(last) if len(last) == 2 else np.nan
        np.testing.assert_equal(values["sum"].iloc[i], expected)


def test_A16_the_order_of_tables_changes_nothing(market: Market, whole: Dataset) -> None:
    turned = replace(
        market,
        prices=dict(reversed(market.prices.items())),
        flows=dict(reversed(market.flows.items())),
    )
    assert build_dataset(turned, ASSETS).digest == whole.digest


def _sum_of_two(tables: object) -> pd.DataFrame:
    return tables["x"].rolling(2).sum().rename(columns={"x": "sum"})  # type: ignore[index]


def _table(rows: list[tuple[str, float, str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["date", "x", "available_at"])
    table["date"] = pd.to_datetime(table["date"]).astype("datetime64[us]")
    table["available_at"] = pd.to_datetime(
        table["available_at"], format="ISO8601", utc=True
    ).astype("datetime64[us, UTC]")
    return table.sort_values(["date", "available_at"], ignore_index=True)
