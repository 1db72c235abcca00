"""The guard: climatology against all the rest, so that the regret against it is bounded.

On each day the guard trusts the leader, whatever it is, by the outcomes of the days that lie a
multiple of h days before: h interleaved mixtures of two, one for each day modulo h, so that each
learns the outcome of its last forecast before it makes the next. Log loss is 1-mixable and the
rate is 1, so each of them loses at most ``ln(1 / p)`` nats more than climatology in all, with p
the prior of climatology, and together they lose at most

    h ln(1 / p)  nats, whatever happens: with p = 1/2, h ln 2, or h ln 2 / n a forecast.

Proof, for one of them. With losses a of climatology and b of the leader, and weights p and
1 - p times ``exp(-cumulative loss)``, normalised, the forecast ``w_a P_a + w_b P_b`` of what
happened has loss ``-ln(w_a e^-a + w_b e^-b)``, and these telescope to
``-ln(p e^-A + (1 - p) e^-B) <= A + ln(1 / p)``. It needs each outcome before the next
forecast: one that comes later than h days after its forecast is left out, and the
bound is on those that came in time.

A single mixture at rate 1/h on all known losses has no such bound: an outcome enters h days
late, and whoever turns every h days meets the weights that the days before earned.

References
----------
Vovk (1990), Aggregating strategies; Weinberger and Ordentlich (2002), On delayed prediction of
individual sequences (the interleaving); Cesa-Bianchi and Lugosi (2006), Prediction, learning, and
games, ch. 3 and 9; Joulani, Gyorgy and Szepesvari (2013), Online learning under delayed feedback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from models.scores import log_loss


@dataclass(frozen=True)
class GuardState:
    """What the guard remembers of the h days before a day, in their order.

    Attributes
    ----------
    score : (h,) float64, what the leader had gained on climatology before each of them, nats,
        over the outcomes of its own class of days.
    leader, base : (h,) the two forecasts made on each.
    """

    score: np.ndarray
    leader: np.ndarray
    base: np.ndarray

    @classmethod
    def fresh(cls, horizon_days: int) -> GuardState:
        """Return the state before the first forecast: two that agree, and nothing gained."""
        half = np.full(horizon_days, 0.5)
        return cls(np.zeros(horizon_days), half, half)

    def to_json(self) -> dict[str, list[float]]:
        """Return the state as plain JSON; floats come back to the bit."""
        return {name: getattr(self, name).tolist() for name in ("score", "leader", "base")}

    @classmethod
    def from_json(cls, kept: Mapping[str, list[float]]) -> GuardState:
        """Bring a state back."""
        return cls(
            **{name: np.array(kept[name], "float64") for name in ("score", "leader", "base")}
        )


@dataclass(frozen=True)
class Guarded:
    """The guard along consecutive days.

    Attributes
    ----------
    trust : (n,) weight of the leader; the rest is on climatology.
    score, leader, base : (h + n,) as in the state, from h days before the first day on.
    """

    trust: np.ndarray
    score: np.ndarray
    leader: np.ndarray
    base: np.ndarray

    def state_at(self, day: int) -> GuardState:
        """Return the state before the forecast of a day, counted from the first."""
        span = slice(day, day + len(self.score) - len(self.trust))
        return GuardState(self.score[span], self.leader[span], self.base[span])


def guarded(
    start: GuardState, leader: np.ndarray, base: np.ndarray, outcome: np.ndarray, prior: float
) -> Guarded:
    """Trust the leader of each day by what it gained on climatology h, 2h, ... days before.

    Row t reads ``outcome`` up to row t - h alone.

    Parameters
    ----------
    start : before the first of the n days.
    leader, base : (n,) probabilities, of all but climatology together, and of climatology.
    outcome : (h + n,) 0 or 1 from h days before the first day on; NaN where it was not known h
        days after its day.
    prior : of climatology; 1 where there is nobody else.

    Examples
    --------
    >>> said, rate = np.array([0.9, 0.9, 0.9]), np.array([0.5, 0.5, 0.5])
    >>> happened = np.array([np.nan, 1.0, 1.0, np.nan])
    >>> guarded(GuardState.fresh(1), said, rate, happened, prior=0.5).trust.round(3).tolist()
    [0.5, 0.643, 0.764]
    """
    h, n = len(start.score), len(leader)
    said, rate = np.concatenate([start.leader, leader]), np.concatenate([start.base, base])
    there = ~np.isnan(outcome)
    gain = np.zeros(h + n)
    gain[there] = log_loss(outcome[there], rate[there]) - log_loss(outcome[there], said[there])
    # A row of blocks a class of days; cumulated in the same order from any start, to the bit.
    blocks = -(-n // h)
    gain = np.concatenate([start.score, gain[:n], np.zeros(blocks * h - n)])
    score = np.cumsum(gain.reshape(blocks + 1, h), axis=0).ravel()[: h + n]
    return Guarded(expit(logit(1 - prior) + score[h:]), score, said, rate)
