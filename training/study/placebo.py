"""Placebos (claims C8, C12): would any series that looks like the Russell have helped as much.

The small-cap features are rebuilt from copies of its returns that cannot know anything of
crypto: phase-randomised ones, and circularly shifted ones, which keep all but the moment. The
real series takes its place among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from features import windows
from features.clock import first_day_known, utc
from features.highs import is_all_time_high, sessions_since
from features.quotes import steps
from sources.errors import DataUnavailableError, InsufficientHistoryError
from sources.market import Market
from training.study.drivers import Drivers, pressures_of, read_drivers
from training.study.incremental import (
    HORIZONS,
    LIQUIDITY,
    OWN,
    blocks_of,
    forecast_with,
    outcomes_of,
)
from training.study.nested import Outcomes, compare_nested, expanding_forecasts
from training.study.plain import plain
from training.study.sessions import CLOSED, latest
from training.study.surrogates import phase_randomised, time_shifted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COPIES = 199
YEAR = 252
DECAY_SESSIONS = 20.0


@dataclass(frozen=True)
class PlaceboRank:
    """The real series among its copies.

    Attributes
    ----------
    asset, horizon_days : of the returns that are forecast.
    kind : of the copies.
    real : Clark and West's statistic of what the real series adds to liquidity and own momentum.
    r2 : share of squared error that it saves out of sample.
    copies : (k,) the statistic of each copy, in the order drawn.
    p_value : (1 + copies as good) / (1 + copies).
    """

    asset: str
    horizon_days: int
    kind: str
    real: float
    r2: float
    copies: np.ndarray
    p_value: float


@dataclass(frozen=True)
class Placebo:
    """What was found.

    Attributes
    ----------
    symbol : whose returns were copied.
    ranks : by asset, horizon and kind.
    skipped : asset and horizon, and why there are too few outcomes.
    seed : of the copies.
    """

    symbol: str
    ranks: tuple[PlaceboRank, ...]
    skipped: Mapping[str, str]
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; NaN is null."""
        return dict(plain(self))


def rank_placebos(
    market: Market,
    assets: Sequence[str] = ("BTC", "ETH"),
    horizons: Sequence[int] = HORIZONS,
    *,
    copies: int = COPIES,
    drivers: Drivers | None = None,
    seed: int = 0,
) -> Placebo:
    """Rank what the Russell's returns and highs add among what copies of them add.

    Both the real series and its copies go the same way: session returns, their decayed means,
    the age of the last high and the distance to the year's, each known from the day on which
    the session was. All horizons and assets see the same copies.

    Parameters
    ----------
    copies : of each kind.
    drivers : :func:`training.study.drivers.read_drivers` of the market, where it is at hand.

    Raises
    ------
    DataUnavailableError
        Where none of the assets, or no small-cap price, is there.
    """
    read = read_drivers(market, assets) if drivers is None else drivers
    symbol, returns, known = _returns(market)
    place = np.searchsorted(known, read.days.to_numpy("datetime64[D]"), side="right") - 1
    generator = np.random.default_rng(seed)
    drawn = {
        "phase-randomised": [phase_randomised(returns, generator) for _ in range(copies)],
        "time-shifted": [time_shifted(returns, generator, YEAR) for _ in range(copies)],
    }
    real = price_features(returns)
    built = {kind: [price_features(one) for one in ones] for kind, ones in drawn.items()}
    ranks: list[PlaceboRank] = []
    skipped: dict[str, str] = {}
    for asset in read.assets:
        blocks = blocks_of(read, asset)
        given = tuple(name for name in (OWN, LIQUIDITY) if name in blocks)
        parts = [part for name in given for part in blocks[name].values()]
        base = np.column_stack([*parts, np.empty((len(read.days), 0))])
        usable = np.isfinite(base).all(axis=1) & np.isfinite(_taken(real, place)).all(axis=1)
        for horizon in horizons:
            outcomes = outcomes_of(read, asset, horizon)
            without = forecast_with(blocks, given, outcomes, usable)
            try:
                statistic, r2 = _added(base, _taken(real, place), without, outcomes, usable)
            except InsufficientHistoryError as short:
                skipped[f"{asset}, {horizon} d"] = str(short)
                continue
            for kind, ones in built.items():
                found = np.array(
                    [_added(base, _taken(one, place), without, outcomes, usable)[0] for one in ones]
                )
                as_good = int((found >= statistic).sum())
                p_value = (1 + as_good) / (1 + len(found))
                ranks.append(
                    PlaceboRank(asset, horizon, kind, statistic, r2, found, float(p_value))
                )
    return Placebo(symbol, tuple(ranks), skipped, seed)


def price_features(returns: np.ndarray) -> np.ndarray:
    """Return (m, 5) of session log returns: last, decayed by 10 and 40, age of high, distance.

    Row s reads returns up to s. The first 252 rows are NaN, as their highs are no highs.
    """
    step = pd.Series(returns)
    price = pd.Series(np.exp(np.cumsum(returns)))
    flag = is_all_time_high(price)
    since = sessions_since(flag)
    fresh = np.exp(-since / DECAY_SESSIONS).where(since.notna(), 0.0).where(flag.notna())
    level = windows.logarithm(price)
    near = level - windows.highest(level, YEAR)
    columns = [pressures_of(step), fresh, near]
    return np.column_stack([column.to_numpy("float64") for column in columns])


def _returns(market: Market) -> tuple[str, np.ndarray, np.ndarray]:
    """Return the index, its session returns, and the as-of day from which each was known."""
    for symbol in CLOSED:
        if symbol in market.prices:
            table = latest(market.prices[symbol])
            step = steps(table)
            there = step.notna().to_numpy()
            known = first_day_known(utc(table["available_at"]))[there]
            return symbol, step.to_numpy("float64")[there], np.maximum.accumulate(known)
    raise DataUnavailableError(
        f"{market.name}: placebos needed prices/{' or '.join(CLOSED)}.csv; found "
        f"{', '.join(sorted(market.prices))}",
        source="prices",
    )


def _taken(features: np.ndarray, place: np.ndarray) -> np.ndarray:
    rows: np.ndarray = np.where((place >= 0)[:, None], features[place], np.nan)
    return rows


def _added(
    base: np.ndarray,
    small: np.ndarray,
    without: np.ndarray,
    outcomes: Outcomes,
    usable: np.ndarray,
) -> tuple[float, float]:
    with_it = expanding_forecasts(np.column_stack([base, small]), outcomes, usable)
    increment = compare_nested(outcomes.value, without, with_it, horizon_days=outcomes.horizon_days)
    return increment.statistic, increment.r2


def figure(result: Placebo) -> Figure:
    """Draw the copies' statistics as histograms, and where the real series stands."""
    from training.study.placebo_figure import draw

    return draw(result)
