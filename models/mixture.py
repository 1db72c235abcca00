"""The mixture of experts, and the path of its forecasts from day to day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.cells import CellRows
from models.climatology import base_rate
from models.config import ModelConfig
from models.experts import Expert, expert_centres, expert_names, speaks
from models.guard import Guarded, GuardState, guarded
from models.predictive import centre_of, chance_of
from models.scores import log_loss

if TYPE_CHECKING:
    from models.calibration import CalibrationState

DAY = np.timedelta64(1, "D")

LATEST_DAYS = 30
"""A label that becomes known later than so many days after its end teaches the mixture nothing."""

LEAST_EXPERT_PROBABILITY = 0.02
"""No expert is surer than this, so that no single day can cost more than 3.9 nats."""


@dataclass(frozen=True)
class PathState:
    """What the path remembers at T(as_of); all of it was known then.

    Attributes
    ----------
    as_of : day of the state; outcomes known by then are counted.
    hits, total : labels known so far that are 1, and all of them.
    losses : (k,) cumulative log loss of each expert, nats.
    pending_days : (m,) datetime64[D], forecasts made before ``as_of`` whose outcome was not known.
    pending : (m, k) the experts' probabilities on those days.
    reference : the state at threshold 0, for a cell of another threshold.
    guard : of climatology against the rest; None where there is a reference.
    """

    as_of: np.datetime64
    hits: float
    total: float
    losses: np.ndarray
    pending_days: np.ndarray
    pending: np.ndarray
    reference: PathState | None = None
    guard: GuardState | None = None


@dataclass(frozen=True)
class Snapshot:
    """The experts of a cell as fitted at T(fit_as_of), and the state of the path then."""

    fit_as_of: np.datetime64
    experts: tuple[Expert, ...]
    state: PathState
    calibration: CalibrationState | None = None


@dataclass(frozen=True)
class Path:
    """Forecasts of one cell on consecutive days.

    Attributes
    ----------
    days : (n,) datetime64[D].
    base_rate : (n,) climatology from labels known at T(d).
    expert_probability, weight : (n, k), experts in the order of ``names``, climatology first.
    probability : (n,) the mixture.
    lower, upper : (n,) interval of the probability.
    informed : (n,) bool: there was somebody but climatology to speak.
    level : the path at threshold 0, for a cell of another threshold.
    shift : (n,) log-odds that calibration added, or None before calibration.
    base_lower, base_upper : (n,) interval of the base rate, for want of outcomes alone.
    """

    names: tuple[str, ...]
    days: np.ndarray
    base_rate: np.ndarray
    expert_probability: np.ndarray
    weight: np.ndarray
    probability: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    informed: np.ndarray
    level: Path | None = None
    shift: np.ndarray | None = None
    base_lower: np.ndarray | None = None
    base_upper: np.ndarray | None = None


def prior_weights(config: ModelConfig) -> np.ndarray:
    """Return (k,) prior weights: the stated share on climatology, then on the signals.

    What is left goes to the other experts in equal parts.
    """
    names = expert_names(config)
    prior = dict.fromkeys(names, 0.0)
    prior["climatology"] = config.mixture.climatology_prior if len(names) > 1 else 1.0
    others = [name for name in names if name not in ("climatology", "signals")]
    rest = 1.0 - prior["climatology"]
    if "signals" in prior:
        prior["signals"] = rest * (config.mixture.signals_share if others else 1.0)
        rest -= prior["signals"]
    for name in others:
        prior[name] = rest / len(others)
    return np.array([prior[name] for name in names])


def initial_state(rows: CellRows, as_of: np.datetime64, config: ModelConfig) -> PathState:
    """Return the state before the first forecast: counts of labels known, no losses."""
    known = rows.labelled_by(as_of)
    count = len(expert_names(config))
    return PathState(
        as_of=as_of,
        hits=float(rows.outcome[known].sum()),
        total=float(known.sum()),
        losses=np.zeros(count),
        pending_days=np.array([], dtype="datetime64[D]"),
        pending=np.empty((0, count)),
        reference=None if rows.reference is None else initial_state(rows.reference, as_of, config),
        guard=GuardState.fresh(rows.cell.horizon_days) if rows.reference is None else None,
    )


def run_path(
    rows: CellRows,
    start: PathState,
    fits: Sequence[tuple[np.datetime64, Sequence[Expert]]],
    through: np.datetime64,
    config: ModelConfig,
) -> tuple[Path, list[PathState]]:
    """Forecast each day from ``start.as_of`` to ``through``, and keep the state at each fit.

    ``fits`` are the days on which experts were fitted, the first of them
    ``start.as_of``; experts speak from their day until the next.

    All but climatology are mixed into a leader, expert k on day t by
    ``prior_k exp(-rate/h * loss_k)`` with ``loss_k`` its cumulative log loss over forecasts of
    this path whose outcome was known at T(t): a label enters h days after its forecast, when
    it can be known, and never before. An expert that cannot speak on a row
    says the base rate there, and so learns nothing from it.

    The guard (:mod:`models.guard`) then weighs the leader against climatology. At threshold 0
    the total loss exceeds that of climatology by at most ``h ln(1 / prior)`` nats, ``h ln 2``
    at a prior of one half, whatever happens and whatever the leader is: a theorem, proved there.

    At a threshold other than 0 the experts' moves of the centre and their
    weights are those of threshold 0, so that the probability falls as the
    threshold rises: climatology does, each expert does, and so does their mixture.

    References
    ----------
    Vovk (1990), Aggregating strategies; Weinberger and Ordentlich (2002), On delayed
    prediction of individual sequences; Joulani, Gyorgy and Szepesvari (2013), Online learning
    under delayed feedback.
    """
    names = expert_names(config)
    span = (rows.days >= start.as_of) & (rows.days <= through)
    days = rows.days[span]
    hits, total = _counts(rows, start, days)
    rate = base_rate(hits, total, rows.cell.horizon_days)
    probability = _probabilities(rows, np.flatnonzero(span), rate, fits, through, config)
    references: list[PathState] | list[None] = [None] * len(fits)
    guard: Guarded | None = None
    level: Path | None = None
    if rows.reference is None or start.reference is None:
        losses = _cumulative_losses(rows, start, days, probability)
        scale = config.mixture.rate / rows.cell.horizon_days
        prior = prior_weights(config)
        inner = _weights(losses, _without_climatology(prior), scale)
        leader = rate + (inner * (probability - rate[:, None])).sum(axis=1)
        settled = rows.settled_in_time(start.as_of, len(days))
        before = start.guard or GuardState.fresh(rows.cell.horizon_days)
        guard = guarded(before, leader, rate, settled, float(prior[0]))
        weight = guard.trust[:, None] * inner
        weight[:, 0] += 1 - guard.trust
    else:
        level, references = run_path(rows.reference, start.reference, fits, through, config)
        losses, weight = np.zeros(probability.shape), level.weight
    # Around the base rate, so that experts who all say the base rate mix to it exactly.
    mixed = rate + (weight * (probability - rate[:, None])).sum(axis=1)
    lower, upper = _interval(mixed, probability, weight, total, rows.cell.horizon_days, config)
    informed = speaks(rows, fits, days, span)
    least, most = _interval(
        rate, rate[:, None], np.ones((len(days), 1)), total, rows.cell.horizon_days, config
    )
    path = Path(
        names, days, rate, probability, weight, mixed, lower, upper, informed, level,
        base_lower=least, base_upper=most,
    )  # fmt: skip
    states = [
        _state_at(rows, start, path, hits, total, losses, day, reference, guard)
        for (day, _), reference in zip(fits, references, strict=True)
    ]
    return path, states


def _probabilities(
    rows: CellRows,
    span: np.ndarray,
    rate: np.ndarray,
    fits: Sequence[tuple[np.datetime64, Sequence[Expert]]],
    through: np.datetime64,
    config: ModelConfig,
) -> np.ndarray:
    """Return (n, k) what each expert says, the base rate where it cannot speak."""
    names = expert_names(config)
    probability = np.repeat(rate[:, None], len(names), axis=1)
    base = centre_of(rate, rows.cell.horizon_days)
    ends = [*(day for day, _ in fits[1:]), through + DAY]
    for (begin, experts), end in zip(fits, ends, strict=True):
        piece = np.flatnonzero((rows.days[span] >= begin) & (rows.days[span] < end))
        said = expert_centres(rows, span[piece], base[piece], experts, config)
        for name, (mask, centre) in said.items():
            p = chance_of(centre, rows.cell.horizon_days)
            cut = np.clip(p, LEAST_EXPERT_PROBABILITY, 1 - LEAST_EXPERT_PROBABILITY)
            # Where climatology itself is surer, an expert may be as sure.
            cut = np.where((rate[piece][mask] < 0.1) | (rate[piece][mask] > 0.9), p, cut)
            probability[piece[mask], names.index(name)] = cut
    return probability


def _entered(known_on: np.ndarray, days: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum values by the day on which they became known; (n, ...) on ``days``."""
    at = np.searchsorted(days, known_on)
    inside = at < len(days)
    total = np.zeros((len(days), *values.shape[1:]))
    np.add.at(total, at[inside], values[inside])
    return total


def _accumulated(start: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Cumulate in the same order whatever the start, so that sums agree to the bit."""
    return np.cumsum(np.concatenate([start[None], steps]), axis=0)[1:]


def _counts(rows: CellRows, start: PathState, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    fresh = rows.usable & ~np.isnan(rows.outcome) & (rows.known_on > start.as_of)
    steps = np.column_stack([rows.outcome[fresh], np.ones(int(fresh.sum()))])
    entered = _entered(rows.known_on[fresh], days, steps)
    running = _accumulated(np.array([start.hits, start.total]), entered)
    return running[:, 0], running[:, 1]


def _cumulative_losses(
    rows: CellRows, start: PathState, days: np.ndarray, probability: np.ndarray
) -> np.ndarray:
    made = np.concatenate([start.pending_days, days])
    forecast = np.concatenate([start.pending, probability])
    row = np.searchsorted(rows.days, made)
    last = made + (rows.cell.horizon_days + LATEST_DAYS) * DAY
    fresh = rows.usable[row] & ~np.isnan(rows.outcome[row]) & (rows.known_on[row] <= last)
    fresh &= rows.known_on[row] > start.as_of
    loss = log_loss(rows.outcome[row][fresh], forecast[fresh])
    return _accumulated(start.losses, _entered(rows.known_on[row][fresh], days, loss))


def _without_climatology(prior: np.ndarray) -> np.ndarray:
    """Return the prior weights within the leader; climatology leads where it is alone."""
    if len(prior) == 1:
        return prior
    rest = np.concatenate([[0.0], prior[1:]])
    return rest / rest.sum()


def _weights(losses: np.ndarray, prior: np.ndarray, rate: float) -> np.ndarray:
    score = np.log(prior, where=prior > 0, out=np.full(prior.shape, -np.inf)) - rate * losses
    score -= score.max(axis=1, keepdims=True)
    raw = np.exp(score)
    return raw / raw.sum(axis=1, keepdims=True)


def _interval(
    mixed: np.ndarray,
    probability: np.ndarray,
    weight: np.ndarray,
    total: np.ndarray,
    horizon_days: int,
    config: ModelConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the probability, on log-odds.

    Two variances add up: that of a base rate learned from ``total / h``
    independent outcomes, and the experts' disagreement under their weights.
    """
    from scipy.special import ndtri

    odds = np.log(mixed) - np.log1p(-mixed)
    spread = np.log(probability) - np.log1p(-probability) - odds[:, None]
    disagreement = (weight * spread**2).sum(axis=1)
    sampling = 1.0 / ((total / horizon_days + 2.0) * mixed * (1 - mixed))
    half = ndtri(0.5 + config.interval / 2) * np.sqrt(disagreement + sampling)
    return 1 / (1 + np.exp(half - odds)), 1 / (1 + np.exp(-half - odds))


def _state_at(
    rows: CellRows,
    start: PathState,
    path: Path,
    hits: np.ndarray,
    total: np.ndarray,
    losses: np.ndarray,
    day: np.datetime64,
    reference: PathState | None,
    guard: Guarded | None,
) -> PathState:
    at = int(np.searchsorted(path.days, day))
    made = np.concatenate([start.pending_days, path.days[:at]])
    forecast = np.concatenate([start.pending, path.expert_probability[:at]])
    row = np.searchsorted(rows.days, made)
    waiting = made >= day - (rows.cell.horizon_days + LATEST_DAYS) * DAY
    open_ = (rows.known_on[row] > day) & waiting & (reference is None)
    return PathState(
        as_of=day,
        hits=float(hits[at]),
        total=float(total[at]),
        losses=losses[at],
        pending_days=made[open_],
        pending=forecast[open_],
        reference=reference,
        guard=None if guard is None else guard.state_at(at),
    )
