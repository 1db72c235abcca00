"""Peers learn from what was known on a refit, and say the base rate until they can."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features import build_dataset
from models import Cell, ModelConfig, rows_of
from sources.simulated import simulate_market
from training.peers import CLIMATOLOGY, PEERS, walk_peer, yearly
from training.walkforward import CellRun, refit_days, run_cell

CONFIG = ModelConfig()


@pytest.fixture(scope="module")
def run() -> CellRun:
    market = simulate_market("flow", seed=3, years=3.0, strength=3.0).market
    dataset = build_dataset(market, ("BTC",), CONFIG.features)
    return run_cell(rows_of(dataset, Cell("BTC", 5)), CONFIG.model_copy(update=CLIMATOLOGY))


def test_yearly_refits_are_the_first_of_each_year() -> None:
    days = np.array(["2014-04-01", "2014-07-01", "2015-01-01", "2015-04-01"], "datetime64[D]")
    assert yearly(list(days)) == [days[0], days[2]]


def test_the_climatology_that_peers_are_measured_by_is_ours(run: CellRun) -> None:
    assert run.path.names == ("climatology",)
    np.testing.assert_array_equal(run.path.probability, run.path.base_rate)


def test_a_peer_reads_no_outcome_that_was_not_known_on_its_last_refit(run: CellRun) -> None:
    refits = refit_days(run.rows, CONFIG)
    second, third = refits[1:3]
    unknown = run.rows.known_on > second
    outcome = np.where(unknown, 0.0, run.rows.outcome)
    turned = replace(run, rows=replace(run.rows, outcome=outcome))
    make = PEERS["logistic_strong_penalty"]
    said, other = walk_peer(run, make, refits), walk_peer(turned, make, refits)
    before = run.path.days < third
    np.testing.assert_array_equal(said[before], other[before])
    assert (said[~before] != other[~before]).all()


def test_a_peer_without_outcomes_of_both_kinds_says_the_base_rate(run: CellRun) -> None:
    rows = replace(run.rows, outcome=np.where(np.isnan(run.rows.outcome), np.nan, 1.0))
    certain = replace(run, rows=rows)
    for make in PEERS.values():
        np.testing.assert_array_equal(
            walk_peer(certain, make, refit_days(rows, CONFIG)), run.path.base_rate
        )


def test_parameters_that_never_split_leave_the_share_of_the_rows_fitted_on(run: CellRun) -> None:
    # An L1 penalty of 206 takes all that the gradients of a thousand rows add up to.
    refits = refit_days(run.rows, CONFIG)
    said = walk_peer(run, PEERS["lightgbm_qlib"], refits)
    starts = np.searchsorted(run.path.days, refits)
    for begin, end in zip(starts, [*starts[1:], len(said)], strict=True):
        known = run.rows.labelled_by(run.path.days[begin])
        assert np.ptp(said[begin:end]) == 0
        assert said[begin] == pytest.approx(run.rows.outcome[known].mean())
