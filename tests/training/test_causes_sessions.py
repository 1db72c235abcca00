"""Two clocks: correlations at a lag must not come from hours that both sides share."""

import numpy as np
import pandas as pd
import pytest

from sources import DataUnavailableError, Market
from sources.calendars import available_at_crypto, available_at_equity, sessions_between
from training.study.profiles import LAGS, daily_pairs, profile_of
from training.study.rolling import ROLLING, rolling_of
from training.study.sessions import read_sessions

HOURS = 24


def _prices(dates: pd.DatetimeIndex, close: np.ndarray, opened: np.ndarray, equity: bool):
    stamps = available_at_equity(dates) if equity else available_at_crypto(dates)
    return pd.DataFrame(
        {
            "date": dates, "open": opened, "high": np.nan, "low": np.nan, "close": close,
            "adj_close": np.nan, "volume": np.nan, "available_at": stamps,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def one_price() -> Market:
    """Return a market in which both follow one price, hour by hour: no side can lead."""
    days = pd.date_range("2012-01-01", "2021-12-31", freq="D", unit="us")
    generator = np.random.default_rng(4)
    level = np.cumsum(generator.normal(0, 0.004, len(days) * HOURS))
    at = {hour: level[np.arange(len(days)) * HOURS + hour] for hour in (14, 20, 23)}
    sessions = pd.DatetimeIndex(sessions_between(days[0], days[-1]))
    row = days.get_indexer(sessions)
    # Hour 20 ends at 21:00 UTC, the close; hour 14 ends at 15:00, after the open.
    small = _prices(sessions, 100 * np.exp(at[20][row]), 100 * np.exp(at[14][row]), equity=True)
    bars = _prices(days, 100 * np.exp(at[23]), np.full(len(days), np.nan), equity=False)
    return Market(prices={"IWM": small, "BTC": bars}, crypto=("BTC",))


def test_one_price_on_two_clocks_leads_itself_at_no_lag_but_would_by_closes_alone(one_price):
    sessions = read_sessions(one_price, ("BTC",))
    closed, opened, beside = daily_pairs(sessions, "BTC")
    found = profile_of("BTC", "day", LAGS, (closed, opened, beside), 20.0, (1, 5), 500, 0)
    before, same = LAGS.index(-1), LAGS.index(0)
    # Tuesday to Friday 21 hours are shared of 24 on either side, 0.875; on Mondays 21 of the
    # session's 72 and the bar's 24, 0.51; a fifth of the sum of squares is Monday's thrice.
    assert 0.6 < found.correlation[same] < 0.9
    assert abs(found.correlation[before]) < 0.07
    assert found.verdict == "neither shown"
    # From close to close the three hours of the evening before, and weekends, are in both.
    naive = profile_of("BTC", "day", LAGS, (closed, closed, beside), 20.0, (1, 5), 500, 0)
    assert naive.correlation[before] > 0.2
    assert naive.verdict == "crypto"


def test_rolling_correlation_and_slope_are_those_of_a_multiple(one_price):
    sessions = read_sessions(one_price, ("BTC",))
    # Crypto from session to session is made twice the index from close to close, exactly.
    place, log = sessions.place(), np.zeros(len(sessions.days))
    log[place] = 2 * sessions.close_to_close
    doubled = type(sessions)(
        sessions.dates, sessions.close_to_close, sessions.open_to_close, sessions.days,
        {"BTC": log}, sessions.symbols,
    )  # fmt: skip
    found = rolling_of(doubled, "BTC")
    assert np.allclose(found.correlation, 1.0)
    assert np.allclose(found.beta, 2.0)
    assert np.allclose(found.beta_upper, 2.0)
    assert found.dates[0] == sessions.dates[ROLLING]  # the first session has no return before it


def test_a_market_without_small_caps_says_what_it_needed_and_found(one_price):
    bare = Market(prices={"BTC": one_price.prices["BTC"]}, crypto=("BTC",))
    with pytest.raises(DataUnavailableError, match=r"needed prices/RUT or IWM.*found BTC"):
        read_sessions(bare, ("BTC",))
