"""Conditions on highs, and the curve that finds a wrong clock."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sources.calendars import available_at_equity
from sources.simulated import simulate_market
from training.study import availability, conditional
from training.study.conditional import ALL_DAYS, HIGHS, Condition, compare_conditions

FLOWS = Condition("C6", "highs by fund flows", "in", "out", HIGHS, "flow_60s", 0.0, 0.0)


def test_the_shares_of_a_side_and_the_rank_among_shifts_are_those_of_plain_loops():
    generator = np.random.default_rng(5)
    n, horizon = 240, 20
    returns, there = generator.standard_normal(n), np.ones(n, dtype=bool)
    there[-5:] = False
    returns[~there] = 0.0
    first = generator.random(n) < 0.2
    second = (generator.random(n) < 0.3) & ~first
    gap = returns[first].mean() - returns[second].mean()
    null = []
    for move in range(horizon, n - horizon + 1):
        moved = [np.roll(side, -move) for side in (first, second)]
        means = [(returns * side).sum() / (there & side).sum() for side in moved]
        null.append(means[0] - means[1])
    centre = np.mean(null)
    as_far = sum(abs(x - centre) >= abs(gap - centre) - 1e-12 for x in null)
    found = conditional._rank_among_shifts(first, second, returns, there, gap, horizon, 0)
    assert found == pytest.approx((1 + as_far) / (1 + len(null)))


@pytest.fixture(scope="module")
def flows_matter():
    return simulate_market(
        "flow_and_high", seed=4, horizons=(1,), constituent_count=0, strength=4.0
    ).market


def test_highs_with_inflows_are_better_where_they_were_made_so(flows_matter):
    found = compare_conditions(flows_matter, ("BTC",), (20,), conditions=(FLOWS,), resamples=500)
    (one,) = found.differences
    assert one.answer == "first better"
    assert one.lower > 0
    assert one.p_corrected <= 0.05
    assert min(one.episodes_first, one.episodes_second) >= 5
    assert one.days_first > one.episodes_first
    assert conditional.figure(found).get_suptitle().endswith("1 shown")


def test_few_events_are_no_answer_and_a_missing_panel_is_named(flows_matter):
    found = compare_conditions(flows_matter, ("BTC",), (180,), resamples=200)
    assert {one.split(":")[0] for one in found.missing} == {"C7, highs by breadth"}
    few = [one for one in found.differences if one.answer == "too few events"]
    assert few
    assert all(min(x.episodes_first, x.episodes_second) < 5 for x in few)
    assert all(np.isnan(x.p_value) and np.isnan(x.p_corrected) for x in few)
    json.dumps(found.to_json(), allow_nan=False)


def test_all_days_split_by_a_gap_leave_out_what_lies_between(flows_matter):
    gap = Condition("C12", "gap", "ahead", "behind", ALL_DAYS, "divergence_60s", -1.0, 1.0)
    flat = replace(gap, low=0.0, high=0.0)
    found = compare_conditions(flows_matter, ("BTC",), (20,), conditions=(gap, flat), resamples=100)
    apart, every = found.differences
    assert apart.days_first < every.days_first
    assert apart.days_second < every.days_second


@pytest.fixture(scope="module")
def slipped():
    return simulate_market("clock_slip", seed=1, horizons=(1,), constituent_count=0, years=8).market


def test_a_cliff_is_found_where_a_clock_is_wrong_by_a_day_and_none_where_it_is_right(slipped):
    honest = availability.measure_availability(slipped, resamples=500)
    assert honest.cliffs == ()
    # A file of d tells of d + 1 and is known as of d + 2: laid beside the return that it tells
    # of, it comes from two days ahead.
    curve = next(one for one in honest.curves if one.feature == "small_return_1s")
    at = {delay: float(x) for delay, x in zip(honest.delays, curve.skill, strict=True)}
    assert at[-2] > 0.25
    assert max(abs(at[0]), abs(at[1]), abs(at[2])) < 0.1
    # The same files, taken for known at the session's close: two days too early.
    early = {
        symbol: table.assign(available_at=available_at_equity(table["date"]))
        if symbol in {"IWM", "IJR"}
        else table
        for symbol, table in slipped.prices.items()
    }
    wrong = availability.measure_availability(replace(slipped, prices=early), resamples=500)
    assert "BTC: small_return_1s" in wrong.cliffs
    assert not any("flow" in name or "own" in name for name in wrong.cliffs)
    assert "clock of" in availability.figure(wrong).get_suptitle()
    json.dumps(wrong.to_json(), allow_nan=False)


def test_a_strong_slow_signal_has_no_cliff():
    market = simulate_market(
        "flow", seed=3, horizons=(1,), constituent_count=0, years=8, strength=3.0
    ).market
    names = ("flow_pressure_20s", "flow_pressure_40s", "small_return_1s")
    found = availability.measure_availability(market, features=names, resamples=500)
    slow = found.curves[1]
    at = {delay: float(x) for delay, x in zip(found.delays, slow.skill, strict=True)}
    # The appetite falls by 2.5 % a session: five days later nine tenths of the skill are left.
    assert at[0] > 0.1
    assert at[5] > 0.7 * at[0]
    assert found.cliffs == ()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_detector_is_silent_in_worlds_whose_clocks_are_right():
    found = []
    for world in ("null", "flow", "momentum", "crypto_leads", "late_flow", "clock_slip"):
        for seed in range(20):
            market = simulate_market(
                world, seed=seed, horizons=(1,), constituent_count=0, years=8
            ).market
            found += [(world, seed, x) for x in availability.measure_availability(market).cliffs]
    # 120 markets at 1 %, and a least drop: one or two by luck.
    assert len({one[:2] for one in found}) <= 3, found
