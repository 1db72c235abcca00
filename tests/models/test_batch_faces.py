"""The estimators say what the walk-forward says, fitted on what was known by the day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features import Dataset, FeatureConfig, build_dataset
from models import (
    CellRows,
    ClaimRules,
    Climatology,
    ModelConfig,
    Path,
    SignalRegression,
    cells_of,
    initial_state,
    run_path,
)
from models.online import RULE_FEATURES, cell_rows, online_rows, signal_path
from sources.simulated import simulate_market

HORIZONS = (1, 5, 20)
SIGNALS = (
    "flow_pressure_10s", "flow_pressure_40s", "high_decay_10s", "high_decay_20s",
    "small_scaled_20s", "liquidity_scaled_4w", "liquidity_scaled_13w", "credit_scaled_20s",
    "relative_scaled_20s", "own_scaled_1d",
)  # fmt: skip
CONFIG = ModelConfig(
    features=FeatureConfig(blocks=(), include=SIGNALS), logistic=None, boosting=None
)
DAYS = (300, 555, 777, 800)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Return a pool of one asset, from the first day whose return has a volatility to go by."""
    market = simulate_market(
        "flow+high", seed=5, years=3.0, assets=("BTC",), constituent_count=0, strength=4.0
    ).market
    whole = build_dataset(market, ("BTC",), CONFIG.features)
    begin = int(np.flatnonzero(whole.volatility[:, 0] > 0)[0])
    parts = {k: getattr(whole, k)[begin:] for k in ("days", "values", "ages", "has_close")}
    return replace(whole, **parts, volatility=whole.volatility[begin:])


@pytest.fixture(scope="module", params=HORIZONS)
def walked(request: pytest.FixtureRequest, dataset: Dataset) -> tuple[CellRows, Path]:
    (cell,) = cells_of(("BTC",), (request.param,))
    online = online_rows(dataset, (cell,), CONFIG)
    rows = cell_rows(dataset, cell, online, CONFIG)
    start = initial_state(rows, rows.days[0], CONFIG)
    path, _ = run_path(rows, start, [(rows.days[0], ())], rows.days[-1], CONFIG)
    return rows, path


def _known(rows: CellRows, day: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows are labelled by a day, and 1/h for each."""
    known = rows.labelled_by(rows.days[day])
    return known, np.full(known.sum(), 1.0 / rows.cell.horizon_days)


@pytest.mark.parametrize("day", DAYS)
def test_climatology_fitted_on_what_was_known_is_the_base_rate_of_the_day(
    walked: tuple[CellRows, Path], day: int
) -> None:
    rows, path = walked
    known, weight = _known(rows, day)
    model = Climatology().fit(np.zeros((known.sum(), 1)), rows.outcome[known], weight)
    said = model.predict_proba([[0.0]])[0, 1]
    assert said == pytest.approx(path.base_rate[day], abs=1e-13)


@pytest.mark.parametrize("day", DAYS)
def test_the_rules_fitted_on_what_was_known_are_the_expert_of_the_day(
    walked: tuple[CellRows, Path], dataset: Dataset, day: int
) -> None:
    rows, path = walked
    known, weight = _known(rows, day)
    columns = [dataset.names.index(name) for name in RULE_FEATURES[:2]]
    X = dataset.values[:, 0, columns]
    assert CONFIG.rules is not None
    model = ClaimRules(CONFIG.rules.effect, rows.cell.horizon_days)
    model.fit(X[known], rows.outcome[known], weight)
    expert = path.expert_probability[:, path.names.index("rules")]
    assert model.predict_proba(X[day : day + 1])[0, 1] == pytest.approx(expert[day], abs=1e-13)
    assert abs(expert[list(DAYS)] - path.base_rate[list(DAYS)]).max() > 0.005


@pytest.mark.parametrize("day", DAYS)
def test_the_regression_fitted_on_the_days_before_is_the_signals_expert_of_the_day(
    walked: tuple[CellRows, Path], dataset: Dataset, day: int
) -> None:
    rows, path = walked
    h = rows.cell.horizon_days
    X = pd.DataFrame(dataset.values[:, 0], columns=list(dataset.names))
    step = np.log1p(dataset.labels("BTC", 1).forward_return[:day])
    model = SignalRegression(CONFIG.signals, h, None if h == 1 else float(path.base_rate[day]))
    model.fit(X[:day], step / dataset.volatility[:day, 0])
    expert = path.expert_probability[:, path.names.index("signals")]
    assert model.predict_proba(X[day : day + 1])[0, 1] == pytest.approx(expert[day], abs=1e-13)
    assert CONFIG.signals is not None
    online = signal_path(dataset, (h,), CONFIG.signals)
    expected = np.sqrt(h) * online.drift[day, 0] + online.parts[h][day, 0].sum()
    assert model.predict(X[day : day + 1])[0] == pytest.approx(expected, abs=1e-13)
    assert abs(online.parts[h][list(DAYS), 0].sum(axis=1)).max() > 0.01
