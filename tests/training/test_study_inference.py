"""Inference for few events, power, and the rule that makes a verdict of them, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from training.study.cells import Cell, Finding
from training.study.claims import ClaimLedger, read_claims
from training.study.inference import calendar_time, difference, randomise
from training.study.power import (
    events_needed,
    least_detectable,
    power_of,
    share_detectable,
    share_events_needed,
    share_power,
    share_test,
)
from training.study.verdicts import correct, judge_claim

LEDGER = read_claims()


def randomised(outcome, rows, stratum=None, draws=20_000):
    found = randomise(
        np.asarray(outcome, dtype="float64"),
        np.asarray(rows),
        np.zeros(len(outcome), dtype=int) if stratum is None else stratum,
        np.random.default_rng(0),
        horizon_days=1,
        draws=draws,
        ranks=True,
    )
    assert found is not None
    return found


def test_dates_drawn_from_all_days_have_the_mean_and_the_spread_of_the_days():
    outcome = np.tile([0.0, 1.0], 500)
    found = randomised(outcome, [1, 3, 5, 7])
    # Four draws of a fair coin: mean 1/2, and all four heads one time in sixteen.
    assert found.base == 0.5
    assert found.effect == 0.5
    assert found.p_above() == pytest.approx(1 / 16, abs=0.006)
    assert found.p_below(0.0) == 1.0
    assert found.draws.std() == pytest.approx(0.25, abs=0.005)
    # Ranks of a coin: tails are the lower half, at 1/4 on average, heads at 3/4.
    assert found.rank_draws.mean() == pytest.approx(0.5, abs=0.01)


def test_events_are_compared_with_days_of_their_own_regime():
    # Days of regime 1 bring 1, others 0: an event in regime 1 that brings 1 is nothing special.
    stratum = np.repeat([0, 1], 200)
    outcome = stratum.astype("float64")
    found = randomised(outcome, [250, 300], stratum)
    assert found.base == 1.0
    assert found.effect == 0.0
    assert found.p_above() == 1.0
    # A regime of less than 60 days is no yardstick: all days are.
    small = np.where(np.arange(400) < 350, 0, 1)
    assert randomised(outcome, [380], small).base == pytest.approx(0.5)


def test_no_event_with_an_outcome_is_no_result():
    outcome = np.full(300, np.nan)
    assert (
        randomise(
            outcome, np.array([5]), np.zeros(300, dtype=int), np.random.default_rng(0),
            horizon_days=1,
        )
        is None
    )  # fmt: skip


def test_the_interval_holds_the_effects_that_are_not_rejected():
    outcome = np.random.default_rng(1).normal(0, 1, 2000)
    outcome[[10, 500, 900, 1500]] = 1.0
    found = randomised(outcome, [10, 500, 900, 1500])
    low, high = found.interval()
    # Four normal outcomes: 1 -+ 1.96 / 2.
    assert low == pytest.approx(found.effect - 0.98, abs=0.08)
    assert high == pytest.approx(found.effect + 0.98, abs=0.08)
    assert found.p_above(low) == pytest.approx(0.025, abs=0.002)
    assert found.p_below(high) == pytest.approx(0.025, abs=0.002)


def test_the_difference_of_two_sides_adds_their_variances():
    outcome = np.random.default_rng(2).normal(0, 1, 4000)
    one, other = randomised(outcome, [1, 2, 3, 4]), randomised(outcome, [5])
    both = difference(one, other, np.random.default_rng(3))
    assert both.effect == pytest.approx(one.effect - other.effect)
    # 1/4 + 1 = 1.25.
    assert both.draws.var() == pytest.approx(1.25 * outcome.var(), rel=0.05)


def test_power_and_the_least_detectable_effect_are_those_of_the_normal_where_draws_are():
    draws = np.sort(np.random.default_rng(0).normal(0, 2, 200_000))
    # At 5 % and 80 %: (1.645 + 0.842) x 2 = 4.973.
    assert least_detectable(draws, 0.05, 0.8) == pytest.approx(4.973, abs=0.05)
    assert power_of(draws, 4.973, 0.05) == pytest.approx(0.8, abs=0.01)
    # (1.645 + 0.842)^2 x (1 / 0.5)^2 = 24.7.
    assert events_needed(1.0, 0.5, 0.05, 0.8) == 25


def test_three_of_three_is_no_evidence_at_a_base_rate_of_seventy_per_cent():
    above, _, (low, high) = share_test(3, np.full(3, 0.7), 0.95)
    assert above == pytest.approx(0.343)
    # Clopper and Pearson: 0.025^(1/3).
    assert low == pytest.approx(0.025 ** (1 / 3))
    assert high == 1.0
    assert share_test(3, np.full(3, 0.5), 0.95)[0] == 0.125
    # Two of five where nineteen of twenty are claimed: sum over k <= 2 of C(5,k) .95^k .05^(5-k).
    at_most = 0.05**5 + 5 * 0.95 * 0.05**4 + 10 * 0.95**2 * 0.05**3
    assert share_test(2, np.full(5, 0.7), 0.95)[1] == pytest.approx(at_most)


def test_what_could_never_be_shown_says_so():
    # Five of five at a base rate of 0.7 is 0.168: at 5 % no number of rises rejects it.
    rates = np.full(5, 0.7)
    assert share_power(rates, 0.95, 0.05) == 0.0
    assert np.isnan(share_detectable(rates, 0.05, 0.8))
    needed = int(share_events_needed(0.7, 0.95, 0.05, 0.8))
    critical = stats.binom.isf(0.05, needed, 0.7) + 1
    assert stats.binom.sf(critical - 1, needed, 0.95) >= 0.8
    assert stats.binom.sf(critical - 1, needed, 0.7) <= 0.05


def test_a_portfolio_in_calendar_time_holds_each_day_once():
    level = np.cumsum(np.full(400, 0.001))
    level[101:111] += 0.01 * np.arange(1, 11)
    level[111:] += 0.1
    first = calendar_time(level, np.array([100]), 10)
    assert first is not None
    # It buys at the close of day 100: days 101 to 110, each 0.011 instead of 0.001.
    assert first.effect == pytest.approx(0.01)
    found = calendar_time(level, np.array([100, 105]), 10)
    assert found is not None
    # Days 101 to 115, of which ten bring 0.011 and five 0.001: 0.1 / 15 above the others.
    assert found.days == 15
    assert found.effect == pytest.approx(0.1 / 15)


def finding(**values: float) -> Finding:
    filled = {"effect": 0.3, "lower": 0.1, "upper": 0.5, "p": 0.5, "p_refute": 0.5, "n": 10.0}
    return Finding(**{**filled, "least_detectable": 0.4, "needed": 20.0, **values})


def verdict(name: str, *found: Finding, ledger: ClaimLedger = LEDGER) -> tuple[str, str]:
    claim = ledger.claim(name)
    cells = [
        Cell(name, claim.indices[0], "BTC", claim.primary_days + i, i == 0, 0.5)
        for i in range(len(found))
    ]
    judged = judge_claim(claim, correct(list(zip(cells, found, strict=True))), ledger)
    return judged.verdict, judged.reason


def test_the_four_verdicts():
    assert verdict("C1", finding(p=0.01))[0] == "supported"
    assert verdict("C1", finding(p=0.2, p_refute=0.01))[0] == "refuted"
    assert verdict("C1", finding(p=0.2, p_refute=0.2))[0] == "underpowered"
    assert verdict("C10", finding(p=1e-9))[0] == "unfalsifiable"
    # A p of 0.03 is not enough once it carries half of alpha alone: 0.03 / 0.5 = 0.06.
    assert verdict("C1", finding(p=0.03))[0] == "underpowered"


def test_a_variant_supports_a_claim_only_where_the_primary_test_points_the_same_way():
    assert verdict("C1", finding(p=0.3), finding(p=0.001))[0] == "supported"
    assert verdict("C1", finding(p=0.7, effect=-0.1), finding(p=0.001))[0] == "underpowered"
    assert verdict("C1", finding(p_refute=1e-4), finding(p=0.001))[0] == "refuted"


def test_too_few_events_are_underpowered_whatever_they_say_and_how_many_it_takes_is_told():
    found, reason = verdict("C1", finding(p=1e-9, n=4.0, needed=22.0))
    assert found == "underpowered"
    assert "4 independent events where the ledger asks for 5" in reason
    assert "about 22 would be needed" in reason
