"""Decayed means of what credit and small caps did, against what is known by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.scaled import credit_pressure, pressures, small_pressure


def _market(small: np.ndarray, high_yield: np.ndarray) -> dict[str, pd.DataFrame]:
    """Return prices whose log returns are given, from 100 on."""
    index = pd.date_range("2010-01-04", periods=len(small) + 1, freq="B", unit="us", name="date")

    def prices(step: np.ndarray) -> pd.DataFrame:
        close = 100 * np.exp(np.concatenate([[0.0], np.cumsum(step)]))
        return pd.DataFrame({"close": close, "adj_close": close}, index)

    return {"small": prices(small), "high_yield": prices(high_yield)}


def test_a_pressure_forgets_a_step_by_its_decay() -> None:
    step = pd.Series(np.random.default_rng(0).normal(size=3000))
    quiet = step.copy()
    quiet.iloc[2000:] = np.nan
    built = pressures(quiet, "p_{k}")
    # A step that is missing adds nothing, and what was there stays as it was.
    assert built["p_10"].iloc[-1] == built["p_10"].iloc[1999]
    # In deviations of 1, the change from day to day is (x - p) / k.
    whole = pressures(step, "p_{k}")
    for k in (10, 40):
        before, after = whole[f"p_{k}"].iloc[2499], whole[f"p_{k}"].iloc[2500]
        spread = step.ewm(halflife=60).std().iloc[2500]
        assert after - before == pytest.approx((step.iloc[2500] / spread - before) / k)


def test_a_crash_moves_a_pressure_by_six_deviations_at_most() -> None:
    step = pd.Series(np.random.default_rng(1).normal(size=1000))
    step.iloc[900] = -1000.0
    built = pressures(step, "p_{k}")["p_10"]
    # Nine tenths of what was there, and a tenth of -6.
    assert built.iloc[900] == pytest.approx(0.9 * built.iloc[899] - 0.6)


def test_the_pressure_of_credit_is_its_own_news_and_not_that_of_small_caps() -> None:
    generator = np.random.default_rng(2)
    small, news = generator.normal(0, 0.012, 4000), generator.normal(0, 0.003, 4000)
    tables = _market(small, 0.3 * small + news)
    built = credit_pressure(tables)["credit_pressure_40s"].iloc[1001:]
    own = pd.Series(news).ewm(alpha=1 / 40).mean().to_numpy()[1000:]
    other = pd.Series(small).ewm(alpha=1 / 40).mean().to_numpy()[1000:]
    assert np.corrcoef(built, own)[0, 1] > 0.95
    # Without the slope taken out it would be 0.3 x 0.012 / sqrt(0.0036^2 + 0.003^2) = 0.77.
    assert abs(np.corrcoef(built, other)[0, 1]) < 0.25
    momentum = small_pressure(tables)["small_pressure_40s"].iloc[1001:]
    assert np.corrcoef(momentum, other)[0, 1] > 0.95


def test_credit_that_does_nothing_of_its_own_has_no_pressure_and_no_infinity() -> None:
    small = np.random.default_rng(3).normal(0, 0.012, 500)
    built = credit_pressure(_market(small, np.zeros(500)))
    assert built.isna().all(axis=None)
