"""The constituents of a simulated market, and what their closes show to anyone who counts.

Each session's cross-section is made to show two figures exactly:

- *participation*: the share of symbols that rise is ``Phi(0.64 z + 0.02)`` to the nearest
  symbol, with z standard normal and correlated 0.6 with the index's shock;
- *dispersion*: the standard deviation of log returns across symbols is ``0.018 exp(0.35 x)``
  with x an AR(1) of unit variance.

So a driver made of z or x can be had back from ``closes.parquet``, and the truth conditions on
what the panel shows, not on something behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from sources.calendars import available_at_equity
from sources.market import Panel
from sources.simulated.equities import IndexPath
from sources.simulated.macro import unit_autoregression
from sources.simulated.noise import stream

DISPERSION_PERSISTENCE = 0.975
TILT, LEAN = 0.64, 0.02
"""Of the probit of the share that rises: a unit of z, and at z = 0."""
_INDEX_SHARE = 0.6
_SCALE, _SPREAD = 0.018, 0.35
_LISTING_SPAN = 2520
_MEMBER_BETA = (0.6, 1.4)


@dataclass(frozen=True)
class CrossSection:
    """What the constituents show, a row a session.

    Attributes
    ----------
    panel : their closes, or None.
    participation : (m,) float64, z as it can be read from the closes; standard normal but for
        the rounding to whole symbols. Without a panel as it would be with ever more symbols.
    dispersion : (m,) float64, x.
    """

    panel: Panel | None
    participation: np.ndarray
    dispersion: np.ndarray


def constituents(index: IndexPath, dates: pd.DatetimeIndex, count: int, seed: int) -> CrossSection:
    """Make the constituents' closes; one in five lists late, one in ten ends.

    Parameters
    ----------
    count : symbols ``C0000``...; 0 for no panel.
    """
    own = stream(seed, "participation").standard_normal(len(dates))
    tide = _INDEX_SHARE * index.shocks + np.sqrt(1 - _INDEX_SHARE**2) * own
    dispersion = unit_autoregression(
        stream(seed, "dispersion").standard_normal(len(dates)), DISPERSION_PERSISTENCE
    )
    if count == 0:
        return CrossSection(None, tide, dispersion)
    life = stream(seed, f"{count} listings")
    beta = life.uniform(*_MEMBER_BETA, count)
    first = np.where(life.random(count) < 0.2, life.integers(1, _LISTING_SPAN, count), 0)
    last = np.where(
        life.random(count) < 0.1, first + life.integers(250, _LISTING_SPAN, count), 10**9
    )
    row = np.arange(len(dates))[:, None]
    listed = (row >= first) & (row < last)
    noise = stream(seed, f"{count} constituents").standard_normal((len(dates), count))
    moves = beta * index.moves[:, None] + _SCALE * noise
    counted = listed & np.concatenate([np.zeros((1, count), dtype=bool), listed[:-1]])
    moves, shown = _arrange(moves, counted, _SCALE * np.exp(_SPREAD * dispersion), tide)
    moves = np.where(counted, moves, 0.0)
    closes = np.where(listed, np.exp(np.log(30.0) + np.cumsum(moves, axis=0)), np.nan)
    there = listed.any(axis=0)
    panel = Panel(
        dates=dates.to_numpy(),
        symbols=tuple(f"C{i:04d}" for i in np.flatnonzero(there)),
        closes=np.ascontiguousarray(closes[:, there]),
        available_at=available_at_equity(dates).tz_localize(None).to_numpy(),
    )
    return CrossSection(panel, shown, dispersion)


def _arrange(
    moves: np.ndarray, counted: np.ndarray, deviation: np.ndarray, tide: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give each session's moves a deviation, and shift them until the right share rises.

    Parameters
    ----------
    moves : (m, k) float64.
    counted : (m, k) bool, symbols with a close on the session and on the one before.
    deviation, tide : (m,) float64.

    Returns
    -------
    moves : (m, k) float64.
    shown : (m,) float64, the tide that the share of risers says; 0 where fewer than 4 count.
    """
    total = counted.sum(axis=1)
    enough = total >= 4
    size = np.maximum(total, 1)
    mean = np.where(counted, moves, 0.0).sum(axis=1) / size
    away = np.where(counted, moves - mean[:, None], 0.0)
    scale = np.sqrt((away**2).sum(axis=1) / size)
    away *= np.where(enough, deviation / np.where(enough, scale, 1.0), 1.0)[:, None]
    # At least one riser and one faller, so that the share has a probit.
    risers = np.clip(np.round(ndtr(TILT * tide + LEAN) * total), 1, np.maximum(total - 1, 1))
    falling = -np.sort(-np.where(counted, away, -np.inf), axis=1)
    place = np.minimum(risers.astype(np.int64), moves.shape[1] - 1)
    row = np.arange(len(moves))
    with np.errstate(invalid="ignore"):
        middle = (falling[row, place - 1] + falling[row, place]) / 2
    shift = np.where(enough, middle, 0.0)
    shown = (ndtri((risers + 0.0) / size.clip(2)) - LEAN) / TILT
    return away - shift[:, None], np.where(enough, shown, 0.0)
