"""The driver of the ``high`` world: how fresh the last new high of the small-cap index is.

Freshness is ``exp(-sessions since the last new high / tau)``: 1 on the session of a high. Its
sum over the next h days depends on highs yet to come. A new high renews the process, so the sum
is ``freshness today x decay until the next high`` plus a sum R that starts afresh on the day of
that high, mixed over the session of the next high (exact, see ``passage.py``). R enters through
its first three moments, exact by recursion over the calendar, as two points that have them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sources.simulated.oracle import DriftSum
from sources.simulated.passage import IndexLaw, first_passage
from sources.simulated.timeline import Timeline

DECAY_SESSIONS = 25.0
"""tau, sessions in which freshness falls by a factor e."""
MEAN_FRESHNESS = 0.27
"""Subtracted, so that the base rate is that of a market without the signal."""
FRESHNESS_DEVIATION = 0.35
"""Divided by: a unit of the driver is about one standard deviation."""

_BINOMIAL = ((1,), (1, 1), (1, 2, 1), (1, 3, 3, 1))


@dataclass(frozen=True)
class HighDriver:
    """Standardised freshness of the last new high, as known at T(d).

    Attributes
    ----------
    timeline : says which session is the last one closed at T(d).
    law : of the index.
    moves : (m,) float64, log return of the index on each session, 0 on the first.
    states : (m,) int64, volatility state of the index on each session.
    """

    timeline: Timeline
    law: IndexLaw
    moves: np.ndarray
    states: np.ndarray

    @cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return freshness, drawdown and state of each day: (days,) each."""
        level = np.concatenate([[0.0], np.cumsum(self.moves)])
        peak = np.maximum.accumulate(level)
        high = np.concatenate([[True], level[1:] > peak[:-1]])
        high[:2] = True  # row 0: before any session; row 1: the first close, highest so far
        row = np.arange(len(level))
        age = row - np.maximum.accumulate(np.where(high, row, 0))
        state = np.concatenate([[0], self.states])
        closed = self.timeline.closed[: self.timeline.days]
        fresh = np.exp(-age / DECAY_SESSIONS)
        return fresh[closed], (peak - level)[closed], state[closed]

    def path(self) -> np.ndarray:
        """Return the standardised freshness known at T(d); the first close counts as a high."""
        return (self._known[0] - MEAN_FRESHNESS) / FRESHNESS_DEVIATION

    def ahead(self, horizon_days: int) -> DriftSum:
        """Mix over the session of the next high, and over what may follow it.

        The only approximation is R by two points with its first three moments; against every
        pattern of highs it moves p_star by less than 2e-6, up to twice the world's strength.
        """
        days = self.timeline.days
        fresh, drawdown, state = self._known
        closed = self.timeline.closed
        # Sessions that close after T(d) and by T(d+h-1), at most: two days a week are none.
        reach = horizon_days - 1 - 2 * ((horizon_days - 1) // 7)
        passage = first_passage(self.law, drawdown, reach)[:, np.arange(days), state]
        moments = self._renewed(horizon_days, reach)
        decay = _decays(closed, horizon_days)
        weights, sums = [], []
        left = np.ones(days)
        day = np.arange(days)
        for k in range(reach):
            # The k-th next session closes on day d+wait; R runs over the h-wait days from then.
            wait = self._wait(k)[:days]
            inside = wait < horizon_days
            wait = np.where(inside, wait, 0)
            before = fresh * decay[wait, day]
            for after in (0, 1):
                weight = np.where(inside, passage[k, :, after], 0.0)
                left = left - weight
                mean, deviation, tilt = _shape(moments[horizon_days - wait, :, day + wait, after].T)
                half = np.sqrt(1 + tilt**2)
                for sign in (-1, 1):
                    weights.append(weight * 0.5 * (1 - sign * tilt / half))
                    sums.append(before + mean + deviation * (tilt + sign * half))
        weights.append(left)
        sums.append(fresh * decay[horizon_days, day])
        means = (np.stack(sums, axis=1) - horizon_days * MEAN_FRESHNESS) / FRESHNESS_DEVIATION
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
        decay = _decays(closed, horizon_days)
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


def _decays(closed: np.ndarray, horizon_days: int) -> np.ndarray:
    """Return sums of pure decay: row n, the n days from each day on, 1 on the first."""
    width = len(closed)
    sums = np.zeros((horizon_days + 1, width))
    for n in range(horizon_days):
        later = closed[np.minimum(np.arange(width) + n, width - 1)]
        sums[n + 1] = sums[n] + np.exp(-(later - closed) / DECAY_SESSIONS)
    return sums


def _shape(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, standard deviation and half the skewness from raw moments 0 to 3."""
    _, first, second, third = moments
    variance = np.maximum(second - first**2, 0.0)
    deviation = np.sqrt(variance)
    central = third - 3 * first * second + 2 * first**3
    # Rounding leaves about 1e-12 of a sum that is certain (the last day): a point has no skew.
    certain = variance < 1e-9
    tilt = np.where(certain, 0.0, central / np.where(certain, 1.0, variance * deviation) / 2)
    return first, deviation, tilt
