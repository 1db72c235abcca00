"""The studies of cause on real data: how long they take, and figures that were looked at."""

import json
import time

import pytest

from sources import read_market
from training.study import availability, causality, conditional, incremental, leadlag, placebo
from training.study.drivers import read_drivers


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_all_six_take_less_than_two_minutes_of_one_core_and_find_what_was_found(real_market_dir):
    market = read_market(real_market_dir)
    began = time.process_time()
    drivers = read_drivers(market)
    lead = leadlag.measure_lead_lag(market)
    cause = causality.find_cause(market, drivers=drivers)
    added = incremental.measure_increments(market, drivers=drivers)
    ranks = placebo.rank_placebos(market, drivers=drivers)
    condition = conditional.compare_conditions(market)
    delays = availability.measure_availability(market, ("BTC", "ETH"))
    assert time.process_time() - began < 120
    assert not cause.lacking
    for result in (lead, cause, added, ranks, condition, delays):
        json.dumps(result.to_json(), allow_nan=False)
    daily = lead.profiles[0]
    # From the files, raw returns of the same date correlate 0.25 (2,711 days); in deviations, which
    # give March 2020 less weight, a little less.
    assert daily.correlation[daily.lags.index(0)] == pytest.approx(0.21, abs=0.05)
    assert daily.verdict == "neither shown"
    assert cause.verdict in {"none", "undetermined"}
    assert not delays.cliffs
    assert min(rank.p_value for rank in ranks.ranks) > 0.05
    first = [
        one for one in condition.differences if one.condition.events == "first highs in 60 sessions"
    ]
    assert {one.answer for one in first} == {"too few events"}
