"""Nested forecasts, what blocks add, and placebos of them."""

import json

import numpy as np
import pytest

from sources.errors import InsufficientHistoryError
from sources.simulated import simulate_market
from training.study import incremental, placebo
from training.study.drivers import read_drivers
from training.study.nested import (
    LEAST_TRAINING,
    PRIOR_DEVIATION,
    Outcomes,
    compare_nested,
    expanding_forecasts,
)
from training.study.surrogates import phase_randomised, time_shifted


def _outcomes(n: int, horizon: int, seed: int = 0) -> tuple[np.ndarray, Outcomes]:
    generator = np.random.default_rng(seed)
    features = generator.standard_normal((n, 3))
    value = 0.3 * features[:, 0] + generator.standard_normal(n)
    value[-horizon:] = np.nan
    known = np.where(np.isfinite(value), np.arange(n) + horizon, 10 * n)
    return features, Outcomes(value, known, horizon)


def test_a_forecast_is_the_posterior_mean_on_the_labels_known_at_the_last_refit():
    features, outcomes = _outcomes(800, 5)
    found = expanding_forecasts(features, outcomes, np.ones(800, dtype=bool))
    # Refits fall on rows 0, 91, ...; at row 546 labels of rows up to 541 are known: 542 of them.
    assert np.isnan(found[: 6 * 91]).all()
    train = np.arange(542)
    x, y = features[train], outcomes.value[train]
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    penalty = y.var() / PRIOR_DEVIATION**2
    slopes = np.linalg.solve(z.T @ z + penalty * np.eye(3), z.T @ (y - y.mean()))
    expected = y.mean() + (features[600] - x.mean(axis=0)) / x.std(axis=0) @ slopes
    assert found[600] == pytest.approx(expected)
    assert LEAST_TRAINING <= 542


def test_B01_no_forecast_knows_a_label_that_was_not_known():
    features, outcomes = _outcomes(900, 20)
    usable = np.ones(900, dtype=bool)
    before = expanding_forecasts(features, outcomes, usable)
    late = outcomes.known_on > 637  # a refit falls on row 637
    other = Outcomes(np.where(late, 1e6, outcomes.value), outcomes.known_on, 20)
    after = expanding_forecasts(features, other, usable)
    assert np.array_equal(before[: 637 + 91], after[: 637 + 91], equal_nan=True)
    assert not np.allclose(before[637 + 91 :], after[637 + 91 :])


def test_clark_and_west_give_back_the_noise_of_what_is_estimated():
    # y = +-1 in turn, forecasts 0 and 1/2: squared errors 1, and 1/4 or 9/4, mean 5/4, so that
    # the larger loses 1/4 of 1; adding the (1/2)^2 between the two gives 0.
    y = np.tile([1.0, -1.0], 200)
    found = compare_nested(y, np.zeros(400), np.full(400, 0.5), horizon_days=1)
    assert found.r2 == pytest.approx(-0.25)
    assert found.r2_adjusted == pytest.approx(0.0)
    assert found.p_value == pytest.approx(0.5)
    with pytest.raises(InsufficientHistoryError, match="at least 401 days; found 400"):
        compare_nested(y, np.zeros(400), y, horizon_days=40)


def test_copies_keep_the_values_and_the_shift_keeps_their_order():
    generator = np.random.default_rng(3)
    values = np.convolve(generator.standard_normal(2000), 0.9 ** np.arange(40), "same")
    copy = phase_randomised(values, generator)
    assert np.array_equal(np.sort(copy), np.sort(values))
    lagged = [np.corrcoef(x[1:], x[:-1])[0, 1] for x in (copy, values)]
    assert lagged[0] == pytest.approx(lagged[1], abs=0.02)
    assert abs(np.corrcoef(copy, values)[0, 1]) < 0.3
    moved = time_shifted(np.arange(10), np.random.default_rng(0), 3)
    first = int(np.argmin(moved))
    assert 3 <= first <= 7
    assert np.array_equal(np.roll(moved, -first), np.arange(10))
    with pytest.raises(ValueError, match="needed more than 12 rows; found 10"):
        time_shifted(np.arange(10), generator, 6)


@pytest.fixture(scope="module")
def momentum_leads():
    """Return a market in which crypto follows small caps' momentum, thrice as strongly."""
    market = simulate_market(
        "momentum", seed=11, horizons=(1,), constituent_count=0, strength=3.0, years=9
    ).market
    return market, read_drivers(market, ("BTC",))


def test_small_caps_add_where_they_lead_and_liquidity_does_not(momentum_leads):
    market, drivers = momentum_leads
    found = incremental.measure_increments(market, ("BTC",), (1, 5), drivers=drivers, resamples=300)
    by = {(q.added, q.given, q.horizon_days): q for q in found.questions}
    small = by["small caps", ("own momentum", "liquidity"), 5]
    money = by["liquidity", ("own momentum", "small caps"), 5]
    # Signal to noise 3 x 0.0665 a day: R2 is 4 % at one day, and more at five.
    assert 0.01 < small.increment.r2 < 0.2
    assert small.p_corrected < 0.01
    assert money.p_corrected > 0.05
    assert small.increment.effective_n < small.increment.n / 2
    assert all(one.p_value < 0.05 for one in found.superior)
    assert "Small caps add" in incremental.figure(found).get_suptitle()
    json.dumps(found.to_json(), allow_nan=False)


def test_no_placebo_does_as_well_where_small_caps_lead(momentum_leads):
    market, drivers = momentum_leads
    found = placebo.rank_placebos(market, ("BTC",), (1,), drivers=drivers, copies=19)
    assert [rank.p_value for rank in found.ranks] == [1 / 20, 1 / 20]
    assert found.symbol == "RUT"
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["ranks"][0]["kind"]
    again = placebo.rank_placebos(market, ("BTC",), (1,), drivers=drivers, copies=3)
    assert np.array_equal(again.ranks[0].copies[:3], found.ranks[0].copies[:3])


def test_the_real_series_is_one_among_its_copies_where_nothing_leads():
    market = simulate_market("null", seed=2, horizons=(1,), constituent_count=0, years=7).market
    found = placebo.rank_placebos(market, ("BTC",), (1,), copies=19)
    assert all(rank.p_value > 1 / 20 for rank in found.ranks)
    assert "no better" in placebo.figure(found).get_suptitle()
