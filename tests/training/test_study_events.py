"""Events on the day they were known, what follows them, and the real dates, by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markets import random_market, scramble_after

from sources.files import read_market
from sources.market import Market
from training.study.claims import Event
from training.study.events import apart, find_events
from training.study.outcomes import Outcomes, forward, largest_rise, read_outcomes, window

BREAKOUT = Event(kind="first_high", quiet_sessions=60)


def days_of(market: Market) -> pd.DatetimeIndex:
    return read_outcomes(market).days


def staircase(market: Market, rises: tuple[int, ...]) -> Market:
    """Return the market with an index that stands below its peak but on some sessions."""
    table = market.prices["RUT"].copy()
    close = np.full(len(table), 90.0)
    close[0] = 100.0
    for step, row in enumerate(rises, 1):
        close[row] = 100.0 + step
    table["close"] = close
    return Market(prices={**market.prices, "RUT": table}, crypto=market.crypto)


def test_an_event_is_the_first_high_after_so_many_sessions_without_one():
    # Highs on rows 300, 350 and 420: 49 sessions without one before 350, and 69 before 420.
    market = staircase(random_market(), (300, 350, 420))
    table = market.prices["RUT"]
    at = [str(table["date"].iloc[row].date()) for row in (300, 350, 420)]
    days = days_of(market)
    found = find_events(market, "RUT", BREAKOUT, days)
    assert [str(day) for day in found] == [at[0], at[2]]
    sooner = find_events(market, "RUT", Event(quiet_sessions=49), days)
    assert [str(day) for day in sooner] == at


def test_an_event_whose_row_came_late_counts_from_the_day_it_came():
    market = staircase(random_market(), (300,))
    table = market.prices["RUT"]
    late = table["available_at"].iloc[300] + pd.Timedelta(days=9)
    table.loc[300:306, "available_at"] = late
    found = find_events(market, "RUT", BREAKOUT, days_of(market))
    # The row of the high is not the last one known on the day it came: that is no fresh event.
    assert [str(day) for day in found] == []
    table.loc[301:306, "available_at"] = late + pd.Timedelta(days=1)
    found = find_events(market, "RUT", BREAKOUT, days_of(market))
    assert [str(day) for day in found] == [str(late.date())]


def test_B01_what_comes_later_changes_no_earlier_event_and_no_earlier_outcome():
    market = staircase(random_market(), (300, 380, 460, 540))
    days = days_of(market)
    before = find_events(market, "RUT", BREAKOUT, days)[:3]
    assert len(before) == 3
    cut = pd.Timestamp(before[-1], tz="UTC") + pd.Timedelta(days=1)
    changed = scramble_after(market, cut)
    after = find_events(changed, "RUT", BREAKOUT, days)
    assert after[:3].tolist() == before.tolist()
    level, other = (read_outcomes(m).level("BTC") for m in (market, changed))
    assert level is not None
    assert other is not None
    known = int((before[-1] - days[0].to_numpy().astype("datetime64[D]")).astype(int)) + 1
    assert np.array_equal(level[:known], other[:known])


def test_events_that_overlap_count_once():
    days = np.array(["2020-01-01", "2020-02-01", "2020-03-05"], dtype="datetime64[D]")
    assert [str(day) for day in apart(days, 60)] == ["2020-01-01", "2020-03-05"]
    assert len(apart(days, 30)) == 3


def test_returns_begin_at_the_close_of_the_day_and_end_with_the_horizon():
    level = np.log([100.0, 110.0, 99.0, 120.0])
    assert np.expm1(forward(level, 2))[:2].tolist() == pytest.approx([-0.01, 120 / 110 - 1])
    assert np.isnan(forward(level, 2)[2:]).all()
    # Within two days of 100 the most is 110; the close of the day itself does not count.
    assert np.expm1(largest_rise(level, 2))[0] == pytest.approx(0.1)
    assert np.expm1(largest_rise(level, 2))[1] == pytest.approx(120 / 110 - 1)
    # A coin that ended has no rise: within two days of 1 there is no close.
    ended = largest_rise(np.array([0.0, 1.0, np.nan, np.nan, np.nan]), 2)
    assert ended[0] == 1.0
    assert np.isnan(ended[1:]).all()
    about = window(level, [1], before=2, after=1)
    assert np.isnan(about[0, 0])
    assert np.expm1(about[0, 1:]).tolist() == pytest.approx([100 / 110 - 1, 0.0, 99 / 110 - 1])


def test_the_basket_of_altcoins_is_their_mean_return_less_bitcoins():
    days = pd.date_range("2020-01-01", periods=3, unit="us")
    coins = {
        "BTC": np.log([10.0, 11.0, 11.0]),
        "SOL": np.log([1.0, 1.2, 1.2]),  # +20 %, 0
        "XRP": np.array([np.nan, np.log(2.0), np.log(3.0)]),  # lists on the second day; +50 %
    }
    basket = Outcomes(days, coins).level("ALTS")
    assert basket is not None
    # +20 % from SOL alone, then (0 + 50 %) / 2 = 25 %.
    assert np.exp(np.diff(basket)).tolist() == pytest.approx([1.2, 1.25])
    less = Outcomes(days, coins).level("ALTS-BTC")
    assert less is not None
    assert np.exp(np.diff(less)).tolist() == pytest.approx([1.2 / 1.1, 1.25])
    assert Outcomes(days, {"BTC": coins["BTC"]}).level("ALTS-BTC") is None


def closes(path: Path, column: str) -> dict[str, float]:
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {row["date"][:10]: float(row[column]) for row in rows if row[column]}


def highs_by_hand(price: dict[str, float]) -> list[str]:
    """List first highs in 60 sessions by one plain loop: no frame, no rolling, no library."""
    found, top, last = [], 0.0, None
    for row, (day, close) in enumerate(sorted(price.items())):
        if close > top:
            # The first 252 closes of the feed are no highs: older peaks may lie before it.
            if row >= 252:
                if last is None or row - last > 60:
                    found.append(day)
                last = row
            top = close
    return found


@pytest.fixture(scope="module")
def real_market(real_market_dir: Path) -> Market:
    return read_market(real_market_dir)


@pytest.mark.parametrize("index", ["RUT", "IWM"])
def test_the_real_dates_are_those_found_by_hand(real_market_dir, real_market, index):
    found = [str(d) for d in find_events(real_market, index, BREAKOUT, days_of(real_market))]
    assert found == ["2014-12-26", "2016-11-14", "2018-05-16", "2020-11-13", "2021-11-02"]
    by_hand = highs_by_hand(closes(real_market_dir / "prices" / f"{index}.csv", "close"))
    assert [day for day in by_hand if day >= "2014-09-17"] == found


def test_bitcoins_path_after_two_real_highs_is_that_of_its_closes(real_market_dir, real_market):
    # After 2020-11-13 Bitcoin doubled in 60 days (2021-01-12), after 2021-11-02 it lost a quarter
    # (2022-01-01).
    level = read_outcomes(real_market)
    btc = level.level("BTC")
    assert btc is not None
    price = closes(real_market_dir / "prices" / "BTC.csv", "close")
    for begin, end, about in (
        ("2020-11-13", "2021-01-12", 1.08),
        ("2021-11-02", "2022-01-01", -0.246),
    ):
        row = int((np.datetime64(begin) - level.day[0]).astype(int))
        found = float(np.expm1(forward(btc, 60)[row]))
        assert found == pytest.approx(price[end] / price[begin] - 1)
        assert found == pytest.approx(about, abs=0.01)
