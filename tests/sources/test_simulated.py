"""The simulated market as data: what is in it, and what changes it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from sources.calendars import available_at_flows, is_session, session_closes
from sources.errors import InsufficientHistoryError, UnknownNameError
from sources.files import read_market
from sources.simulated import WORLDS, Simulated, simulate_market, write_simulated

EVERY_WORLD = pytest.mark.parametrize("world", sorted(WORLDS))


def _small(world: str = "flow", **changes: object) -> Simulated:
    arguments: dict[str, object] = {"seed": 7, "years": 2.0, "constituent_count": 12}
    return simulate_market(world, **(arguments | changes))  # type: ignore[arg-type]


def _daily_log_returns(simulated: Simulated, symbol: str) -> pd.Series:
    close = simulated.market.prices[symbol].set_index("date")["close"]
    return np.log(close).diff().dropna()


@pytest.fixture(scope="module")
def long() -> Simulated:
    return simulate_market("flow", seed=11, constituent_count=30)


@EVERY_WORLD
def test_the_same_seed_gives_the_same_bytes(world: str) -> None:
    first, second = _small(world), _small(world)
    assert first.market.digest() == second.market.digest()
    assert_frame_equal(first.truth, second.truth, check_exact=True)
    assert first.market.digest() != _small(world, seed=8).market.digest()


@EVERY_WORLD
def test_more_years_change_nothing_that_was_there(world: str) -> None:
    # Every shock after the short market's end is new, so that a truth which looked beyond T(d),
    # or a table scaled by its own whole sample, would differ.
    short, longer = _small(world), _small(world, years=3.0)
    end = short.truth["date"].max()
    assert_frame_equal(
        longer.truth[longer.truth["date"] <= end].reset_index(drop=True),
        short.truth,
        check_exact=True,
    )
    instant = end.tz_localize("UTC") + pd.Timedelta(days=1)
    assert longer.market.digest(instant) == short.market.digest(instant)


@EVERY_WORLD
def test_another_asset_or_horizon_changes_no_path_of_the_others(world: str) -> None:
    few = _small(world, assets=("BTC",), horizons=(5,))
    many = _small(world, assets=("SOL", "ETH", "BTC"), horizons=(2, 5, 30))
    assert_frame_equal(few.market.prices["BTC"], many.market.prices["BTC"], check_exact=True)
    again = many.truth[(many.truth["asset"] == "BTC") & (many.truth["horizon"] == 5)]
    np.testing.assert_array_equal(again["p_star"], few.truth["p_star"])


@EVERY_WORLD
def test_a_market_directory_reads_back_as_it_was_written(
    world: str, tmp_path: pytest.TempPathFactory
) -> None:
    simulated = _small(world)
    write_simulated(simulated, tmp_path)
    back = read_market(tmp_path)
    assert back.digest() == simulated.market.digest()
    assert back.crypto == simulated.market.crypto == ("BTC", "ETH")
    for folder, symbol, table in simulated.market.tables():
        assert_frame_equal(getattr(back, folder)[symbol], table, check_exact=True)


def test_truth_is_written_beside_the_prices_with_the_columns_of_the_contract(
    tmp_path: pytest.TempPathFactory,
) -> None:
    simulated = _small()
    write_simulated(simulated, tmp_path)
    written = pd.read_csv(f"{tmp_path}/truth.csv", parse_dates=["date"])
    assert list(written) == ["date", "asset", "horizon", "p_star"]
    np.testing.assert_array_equal(written["p_star"], simulated.truth["p_star"])
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_truth_names_its_threshold_where_there_are_several(
    tmp_path: pytest.TempPathFactory,
) -> None:
    simulated = _small(thresholds=(-0.05, 0.0, 0.05))
    write_simulated(simulated, tmp_path)
    assert "threshold" in pd.read_csv(f"{tmp_path}/truth.csv", nrows=1)
    # The probability of rising above a threshold falls with the threshold, strictly.
    ladder = simulated.truth.pivot_table(
        index=["date", "asset", "horizon"], columns="threshold", values="p_star"
    )
    assert (ladder.diff(axis=1).iloc[:, 1:] < 0).all(axis=None)


def test_the_default_market_ends_in_2024_and_covers_each_day_from_the_first_session() -> None:
    simulated = simulate_market("null", seed=1, constituent_count=0)
    # 12 mean Gregorian years are 4,382.9 days, so 4,383: 2013-01-01 to 2024-12-31. The first
    # session is 2013-01-02. ETH lists on day 300 from 2013-01-01, which is 2013-10-28.
    spans = simulated.truth.groupby(["asset", "horizon"])["date"].agg(["min", "max", "count"])
    assert (spans["max"] == pd.Timestamp("2024-12-31")).all()
    assert (spans.loc["BTC", "min"] == pd.Timestamp("2013-01-02")).all()
    assert (spans.loc["ETH", "min"] == pd.Timestamp("2013-10-28")).all()
    assert (spans.loc["BTC", "count"] == 4382).all()
    assert simulated.market.panel is None


def test_crypto_trades_every_day_and_equities_on_sessions_only(long: Simulated) -> None:
    prices = long.market.prices
    for asset in long.market.crypto:
        assert (prices[asset]["date"].diff().dropna() == pd.Timedelta(days=1)).all()
    for symbol in prices.keys() - set(long.market.crypto):
        assert is_session(prices[symbol]["date"]).all()
        known = session_closes(prices[symbol]["date"])
        assert (prices[symbol]["available_at"].to_numpy() == known.to_numpy()).all()


def test_flows_are_published_at_13_utc_of_the_next_session(long: Simulated) -> None:
    flows = long.market.flows["IWM"]
    assert (flows["available_at"] == available_at_flows(flows["date"])).all()
    # 2024-11-27 is the day before Thanksgiving; the next session is Friday the 29th.
    row = flows.set_index("date").loc["2024-11-27", "available_at"]
    assert row == pd.Timestamp("2024-11-29 13:00", tz="UTC")


def test_a_few_equity_bars_are_missing_but_none_of_index_or_crypto(long: Simulated) -> None:
    whole = len(long.market.prices["RUT"])
    # One in 500 of 3,020: 6 on average.
    lost = {s: whole - len(t) for s, t in long.market.prices.items() if s not in ("BTC", "ETH")}
    assert lost["RUT"] == 0
    assert 20 < sum(lost.values()) < 120
    complete = _small(missing_bars=False).market.prices
    assert len({len(t) for s, t in complete.items() if s not in ("BTC", "ETH")}) == 1


def test_constituents_list_late_and_end(long: Simulated) -> None:
    panel = long.market.panel
    assert panel is not None
    listed = ~np.isnan(panel.closes)
    assert (~listed[0]).any()
    assert (~listed[-1] & listed.any(axis=0)).any()
    for column in listed.T:  # once listed, without a gap until it ends
        assert np.abs(np.diff(column.astype(int))).sum() <= 2


def test_crypto_has_fat_tails_clusters_and_no_momentum_of_its_own() -> None:
    simulated = simulate_market("null", seed=5, constituent_count=0)
    returns = _daily_log_returns(simulated, "BTC")
    assert returns.kurtosis() > 1.0  # in excess of the Gaussian's 0; 2.9 in the long run
    size = returns.abs()
    # 4,382 days: the standard error of an autocorrelation is 0.015 for white noise, and more,
    # about 0.025, with this kurtosis and these clusters.
    assert size.autocorr(1) > 0.05
    assert abs(returns.autocorr(1)) < 0.1


def test_assets_move_together_and_with_small_caps_on_the_same_day_only(long: Simulated) -> None:
    coins = _daily_log_returns(long, "BTC"), _daily_log_returns(long, "ETH")
    assert coins[0].corr(coins[1]) == pytest.approx(0.7, abs=0.06)
    index = _daily_log_returns(long, "RUT")
    on_sessions = coins[0].reindex(index.index)
    assert on_sessions.corr(index) == pytest.approx(0.3, abs=0.08)
    assert abs(coins[0].shift(-1).reindex(index.index).corr(index)) < 0.08


def test_high_cuts_the_same_day_correlation_that_would_blur_its_truth() -> None:
    assert WORLDS["high"].coupling == 0.0


def test_an_unknown_world_is_refused_and_the_known_ones_listed() -> None:
    with pytest.raises(UnknownNameError, match=r"'flwo': known are breadth, .*, reversal"):
        simulate_market("flwo", seed=0)


def test_an_unknown_asset_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown asset 'GOLD'"):
        simulate_market("null", seed=0, assets=("BTC", "GOLD"))


def test_a_market_that_ends_before_an_asset_lists_is_refused() -> None:
    # Half a year is 183 days; ETH lists on day 300, so it needs 301.
    with pytest.raises(InsufficientHistoryError, match=r"needed at least 301 days; found 183"):
        simulate_market("null", seed=0, years=0.5)


@pytest.mark.parametrize(
    "changes", [{"horizons": (0,)}, {"thresholds": (-1.0,)}, {"seed": -1}], ids=str
)
def test_impossible_arguments_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"needed|expected"):
        _small(**changes)
