"""A quantity that moves like an AR(1), on a grid: its transitions by quadrature.

    x' = persistence x + e,   e a mixture of centred Gaussians set by the state s', s -> s' Markov

One state and one Gaussian is the plain AR(1); the index's volatility states make the rest.
Expectations over x' are taken on Gauss-Legendre panels whose edges include the places where a
response to x jumps or bends, so that a step function is integrated like a smooth one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_PANEL_POINTS = 6


@dataclass(frozen=True)
class Chain:
    """The law of the quantity from one published value to the next.

    Attributes
    ----------
    persistence : of the AR(1).
    transition : (r, r) of the states, rows today's.
    kicks : for each state the (weight, standard deviation) of its Gaussians.
    reach : beyond which x never goes for any practical purpose.
    panel : width of a quadrature panel; about three of the least standard deviations.
    """

    persistence: float
    transition: np.ndarray
    kicks: Sequence[Sequence[tuple[float, float]]]
    reach: float = 6.0
    panel: float = 0.4

    @staticmethod
    def gaussian(persistence: float) -> Chain:
        """Return the AR(1) of unit variance."""
        kick = float(np.sqrt(1 - persistence**2))
        return Chain(persistence, np.ones((1, 1)), [[(1.0, kick)]], panel=3 * kick)


@dataclass(frozen=True)
class Grid:
    """A chain on quadrature nodes.

    Attributes
    ----------
    chain : what is laid on the grid.
    edges : places where the response to x jumps or bends.
    """

    chain: Chain
    edges: tuple[float, ...] = ()

    @cached_property
    def _panels(self) -> tuple[np.ndarray, np.ndarray]:
        """Return nodes and masses, (k,) each."""
        chain = self.chain
        count = int(np.ceil(2 * chain.reach / chain.panel))
        marks = np.linspace(-chain.reach, chain.reach, count + 1)
        marks = np.unique(np.concatenate([marks, self.edges]))
        unit, mass = np.polynomial.legendre.leggauss(_PANEL_POINTS)
        width = np.diff(marks)[:, None]
        return (marks[:-1, None] + width * (unit + 1) / 2).ravel(), (width * mass / 2).ravel()

    @property
    def levels(self) -> np.ndarray:
        """Return x at each of the (r k,) nodes, state by state."""
        return np.tile(self._panels[0], len(self.chain.kicks))

    def rows(self, level: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Return the (n, r k) probabilities of the next node from levels and states today.

        Rows are rescaled to sum to 1, which mends the quadrature where x is out of reach.
        """
        nodes, masses = self._panels
        away = nodes - self.chain.persistence * level[:, None]
        parts = []
        for then, kicks in enumerate(self.chain.kicks):
            density = np.zeros(away.shape)
            for weight, deviation in kicks:
                bell = np.exp(-0.5 * (away / deviation) ** 2)
                density += weight / (deviation * np.sqrt(2 * np.pi)) * bell
            parts.append(self.chain.transition[state, then][:, None] * density * masses)
        rows = np.concatenate(parts, axis=1)
        rows /= rows.sum(axis=1, keepdims=True)
        return rows

    @cached_property
    def kernel(self) -> np.ndarray:
        """Return the (r k, r k) transition matrix between nodes."""
        states = np.repeat(np.arange(len(self.chain.kicks)), len(self._panels[0]))
        return self.rows(self.levels, states)
