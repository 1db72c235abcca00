"""Lead and lag in markets of which it is known who leads."""

import json

import numpy as np
import pytest

from sources.simulated import simulate_market
from training.study.leadlag import figure, measure_lead_lag


@pytest.fixture(scope="module")
def crypto_first():
    market = simulate_market(
        "crypto_leads", seed=3, years=7, horizons=(1,), constituent_count=0
    ).market
    return measure_lead_lag(market, ("BTC",), resamples=500)


def test_small_caps_that_follow_by_a_day_are_seen_at_lag_minus_one(crypto_first):
    daily, weekly = crypto_first.profiles
    assert (daily.strongest_lag, daily.verdict) == (-1, "crypto")
    assert daily.p_lags <= 0.01
    one_day = next(x for x in daily.leads if x.side == "crypto leads" and x.window == 1)
    # The worlds' shocks correlate 0.6, BTC's with the market's sqrt(0.7) of it: 0.50.
    assert one_day.total == pytest.approx(0.50, abs=0.08)
    assert one_day.lower < one_day.total < one_day.upper
    assert weekly.lags[0] == -8


def test_nothing_leads_where_nothing_does():
    market = simulate_market("null", seed=5, years=7, horizons=(1,), constituent_count=0).market
    daily = measure_lead_lag(market, ("BTC",), resamples=500).profiles[0]
    assert daily.verdict == "neither shown"
    assert daily.correlation[daily.lags.index(0)] > 0.2  # shocks of one session are shared
    assert 0.03 < daily.least_detectable < 0.12


def test_regimes_add_up_to_all_sessions_and_json_is_strict(crypto_first):
    count = {(r.regime, r.side): r.n for r in crypto_first.regimes}
    # Seven years from 2013 end before 2020, and a side without sessions is left out.
    assert count["period", "before 2020"] == count["all", "all sessions"]
    assert ("period", "since 2020") not in count
    whole = count["VIX", "calm"] + count["VIX", "turbulent"]
    # Both need a year of VIX before, and five bars on either side.
    assert whole <= count["all", "all sessions"]
    written = json.loads(json.dumps(crypto_first.to_json(), allow_nan=False))
    middle = written["profiles"][0]["lags"].index(0)
    assert written["profiles"][0]["sup"][middle] is None
    assert len(written["profiles"][0]["correlation"]) == len(written["profiles"][0]["lags"])


def test_the_figure_says_who_leads_in_its_title(crypto_first):
    made = figure(crypto_first)
    assert "BTC leads" in made.get_suptitle()
    assert len(made.axes) == 5
    assert np.isfinite(made.axes[0].get_ylim()).all()
