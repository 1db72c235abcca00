"""The worlds: what they show, what they hide, and that nobody beats their truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from sources.calendars import as_of_instant
from sources.simulated import WORLDS, Simulated, simulate_market
from sources.simulated.equities import credit_shocks
from sources.simulated.macro import liquidity_shocks
from sources.simulated.worlds import find_world

HORIZONS = (1, 5, 20)
BLOCKS = {"flows", "highs", "momentum", "breadth", "liquidity", "credit"}
FRIDAY_YEARS = 733 / 365.2425
"""733 days from 2013-01-01 end on Saturday 2015-01-03, so that the last driver is a session's."""
TRAPS = sorted(name for name, world in WORLDS.items() if world.kind == "trap")


def _market(world: str, **changes: object) -> Simulated:
    arguments: dict[str, object] = {"seed": 7, "years": 2.0, "constituent_count": 0}
    return simulate_market(world, **(arguments | changes))  # type: ignore[arg-type]


def _log_returns(simulated: Simulated, symbol: str) -> pd.Series:
    return np.log(simulated.market.prices[symbol].set_index("date")["close"]).diff()


def test_every_world_says_what_it_is() -> None:
    assert {world.kind for world in WORLDS.values()} == {"nothing", "signal", "trap", "break"}
    for name, world in WORLDS.items():
        assert world.name == name
        assert world.description.endswith(".")
        assert set(world.blocks) <= BLOCKS
        assert (world.loading == 0) == (world.kind in {"nothing", "trap"})
        assert world.blocks or world.kind == "nothing"


UNASSUMED = {
    "flow_threshold": "flow",
    "high_window": "high",
    "momentum_hump": "momentum",
    "breadth_kink": "breadth",
    "dispersion_tails": "dispersion",
    "liquidity_step": "liquidity",
    "credit_stress": "common_driver",
    "divergence": "breadth",
}
"""Worlds of a form that no forecaster of ours assumes -> the world of the nearest that one does."""


def test_every_block_has_a_world_of_a_form_that_no_forecaster_assumes() -> None:
    assert {block for world in UNASSUMED for block in WORLDS[world].blocks} == BLOCKS


def test_the_page_of_worlds_lists_each_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "worlds.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{w.name}` | {w.kind} | {', '.join(w.blocks)} | {w.description} |"
        for w in WORLDS.values()
    ]


@pytest.mark.parametrize("world", sorted(UNASSUMED))
def test_the_unassumed_form_is_far_from_the_assumed_one(world: str) -> None:
    # Squared correlation of the two drivers: what a forecaster of the assumed form could explain.
    # A step at one deviation and a line share 0.66^2 = 0.44; freshness and its window share most.
    other, plain = (_drift(name, years=12.0) for name in (world, UNASSUMED[world]))
    assert np.corrcoef(other, plain)[0, 1] ** 2 < 0.9


@pytest.mark.parametrize("world", TRAPS)
def test_the_truth_of_a_trap_is_that_of_nothing_to_find(world: str) -> None:
    np.testing.assert_array_equal(_market(world).truth["p_star"], _market("null").truth["p_star"])


def test_participation_and_dispersion_can_be_read_from_the_closes_to_the_last_digit() -> None:
    panel = _market("breadth", constituent_count=60, years=FRIDAY_YEARS).market.panel
    assert panel is not None
    moves = np.diff(np.log(panel.closes), axis=0)
    share = (moves > 0).sum(axis=1) / (~np.isnan(moves)).sum(axis=1)
    # z = (Phi^-1(share) - 0.02) / 0.64, and x = ln(deviation / 0.018) / 0.35 is the world's AR(1).
    z = (ndtri(share) - 0.02) / 0.64
    decayed = 0.0
    for one in z:  # the first session has no return, and says 0
        decayed = 0.975 * decayed + np.sqrt(1 - 0.975**2) * one
    driver = _drift("breadth", constituent_count=60)
    assert driver[-1] == pytest.approx(decayed, abs=1e-9)
    x = np.log(np.nanstd(moves, axis=1) / 0.018) / 0.35
    assert _drift("dispersion", constituent_count=60)[-1] == pytest.approx(x[-1], abs=1e-9)


def _drift(world: str, **changes: object) -> np.ndarray:
    """Return the driver from BTC's returns: at strength 0 the same seed has the same shocks.

    Row -1 is the driver of the last day but one, the last that a return shows.
    """
    changes = {"years": FRIDAY_YEARS} | changes
    pair = [_log_returns(_market(world, strength=s, **changes), "BTC") for s in (1.0, 0.0)]
    drift: np.ndarray = ((pair[0] - pair[1]) / 0.035 / WORLDS[world].loading).dropna().to_numpy()
    return drift


def test_the_shocks_of_credit_can_be_read_from_high_yield_and_the_index() -> None:
    simulated = _market("common_driver")
    own = (_log_returns(simulated, "HYG") - 0.20 * _log_returns(simulated, "RUT")) / 0.003
    shocks = credit_shocks(len(own), seed=7)
    np.testing.assert_allclose(own.to_numpy()[1:], shocks[1:], atol=1e-9)
    assert np.corrcoef(_log_returns(simulated, "RUT").dropna(), own.dropna())[0, 1] > 0.3


def test_the_shocks_of_liquidity_can_be_read_from_its_file() -> None:
    value = _market("liquidity").market.macro["WALCL"]["value"].to_numpy()
    x = np.log(value / 6.0e6) / 0.25
    shocks = liquidity_shocks(len(x), seed=7)
    np.testing.assert_allclose(
        (x[1:] - 0.998 * x[:-1]) / np.sqrt(1 - 0.998**2), shocks[1:], atol=1e-9
    )


def test_small_caps_follow_crypto_by_a_day_where_crypto_leads() -> None:
    simulated = _market("crypto_leads", years=6.0)
    index = _log_returns(simulated, "RUT")
    before = _log_returns(simulated, "BTC").shift(1).reindex(index.index)
    # 0.6 of shocks that BTC shares by sqrt(0.7): 0.5, less what the volatilities blur.
    assert index.corr(before) == pytest.approx(0.45, abs=0.07)
    after = _log_returns(simulated, "BTC").shift(-1).reindex(index.index)
    assert abs(index.corr(after)) < 0.08


@pytest.mark.parametrize("world", ["late_flow", "restated_level", "clock_slip"])
def test_a_trap_tells_of_the_future_by_date_and_of_nothing_by_availability(world: str) -> None:
    simulated = _market(world, years=6.0)
    crypto = np.log(simulated.market.prices["BTC"].set_index("date")["close"])
    if world == "late_flow":
        table = simulated.market.flows["IWM"]
        signal, days = table["flow_usd"] / table["aum_usd"], 1
    elif world == "clock_slip":
        table = simulated.market.prices["IWM"]
        signal, days = np.log(table["close"]).diff(), 1
    else:
        both = simulated.market.macro["WALCL"]
        first = both[~both["date"].duplicated(keep="first")].set_index("date")["value"]
        table = both[both["date"].duplicated(keep="first")].reset_index(drop=True)
        signal = np.log(table["value"] / first.reindex(table["date"]).to_numpy())
        days = 20
    forward = crypto.shift(-days) - crypto
    by_date = forward.reindex(table["date"]).to_numpy()
    assert signal.corr(pd.Series(by_date)) > 0.4
    # A value is known from the as-of day that its availability falls on: T(d) is d + 1, 00:00.
    usable = pd.DatetimeIndex(table["available_at"]).tz_localize(None).normalize()
    assert (usable >= table["date"] + pd.Timedelta(days=days + 1)).all()
    known = forward.reindex(usable).to_numpy()
    assert abs(signal.corr(pd.Series(known))) < 0.12


def test_the_relation_ends_or_turns_on_the_day_it_is_told_to() -> None:
    drifts = {
        world: _drift(world, turn_years=1.0, years=2.0) for world in ("flow", "break", "reversal")
    }
    # Return of day k has the driver of day k - 1; the turn is day 365.
    before, after = slice(0, 364), slice(365, None)
    for world, factor in (("break", 0.0), ("reversal", -1.0)):
        np.testing.assert_allclose(drifts[world][before], drifts["flow"][before], atol=1e-9)
        np.testing.assert_allclose(drifts[world][after], factor * drifts["flow"][after], atol=1e-9)


def test_worlds_that_have_nothing_in_common_can_be_added() -> None:
    both = find_world("flow+high")
    assert both.blocks == ("flows", "highs")
    assert both.coupling == 0.0
    assert both.loading == pytest.approx(np.hypot(0.0725, 0.070))
    sums = _market("flow+high").truth.groupby("horizon")["p_star"].std()
    alone = _market("flow").truth.groupby("horizon")["p_star"].std()
    assert (sums > alone).all()


def test_a_sum_of_traps_with_a_signal_keeps_the_truth_of_the_signal() -> None:
    plain, trapped = _market("momentum"), _market("momentum+clock_slip")
    np.testing.assert_array_equal(plain.truth["p_star"], trapped.truth["p_star"])
    assert trapped.market.digest() != plain.market.digest()


@pytest.mark.parametrize("name", ["high+momentum", "flow+break", "crypto_leads+high"])
def test_worlds_that_share_a_source_cannot_be_added(name: str) -> None:
    with pytest.raises(ValueError, match="nothing in common"):
        find_world(name)


def test_a_listing_that_ends_has_no_bar_and_no_truth_after_it() -> None:
    simulated = _market("flow", ends={"ETH": "2014-06-30"})
    assert simulated.market.prices["ETH"]["date"].max() == pd.Timestamp("2014-06-30")
    ends = simulated.truth.groupby("asset")["date"].max()
    assert ends["ETH"] == pd.Timestamp("2014-06-30")
    assert ends["BTC"] == pd.Timestamp("2014-12-31")


def test_missing_crypto_bars_change_no_other_number() -> None:
    whole, gappy = _market("flow"), _market("flow", crypto_gaps=True)
    there = gappy.market.prices["BTC"]
    lost = len(whole.market.prices["BTC"]) - len(there)
    assert 0 < lost < 15  # one in 200 of 730
    both = whole.market.prices["BTC"].merge(there, on="date", suffixes=("", "_gappy"))
    assert (both["close"] == both["close_gappy"]).all()
    merged = whole.truth.merge(gappy.truth, on=["date", "asset", "horizon"])
    assert len(merged) == len(gappy.truth) < len(whole.truth)
    assert (merged["p_star_x"] == merged["p_star_y"]).all()


def _expected_loss(p: np.ndarray, q: np.ndarray) -> float:
    return float(-(p * np.log(q) + (1 - p) * np.log(1 - q)).mean())


def _fitted(signal: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return in-sample logistic regression on the driver and its square, by Newton's method."""
    x = np.stack([np.ones_like(signal), signal, signal**2], axis=1)
    beta = np.zeros(3)
    for _ in range(30):
        q = 1 / (1 + np.exp(-x @ beta))
        hessian = (x * (q * (1 - q))[:, None]).T @ x + 1e-6 * np.eye(3)
        beta += np.linalg.solve(hessian, x.T @ (y - q))
    return np.clip(1 / (1 + np.exp(-x @ beta)), 1e-6, 1 - 1e-6)


@pytest.mark.parametrize("world", sorted(WORLDS))
def test_no_forecaster_beats_the_truth_on_outcomes(world: str) -> None:
    # Over rows h days apart, loss(q, y) - loss(p*, y) has expectation KL(p*, q) >= 0 for any q
    # made without y; on realised outcomes the sum may fall below it by Monte Carlo error alone.
    # The forecaster that knows the driver is fitted on one market and judged on another.
    train, test = (_pairs(world, seed) for seed in (0, 1))
    for horizon in HORIZONS:
        signal, p, y = train[horizon]
        other, truth, outcome = test[horizon]
        order = np.argsort(signal)
        knowing = np.interp(other, signal[order], _fitted(signal, y)[order])
        momentum = 0.5 + 0.1 * np.sign(np.concatenate([[0.0], outcome[:-1] - 0.5]))
        for q in (knowing, momentum, np.full(len(truth), p.mean())):
            gap = outcome * np.log(truth / q) + (1 - outcome) * np.log((1 - truth) / (1 - q))
            error = gap.std() / np.sqrt(len(gap))
            assert gap.mean() > -4 * error - 1e-6, (horizon, gap.mean(), error)
            assert _expected_loss(truth, q) >= _expected_loss(truth, truth)


def _pairs(world: str, seed: int) -> dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return by horizon the driver (0 without one), p_star and outcome on rows h days apart."""
    simulated = _market(world, seed=seed, years=6.0, assets=("BTC",), turn_years=3.0)
    close = simulated.market.prices["BTC"].set_index("date")["close"]
    truth = simulated.truth.pivot_table(index="date", columns="horizon", values="p_star")
    level = truth[1]  # a monotone function of the driver, and of the volatility state
    found = {}
    for horizon in HORIZONS:
        rows = truth.index[:-horizon:horizon]
        ahead = close.reindex(rows + pd.Timedelta(days=horizon)).to_numpy()
        y = (ahead > close.reindex(rows).to_numpy()).astype(float)
        signal = (20 * (level[rows] - 0.5)).to_numpy()
        found[horizon] = signal, truth.loc[rows, horizon].to_numpy(), y
    return found


def test_nothing_of_a_trap_is_known_before_its_time() -> None:
    # As of any day the three trapped files are the same in a market whose later crypto differs:
    # a longer market agrees on all that was available, to the byte.
    for world in ("late_flow", "restated_level", "clock_slip"):
        short, longer = _market(world), _market(world, years=3.0)
        instant = as_of_instant(pd.Timestamp("2014-12-31"))
        assert short.market.digest(instant) == longer.market.digest(instant)
