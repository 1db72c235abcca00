"""The signals: they find what is planted, let go of what ends, and add up at every threshold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from features import Dataset, build_dataset
from models import Cell, ModelConfig, cells_of
from models.config import SignalConfig
from models.location import drift, location_scores, without_index
from models.predictive import centre_of, chance_of, shift_of_odds
from models.signals import coefficients, gate, group_shares, persistence
from sources import Market
from training.walkforward import CellRun, walk_forward

CONFIG = SignalConfig()
THRESHOLDS = (-0.1, -0.02, 0.0, 0.01, 0.05, 0.2)


def _planted(
    effect: float, days: int = 3000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return z (t, 2), x (t, 2, 3), usable: the first feature moves the next day."""
    generator = np.random.default_rng(seed)
    x = np.empty((days, 3))
    x[0] = generator.normal(size=3)
    for t in range(1, days):
        x[t] = 0.97 * x[t - 1] + np.sqrt(1 - 0.97**2) * generator.normal(size=3)
    common = generator.standard_t(5, size=days) * np.sqrt(3 / 5)
    noise = generator.standard_t(5, size=(days, 2)) * np.sqrt(3 / 5)
    z = effect * x[:, :1] + np.sqrt(0.7) * common[:, None] + np.sqrt(0.3) * noise
    return z, np.repeat(x[:, None], 2, axis=1), np.ones((days, 2), dtype=bool)


def test_a_planted_effect_is_found_with_its_size_and_its_neighbours_are_not() -> None:
    z, x, usable = _planted(0.1)
    shares = group_shares(("a", "b", "c"), CONFIG)
    found = coefficients(x, usable, shares, location_scores(z, 5.0), CONFIG, 1.0)
    assert found[-1, :, 0] == pytest.approx([0.1, 0.1], abs=0.03)
    assert np.abs(found[-1, :, 1:]).max() < 0.01


def test_where_there_is_nothing_little_is_believed() -> None:
    shares = group_shares(("a", "b", "c"), CONFIG)
    believed = []
    for seed in range(10):
        z, x, usable = _planted(0.0, seed=seed)
        found = coefficients(x, usable, shares, location_scores(z, 5.0), CONFIG, 1.0)
        believed.append(np.abs(found[-1]).max())
    # An effect of 0.05 is the prior's likeliest; noise leaves a tenth of it on average.
    assert np.mean(believed) < 0.01


def test_the_odds_of_a_signal_take_the_bayes_factor_to_the_stated_power() -> None:
    z, x, usable = _planted(0.05, days=1500)
    scores = location_scores(z, 5.0)

    def last(power: float, nothing: float) -> float:
        config = CONFIG.model_copy(update={"evidence_power": power, "nothing": nothing})
        shares = np.array([1 - nothing])
        return float(coefficients(x[:, :, :1], usable, shares, scores, config, 1.0)[-1, 0, 0])

    # The coefficient is chance times size, and where nothing else is believed the chance is 1.
    whole = last(1.0, 1e-12)
    full, half = (last(power, 0.5) / whole for power in (1.0, 0.5))
    # At even shares the odds are the Bayes factor to the power: those at one half squared
    # are those at one.
    assert full / (1 - full) > 3
    assert (half / (1 - half)) ** 2 == pytest.approx(full / (1 - full), rel=1e-6)


def test_a_coefficient_reads_no_return_that_is_not_known_yet() -> None:
    z, x, usable = _planted(0.1, days=600)
    shares = group_shares(("a", "b", "c"), CONFIG)
    later = z.copy()
    later[400:] *= -5
    one, other = (
        coefficients(x, usable, shares, location_scores(r, 5.0), CONFIG, 1.0) for r in (z, later)
    )
    # The return of row 399 ends on day 400: rows up to 400 do not see what changed.
    np.testing.assert_array_equal(one[:401], other[:401])
    assert (one[401] != other[401]).any()


def test_the_gate_opens_for_a_signal_that_works_and_closes_when_it_ends() -> None:
    z, x, _ = _planted(0.12, days=4000)
    z[2000:] = _planted(0.0, days=4000, seed=1)[0][2000:]
    scores = location_scores(z, 5.0)
    signal = 0.12 * x[:, :, 0]
    weights = gate([signal, np.zeros_like(signal)], np.zeros_like(z), scores, CONFIG)
    assert weights[1990, 1] > 0.9
    assert weights[-1, 1] < 0.2
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)


def test_persistence_is_the_mean_of_an_autoregressions_next_days() -> None:
    # E[mean of x over t..t+h-1 | x_t] = x_t (1 - rho^h) / (h (1 - rho)).
    _, x, usable = _planted(0.0, days=20_000)
    for h in (1, 5, 20):
        expected = (1 - 0.97**h) / (h * (1 - 0.97))
        assert persistence(x, usable, h)[-1] == pytest.approx([expected] * 3, abs=0.03)


def test_a_crash_moves_the_location_no_more_than_a_bad_day() -> None:
    z = np.random.default_rng(2).standard_t(5, size=(500, 1)) * np.sqrt(3 / 5)
    crash = z.copy()
    crash[400] = -15.0
    quiet, loud = (np.abs(location_scores(r, 5.0).u[400, 0]) for r in (z, crash))
    assert loud < 3.5
    assert quiet < 3.5


def test_noise_that_is_shared_with_the_index_is_taken_out() -> None:
    generator = np.random.default_rng(3)
    index = generator.normal(size=3000)
    z = 0.6 * index[:, None] + 0.8 * generator.normal(size=(3000, 1))
    own = location_scores(z, 5.0)
    rest = without_index(own, index)
    # The running slope is shrunk by 200 days' worth of nothing: about a tenth is left.
    assert abs(np.corrcoef(rest.u[500:, 0], index[500:])[0, 1]) < 0.12
    assert rest.precision[-1] > 1.3 * own.precision[-1]


def test_drift_shrinks_to_nothing_and_grows_with_evidence() -> None:
    generator = np.random.default_rng(4)
    z = 0.05 + generator.normal(size=(4000, 2))
    mu = drift(location_scores(z, 5.0), CONFIG)
    assert np.abs(mu[0]).max() == 0.0
    assert 0.01 < mu[-1].mean() < 0.06


def test_the_predictive_law_is_a_law() -> None:
    p = np.linspace(0.01, 0.99, 99)
    for h in (1, 5, 20):
        np.testing.assert_allclose(chance_of(centre_of(p, h), h), p)
        np.testing.assert_allclose(shift_of_odds(np.zeros(1), h), 0.0, atol=1e-12)


@pytest.fixture(scope="module")
def ladder(market: Market) -> dict[Cell, CellRun]:
    dataset: Dataset = build_dataset(market, ("BTC", "ETH"))
    cells = cells_of(("BTC", "ETH"), (1, 20), THRESHOLDS)
    return walk_forward(dataset, cells, ModelConfig(least_labels=200))


@pytest.mark.parametrize("asset", ["BTC", "ETH"])
@pytest.mark.parametrize("horizon", [1, 20])
def test_the_probability_falls_as_the_threshold_rises_on_every_day(
    ladder: dict[Cell, CellRun], asset: str, horizon: int
) -> None:
    asked = cells_of((asset,), (horizon,), THRESHOLDS)
    paths = [ladder[cell].path for cell in asked]
    for lower, higher in pairwise(paths):
        assert (higher.probability <= lower.probability).all()
        assert (higher.base_rate <= lower.base_rate).all()
