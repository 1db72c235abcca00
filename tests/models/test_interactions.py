"""Signals made of signals mean what the claims say."""

from __future__ import annotations

import numpy as np
import pytest

from features.selection import CORE
from models.config import GROUPS, WEIGHTS
from models.interactions import DRIVERS, FRESH, GATED, PAIRS, Signals, delayed, with_interactions


def _made(values: dict[str, list[float]]) -> dict[str, np.ndarray]:
    """Return the interactions of some features of one asset.

    They stand for standardised values, but for highs, whose mean is 1/4.
    """
    table = np.array(list(values.values())).T[:, None, :]
    mean = np.array([0.25 if name.startswith("high") else 0.0 for name in values])
    plain = Signals(tuple(values), ("group",) * len(values), table)
    whole = with_interactions(plain, table - mean)
    added = range(len(values), len(whole.names))
    return {whole.names[i]: whole.values[:, 0, i] for i in added}


def test_without_a_high_flows_count_nothing_and_after_one_by_their_size() -> None:
    made = _made({"high_decay_20s": [0.0, 1.0, 0.5], "flow_pressure_10s": [-2.0, -2.0, 3.0]})
    assert made["high_decay_20s with flow_pressure_10s"].tolist() == [0.0, -2.0, 1.5]
    # The other reading of the claim: a high counts in full with inflow, and not at all without.
    assert made["high_decay_20s if flow_pressure_10s"].tolist() == [0.0, 0.0, 0.5]


def test_what_is_missing_makes_a_product_missing() -> None:
    made = _made({"high_decay_20s": [1.0, np.nan], "flow_pressure_10s": [np.nan, 1.0]})
    assert all(np.isnan(value).all() for value in made.values())


def test_a_driver_is_the_sum_of_its_parts_now_and_some_days_ago() -> None:
    days = 20
    one, other = np.arange(days, dtype="float64"), np.ones(days)
    made = _made({"credit_pressure_40s": one.tolist(), "small_pressure_40s": other.tolist()})
    # Two parts of unit variance: divided by root 2.
    assert made["appetite"].tolist() == pytest.approx(((one + 1) / np.sqrt(2)).tolist())
    # Crypto trails by sessions: a week of days.
    late = made["appetite 7 days ago"]
    assert np.isnan(late[:7]).all()
    np.testing.assert_array_equal(late[7:], made["appetite"][:-7])
    assert "appetite and liquidity" not in made
    assert sorted(days for _, days in DRIVERS.values()) == [0, 0, 7]


def test_a_delay_reads_the_past() -> None:
    assert delayed(np.array([1.0, 2.0, 3.0]), 1).tolist()[1:] == [1.0, 2.0]


def test_every_part_of_an_interaction_is_a_signal_and_every_signal_a_feature() -> None:
    # What is absent makes no product and no error: a name that is misspelt would go unnoticed.
    pairs = [*FRESH, *GATED, *(pair for pairs in PAIRS.values() for pair in pairs)]
    parts = {
        name for names in (*pairs, *(names for names, _ in DRIVERS.values())) for name in names
    }
    signals = {name for names in GROUPS.values() for name in names}
    assert parts <= signals <= set(CORE)
    assert set(WEIGHTS) <= {*GROUPS, *PAIRS, "driver", "high x flow"}


def test_momentum_counts_by_dispersion_of_the_day_and_of_the_month() -> None:
    names = ("small_pressure_40s", "dispersion_log_1s", "dispersion_log")
    made = _made(dict(zip(names, ([2.0, -1.0], [3.0, 2.0], [0.5, 4.0]), strict=True)))
    assert made["small_pressure_40s x dispersion_log_1s"].tolist() == [6.0, -2.0]
    assert made["small_pressure_40s x dispersion_log"].tolist() == [1.0, -4.0]
