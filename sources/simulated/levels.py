"""The driver that responds to a published quantity in any way: a step, a kink, a hump.

The quantity moves like an AR(1) (see ``chain.py``); the driver is ``response(x)``. Its sum over
the next h days has no closed form. Its first three moments do, by recursion backwards along
the actual calendar on the grid, and two points that have them stand for it: p_star sees the
sum through a Gaussian cdf much wider than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sources.simulated.chain import Grid
from sources.simulated.oracle import DriftSum, two_points

_BINOMIAL = ((1,), (1, 1), (1, 2, 1), (1, 3, 3, 1))


@dataclass(frozen=True)
class Response:
    """A response to a quantity, and what it adds up to from each node of its grid.

    Attributes
    ----------
    grid : law of the quantity.
    of : the quantity, elementwise, to the driver.
    """

    grid: Grid
    of: Callable[[np.ndarray], np.ndarray]
    _kept: dict[tuple[bool, ...], np.ndarray] = field(default_factory=dict, repr=False)

    def moments(self, gaps: tuple[bool, ...]) -> np.ndarray:
        """Return (k, 4) raw moments 0 to 3 of the sum from each node, over the days gaps part.

        Parameters
        ----------
        gaps : for each gap between one day and the next, whether a value comes in it.
        """
        if gaps not in self._kept:
            response = self.of(self.grid.levels)
            if gaps:
                later = self.moments(gaps[1:])
                later = self.grid.kernel @ later if gaps[0] else later
            else:
                later = np.eye(1, 4).repeat(len(response), axis=0)
            self._kept[gaps] = _add(response, later)
        return self._kept[gaps]


@dataclass(frozen=True)
class LevelDriver:
    """A response to the last published value of a quantity.

    Attributes
    ----------
    clock : (n + ahead,) int64, values published by T(d).
    days : n.
    values : (m,) float64, the quantity.
    response : to it, and its law.
    states : (m,) int64, state of the law with each value; None where there is one.
    """

    clock: np.ndarray
    days: int
    values: np.ndarray
    response: Response
    states: np.ndarray | None = None

    @cached_property
    def _now(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the (days,) driver, and the (days, k) chances of the next value's node."""
        known = self.clock[: self.days]
        level = np.concatenate([[0.0], self.values])[known]
        states = np.zeros(len(self.values), dtype=np.int64) if self.states is None else self.states
        rows = self.response.grid.rows(level, np.concatenate([[0], states])[known])
        return self.response.of(level), rows

    def path(self) -> np.ndarray:
        """Return the response to the last value published by T(d); to 0 before any."""
        return self._now[0]

    def ahead(self, horizon_days: int) -> DriftSum:
        """Match the first three moments of the sum."""
        now, rows = self._now
        news = np.diff(self.clock) > 0
        day = np.arange(self.days)
        gaps = (
            np.stack([news[day + j] for j in range(horizon_days - 1)], axis=1, dtype=bool)
            if horizon_days > 1
            else np.zeros((self.days, 0), dtype=bool)
        )
        patterns, place = np.unique(gaps, axis=0, return_inverse=True)
        moments = np.zeros((self.days, 4))
        for number, pattern in enumerate(patterns.tolist()):
            here = np.flatnonzero(place == number)
            wait = pattern.index(True) + 1 if True in pattern else horizon_days
            later = np.zeros((len(here), 4))
            later[:, 0] = 1.0
            if wait < horizon_days:
                nodes = self.response.moments(tuple(pattern[wait:]))
                # einsum, not BLAS: what comes out for a day does not depend on how many there are.
                later = np.einsum("dk,km->dm", rows[here], nodes)
            moments[here] = _add(wait * now[here], later)
        weights, points = two_points(moments)
        return DriftSum(weights, points, np.zeros(self.days))

    def scenarios(self, steps: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield one scenario: moments of the driver, now and after the next values.

        Parameters
        ----------
        steps : values to look ahead.

        Yields
        ------
        chance : (days,) float64, ones.
        mean : (days, steps + 1) float64, row d from T(d).
        second : (days, steps + 1, steps + 1) float64, expected products.
        """
        now, rows = self._now
        grid = self.response.grid
        kernel, response = grid.kernel, self.response.of(grid.levels)
        mean = np.empty((self.days, steps + 1))
        second = np.empty((self.days, steps + 1, steps + 1))
        mean[:, 0], second[:, 0, 0] = now, now**2
        # From each node: the driver there, and its product with the driver ``apart`` values on.
        ahead, pairs = [response], [response**2]
        for _ in range(steps - 1):
            ahead.append(kernel @ ahead[-1])
            pairs.append(response * ahead[-1])
        for step in range(1, steps + 1):
            mean[:, step] = np.einsum("dk,k->d", rows, ahead[step - 1])
            second[:, 0, step] = second[:, step, 0] = now * mean[:, step]
            found = np.einsum("dk,km->dm", rows, np.stack(pairs[: steps + 1 - step], axis=1))
            for apart in range(steps + 1 - step):
                second[:, step, step + apart] = second[:, step + apart, step] = found[:, apart]
            pairs = [kernel @ pair for pair in pairs[: steps - step]]
        yield np.ones(self.days), mean, second


def _add(certain: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Return raw moments of ``certain + X`` from the (n, 4) raw moments of X."""
    powers = certain[:, None] ** np.arange(4)
    total = np.zeros_like(powers)
    for order, row in enumerate(_BINOMIAL):
        for i, c in enumerate(row):
            total[:, order] += c * powers[:, order - i] * moments[:, i]
    return total
