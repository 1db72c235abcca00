"""Calibration of the mixture on outcomes later than, and apart from, what its experts learned.

Every calibrator reads one number a day, the log-odds of the mixture at threshold 0,
and answers with another. They compete as experts do, on log loss over outcomes already
known, and a guard weighs them against *as it is*, which starts with most of the belief: what
calibration may cost is bounded (:mod:`models.guard`). What they settle on is a move of
the log-odds, the same for every threshold of the asset and horizon: a common move keeps
the order of probabilities, so that the probability still falls as the threshold rises.

What a calibrated probability as of d has seen: forecasts of the mixture before d, each
out of sample when it was made, and their outcomes known at T(d). Nothing is fitted on
what an expert was fitted on, and no outcome speaks before it is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from models.config import ModelConfig
from models.guard import GuardState, guarded
from models.scores import log_loss

if TYPE_CHECKING:
    from models.cells import CellRows
    from models.mixture import Path

DAY = np.timedelta64(1, "D")

LATEST_DAYS = 30
"""A label that becomes known later than so many days after its end teaches nothing."""

LEAST_PROBABILITY = 0.02
"""No calibrator is surer than this, but where the mixture itself is."""

CENTRES = np.linspace(-1.5, 1.5, 31)
"""Log-odds at which frequencies are tallied; a forecast between two counts for both in part."""


@dataclass(frozen=True)
class CalibrationState:
    """What the calibrators of a cell remember at T(as_of); all of it was known then.

    Attributes
    ----------
    as_of : day of the state; outcomes known by then are counted.
    losses : (c,) cumulative log loss of each calibrator, nats.
    tally : (b, 2) outcomes at each of ``CENTRES``, and how many of them were 1.
    pending_days : (m,) datetime64[D], forecasts made before ``as_of`` whose outcome was not known.
    pending_odds : (m,) log-odds of the mixture on those days.
    pending : (m, c) what the calibrators said of them.
    guard : of the mixture as it is against the calibrators.
    """

    as_of: np.datetime64
    losses: np.ndarray
    tally: np.ndarray
    pending_days: np.ndarray
    pending_odds: np.ndarray
    pending: np.ndarray
    guard: GuardState

    def to_json(self) -> dict[str, Any]:
        """Return the state as plain JSON; floats come back to the bit."""
        return {
            "as_of": str(self.as_of),
            "losses": self.losses.tolist(),
            "tally": self.tally.tolist(),
            "pending_days": [str(day) for day in self.pending_days],
            "pending_odds": self.pending_odds.tolist(),
            "pending": self.pending.tolist(),
            "guard": self.guard.to_json(),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> CalibrationState:
        """Bring a state back."""
        losses = np.array(kept["losses"], dtype="float64")
        return cls(
            as_of=np.datetime64(kept["as_of"], "D"),
            losses=losses,
            tally=np.array(kept["tally"], dtype="float64"),
            pending_days=np.array(kept["pending_days"], dtype="datetime64[D]"),
            pending_odds=np.array(kept["pending_odds"], dtype="float64"),
            pending=np.array(kept["pending"], dtype="float64").reshape(-1, len(losses)),
            guard=GuardState.from_json(kept["guard"]),
        )


def calibrator_names(config: ModelConfig) -> tuple[str, ...]:
    """Return the names of the calibrators, *as it is* first; none where there is no calibration."""
    if config.calibration is None:
        return ()
    factors = (f"factor {factor:g}" for factor in config.calibration.factors)
    return ("as it is", *factors, "isotonic", "venn-abers")


def calibrator_priors(config: ModelConfig) -> np.ndarray:
    """Return (c,) the belief that each calibrator starts with; *as it is* has what is left."""
    if config.calibration is None:
        return np.array([])
    settings = config.calibration
    others = [*settings.factor_priors, settings.isotonic_prior, settings.venn_abers_prior]
    return np.array([1.0 - sum(others), *others])


def initial_calibration(
    as_of: np.datetime64, horizon_days: int, config: ModelConfig
) -> CalibrationState | None:
    """Return the state before the first forecast, or None where there is no calibration."""
    count = len(calibrator_names(config))
    if config.calibration is None:
        return None
    return CalibrationState(
        as_of=as_of,
        losses=np.zeros(count),
        # Frequencies start at the forecasts themselves, with a few outcomes' worth of belief.
        tally=config.calibration.tally_prior
        * np.column_stack([np.ones(len(CENTRES)), _chance(CENTRES)]),
        pending_days=np.array([], dtype="datetime64[D]"),
        pending_odds=np.array([]),
        pending=np.empty((0, count)),
        guard=GuardState.fresh(horizon_days),
    )


def calibrated(
    rows: CellRows,
    path: Path,
    start: CalibrationState | None,
    keep: Sequence[np.datetime64],
    config: ModelConfig,
) -> tuple[Path, list[CalibrationState | None]]:
    """Return a path with calibrated probabilities and intervals, and the state on some days.

    On day t calibrator j weighs ``prior_j exp(-loss_j / h)``, with ``loss_j`` its cumulative
    log loss over the mixture's forecasts since the start whose outcome was known at T(t). The
    guard trusts them, against the mixture as it is, by the days of the same class modulo h:
    the total loss exceeds that of the mixture as it is by at most
    ``h ln(1 / prior of as it is)`` nats, whatever happens.

    - *factor f*: the log-odds against the base rate, times f (temperature 1/f).
    - *isotonic*: the rising function of the log-odds that fits past frequencies best.
    - *venn-abers*: isotonic twice, with today's outcome taken for 0 and for 1; of p0 and p1
      it says ``p1 / (1 - p0 + p1)``.

    Past outcomes count 1/h each; the curves of the last two are drawn anew on the first day
    of each month. Where nobody but climatology speaks, nothing is moved.

    Parameters
    ----------
    path : of the mixture, from ``start.as_of`` on.
    start : the state then, on the first day of a month; None leaves the path as it is.
    keep : days of the path whose state is returned.

    References
    ----------
    Guo et al. (2017), On calibration of modern neural networks; Zadrozny and Elkan (2002),
    Transforming classifier scores into accurate multiclass probability estimates; Vovk and
    Petej (2014), Venn-Abers predictors.
    """
    if start is None or config.calibration is None:
        return path, [None] * len(keep)
    level, rows = (path, rows) if path.level is None else (path.level, rows.reference or rows)
    h, days = rows.cell.horizon_days, level.days
    odds = _log_odds(level.probability)
    past = _past(rows, start, days, odds)
    seen = np.stack([past.shares, past.shares * past.outcome[:, None]], axis=2) / h
    tally = _running(start.tally, past.known_on, days, seen)
    chance = _chances(level, odds, tally, config)
    forecast = np.concatenate([start.pending, chance])
    loss = log_loss(past.outcome, forecast[past.teaches])
    losses = _running(start.losses, past.known_on, days, loss)
    prior = calibrator_priors(config)
    weight = _weights(losses[:, 1:] / h, prior[1:] / prior[1:].sum())
    # Around the mixture, so that calibrators who all leave it alone move nothing at all.
    asis = level.probability
    leader = asis + (weight * (chance[:, 1:] - asis[:, None])).sum(axis=1)
    settled = rows.settled_in_time(start.as_of, len(days))
    guard = guarded(start.guard, leader, asis, settled, float(prior[0]))
    mixed = asis + guard.trust * (leader - asis)
    shift = np.where(mixed == level.probability, 0.0, _log_odds(mixed) - odds)
    states: list[CalibrationState | None] = []
    for day in keep:
        at = int(np.searchsorted(days, day))
        open_ = past.open_on(day)
        kept = (past.made[open_], past.odds[open_], forecast[open_])
        states.append(CalibrationState(day, losses[at], tally[at], *kept, guard.state_at(at)))
    return _moved(path, shift), states


@dataclass(frozen=True)
class _Past:
    """Forecasts since the start with those then pending, and the outcomes that teach."""

    made: np.ndarray
    odds: np.ndarray
    last: np.ndarray
    known: np.ndarray
    teaches: np.ndarray
    outcome: np.ndarray

    @property
    def known_on(self) -> np.ndarray:
        """Days on which the outcomes that teach became known."""
        return self.known[self.teaches]

    @property
    def shares(self) -> np.ndarray:
        """Where the forecasts that teach are tallied, (m, b), rows adding up to one."""
        odds = self.odds[self.teaches]
        below, part = _place(odds)
        shares = np.zeros((len(odds), len(CENTRES)))
        rows = np.arange(len(odds))
        shares[rows, below] = 1 - part
        shares[rows, below + 1] = part
        return shares

    def open_on(self, day: np.datetime64) -> np.ndarray:
        """Forecasts made before a day whose outcome was not known then, and may still teach."""
        waiting: np.ndarray = (self.made < day) & (self.known > day) & (self.last >= day)
        return waiting


def _past(rows: CellRows, start: CalibrationState, days: np.ndarray, odds: np.ndarray) -> _Past:
    made = np.concatenate([start.pending_days, days])
    row = np.searchsorted(rows.days, made)
    last = made + (rows.cell.horizon_days + LATEST_DAYS) * DAY
    known = rows.known_on[row]
    teaches = rows.usable[row] & ~np.isnan(rows.outcome[row])
    teaches &= (known > start.as_of) & (known <= last) & (known <= days[-1])
    outcome = rows.outcome[row][teaches]
    return _Past(made, np.concatenate([start.pending_odds, odds]), last, known, teaches, outcome)


def _chances(level: Path, odds: np.ndarray, tally: np.ndarray, config: ModelConfig) -> np.ndarray:
    """Return (n, c) the probability that each calibrator gives, the mixture's own first."""
    if config.calibration is None:
        raise ValueError("needed a configuration with calibration; found none")
    base = _log_odds(level.base_rate)
    said = [base + factor * (odds - base) for factor in config.calibration.factors]
    below, part = _place(odds)
    # Curves are drawn on the first day of each month, and only where a forecast falls.
    drawn = np.searchsorted(level.days, level.days.astype("datetime64[M]").astype("datetime64[D]"))
    near = np.stack([below, below + 1])
    _, one, back = np.unique(drawn * len(CENTRES) + near, return_index=True, return_inverse=True)
    place, share = near.ravel()[one], np.stack([1 - part, part])
    curve = tally[np.tile(drawn, 2)[one]]
    isotonic, venn_abers = (
        (
            share * (_log_odds(drawn_at(curve, place)) - CENTRES[place])[back.reshape(share.shape)]
        ).sum(axis=0)
        for drawn_at in (isotonic_at, venn_abers_at)
    )
    said += [odds + isotonic, odds + venn_abers]
    asis = level.probability[:, None]
    bounds = np.minimum(asis, LEAST_PROBABILITY), np.maximum(asis, 1 - LEAST_PROBABILITY)
    moved = np.clip(_chance(np.stack(said, axis=1)), *bounds)
    return np.concatenate([asis, np.where(level.informed[:, None], moved, asis)], axis=1)


def isotonic_at(tally: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the isotonic regression of each row's frequencies, at one place of each row.

    By its min-max form: of all stretches through the place, the greatest over
    their beginnings of the least over their ends of the mean frequency.

    Parameters
    ----------
    tally : (n, b, 2) weights, above 0, and the part of them that came true.
    at : (n,) places in 0 to b - 1.

    References
    ----------
    Barlow, Bartholomew, Bremner and Brunk (1972), Statistical inference under order restrictions.

    Examples
    --------
    >>> isotonic_at(np.array([[[1.0, 1.0], [1.0, 0.0]]]), np.array([0])).tolist()
    [0.5]
    """
    total = np.cumsum(np.pad(tally, ((0, 0), (1, 0), (0, 0))), axis=1)
    n, edges, _ = total.shape
    found = np.full(n, -np.inf)
    place = np.arange(edges - 1)
    ends = place[None, :] >= at[:, None]
    for begin in range(edges - 1):
        span = total[:, 1:] - total[:, begin : begin + 1]
        inside = ends & (place >= begin)[None, :]
        mean = np.where(inside, span[..., 1] / np.where(inside, span[..., 0], 1.0), np.inf)
        found = np.where(begin <= at, np.maximum(found, mean.min(axis=1)), found)
    return found


def venn_abers_at(tally: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the Venn-Abers probability at one place of each row; see :func:`isotonic_at`.

    Today's outcome counts as one, where past ones count 1/h each.
    """
    row, n = np.arange(len(at)), len(at)
    both = np.concatenate([tally, tally])
    both[row, at, 0] += 1.0
    both[n + row, at] += 1.0
    found = isotonic_at(both, np.tile(at, 2))
    low, high = found[:n], found[n:]
    merged: np.ndarray = high / (1 - low + high)
    return merged


def _place(odds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the centre below each log-odds, and the share of the way to the next."""
    step = CENTRES[1] - CENTRES[0]
    at = np.clip((odds - CENTRES[0]) / step, 0, len(CENTRES) - 1)
    below = np.minimum(at.astype(int), len(CENTRES) - 2)
    return below, at - below


def _running(
    start: np.ndarray, known_on: np.ndarray, days: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Add values on the day they became known to what there was; (n, ...) on ``days``.

    The order of addition is that of the days, whatever the start: sums agree to the bit.
    """
    steps = np.zeros((len(days) + 1, *start.shape))
    steps[0] = start
    np.add.at(steps, 1 + np.searchsorted(days, known_on), values)
    return np.cumsum(steps, axis=0)[1:]


def _weights(losses: np.ndarray, prior: np.ndarray) -> np.ndarray:
    score = np.log(prior) - losses
    raw = np.exp(score - score.max(axis=1, keepdims=True))
    weight: np.ndarray = raw / raw.sum(axis=1, keepdims=True)
    return weight


def _moved(path: Path, shift: np.ndarray) -> Path:
    """Move a path's probability and interval by a shift of log-odds a day."""
    level = path.level and _moved(path.level, shift)
    return replace(
        path,
        probability=_shifted(path.probability, shift),
        lower=_shifted(path.lower, shift),
        upper=_shifted(path.upper, shift),
        shift=shift,
        level=level,
    )


def _shifted(probability: np.ndarray, shift: np.ndarray) -> np.ndarray:
    # Odds are multiplied, not added to in logarithms: a shift of 0 leaves them to the bit.
    factor = np.expm1(shift)
    moved: np.ndarray = probability * (1 + factor) / (1 + probability * factor)
    return moved


def _log_odds(probability: np.ndarray) -> np.ndarray:
    odds: np.ndarray = np.log(probability) - np.log1p(-probability)
    return odds


def _chance(odds: np.ndarray) -> np.ndarray:
    chance: np.ndarray = 1 / (1 + np.exp(-odds))
    return chance
