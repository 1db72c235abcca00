"""Noise with fat tails and volatility clusters whose sum over any horizon is known.

A two-state Markov chain that bars make legible sets the day's variance, an independent
jump adds to it, and given both the day's shock is Gaussian. So the sum of the next h shocks,
given today's state, is a finite mixture of Gaussians: one component for each number of wild
days and of jumps.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

NEGLIGIBLE = 1e-12
"""Mixture components lighter than this are dropped; the others are rescaled to sum to 1."""


def stream(seed: int, component: str) -> np.random.Generator:
    """Return the random stream of one component of a market.

    Streams depend on nothing but the seed and the name, so that another asset or a longer
    market changes no number that was there before.

    Parameters
    ----------
    seed : seed of the market.
    component : name of what is drawn.
    """
    key = zlib.crc32(component.encode())
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(key,)))


@dataclass(frozen=True)
class VolatilityRegime:
    """A two-state variance with jumps; the long-run variance is 1 and the kurtosis 5.9.

    Attributes
    ----------
    variances : daily variance while calm and while wild.
    leave : probability of leaving the calm and the wild state, each day.
    jump_probability, jump_variance : of each day, whatever the state.
    """

    variances: tuple[float, float] = (0.55, 1.60)
    leave: tuple[float, float] = (0.02, 0.05)
    jump_probability: float = 0.03
    jump_variance: float = 5.0

    @property
    def transition(self) -> np.ndarray:
        """The (2, 2) transition matrix, rows today's state."""
        calm, wild = self.leave
        return np.array([[1 - calm, calm], [wild, 1 - wild]])

    def simulate(self, days: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw a path, one row a day; a longer path begins with the shorter one.

        Parameters
        ----------
        days : rows.
        rng : its uniforms are consumed two a day.

        Returns
        -------
        state : (days,) int64, 0 calm and 1 wild, starting calm.
        variance : (days,) float64, jumps included.
        """
        uniforms = rng.random((days, 2))
        state = np.zeros(days, dtype=np.int64)
        now = 0
        for day in range(1, days):
            now ^= int(uniforms[day, 0] < self.leave[now])
            state[day] = now
        jumps = uniforms[:, 1] < self.jump_probability
        return state, np.asarray(self.variances)[state] + self.jump_variance * jumps

    def sums(self, state: int, days: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the mixture of the variance of the next ``days`` shocks' sum, given the state.

        Parameters
        ----------
        state : today's; tomorrow's is drawn from it.
        days : h, at least 1.

        Returns
        -------
        weights : (k,) float64, positive, summing to 1.
        variances : (k,) float64.
        """
        # paths[s, k]: probability of k wild days so far and of being in state s.
        paths: np.ndarray = np.zeros((2, days + 1))
        paths[state, 0] = 1.0
        for _ in range(days):
            paths = self.transition.T @ paths
            paths[1] = np.concatenate([[0.0], paths[1, :-1]])
        jumps = np.array([1.0])
        for _ in range(days):
            jumps = np.convolve(jumps, [1 - self.jump_probability, self.jump_probability])
        weights: np.ndarray = np.outer(paths.sum(axis=0), jumps)
        wild_days, jump_days = np.arange(days + 1)[:, None], np.arange(days + 1)
        calm_variance, wild_variance = self.variances
        variances: np.ndarray = (
            (days - wild_days) * calm_variance
            + wild_days * wild_variance
            + jump_days * self.jump_variance
        )
        keep: np.ndarray = weights > NEGLIGIBLE
        return weights[keep] / weights[keep].sum(), variances[keep]


def legible_volume(state: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Draw volumes from which anyone can read the state: the two ranges do not meet.

    Calm volume is within a factor 1.5 of ``level``, wild volume between 2 and 4.5 times it, so
    the state that the true probability conditions on is published with each bar.

    Parameters
    ----------
    state : (n,) int, 0 calm and 1 wild.
    level : median of calm volume.

    Returns
    -------
    (n,) float64, whole units.
    """
    spread = rng.uniform(-0.4, 0.4, len(state))
    return np.round(level * np.where(state == 1, 3.0, 1.0) * np.exp(spread))
