"""Drivers by age: how many sessions ago the small-cap index last made a new high.

Freshness is a function of that age, ``exp(-age / tau)`` or any other. Its sum over the next h
days depends on highs yet to come. A new high renews the process, so the sum is what the age
alone gives until the next high, plus a sum R that starts afresh on the day of that high, mixed
over the session of the next high (exact, see ``passage.py``). R enters through its first three
moments, exact by recursion over the calendar, as two points that have them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sources.simulated.oracle import DriftSum, two_points
from sources.simulated.passage import IndexLaw, first_passage
from sources.simulated.timeline import Timeline

DECAY_SESSIONS = 25.0
"""tau, sessions in which freshness falls by a factor e."""
MEAN_FRESHNESS = 0.27
"""Subtracted, so that the base rate is that of a market without the signal."""
FRESHNESS_DEVIATION = 0.35
"""Divided by: a unit of the driver is about one standard deviation."""

WINDOW_SESSIONS = 30
"""Sessions from a new high on for which the window is open."""

_BINOMIAL = ((1,), (1, 1), (1, 2, 1), (1, 3, 3, 1))


@dataclass(frozen=True)
class Freshness:
    """What a new high is worth as it ages.

    Attributes
    ----------
    by_age : of sessions since the high, an int array of any shape, 0 on its session.
    mean, deviation : over the index's long run, about; subtracted and divided by.
    """

    by_age: Callable[[np.ndarray], np.ndarray]
    mean: float
    deviation: float


DECAY = Freshness(lambda age: np.exp(-age / DECAY_SESSIONS), MEAN_FRESHNESS, FRESHNESS_DEVIATION)
"""Most on the day, and less by the same share each session."""
WINDOW = Freshness(lambda age: np.where(age < WINDOW_SESSIONS, 1.0, 0.0), 0.29, 0.455)
"""The same on each of so many sessions, then nothing."""


@dataclass(frozen=True)
class HighDriver:
    """Standardised freshness of the last new high, as known at T(d).

    Attributes
    ----------
    timeline : says which session is the last one closed at T(d).
    law : of the index.
    moves : (m,) float64, log return of the index on each session, 0 on the first.
    states : (m,) int64, volatility state of the index on each session.
    shape : what a high is worth by age.
    loads : (n + ahead,) float64 factor of each day, known in advance; None for 1 throughout.
    """

    timeline: Timeline
    law: IndexLaw
    moves: np.ndarray
    states: np.ndarray
    shape: Freshness = DECAY
    loads: np.ndarray | None = None

    @cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return age of the last high, drawdown and state of each day: (days,) each."""
        level = np.concatenate([[0.0], np.cumsum(self.moves)])
        peak = np.maximum.accumulate(level)
        high = np.concatenate([[True], level[1:] > peak[:-1]])
        high[:2] = True  # row 0: before any session; row 1: the first close, highest so far
        row = np.arange(len(level))
        age = row - np.maximum.accumulate(np.where(high, row, 0))
        state = np.concatenate([[0], self.states])
        closed = self.timeline.closed[: self.timeline.days]
        return age[closed], (peak - level)[closed], state[closed]

    def path(self) -> np.ndarray:
        """Return the standardised freshness known at T(d); the first close counts as a high."""
        fresh = (self.shape.by_age(self._known[0]) - self.shape.mean) / self.shape.deviation
        path: np.ndarray = fresh * self._loads[: self.timeline.days]
        return path

    @property
    def _loads(self) -> np.ndarray:
        return np.ones(len(self.timeline.dates)) if self.loads is None else self.loads

    def ahead(self, horizon_days: int) -> DriftSum:
        """Mix over the session of the next high, and over what may follow it.

        The only approximation is R by two points with its first three moments; against every
        pattern of highs it moves p_star by less than 2e-6, up to twice the world's strength.
        """
        days = self.timeline.days
        age, drawdown, state = self._known
        # Sessions that close after T(d) and by T(d+h-1), at most: two days a week are none.
        reach = horizon_days - 1 - 2 * ((horizon_days - 1) // 7)
        passage = first_passage(self.law, drawdown, reach)[:, np.arange(days), state]
        moments = self._renewed(horizon_days, reach)
        aged = self._sums(horizon_days, age, days)
        weights, sums = [], []
        left = np.ones(days)
        day = np.arange(days)
        for k in range(reach):
            # The k-th next session closes on day d+wait; R runs over the h-wait days from then.
            wait = self._wait(k)[:days]
            inside = wait < horizon_days
            wait = np.where(inside, wait, 0)
            before = aged[wait, day]
            for after in (0, 1):
                weight = np.where(inside, passage[k, :, after], 0.0)
                left = left - weight
                chances, later = two_points(moments[horizon_days - wait, :, day + wait, after])
                for point in (0, 1):
                    weights.append(weight * chances[:, point])
                    sums.append(before + later[:, point])
        weights.append(left)
        sums.append(aged[horizon_days])
        shape = self.shape
        loaded = np.convolve(self._loads, np.ones(horizon_days), "valid")[:days, None]
        means = (np.stack(sums, axis=1) - loaded * shape.mean) / shape.deviation
        return DriftSum(np.stack(weights, axis=1), means, np.zeros(days))

    def _wait(self, k: int) -> np.ndarray:
        """Return days from each day to the k-th (from 0) session closing after its T(d)."""
        closed = self.timeline.closed
        padded = np.append(self.timeline.sessions, np.full(k + 1, len(closed)))
        waits: np.ndarray = padded[closed + k] - np.arange(len(closed))
        return waits

    def _renewed(self, horizon_days: int, reach: int) -> np.ndarray:
        """Return raw moments 0 to 3 of the sum over n days from a day with a new high.

        Returns
        -------
        (h + 1, 4, n_days + ahead, 2) float64, by number of days summed, moment, first day, and
        the index's state on it. Entries that would look past the timeline are not used.
        """
        renewal = first_passage(self.law, np.zeros(1), reach)[:, 0]
        closed = self.timeline.closed
        width = len(closed)
        decay = self._sums(horizon_days, np.zeros(width, dtype=np.int64), width)
        moments = np.zeros((horizon_days + 1, 4, width, 2))
        moments[0, 0] = 1.0
        day = np.arange(width)
        waits = [self._wait(k) for k in range(reach)]
        for n in range(1, horizon_days + 1):
            left = np.ones((width, 2))
            for k, wait in enumerate(waits):
                inside = (wait < n) & (day + wait < width)
                if not inside.any():
                    break
                rows, wait_in = day[inside], wait[inside]
                before = decay[wait_in, rows]
                later = moments[n - wait_in, :, rows + wait_in]  # (rows, 4, 2)
                powers = before[:, None] ** np.arange(4)
                chance = renewal[k]  # (2 from, 2 to)
                left[rows] -= chance.sum(axis=1)
                for order, row in enumerate(_BINOMIAL):
                    joint = sum(c * powers[:, [order - i]] * later[:, i] for i, c in enumerate(row))
                    moments[n, order, rows] += joint[:, [0]] * chance[:, 0]
                    moments[n, order, rows] += joint[:, [1]] * chance[:, 1]
            for order in range(4):
                moments[n, order] += left * decay[n, :, None] ** order
        return moments

    def _sums(self, horizon_days: int, age: np.ndarray, width: int) -> np.ndarray:
        """Return loaded freshness without another high: row n, its sum over the next n days.

        Parameters
        ----------
        age : (width,) int, of the last high on each day.
        """
        closed = self.timeline.closed
        sums = np.zeros((horizon_days + 1, width))
        for n in range(horizon_days):
            later = np.minimum(np.arange(width) + n, len(closed) - 1)
            fresh = self.shape.by_age(age + closed[later] - closed[:width])
            sums[n + 1] = sums[n] + self._loads[later] * fresh
        return sums

    def scenarios(self, steps: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield moments of freshness by the session of the next high, or none within ``steps``.

        Freshness as it is, not standardised; shapes as of ``LevelDriver.scenarios``. Exact.
        """
        age, drawdown, state = self._known
        passage = first_passage(self.law, drawdown, steps)[:, np.arange(len(age)), state]
        first, second = self._again(steps)
        aged = self.shape.by_age(age[:, None] + np.arange(steps + 1))
        squared = aged[:, :, None] * aged[:, None]
        yield 1.0 - passage.sum(axis=(0, 2)), aged, squared
        for high in range(1, steps + 1):
            left = steps + 1 - high
            for then in (0, 1):
                mean, product = aged.copy(), squared.copy()
                mean[:, high:] = first[then, :left]
                product[:, high:, high:] = second[then, :left, :left]
                mixed = aged[:, :high, None] * first[then, :left]
                product[:, :high, high:] = mixed
                product[:, high:, :high] = np.swapaxes(mixed, 1, 2)
                yield passage[high - 1, :, then], mean, product

    def _again(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Return moments of freshness from a high on: (2, s + 1) and (2, s + 1, s + 1), by state.

        Filled in order of the later session, by the session of the next high.
        """
        renewal = first_passage(self.law, np.zeros(1), steps)[:, 0]  # (steps, 2 from, 2 to)
        fresh = self.shape.by_age(np.arange(steps + 1))
        left = 1.0 - np.concatenate([np.zeros((1, 2)), renewal.sum(axis=2).cumsum(axis=0)])
        mean, second = np.zeros((2, steps + 1)), np.zeros((2, steps + 1, steps + 1))
        for later in range(steps + 1):
            coming = range(1, later + 1)
            mean[:, later] = left[later] * fresh[later]
            mean[:, later] += sum(renewal[k - 1] @ mean[:, later - k] for k in coming)
            for early in range(later + 1):
                total = left[later] * fresh[early] * fresh[later]
                for k in coming:
                    between = fresh[early] * mean[:, later - k]
                    both = second[:, early - k, later - k] if k <= early else between
                    total = total + renewal[k - 1] @ both
                second[:, early, later] = second[:, later, early] = total
        return mean, second
