"""Incremental value (claims C8, C12): what small caps add to liquidity, and liquidity to them.

Out of sample, by nested forecasts of volatility-standardised returns over 1, 5 and 20 days
(:mod:`training.study.nested`). Every feature of day d was available at T(d).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sources.errors import InsufficientHistoryError
from sources.market import Market
from training.significance import holm, superior_ability
from training.study.drivers import LARGE_RETURNS, Drivers, read_drivers, standardised_ahead
from training.study.nested import Increment, Outcomes, compare_nested, expanding_forecasts
from training.study.plain import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HORIZONS = (1, 5, 20)
OWN, LIQUIDITY, SMALL, LARGE = "own momentum", "liquidity", "small caps", "S&P 500"
QUESTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (SMALL, (OWN, LIQUIDITY)),
    (LIQUIDITY, (OWN, SMALL)),
    (SMALL, (OWN, LIQUIDITY, LARGE)),
    (SMALL, (OWN,)),
    (LIQUIDITY, (OWN,)),
    (OWN, ()),
)
"""What is added, and to what."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Question:
    """One block added to others.

    Attributes
    ----------
    added, given : names of the blocks.
    asset, horizon_days : of the returns that are forecast.
    increment : out of sample.
    p_corrected : Holm's, over all assets and horizons of the same question.
    """

    added: str
    given: tuple[str, ...]
    asset: str
    horizon_days: int
    increment: Increment
    p_corrected: float


@dataclass(frozen=True)
class Superior:
    """Hansen's test that no part of small caps, added alone or with the others, beats the rest.

    Attributes
    ----------
    p_value : that the best is so good by luck, all parts counted.
    best : the part with the greatest gain.
    tried : parts.
    """

    asset: str
    horizon_days: int
    p_value: float
    best: str
    tried: tuple[str, ...]


@dataclass(frozen=True)
class Incremental:
    """What was found.

    Attributes
    ----------
    questions : by question, asset and horizon.
    superior : by asset and horizon.
    blocks : name -> its parts.
    lacking : parts that the market cannot give.
    skipped : asset and horizon, and why there are too few outcomes.
    """

    questions: tuple[Question, ...]
    superior: tuple[Superior, ...]
    blocks: Mapping[str, tuple[str, ...]]
    lacking: Mapping[str, str]
    skipped: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; NaN is null."""
        return dict(plain(self))


def measure_increments(
    market: Market,
    assets: Sequence[str] = ("BTC", "ETH"),
    horizons: Sequence[int] = HORIZONS,
    *,
    drivers: Drivers | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Incremental:
    """Forecast with and without each block, and compare.

    Parameters
    ----------
    horizons : h, calendar days.
    drivers : :func:`training.study.drivers.read_drivers` of the market, where it is at hand.

    Raises
    ------
    DataUnavailableError
        Where none of the assets, or no small-cap price, is there.

    References
    ----------
    Hansen (2005), A test for superior predictive ability; and those of
    :mod:`training.study.nested`.
    """
    read = read_drivers(market, assets) if drivers is None else drivers
    asked: list[tuple[str, tuple[str, ...], str, int, Increment]] = []
    superior: list[Superior] = []
    skipped: dict[str, str] = {}
    for asset in read.assets:
        blocks = blocks_of(read, asset)
        every = np.column_stack([part for parts in blocks.values() for part in parts.values()])
        usable = np.isfinite(every).all(axis=1)
        for horizon in horizons:
            outcomes = outcomes_of(read, asset, horizon)
            made: dict[tuple[str, ...], np.ndarray] = {}
            try:
                for added, given in QUESTIONS:
                    if any(name not in blocks for name in (added, *given)):
                        continue
                    pair = [
                        forecast_with(blocks, names, outcomes, usable, made)
                        for names in (given, (*given, added))
                    ]
                    increment = compare_nested(outcomes.value, *pair, horizon_days=horizon)
                    asked.append((added, given, asset, horizon, increment))
            except InsufficientHistoryError as short:
                skipped[f"{asset}, {horizon} d"] = str(short)
                continue
            if LIQUIDITY in blocks:
                superior.append(_superior(asset, blocks, outcomes, usable, made, resamples, seed))
    return Incremental(
        questions=_corrected(asked),
        superior=tuple(superior),
        blocks={name: tuple(parts) for name, parts in blocks.items()},
        lacking=read.lacking,
        skipped=skipped,
    )


def blocks_of(read: Drivers, asset: str) -> dict[str, dict[str, np.ndarray]]:
    """Return block -> part -> (n, k) features of an asset; a block without parts is left out."""
    controls = dict(read.controls)
    large = {LARGE_RETURNS: controls.pop(LARGE_RETURNS)} if LARGE_RETURNS in controls else {}
    blocks = {
        OWN: {"own returns": read.own_each[:, read.assets.index(asset)]},
        LIQUIDITY: controls,
        SMALL: dict(read.small),
        LARGE: large,
    }
    return {name: parts for name, parts in blocks.items() if parts}


def outcomes_of(read: Drivers, asset: str, horizon_days: int) -> Outcomes:
    """Return standardised returns ahead, and the row from which each was known."""
    labels = read.dataset.labels(asset, horizon_days)
    first = read.days[0].to_datetime64().astype("datetime64[D]")
    return Outcomes(
        value=standardised_ahead(read.dataset, asset, horizon_days),
        known_on=(labels.known_on - first).astype("int64"),
        horizon_days=horizon_days,
    )


def forecast_with(
    blocks: Mapping[str, Mapping[str, np.ndarray]],
    names: Sequence[str],
    outcomes: Outcomes,
    usable: np.ndarray,
    made: dict[tuple[str, ...], np.ndarray] | None = None,
) -> np.ndarray:
    """Return (n,) forecasts from some blocks; ``made`` keeps those that were asked for before."""
    key = tuple(sorted(names))
    made = {} if made is None else made
    if key not in made:
        parts = [part for name in key for part in blocks[name].values()]
        features = np.column_stack([np.empty((len(usable), 0)), *parts])
        made[key] = expanding_forecasts(features, outcomes, usable)
    return made[key]


def _superior(
    asset: str,
    blocks: Mapping[str, Mapping[str, np.ndarray]],
    outcomes: Outcomes,
    usable: np.ndarray,
    made: dict[tuple[str, ...], np.ndarray],
    resamples: int,
    seed: int,
) -> Superior:
    base = forecast_with(blocks, (OWN, LIQUIDITY), outcomes, usable, made)
    tried = {SMALL: forecast_with(blocks, (OWN, LIQUIDITY, SMALL), outcomes, usable, made)}
    for name, part in blocks[SMALL].items():
        single = {**blocks, name: {name: part}}
        tried[name] = forecast_with(single, (OWN, LIQUIDITY, name), outcomes, usable, made)
    there = np.isfinite(outcomes.value) & np.isfinite(base)
    y = outcomes.value[there]
    losses = np.column_stack([(y - forecast[there]) ** 2 for forecast in tried.values()])
    found = superior_ability(
        (y - base[there]) ** 2,
        losses,
        block_length=float(max(2 * outcomes.horizon_days, round(len(y) ** (1 / 3)))),
        resamples=resamples,
        seed=seed,
    )
    return Superior(
        asset, outcomes.horizon_days, found.p_value, list(tried)[found.best], tuple(tried)
    )


def _corrected(
    asked: Sequence[tuple[str, tuple[str, ...], str, int, Increment]],
) -> tuple[Question, ...]:
    found: list[Question] = []
    for added, given in QUESTIONS:
        mine = [one for one in asked if one[:2] == (added, given)]
        p_values = holm([one[4].p_value for one in mine]) if mine else ()
        found += [
            Question(added, given, asset, horizon, increment, float(p))
            for (_, _, asset, horizon, increment), p in zip(mine, p_values, strict=True)
        ]
    return tuple(found)


def figure(result: Incremental) -> Figure:
    """Draw what each block adds out of sample, by asset and horizon, with intervals."""
    from training.study.incremental_figure import draw

    return draw(result)
