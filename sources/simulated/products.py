"""The driver of an interaction: two published quantities, multiplied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sources.simulated.oracle import DriftSum, two_points

Scenario = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(days,) chances, (days, s + 1) means, (days, s + 1, s + 1) expected products."""


class Factor(Protocol):
    """What a factor of a product can say of its own future."""

    def scenarios(self, steps: int) -> Iterator[Scenario]:
        """Yield what may come over the next ``steps`` values, each with its moments."""


@dataclass(frozen=True)
class ProductDriver:
    """The product of two quantities whose futures are independent, given everything known.

    Attributes
    ----------
    factors : the two; the second has a single scenario.
    clocks : (n + ahead,) int64 each, values published by T(d).
    days : n.
    mean, deviation : of the product in its long run; subtracted and divided by.
    """

    factors: tuple[Factor, Factor]
    clocks: tuple[np.ndarray, np.ndarray]
    days: int
    mean: float
    deviation: float

    def path(self) -> np.ndarray:
        """Return the standardised product of the values published by T(d)."""
        first, second = (next(factor.scenarios(1))[1][:, 0] for factor in self.factors)
        path: np.ndarray = (first * second - self.mean) / self.deviation
        return path

    def ahead(self, horizon_days: int) -> DriftSum:
        """Match mean, variance and skewness of the sum in each scenario by two points.

        Mean and variance are exact. The third cumulant is that of Gaussian factors with means
        u, v and covariances U, V, for which it is ``6 u' V U v``.
        """
        day = np.arange(self.days)
        counts, others = (
            np.stack([clock[day + j] - clock[day] for j in range(horizon_days)], axis=1)
            for clock in self.clocks
        )
        steps = max(1, int(counts.max()))
        _, v, vv = next(self.factors[1].scenarios(max(1, int(others.max()))))
        # The second factor, added up over the days between two values of the first.
        among = 1.0 * (counts[:, :, None] == np.arange(steps + 1))
        weight = np.einsum("dic,di->dc", among, v[day[:, None], others])
        pairs = vv[day[:, None, None], others[:, :, None], others[:, None]]
        weights = np.swapaxes(among, 1, 2) @ pairs @ among
        spread = weights - weight[:, :, None] * weight[:, None]
        chances, points = [], []
        for chance, u, uu in self.factors[0].scenarios(steps):
            mean = (u * weight).sum(axis=1)
            variance = np.maximum((uu * weights).sum(axis=(1, 2)) - mean**2, 0.0)
            left = np.einsum("dij,dj->di", spread, u)
            right = np.einsum("dij,dj->di", uu - u[:, :, None] * u[:, None], weight)
            third = 6 * (left * right).sum(axis=1)
            central = [np.ones(self.days), np.zeros(self.days), variance, third]
            halves, away = two_points(np.stack(central, axis=1))
            chances.append(chance[:, None] * halves)
            points.append(mean[:, None] + away)
        means = (np.concatenate(points, axis=1) - horizon_days * self.mean) / self.deviation
        return DriftSum(np.concatenate(chances, axis=1), means, np.zeros(self.days))
