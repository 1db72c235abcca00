"""A forecast: one probability, what it competes with, and what moved it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.abstention import in_disagreement
from models.calibration import calibrated
from models.cells import Cell, CellRows
from models.config import ModelConfig
from models.experts import Expert, drift_centre
from models.mixture import Path, Snapshot, run_path
from models.predictive import centre_of, chance_of, spread_of

LOST_DAYS = 30


@dataclass(frozen=True)
class Driver:
    """What one input adds to the log-odds of a forecast against the base rate."""

    feature: str
    value: float | None
    contribution: float


@dataclass(frozen=True)
class ExpertShare:
    """What one expert said of a day, and what it moved.

    Attributes
    ----------
    weight : in the mixture of the day, as earned by outcomes known then; all add up to 1.
    probability : the expert's own.
    contribution : to the log-odds of the mixture against the base rate; all add up to them.
    """

    name: str
    weight: float
    probability: float
    contribution: float


@dataclass(frozen=True)
class Forecast:
    """The answer for one cell as of one day; ``probability`` is None exactly when abstained.

    ``base_lower, base_upper`` are the interval of the base rate alone.
    """

    cell: Cell
    as_of: np.datetime64
    probability: float | None
    lower: float | None
    upper: float | None
    base_rate: float
    reason: str | None
    drivers: tuple[Driver, ...]
    experts: tuple[ExpertShare, ...] = ()
    base_lower: float | None = None
    base_upper: float | None = None

    @property
    def abstained(self) -> bool:
        """Whether there is no probability to give."""
        return self.probability is None


def speaking_on(snapshots: Sequence[Snapshot], as_of: np.datetime64) -> Snapshot | None:
    """Return the latest snapshot fitted at or before a day."""
    known = [snapshot for snapshot in snapshots if snapshot.fit_as_of <= as_of]
    return known[-1] if known else None


def forecast(
    rows: CellRows,
    snapshots: Sequence[Snapshot],
    as_of: np.datetime64,
    config: ModelConfig,
    strange: str | None = None,
) -> tuple[Forecast, Path] | None:
    """Forecast one day with the experts that spoke then, as the walk-forward did.

    Reads rows known at T(as_of), which may be the recent ones alone; the snapshot is the latest
    one fitted by then. Returns None before the first snapshot.

    Parameters
    ----------
    strange : why the inputs are unlike any seen, which the recent rows alone cannot tell.
    """
    snapshot = speaking_on(snapshots, as_of)
    if snapshot is None:
        return None
    fits = [(snapshot.fit_as_of, snapshot.experts)]
    mixed, _ = run_path(rows, snapshot.state, fits, as_of, config)
    path, _ = calibrated(rows, mixed, snapshot.calibration, (), config)
    row = int(np.searchsorted(rows.days, as_of))
    reason = _reason_to_abstain(rows, row, path, config, strange)
    last = None if reason else float(path.probability[-1])
    made = Forecast(
        cell=rows.cell,
        as_of=as_of,
        probability=last,
        lower=None if reason else float(path.lower[-1]),
        upper=None if reason else float(path.upper[-1]),
        base_rate=float(path.base_rate[-1]),
        reason=reason,
        drivers=() if reason else _drivers(rows, row, path, snapshot.experts, config),
        experts=() if reason else _shares(path),
        base_lower=None if path.base_lower is None else float(path.base_lower[-1]),
        base_upper=None if path.base_upper is None else float(path.base_upper[-1]),
    )
    return made, path


def _reason_to_abstain(
    rows: CellRows, row: int, path: Path, config: ModelConfig, strange: str | None
) -> str | None:
    """Say why there is no forecast: no close, nobody to speak, a feature lost or unlike any seen.

    A feature counts as lost when it is missing now and was there within the month.
    Experts who contradict each other are a reason too, at threshold 0 for every threshold.
    """
    if not rows.usable[row]:
        return f"no close of {rows.cell.asset} on the day"
    there = np.isfinite(rows.features[max(0, row - LOST_DAYS) : row + 1])
    lost = [
        name
        for name, now, lately in zip(rows.names, there[-1], there.any(axis=0), strict=True)
        if lately and not now
    ]
    if lost:
        return f"missing: {', '.join(lost)}"
    if not path.informed[-1]:
        return "missing: experts, for want of labels"
    limits, level = config.abstention, path.level or path
    if limits is None:
        return None
    return strange or in_disagreement(
        level.expert_probability[-1],
        level.weight[-1],
        float(level.base_rate[-1]),
        most=limits.opposite_pulls,
    )


def _shares(path: Path) -> tuple[ExpertShare, ...]:
    """Return what each expert said on the last day, the heaviest first.

    The mixture is ``m = b + sum w_k (p_k - b)`` around the base rate b, so expert k
    has the share ``w_k (p_k - b)`` of its move: the log-odds are split like the move.
    """
    base, weight, said = path.base_rate[-1], path.weight[-1], path.expert_probability[-1]
    moved = weight * (said - base)
    mixed = base + moved.sum()
    # logit m - logit b = log1p(x) with x = (m - b) / (b (1 - m)): no digits are lost near 0.
    x = moved.sum() / (base * (1 - mixed))
    per_move = (np.log1p(x) / x if x else 1.0) / (base * (1 - mixed))
    shares = [
        ExpertShare(name, float(w), float(p), float(part))
        for name, w, p, part in zip(path.names, weight, said, per_move * moved, strict=True)
    ]
    return tuple(sorted(shares, key=lambda share: -share.weight))


def _drivers(
    rows: CellRows, row: int, path: Path, experts: Sequence[Expert], config: ModelConfig
) -> tuple[Driver, ...]:
    """Split log-odds against the base rate into what moved them; the parts add up.

    Each expert's own parts, under its weight in the mixture: of the signals and
    the rules in log-odds a unit of the centre, at the base rate; of the
    classifiers as they are. ``(drift)`` is the expected return
    without signals against the base rate; ``(calibration)`` what calibration
    moved; ``(mixture)`` what is left, the curvature of the laws and of mixing.
    Values of signals are in deviations.
    """
    h = rows.cell.horizon_days
    base, p = path.base_rate[-1], path.probability[-1]
    total = float(np.log(p / (1 - p)) - np.log(base / (1 - base)))
    weight = dict(zip(path.names, path.weight[-1], strict=True))
    centre = centre_of(np.array([base]), h)
    step = 1e-4
    ahead, behind = chance_of(centre + step, h)[0], chance_of(centre - step, h)[0]
    slope = (np.log(ahead / (1 - ahead)) - np.log(behind / (1 - behind))) / (2 * step)
    parts: dict[str, float] = {}
    values = dict(zip(rows.names, rows.features[row], strict=True))
    if rows.online is not None and "signals" in weight:
        scale = weight["signals"] * slope * spread_of(h)
        for name, part in zip(rows.online.names, rows.online.parts[row], strict=True):
            parts[name] = scale * float(part)
        values |= dict(zip(rows.online.names, rows.online.values[row], strict=True))
        if config.signals is not None:
            moved = config.signals.drift_weight * (drift_centre(rows, np.array([row])) - centre)
            parts["(drift)"] = weight["signals"] * slope * float(moved[0])
    if rows.online is not None and config.rules is not None:
        asserted = config.rules.effect * float(rows.online.rule[row])
        parts["(rules)"] = weight["rules"] * slope * spread_of(h) * asserted
    if rows.complete()[row]:
        for expert in experts:
            found = expert.model.contributions(rows.features[row : row + 1])[0]
            for name, part in zip(rows.names, found, strict=True):
                parts[name] = parts.get(name, 0.0) + weight[expert.name] * float(part)
    if path.shift is not None:
        parts["(calibration)"] = float(path.shift[-1])
    drivers = [
        Driver(name, float(values[name]) if name in values else None, part)
        for name, part in parts.items()
        if part != 0.0
    ]
    drivers.sort(key=lambda driver: -abs(driver.contribution))
    return (*drivers, Driver("(mixture)", None, total - sum(parts.values())))
