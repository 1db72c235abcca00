"""The truth of every world against futures simulated from its description, written again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sources.simulated.coins import COINS, REGIME, market_noise
from sources.simulated.known import Known, publish
from sources.simulated.oracle import rise_probability
from sources.simulated.timeline import timeline
from sources.simulated.worlds import WORLDS

HORIZON = 20
TURN = 1200  # inside the four years of these tests


def _step_of_index(states: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw a session's states and log moves of the index, written again from its description."""
    chance, jump = rng.random((2, len(states)))
    states = np.where(chance < np.where(states == 1, 0.05, 0.02), 1 - states, states)
    variance = np.where(states == 1, 1.6, 0.55) + np.where(jump < 0.03, 5.0, 0.0)
    return states, 0.10 / 252 + 0.0115 * np.sqrt(variance) * rng.standard_normal(len(states))


def _ar(level: np.ndarray, persistence: float, rng: np.random.Generator) -> np.ndarray:
    kick = math.sqrt(1 - persistence**2)
    return persistence * level + kick * rng.standard_normal(len(level))


def _recursion(news: np.ndarray, persistence: float) -> list[float]:
    path = [0.0]
    for one in news:
        path.append(persistence * path[-1] + math.sqrt(1 - persistence**2) * one)
    return path


class _History:
    """What is known on each day, row c of each path after c values, by plain loops."""

    def __init__(self, known: Known) -> None:
        self.known = known
        moves = known.index.moves
        surprise = (moves - 0.10 / 252) / 0.0115
        surprise[0] = 0.0
        self.momentum = _recursion(surprise, 0.975)
        self.breadth = _recursion(known.section.participation, 0.975)
        self.credit = _recursion(known.credit, 0.975)
        self.liquidity = _recursion(known.liquidity, 0.90)
        self.appetite = [0.0, *known.appetite]
        self.dispersion = [0.0, *known.section.dispersion]
        self.states = [0, *known.index.states]
        level, peak = 0.0, -1.0
        self.drawdown, self.age = [0.0], [0]
        for move in moves:
            level += move
            self.age.append(0 if level > peak else self.age[-1] + 1)
            peak = max(level, peak)
            self.drawdown.append(peak - level)

    def futures(self, day: int, walks: int, seed: int) -> list[dict[str, np.ndarray]]:
        """Simulate what will be known on each of the next days, today first."""
        days, rng = self.known.timeline, np.random.default_rng(seed)
        closed, published = days.closed, days.published
        weekly = self.known.liquidity_clock

        def all_at(path: list[float], count: int) -> np.ndarray:
            return np.full(walks, path[count])

        now = {
            "momentum": all_at(self.momentum, closed[day]),
            "breadth": all_at(self.breadth, closed[day]),
            "dispersion": all_at(self.dispersion, closed[day]),
            "state": all_at(self.states, closed[day]),
            "drawdown": all_at(self.drawdown, closed[day]),
            "age": all_at(self.age, closed[day]),
            "appetite": all_at(self.appetite, published[day]),
            "liquidity": all_at(self.liquidity, weekly[day]),
        }
        credit = [all_at(self.credit, max(closed[day] - k, 0)) for k in range(6)]
        found = []
        for step in range(HORIZON):
            found.append(
                now
                | {"credit": credit[0], "credit five ago": credit[5], "day": np.array(day + step)}
            )
            now = dict(now)
            if closed[day + step + 1] > closed[day + step]:
                now["state"], move = _step_of_index(now["state"], rng)
                surprise = (move - 0.10 / 252) / 0.0115
                now["momentum"] = 0.975 * now["momentum"] + math.sqrt(1 - 0.975**2) * surprise
                high = move > now["drawdown"]
                now["drawdown"] = np.where(high, 0.0, now["drawdown"] - move)
                now["age"] = np.where(high, 0, now["age"] + 1)
                now["breadth"] = _ar(now["breadth"], 0.975, rng)
                now["dispersion"] = _ar(now["dispersion"], 0.975, rng)
                credit = [_ar(credit[0], 0.975, rng), *credit[:5]]
            if published[day + step + 1] > published[day + step]:
                now["appetite"] = _ar(now["appetite"], 0.975, rng)
            if weekly[day + step + 1] > weekly[day + step]:
                now["liquidity"] = _ar(now["liquidity"], 0.90, rng)
        return found


def _hump(x: np.ndarray) -> np.ndarray:
    return x * np.exp(-(x**2) / 2) / math.sqrt(3**-1.5)


def _fresh(now: dict[str, np.ndarray]) -> np.ndarray:
    return np.exp(-now["age"] / 25)


DRIVERS = {
    "flow": lambda n: n["appetite"],
    "flow_threshold": lambda n: (0.15866 - (n["appetite"] < -1)) / 0.36535,
    "high": lambda n: (_fresh(n) - 0.27) / 0.35,
    "high_window": lambda n: ((n["age"] < 30) - 0.29) / 0.455,
    "flow_and_high": lambda n: _fresh(n) * n["appetite"] / 0.424,
    "momentum": lambda n: n["momentum"],
    "momentum_hump": lambda n: _hump(n["momentum"]),
    "breadth": lambda n: n["breadth"],
    "breadth_kink": lambda n: (np.minimum(n["breadth"], 0) + 0.39894) / 0.58382,
    "dispersion": lambda n: n["dispersion"],
    "dispersion_tails": lambda n: (np.abs(n["dispersion"]) - 0.79788) / 0.60281,
    "divergence": lambda n: (
        (0.45325 - (np.abs(n["breadth"] - n["credit"]) > 0.75 * math.sqrt(2))) / 0.49781
    ),
    "credit_stress": lambda n: (0.21186 - (n["credit"] < -0.8)) / 0.40863,
    "momentum_x_dispersion": lambda n: n["momentum"] * n["dispersion"],
    "liquidity": lambda n: n["liquidity"],
    "liquidity_step": lambda n: ((n["liquidity"] > 0.5) - 0.30854) / 0.46189,
    "common_driver": lambda n: n["credit five ago"],
    "break": lambda n: n["appetite"] * (n["day"] < TURN),
    "reversal": lambda n: n["appetite"] * np.where(n["day"] < TURN, 1, -1),
    "high_break": lambda n: (_fresh(n) - 0.27) / 0.35 * (n["day"] < TURN),
}
"""World -> its driver of a day, from what is known on it."""


def _setting(world: str, seed: int) -> tuple[_History, np.ndarray, np.ndarray]:
    """Return the history of a market, and path and 20-day truth of a world in it."""
    days = timeline("2013-01-01", 4.0, ahead=HORIZON + 1)
    shocks = market_noise(days.days, seed).shocks
    law = WORLDS[world]
    known = publish(days, seed, constituent_count=0, turn=TURN, lead=law.lead, crypto_shocks=shocks)
    driver = law.driver(known)
    truth = rise_probability(
        driver.ahead(HORIZON), COINS["BTC"].law(law.loading), REGIME,
        np.zeros(days.days, dtype=int), HORIZON,
    )  # fmt: skip
    return _History(known), driver.path(), truth


def _simulated_truth(history: _History, world: str, day: int, walks: int) -> tuple[float, float]:
    """Return p_star from simulated futures, and its standard error."""
    law = COINS["BTC"].law(WORLDS[world].loading)
    total = np.zeros(walks) + sum(DRIVERS[world](now) for now in history.futures(day, walks, day))
    # Given the drift's path the rest is a Gaussian mixture: its cdf, on a table.
    weights, variances = REGIME.sums(0, HORIZON)
    grid = np.linspace(total.min() - 1e-9, total.max() + 1e-9, 100)
    centres = HORIZON * law.mean + law.loading * grid
    scales = law.scale * np.sqrt(variances)
    parts = list(zip(weights, scales * math.sqrt(2), strict=True))
    table = [sum(w * 0.5 * math.erfc(-c / s) for w, s in parts) for c in centres]
    values = np.interp(total, grid, table)
    return float(values.mean()), float(values.std() / math.sqrt(walks))


def test_every_world_with_a_driver_has_a_future_written_again() -> None:
    assert set(DRIVERS) == {name for name, world in WORLDS.items() if world.loading}


@pytest.mark.parametrize("world", sorted(DRIVERS))
def test_the_driver_is_what_its_world_says(world: str) -> None:
    history, path, _ = _setting(world, seed=2)
    for day in range(60, len(path), 31):
        today = history.futures(day, 1, 0)[0]
        assert path[day] == pytest.approx(float(np.squeeze(DRIVERS[world](today))), abs=1e-9)


@pytest.mark.parametrize("world", sorted(DRIVERS))
@pytest.mark.parametrize(
    ("apart", "walks"), [(230, 10_000), pytest.param(23, 60_000, marks=pytest.mark.slow)]
)
def test_the_truth_agrees_with_simulated_futures(world: str, apart: int, walks: int) -> None:
    history, _, truth = _setting(world, seed=2)
    days = {*range(70, len(truth), apart), TURN - 12, TURN - 3}
    for day in sorted(days):
        value, error = _simulated_truth(history, world, day, walks)
        assert truth[day] == pytest.approx(value, abs=2e-4 + 4 * error)
