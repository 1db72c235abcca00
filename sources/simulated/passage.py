"""When the index will next make a high: first-passage probabilities, by quadrature.

The log index moves on sessions only, ``move = mean + sqrt(variance) z``, its variance set by a
:class:`~sources.simulated.noise.VolatilityRegime`. Its drawdown D (log of the running maximum
over the index) is Markov with the state, and a new high puts it back to 0 exactly. So

    q_1(D, s -> s') = P(s, s') P(move > D | s')
    q_k(D, s -> s') = sum_r P(s, r) int_{D' > 0} f_r(D - D') q_{k-1}(D', r -> s') dD'

with f_r the density of a move in state r. The integral is taken on Gauss-Legendre panels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from sources.simulated.noise import VolatilityRegime

_PANEL_EDGES = np.concatenate([np.arange(0, 0.1, 0.01), np.arange(0.1, 0.6001, 0.025)])
_PANEL_POINTS = 6


@dataclass(frozen=True)
class IndexLaw:
    """The law of a session's log move of the index.

    Attributes
    ----------
    mean : log return a session.
    scale : standard deviation of a session in the long run.
    regime : of its variance, one step a session.
    """

    mean: float
    scale: float
    regime: VolatilityRegime

    def components(self, state: int) -> tuple[tuple[float, float], ...]:
        """Return (weight, standard deviation) of a move in a state, without and with a jump."""
        regime = self.regime
        calm = regime.variances[state]
        jump = regime.jump_probability
        return (
            (1 - jump, self.scale * float(np.sqrt(calm))),
            (jump, self.scale * float(np.sqrt(calm + regime.jump_variance))),
        )

    def exceeds(self, drawdown: np.ndarray, state: int) -> np.ndarray:
        """Return P(move > drawdown) in a state."""
        chance = np.zeros(drawdown.shape)
        for weight, deviation in self.components(state):
            chance += weight * ndtr((self.mean - drawdown) / deviation)
        return chance

    def density(self, move: np.ndarray, state: int) -> np.ndarray:
        """Return the density of a move in a state."""
        density = np.zeros(move.shape)
        for weight, deviation in self.components(state):
            bell = np.exp(-0.5 * ((move - self.mean) / deviation) ** 2)
            density += weight / (deviation * np.sqrt(2 * np.pi)) * bell
        return density


def first_passage(law: IndexLaw, drawdown: np.ndarray, sessions: int) -> np.ndarray:
    """Return the probability that the next new high comes at each of the next sessions.

    Parameters
    ----------
    law : of the index.
    drawdown : (n,) float64, log of the running maximum over the index, 0 or more.
    sessions : how many to look ahead.

    Returns
    -------
    (sessions, n, 2, 2) float64: at the k-th session, from state today (third axis) to state at
    the high (fourth). Drawdowns above 0.6 count as out of reach within the horizon.
    """
    low, high = _PANEL_EDGES[:-1], _PANEL_EDGES[1:]
    unit, mass = np.polynomial.legendre.leggauss(_PANEL_POINTS)
    nodes = (low[:, None] + (high - low)[:, None] * (unit + 1) / 2).ravel()
    masses = ((high - low)[:, None] * mass / 2).ravel()
    places = np.concatenate([nodes, drawdown])
    transition = law.regime.transition
    kernels = [law.density(places[:, None] - nodes, state) * masses for state in (0, 1)]
    now = np.empty((len(places), 2, 2))
    for state in (0, 1):
        now[:, :, state] = np.outer(law.exceeds(places, state), transition[:, state])
    passage = np.empty((sessions, len(drawdown), 2, 2))
    for step in range(sessions):
        passage[step] = now[len(nodes) :]
        # einsum, not BLAS: what comes out for a drawdown does not depend on how many there are.
        later = [np.einsum("pn,nt->pt", kernels[r], now[: len(nodes), r]) for r in (0, 1)]
        now = np.stack([t[0] * later[0] + t[1] * later[1] for t in transition], axis=1)
    return passage
