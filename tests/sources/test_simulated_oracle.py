"""The truth of the simulated markets: exact, from what was published, and calibrated."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from sources.calendars import as_of_instant
from sources.market import Market
from sources.simulated import Simulated, simulate_market
from sources.simulated.coins import COINS, REGIME
from sources.simulated.drivers import LinearDriver, NoDriver
from sources.simulated.equities import FLOW_SCALE, INDEX_LAW, simulate_index
from sources.simulated.highs import (
    DECAY_SESSIONS,
    FRESHNESS_DEVIATION,
    MEAN_FRESHNESS,
    HighDriver,
)
from sources.simulated.oracle import DriftSum, rise_probability
from sources.simulated.passage import first_passage
from sources.simulated.signals import FLOW_GAIN, FLOW_PERSISTENCE
from sources.simulated.timeline import timeline
from sources.simulated.worlds import WORLDS

HORIZONS = (1, 5, 20)
LOADINGS = {name: world.loading for name, world in WORLDS.items()}


def _phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _one_day_truth(signal_to_noise: float, mean_ratio: float, wild_today: bool) -> float:
    """Derive P(rise) over one day by hand: four kinds of tomorrow, each a Gaussian.

    Calm (variance 0.55) or wild (1.6), with a jump (+5, probability 0.03) or without. From calm
    tomorrow is wild with 0.02, from wild with 0.95. All in units of the daily scale.
    """
    wild = 0.95 if wild_today else 0.02
    drift = mean_ratio + signal_to_noise
    return sum(
        state * jump * _phi(drift / math.sqrt(variance + extra))
        for state, variance in ((1 - wild, 0.55), (wild, 1.6))
        for jump, extra in ((0.97, 0.0), (0.03, 5.0))
    )


def _wild(known: Market, asset: str) -> bool:
    # Calm volume is below 1e9 e^0.4 = 1.49e9, wild volume above 3e9 e^-0.4 = 2.01e9.
    return bool(known.prices[asset]["volume"].iloc[-1] > 1.75e9)


def _appetite_from_files(known: Market) -> float:
    """Filter the published flows: what is not expected is a surprise, and a part of it lasts."""
    flows = known.flows["IWM"]
    published = flows["flow_usd"] / (flows["aum_usd"] - flows["flow_usd"]) / FLOW_SCALE
    now = 0.0
    for flow in published:
        now = FLOW_PERSISTENCE * now + FLOW_GAIN * (flow - FLOW_PERSISTENCE * now)
    return now * math.sqrt(1 - FLOW_PERSISTENCE**2) / FLOW_GAIN


def _freshness_from_files(known: Market) -> float:
    close = known.prices["RUT"]["close"].to_numpy()
    since = len(close) - 1 - int(np.flatnonzero(close == np.maximum.accumulate(close))[-1])
    return (math.exp(-since / DECAY_SESSIONS) - MEAN_FRESHNESS) / FRESHNESS_DEVIATION


SIGNALS = pytest.mark.parametrize(
    ("world", "signal"),
    [("null", lambda _: 0.0), ("flow", _appetite_from_files), ("high", _freshness_from_files)],
)


@SIGNALS
def test_the_return_of_a_day_follows_what_was_published_by_the_day_before(world, signal) -> None:
    # The same seed at strength 0 has the same shocks, so that the difference is the drift alone.
    drifting, still = (
        simulate_market(world, seed=6, years=1.0, constituent_count=0, strength=strength).market
        for strength in (1.0, 0.0)
    )
    for asset in ("BTC", "ETH"):
        coin = COINS[asset]
        logs = [
            np.log(m.prices[asset].set_index("date")["close"]).diff() for m in (drifting, still)
        ]
        drift = (logs[0] - logs[1]) / coin.scale / coin.loading_ratio
        for day in pd.date_range("2013-11-01", "2013-12-30"):
            known = drifting.as_of(as_of_instant(day))
            expected = LOADINGS[world] * signal(known)
            assert drift[day + pd.Timedelta(days=1)] == pytest.approx(expected, abs=1e-9)


@SIGNALS
def test_the_truth_follows_by_hand_from_the_files_as_they_were_published(world, signal) -> None:
    simulated = simulate_market(world, seed=3, years=2.0, constituent_count=0, horizons=(1,))
    truth = simulated.truth.set_index(["date", "asset"])["p_star"]
    # Every 37th day falls on each weekday in turn; 2014-04-18 is Good Friday.
    days = [*pd.date_range("2013-11-01", "2014-12-31", freq="37D"), pd.Timestamp("2014-04-18")]
    for day in days:
        known = simulated.market.as_of(as_of_instant(day))
        for asset in ("BTC", "ETH"):
            coin = COINS[asset]
            expected = _one_day_truth(
                LOADINGS[world] * coin.loading_ratio * signal(known),
                coin.mean_ratio,
                _wild(known, asset),
            )
            assert truth[day, asset] == pytest.approx(expected, abs=1e-9)


def test_a_flow_moves_the_truth_from_the_day_it_is_published_and_not_before() -> None:
    days = timeline("2014-01-01", 0.5, ahead=21)
    estimates = np.random.default_rng(0).standard_normal(days.session_count)
    session = 40
    other = estimates.copy()
    other[session] += 1.0
    dates = pd.DatetimeIndex(days.dates[: days.days])
    published = dates[days.sessions[session + 1]]  # known from 13:00 UTC of the next session
    for horizon in HORIZONS:
        before, after = (
            LinearDriver(days.published, days.days, path, FLOW_PERSISTENCE)
            .ahead(horizon)
            .means[:, 0]
            for path in (estimates, other)
        )
        changed = dates[before != after]
        assert changed[0] == published
        # It stands until the next flow is published, on the session after that.
        assert changed[-1] == dates[days.sessions[session + 2]] - pd.Timedelta(days=1)


def test_the_flow_sum_over_a_week_follows_the_calendar() -> None:
    # From Thursday 2014-04-17 on: Good Friday and the weekend bring no flow, Monday the 21st
    # publishes Thursday's, Tuesday the 22nd Monday's. So over h = 6 days (17th to 22nd) the
    # driver is x four times, then x1, then x2, with x1 = f x + e1 and x2 = f x1 + e2:
    # mean (4 + f + f^2) x, variance ((1 + f)^2 + 1) (1 - f^2).
    days = timeline("2014-01-01", 0.5, ahead=21)
    estimates = np.random.default_rng(1).standard_normal(days.session_count)
    driver = LinearDriver(days.published, days.days, estimates, FLOW_PERSISTENCE)
    row = int(np.flatnonzero(days.dates == np.datetime64("2014-04-17"))[0])
    ahead, f = driver.ahead(6), FLOW_PERSISTENCE
    assert ahead.means[row, 0] == pytest.approx((4 + f + f**2) * driver.path()[row])
    assert ahead.variances[row] == pytest.approx(((1 + f) ** 2 + 1) * (1 - f**2))


def test_the_noise_mixture_has_the_variance_of_the_chain() -> None:
    # E over h days = h + 5/7-2/7 chain's excess: from wild, P(wild after k) - 2/7 decays as
    # 0.93^k, and wild adds 1.05 over calm. The long-run variance is 1.
    for state, excess in ((0, -2 / 7), (1, 5 / 7)):
        for days in (1, 5, 20, 90):
            weights, variances = REGIME.sums(state, days)
            expected = days + 1.05 * excess * sum(0.93**k for k in range(1, days + 1))
            assert weights.sum() == pytest.approx(1.0)
            assert weights @ variances == pytest.approx(expected)


def test_first_passage_agrees_with_simulated_walks() -> None:
    walks, sessions = 200_000, 14
    for seed, (drawdown, state) in enumerate([(0.0, 0), (0.02, 1), (0.08, 1)]):
        exact = first_passage(INDEX_LAW, np.array([drawdown]), sessions)[:, 0, state].sum(axis=1)
        counts = np.zeros(sessions)
        rng = np.random.default_rng(seed)
        states, level = np.full(walks, state), np.full(walks, -drawdown)
        for k in range(sessions):
            states, level = _step(states, level, rng)
            counts[k] = (level > 0).sum()
            states, level = states[level <= 0], level[level <= 0]
        errors = np.sqrt(exact * (1 - exact) / walks)
        assert (np.abs(counts / walks - exact) < 4.5 * errors + 1e-9).all()


def _step(
    states: np.ndarray, level: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a session of the index, written again from its description."""
    chance, jump = rng.random((2, len(states)))
    states = np.where(chance < np.where(states == 1, 0.05, 0.02), 1 - states, states)
    variance = np.where(states == 1, 1.6, 0.55) + np.where(jump < 0.03, 5.0, 0.0)
    return states, level + 0.10 / 252 + 0.0115 * np.sqrt(variance) * rng.standard_normal(
        len(states)
    )


def test_the_high_truth_agrees_with_walks_of_the_index() -> None:
    horizon, walks = 20, 20_000
    days = timeline("2013-01-01", 4.0, ahead=horizon + 1)
    index = simulate_index(days.session_count, seed=2)
    driver = HighDriver(days, INDEX_LAW, index.moves, index.states)
    law = COINS["BTC"].law(LOADINGS["high"])
    closes = np.concatenate([[0.0], np.cumsum(index.moves)])
    quiet = np.zeros(days.days, dtype=int)
    truth = rise_probability(driver.ahead(horizon), law, REGIME, quiet, horizon)
    weights, variances = REGIME.sums(0, horizon)
    rng = np.random.default_rng(0)
    checked = 0
    for day in range(300, days.days, 90):
        row = days.closed[day]
        drawdown = closes[: row + 1].max() - closes[row]
        checked += drawdown < 0.08
        freshness = np.full(walks, driver.path()[day] * FRESHNESS_DEVIATION + MEAN_FRESHNESS)
        states, level = np.full(walks, index.states[row - 1]), np.full(walks, -drawdown)
        total = np.zeros(walks)
        for step in range(horizon):
            total += (freshness - MEAN_FRESHNESS) / FRESHNESS_DEVIATION
            if days.closed[day + step + 1] > days.closed[day + step]:
                states, level = _step(states, level, rng)
                freshness = np.where(level > 0, 1.0, freshness * math.exp(-1 / DECAY_SESSIONS))
                level = np.minimum(level, 0.0)
        # Given the drift's path the rest is Gaussian: the cdf of each walk, on a table.
        grid = np.linspace(total.min() - 1e-9, total.max() + 1e-9, 200)
        drifts = horizon * law.mean + law.loading * grid
        table = [
            sum(
                w * _phi(m / s)
                for w, s in zip(weights, law.scale * np.sqrt(variances), strict=True)
            )
            for m in drifts[::20]
        ]
        values = np.interp(total, grid[::20], table)
        error = values.std() / math.sqrt(walks)
        assert truth[day] == pytest.approx(values.mean(), abs=1e-4 + 4 * error)
    assert checked >= 5  # days near enough to a high for one to come


def _every_pattern(
    driver: HighDriver, day: int, horizon: int, drawdown: float, state: int
) -> DriftSum:
    """Enumerate in which of the next sessions highs may come: the exact law of the sum.

    Sums that agree to 1e-4 are merged.
    """
    closed, sessions = driver.timeline.closed, driver.timeline.sessions
    end = day + horizon
    renewal = first_passage(INDEX_LAW, np.zeros(1), horizon)[:, 0]

    def decayed(first: int, stop: int) -> float:
        return sum(
            math.exp(-(closed[d] - closed[first]) / DECAY_SESSIONS) for d in range(first, stop)
        )

    def after(
        first: int, fresh: float, passage: np.ndarray, known: dict[tuple[int, int], np.ndarray]
    ) -> np.ndarray:
        coming = [int(s) for s in sessions if first < s < end]
        found = []
        for k, session in enumerate(coming):
            for then in (0, 1):
                if (session, then) not in known:
                    known[session, then] = after(session, 1.0, renewal[:, then], known)
                weight, total = known[session, then]
                found.append(
                    np.stack([passage[k, then] * weight, fresh * decayed(first, session) + total])
                )
        left = 1.0 - passage[: len(coming)].sum()
        found.append(np.array([[left], [fresh * decayed(first, end)]]))
        weights, totals = np.concatenate(found, axis=1)
        values, place = np.unique(totals.round(4), return_inverse=True)
        return np.stack([np.bincount(place, weights), values])

    fresh = driver.path()[day] * FRESHNESS_DEVIATION + MEAN_FRESHNESS
    passage = first_passage(INDEX_LAW, np.array([drawdown]), horizon)[:, 0, state]
    weight, total = after(day, fresh, passage, {})
    means = (total - horizon * MEAN_FRESHNESS) / FRESHNESS_DEVIATION
    return DriftSum(weight[None], means[None], np.zeros(1))


@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_the_high_truth_is_within_two_millionths_of_every_pattern_of_highs(
    strength: float,
) -> None:
    horizon = 20
    days = timeline("2013-01-01", 2.0, ahead=horizon + 1)
    index = simulate_index(days.session_count, seed=2)
    driver = HighDriver(days, INDEX_LAW, index.moves, index.states)
    law = COINS["BTC"].law(strength * LOADINGS["high"])
    quiet = np.zeros(days.days, dtype=int)
    ahead = driver.ahead(horizon)
    truth = rise_probability(ahead, law, REGIME, quiet, horizon)
    closes = np.concatenate([[0.0], np.cumsum(index.moves)])
    drawdowns = (np.maximum.accumulate(closes) - closes)[days.closed[: days.days]]
    near = np.flatnonzero(drawdowns < 0.05)
    for day in near[5::12]:
        state = int(index.states[days.closed[day] - 1])
        exact = _every_pattern(driver, int(day), horizon, float(drawdowns[day]), state)
        mean = (ahead.weights[day] * ahead.means[day]).sum()
        assert mean == pytest.approx((exact.weights * exact.means).sum(), abs=5e-4)
        assert exact.weights.sum() == pytest.approx(1.0)
        chance = rise_probability(exact, law, REGIME, quiet[:1], horizon)[0]
        assert truth[day] == pytest.approx(chance, abs=2e-6)


def _scores(worlds: int, world: str, strength: float = 1.0) -> dict[int, tuple[float, float]]:
    """Return by horizon the z values of the mean and of the slope of ``y - p_star``.

    On rows h days apart each y - p* is a martingale difference with variance p* (1 - p*), so
    both sums over their standard deviations are standard normal, whatever the world.
    """
    sums = {h: np.zeros(4) for h in HORIZONS}
    for seed in range(worlds):
        simulated = _one_coin(world, seed, strength)
        close = simulated.market.prices["BTC"].set_index("date")["close"]
        for horizon, rows in simulated.truth.groupby("horizon"):
            ahead = close.reindex(rows["date"] + pd.Timedelta(days=int(horizon))).to_numpy()
            apart = slice(None, -int(horizon), int(horizon))
            p = rows["p_star"].to_numpy()[apart]
            y = (ahead > close.reindex(rows["date"]).to_numpy())[apart]
            tilt, spread = p - 0.5, p * (1 - p)
            sums[int(horizon)] += [
                (y - p).sum(), spread.sum(), ((y - p) * tilt).sum(), (spread * tilt**2).sum()
            ]  # fmt: skip
    return {h: (s[0] / math.sqrt(s[1]), s[2] / math.sqrt(s[3])) for h, s in sums.items()}


def _one_coin(world: str, seed: int, strength: float = 1.0) -> Simulated:
    return simulate_market(
        world,
        seed=seed,
        years=3.0,
        turn_years=1.5,
        assets=("BTC",),
        constituent_count=0,
        strength=strength,
    )


@pytest.mark.parametrize("world", [*sorted(WORLDS), "flow+high"])
@pytest.mark.parametrize(
    "worlds", [20, pytest.param(200, marks=pytest.mark.slow)], ids="{}-worlds".format
)
def test_the_truth_is_calibrated(world: str, worlds: int) -> None:
    for horizon, (bias, slope) in _scores(worlds, world).items():
        assert abs(bias) < 4, (horizon, bias)
        assert abs(slope) < 4, (horizon, slope)


def test_a_truth_of_the_wrong_strength_would_be_found_out(monkeypatch) -> None:
    # The same outcomes, scored with the truth of a market a half as strong.
    honest = _one_coin

    def understated(world: str, seed: int, strength: float) -> Simulated:
        outcomes, other = honest(world, seed, strength), honest(world, seed, strength / 2)
        return Simulated(outcomes.market, other.truth, world, seed, strength)

    monkeypatch.setitem(globals(), "_one_coin", understated)
    scores = _scores(8, "flow", strength=2.0)
    assert max(slope for _, slope in scores.values()) > 4


def _limit_mnat(simulated: Simulated) -> pd.Series:
    """Return by horizon the expected gain of p_star over the best constant, mnat, assets averaged.

    E[loss(c) - loss(p*)] = KL(p*, c), least over c at the mean of p*.
    """

    def gain(p: pd.Series) -> float:
        c = p.mean()
        return 1000 * float((p * np.log(p / c) + (1 - p) * np.log((1 - p) / (1 - c))).mean())

    gains = simulated.truth.groupby(["asset", "horizon"])["p_star"].apply(gain)
    return gains.groupby("horizon").mean()


def _mean_limit(world: str, strength: float = 1.0) -> np.ndarray:
    limits = [
        _limit_mnat(simulate_market(world, seed=s, constituent_count=0, strength=strength))
        for s in range(6)
    ]
    return np.mean(limits, axis=0)


LIMITS = {
    **{name: (2.2, 9.2, 24.0) for name, world in WORLDS.items() if world.kind == "signal"},
    "high": (2.4, 10.2, 29.7),
    "high_window": (2.2, 9.3, 28.5),
    "flow_threshold": (2.7, 9.2, 19.0),
    "flow_and_high": (2.5, 9.4, 19.9),
    "momentum_x_dispersion": (2.4, 9.1, 17.5),
    "dispersion_tails": (2.4, 9.1, 17.2),
    "credit_stress": (2.3, 7.9, 17.2),
    "divergence": (2.3, 7.1, 11.3),
    "break": (1.2, 4.8, 12.6),
    "reversal": (2.3, 9.6, 24.9),
    "high_break": (1.2, 5.0, 14.4),
}
"""Attainable gain, mnat, at 1, 5 and 20 days; 2.2, 9.2 and 24 where the world's form allows.

A driver that leaps (a threshold) or forgets faster (a product, a distance) has less to say of 20
days.
"""


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(name, marks=[] if name in {"flow", "liquidity"} else pytest.mark.slow)
        for name, world in sorted(WORLDS.items())
        if world.loading
    ],
)
def test_the_attainable_gain_is_what_is_stated(world: str) -> None:
    # From market to market the limit varies by 13 to 26 %, so that the mean of six is good to
    # 11 % at worst.
    assert _mean_limit(world) == pytest.approx(LIMITS[world], rel=0.3)


def test_there_is_next_to_nothing_to_gain_in_null() -> None:
    assert (_mean_limit("null") < 0.06).all()


def test_in_null_the_base_rate_is_a_little_above_one_half() -> None:
    simulated = simulate_market("null", seed=0, constituent_count=0)
    rates = simulated.truth.groupby("horizon")["p_star"].mean()
    assert ((rates > 0.502) & (rates < 0.55)).all()
    assert np.allclose(NoDriver(3).ahead(5).means, 0)


def test_strength_nought_is_null() -> None:
    nothing = simulate_market("null", seed=4, years=2.0, constituent_count=0)
    silent = simulate_market("flow", seed=4, years=2.0, constituent_count=0, strength=0.0)
    np.testing.assert_allclose(silent.truth["p_star"], nothing.truth["p_star"], atol=1e-12)
