"""What moved the forecasts: how far each feature moved the log-odds, out of sample.

The contributions are those of the drivers of a score (:mod:`models.forecast`), on every
day of the walk-forward: made by the experts that spoke then, under the weights that they
had then. What nobody believed moved nothing, however well it fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features import REGISTRY
from models import Cell, ModelConfig
from models.boosting import SmallBoosting
from models.experts import drift_centre
from models.predictive import centre_of, chance_of, spread_of
from training.bootstrap import StationaryBootstrap
from training.evaluation import block_length
from training.figures import CONFIDENCE
from training.walkforward import CellRun

STEP = 1e-4
PRODUCTS = "products"
"""Block of the signals that are made of others."""


@dataclass(frozen=True)
class Moved:
    """How far something moved the log-odds on a day of the walk-forward, sign aside.

    Attributes
    ----------
    name, block : of the feature, or of the block alone.
    mean, lower, upper : mean of the absolute contribution, and its 90 % interval by stationary
        bootstrap.
    gain_share : of the gain of LightGBM's splits at the last refit, None where it has no such
        feature.
    """

    name: str
    block: str
    mean: float
    lower: float
    upper: float
    gain_share: float | None = None


@dataclass(frozen=True)
class Importance:
    """Features and blocks of a cell, what moved most first."""

    cell: Cell
    days: int
    features: tuple[Moved, ...]
    blocks: tuple[Moved, ...]


def importance_of(
    run: CellRun, config: ModelConfig, *, start: pd.Timestamp | None = None, seed: int = 0
) -> Importance:
    """Measure what moved the forecasts of a cell.

    Contributions of a block are added up before the sign is dropped: parts that cancel moved
    nothing.

    Parameters
    ----------
    start : first as-of day; all by default.
    """
    parts = contributions(run, config)
    keep = np.ones(len(run.path.days), dtype=bool)
    if start is not None:
        keep = run.path.days >= start.to_datetime64()
    names = [name for name, values in parts.items() if values[keep].any()]
    block_of = {feature.name: group.block for group in REGISTRY for feature in group.features}
    blocks: dict[str, np.ndarray] = {}
    for name in names:
        block = _block(name, block_of)
        blocks[block] = blocks.get(block, 0.0) + parts[name][keep]
    n = int(keep.sum())
    draws = StationaryBootstrap(
        n, block_length=block_length(n, run.rows.cell.horizon_days), seed=seed
    )
    shares = gain_shares(run)
    features = [
        _moved(name, _block(name, block_of), parts[name][keep], draws, shares.get(name))
        for name in names
    ]
    whole = [_moved(block, block, values, draws) for block, values in blocks.items()]
    return Importance(
        cell=run.rows.cell,
        days=n,
        features=tuple(sorted(features, key=lambda one: -one.mean)),
        blocks=tuple(sorted(whole, key=lambda one: -one.mean)),
    )


def contributions(run: CellRun, config: ModelConfig) -> dict[str, np.ndarray]:
    """Return what each feature added to the log-odds on each day of the path.

    As the drivers of a score, whose sum is the whole move but for the curvature of mixing.
    """
    rows, path = run.rows, run.path
    h = rows.cell.horizon_days
    at = np.searchsorted(rows.days, path.days)
    weight = {name: path.weight[:, i] for i, name in enumerate(path.names)}
    centre = centre_of(path.base_rate, h)
    ahead, behind = chance_of(centre + STEP, h), chance_of(centre - STEP, h)
    slope = (np.log(ahead / (1 - ahead)) - np.log(behind / (1 - behind))) / (2 * STEP)
    parts: dict[str, np.ndarray] = {}
    if rows.online is not None and "signals" in weight:
        scale = weight["signals"] * slope * spread_of(h)
        for place, name in enumerate(rows.online.names):
            parts[name] = scale * rows.online.parts[at, place]
        if config.signals is not None:
            moved = config.signals.drift_weight * (drift_centre(rows, at) - centre)
            # Before a drift is known the signals stand at the base rate: no move.
            known = np.where(np.isnan(moved), 0.0, moved)
            parts["(drift)"] = weight["signals"] * slope * known
    if rows.online is not None and config.rules is not None:
        asserted = config.rules.effect * rows.online.rule[at]
        parts["(rules)"] = weight["rules"] * slope * spread_of(h) * asserted
    for name, found in _of_classifiers(run, weight).items():
        parts[name] = parts.get(name, 0.0) + found
    if path.shift is not None:
        parts["(calibration)"] = path.shift
    return parts


def gain_shares(run: CellRun) -> dict[str, float]:
    """Return the share of each feature in the gain of LightGBM's splits at the last refit."""
    for expert in run.snapshots[-1].experts:
        if isinstance(expert.model, SmallBoosting):
            gains = [b.feature_importance("gain") for b in expert.model.boosters_]
            total = np.sum(gains, axis=0)
            if total.sum() > 0:
                return dict(zip(run.rows.names, (total / total.sum()).tolist(), strict=True))
    return {}


def _of_classifiers(run: CellRun, weight: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return feature -> (n,) what the classifiers that spoke on each day made of it."""
    rows, days = run.rows, run.path.days
    at = np.searchsorted(rows.days, days)
    whole = rows.complete()[at]
    total = np.zeros((len(days), len(rows.names)))
    begins = [snapshot.fit_as_of for snapshot in run.snapshots]
    for snapshot, until in zip(run.snapshots, [*begins[1:], None], strict=True):
        here = whole & (days >= snapshot.fit_as_of)
        if until is not None:
            here &= days < until
        if not here.any():
            continue
        for expert in snapshot.experts:
            found = expert.model.contributions(rows.features[at[here]])
            total[here] += weight[expert.name][here, None] * found
    return {name: total[:, place] for place, name in enumerate(rows.names)}


def _block(name: str, block_of: Mapping[str, str]) -> str:
    if name.startswith("("):
        return name
    return block_of.get(name, PRODUCTS)


def _moved(
    name: str,
    block: str,
    values: np.ndarray,
    draws: StationaryBootstrap,
    gain_share: float | None = None,
) -> Moved:
    size = np.abs(values)
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(draws.means(size[:, None])[:, 0], [tail, 1 - tail])
    return Moved(name, block, float(size.mean()), float(lower), float(upper), gain_share)
