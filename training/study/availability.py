"""The availability curve: skill of each feature against the delay with which it is assumed known.

LOOK-AHEAD ON PURPOSE. At a delay of -1 or -2 days a feature of tomorrow, or of the day after,
is laid beside today's forecast. Nothing of this module goes into a forecaster: it asks where in
time a feature stops to foretell. What a session tells of the same day's crypto is plain at
delay -1 and gone at 0, as it should be. A feature whose clock is wrong by a day says at delay 0
what it should say at -1, and nothing at +1: a cliff on the side of the past. A real signal is
slow, and fades over days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from features import Dataset, FeatureConfig, build_dataset
from sources.errors import InsufficientHistoryError
from sources.market import Market
from training.bootstrap import StationaryBootstrap
from training.study.drivers import standardised_ahead
from training.study.plain import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DELAYS = (-2, -1, 0, 1, 2, 3, 4, 5)
FEATURES = (
    "small_return_1s", "small_scaled_5s", "small_scaled_20s", "large_scaled_5s",
    "relative_scaled_20s", "nearness_log_52w", "high_decay_10s", "flow_1s", "flow_pressure_5s",
    "flow_pressure_20s", "breadth_above_50s", "breadth_net_highs_10s", "credit_scaled_5s",
    "credit_pressure_10s", "liquidity_scaled_1w", "rate_scaled_20s", "vix_change_20s",
    "own_scaled_5d", "own_scaled_20d",
)  # fmt: skip
"""One or two of each group."""
BLOCK_DAYS = 10.0
RESAMPLES = 1000
LEAST_DAYS = 500
LEAST_DROP = 0.04
"""Correlation with a day's return, news against yesterday's news, below which no drop is a cliff:
0.045 is what careful large studies reach, by slow signals, which do not drop."""
LEVEL = 0.01
LEAST_DEVIATION = 1e-12


@dataclass(frozen=True)
class Curve:
    """One feature's skill at each assumed delay.

    Attributes
    ----------
    feature, asset : what foretells what.
    skill : (d,) correlation of the feature, as of d - delay, with the standardised return from
        T(d) to T(d + 1).
    lower, upper : (d,) pointwise 90 % band.
    news : (d,) likewise of the feature's news of the day (what its own last value does not
        explain), which a slow feature's level hides.
    drop : of the news' absolute correlation from delay 0 to 1.
    p_value : that the largest drop of all features is as large by luck (sup-type).
    cliff : whether the clock is to be looked at; see :func:`measure_availability`.
    n : days.
    """

    feature: str
    asset: str
    skill: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    news: np.ndarray
    drop: float
    p_value: float
    cliff: bool
    n: int


@dataclass(frozen=True)
class Availability:
    """What was found.

    Attributes
    ----------
    delays : (d,) days; below 0 the future is looked at, on purpose.
    curves : by asset and feature.
    cliffs : asset and feature of which the clock is to be looked at.
    """

    delays: tuple[int, ...]
    curves: tuple[Curve, ...]
    cliffs: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; NaN is null."""
        return dict(plain(self))


def measure_availability(
    market: Market,
    assets: Sequence[str] = ("BTC",),
    *,
    features: Sequence[str] = FEATURES,
    resamples: int = RESAMPLES,
    seed: int = 0,
    dataset: Dataset | None = None,
) -> Availability:
    """Measure each feature's skill at delays of -2 to 5 days, and look for cliffs.

    A *cliff*: the news of a feature, at delay 0, correlate with the next day's return by at
    least 0.04 more than at delay 1, at 1 % over all features and assets together, and by at
    least half of what they do at delays -1 or -2. The last condition is that of a curve moved
    as a whole: a feature in order has its peak, if any, on the far side of 0.

    Parameters
    ----------
    features : of the registry; those that the market cannot give are left out.
    dataset : with these features, where it is at hand, or one that is under suspicion.

    Raises
    ------
    InsufficientHistoryError
        For fewer than 500 days with a feature and a return.
    """
    if dataset is None:
        there = [asset for asset in assets if asset in market.crypto]
        dataset = build_dataset(market, there, FeatureConfig(blocks=(), include=tuple(features)))
    curves: list[tuple[str, str, np.ndarray, np.ndarray, int]] = []
    for at, asset in enumerate(dataset.assets):
        target = standardised_ahead(dataset, asset, 1)
        for name in features:
            if name not in dataset.names:
                continue
            level = dataset.values[:, at, dataset.names.index(name)]
            skill, moved, n = _curve(level, target, resamples, seed)
            if n < LEAST_DAYS:
                continue
            curves.append((name, asset, skill, moved, n))
    if not curves:
        raise InsufficientHistoryError(
            "availability curve: days with a feature and a return", needed=LEAST_DAYS, found=0,
            unit="days",
        )  # fmt: skip
    found = _judged(curves)
    cliffs = tuple(f"{one.asset}: {one.feature}" for one in found if one.cliff)
    return Availability(DELAYS, found, cliffs)


def _curve(
    level: np.ndarray, target: np.ndarray, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return (2, d) correlations of level and news, their (resamples, 2, d) moves, and days."""
    n = len(level)
    news = _news(level)
    rows = np.arange(n)
    columns = []
    for values in (level, news):
        for delay in DELAYS:
            at = rows - delay
            inside = (at >= 0) & (at < n)
            columns.append(np.where(inside, values[np.clip(at, 0, n - 1)], np.nan))
    beside = np.column_stack(columns)
    there = np.isfinite(target) & np.isfinite(beside).all(axis=1)
    days = int(there.sum())
    shape = (2, len(DELAYS))
    if days < LEAST_DAYS:
        return np.full(shape, np.nan), np.zeros((resamples, *shape)), days
    x, y = _unit(beside[there]), _unit(target[there, None])
    correlation = (x * y).mean(axis=0)
    influence = x * y - correlation * (x**2 + y**2) / 2
    draws = StationaryBootstrap(days, block_length=BLOCK_DAYS, resamples=resamples, seed=seed)
    return correlation.reshape(shape), draws.means(influence).reshape(-1, *shape), days


def _news(level: np.ndarray) -> np.ndarray:
    """Return (n,) what the last value does not explain; 0 on days on which nothing came."""
    before = np.concatenate([[np.nan], level[:-1]])
    both = np.isfinite(level) & np.isfinite(before) & (level != before)
    if both.sum() < LEAST_DAYS / 4:
        return np.full(len(level), np.nan)
    x, y = before[both], level[both]
    slope = float((x - x.mean()) @ (y - y.mean()) / max(x.var() * len(x), LEAST_DEVIATION))
    rest = level - y.mean() - slope * (before - x.mean())
    still = level == before
    news: np.ndarray = np.where(still, 0.0, rest)
    return news


def _unit(columns: np.ndarray) -> np.ndarray:
    unit: np.ndarray = (columns - columns.mean(axis=0)) / np.maximum(
        columns.std(axis=0), LEAST_DEVIATION
    )
    return unit


def _judged(
    curves: Sequence[tuple[str, str, np.ndarray, np.ndarray, int]],
) -> tuple[Curve, ...]:
    now, later = DELAYS.index(0), DELAYS.index(1)
    drops, students, nulls = [], [], []
    for _, _, skill, moved, _ in curves:
        news, drawn = np.abs(skill[1]), moved[:, 1]
        # The drop of absolute values under no relation: the moves alone, about nothing.
        noise = np.abs(drawn[:, now]) - np.abs(drawn[:, later])
        error = max(float((drawn[:, now] - drawn[:, later]).std()), LEAST_DEVIATION)
        drops.append(float(news[now] - news[later]))
        students.append(drops[-1] / error)
        nulls.append(noise / error)
    largest = np.max(np.stack(nulls), axis=0)
    found = []
    for (name, asset, skill, moved, n), drop, student in zip(curves, drops, students, strict=True):
        p_value = float((1 + (largest >= student).sum()) / (1 + len(largest)))
        ahead = float(np.abs(skill[1, :now]).max())
        low, high = np.quantile(moved[:, 0], (0.05, 0.95), axis=0)
        found.append(
            Curve(
                feature=name,
                asset=asset,
                skill=skill[0],
                lower=skill[0] - high,
                upper=skill[0] - low,
                news=skill[1],
                drop=drop,
                p_value=p_value,
                cliff=drop >= LEAST_DROP
                and p_value <= LEVEL
                and abs(float(skill[1, now])) >= ahead / 2,
                n=n,
            )
        )
    return tuple(found)


def figure(result: Availability) -> Figure:
    """Draw each feature's curve, the side that looks ahead shaded."""
    from training.study.availability_figure import draw

    return draw(result)
