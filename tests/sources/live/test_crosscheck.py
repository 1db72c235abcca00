"""A32: two providers of one series are compared; the first one's values stand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sources.live import TOLERANCES, Tolerance, cross_check
from sources.live.bars import no_table

DAYS = pd.bdate_range("2024-11-04", periods=10)
CLOSES = np.array([100.0, 101, 102, 101, 100, 103, 104, 105, 104, 106])


def _table(
    closes: np.ndarray = CLOSES, days: pd.DatetimeIndex = DAYS, **more: object
) -> pd.DataFrame:
    table = pd.DataFrame({"date": days, "close": closes, "adj_close": closes})
    return table.assign(**more)


def test_A32_the_same_closes_agree() -> None:
    found = cross_check("IWM", {"yahoo": _table(), "stooq": _table()}, TOLERANCES["equity"])
    assert found.agrees
    assert found.compared == 9  # ten days are nine returns
    assert str(found) == "IWM: yahoo and stooq agree on 9 day(s)"


def test_A32_a_close_that_differs_is_flagged_on_its_day_and_the_next() -> None:
    wrong = CLOSES.copy()
    wrong[4] = 101.0  # 1 % too high: that day's return and the next are off by log(1.01)
    found = cross_check("IWM", {"yahoo": _table(), "stooq": _table(wrong)}, TOLERANCES["equity"])
    assert not found.agrees
    assert found.disagreements["date"].tolist() == [DAYS[4], DAYS[5]]
    assert found.disagreements["difference"].tolist() == pytest.approx(
        [-np.log(1.01), np.log(1.01)]
    )
    assert (found.first, found.second) == ("yahoo", "stooq")
    assert str(found) == (
        "IWM: yahoo and stooq differ on 2 of 9 day(s), first 2024-11-08: 100 and 101; yahoo stands"
    )


@pytest.mark.parametrize(("ratio", "agrees"), [(1.00199, True), (1.00201, False)])
def test_A32_the_tolerance_is_the_one_stated(ratio: float, agrees: bool) -> None:
    other = CLOSES.copy()
    other[4:] *= ratio  # one return differs by log(ratio), 0.00199 or 0.00201, against 0.002
    tables = {"yahoo": _table(), "stooq": _table(other)}
    assert cross_check("IWM", tables, TOLERANCES["equity"]).agrees is agrees


def test_A32_another_basis_of_adjustment_is_no_disagreement_for_equities() -> None:
    tables = {"yahoo": _table(), "stooq": _table(CLOSES * 0.8)}
    assert cross_check("IWM", tables, TOLERANCES["equity"]).agrees


def test_A32_crypto_is_compared_by_level_too() -> None:
    days = pd.date_range("2024-11-01", periods=10)
    tables = {"exchange": _table(days=days), "klines": _table(CLOSES * 1.03, days)}
    found = cross_check("BTC", tables, TOLERANCES["crypto"])
    assert len(found.disagreements) == 10
    assert found.disagreements["difference"].tolist() == pytest.approx([-np.log(1.03)] * 10)
    near = {"exchange": _table(days=days), "klines": _table(CLOSES * 1.01, days)}
    assert cross_check("BTC", near, TOLERANCES["crypto"]).agrees


def test_a_return_across_a_gap_of_one_of_them_is_not_compared() -> None:
    # 100 -> 103 in one step of the first, 101 -> 100 -> 103 in two of the second.
    keep = np.arange(10) != 4
    found = cross_check(
        "IWM", {"yahoo": _table(CLOSES[keep], DAYS[keep]), "stooq": _table()}, TOLERANCES["equity"]
    )
    assert found.agrees
    assert found.compared == 7  # nine days of both, without the first and the one after the gap
    assert found.only_second == (DAYS[4],)
    assert found.only_first == ()


def test_days_before_and_after_the_other_one_are_nobodys_fault() -> None:
    found = cross_check(
        "IWM", {"yahoo": _table(), "stooq": _table(CLOSES[2:7], DAYS[2:7])}, TOLERANCES["equity"]
    )
    assert (found.compared, found.only_first, found.only_second) == (4, (), ())


def test_where_a_provider_has_no_adjusted_close_its_close_is_compared() -> None:
    raw = _table(adj_close=np.nan)
    assert cross_check("BTC", {"a": raw, "b": _table()}, Tolerance(1e-9, 1e-9)).agrees


def test_a_revised_day_is_compared_by_its_latest_value() -> None:
    revised = pd.concat([_table().head(1).assign(adj_close=50.0), _table()], ignore_index=True)
    assert cross_check("IWM", {"a": revised, "b": _table()}, TOLERANCES["equity"]).agrees


@pytest.mark.parametrize("second", [no_table(), _table(days=DAYS + pd.DateOffset(years=1))])
def test_providers_without_a_common_day_are_not_compared(second: pd.DataFrame) -> None:
    found = cross_check("IWM", {"a": _table(), "b": second}, TOLERANCES["equity"])
    assert (found.compared, found.agrees) == (0, True)
