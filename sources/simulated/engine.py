"""Simulate a market of which the truth is known, and write it as a market directory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sources.errors import InsufficientHistoryError, UnknownNameError
from sources.files import write_market
from sources.market import CRYPTO_UNIVERSE, Market
from sources.simulated.coins import COINS, REGIME, coin_table, coupled, market_noise
from sources.simulated.equities import FUND, flow_table, price_tables
from sources.simulated.known import publish
from sources.simulated.macro import macro_tables
from sources.simulated.oracle import rise_probability
from sources.simulated.timeline import timeline
from sources.simulated.worlds import find_world

_YEAR_DAYS = 365.2425


@dataclass(frozen=True)
class Simulated:
    """A market and its truth.

    Attributes
    ----------
    market : as :func:`sources.read_market` would return it.
    truth : frame ``date,asset,horizon,p_star,threshold``, by date, asset and horizon; p_star is
        P(close[date+horizon] / close[date] - 1 > threshold) given everything knowable at
        T(date). It begins with the first session, or with the asset's listing, and includes
        the last days, whose outcome is not there.
    world, seed, strength : what made it.
    """

    market: Market
    truth: pd.DataFrame
    world: str
    seed: int
    strength: float


def simulate_market(
    world: str,
    *,
    seed: int,
    start: str = "2013-01-01",
    years: float = 12.0,
    assets: Sequence[str] = ("BTC", "ETH"),
    horizons: Sequence[int] = (1, 5, 20),
    thresholds: Sequence[float] = (0.0,),
    constituent_count: int = 200,
    strength: float = 1.0,
    missing_bars: bool = True,
    crypto_gaps: bool = False,
    ends: Mapping[str, str] | None = None,
    turn_years: float = 6.0,
) -> Simulated:
    """Simulate a market and the true probability of every day, asset, horizon and threshold.

    The same arguments give the same bytes. More years, other assets, horizons or thresholds
    leave every number alone that was there without them.

    Parameters
    ----------
    world : a name in WORLDS, or several that have nothing in common, as ``flow+high``.
    seed : of all randomness, 0 or more.
    start : first day, ISO; equities and flows begin on it or on the session after it.
    years : length; the default ends on 2024-12-31.
    assets : of the crypto universe; ETH lists 300 days after BTC, others later.
    horizons : h, calendar days.
    thresholds : fractional returns.
    constituent_count : symbols of the panel; 0 for none, which leaves nobody to read the
        drivers of the breadth worlds, whose truth is then that of ever more symbols.
    strength : multiplies the world's loading; what is attainable at 1 is in the worlds' tests.
    missing_bars : leave out a few rows of equities, never of the index or HYG.
    crypto_gaps : leave out one crypto bar in 200, with its row of the truth.
    ends : asset -> ISO date of its last bar, for listings that end.
    turn_years : from the start to where the relation of a ``break`` world ends or turns.

    Raises
    ------
    UnknownNameError
        For a world or an asset that does not exist.
    InsufficientHistoryError
        Where the market ends before its first session, or an asset before it lists.
    ValueError
        For a horizon below 1, a threshold of -1 or less, a negative seed, worlds that cannot
        be added, or days beyond the session calendar, which ends a year from now.

    Notes
    -----
    The truth conditions on the volatility state, which is knowable: each bar's volume tells it
    (:func:`sources.simulated.noise.legible_volume`). It foretells next to nothing, because the
    mean is small: below 0.06 thousandths of a nat in ``null``. In worlds whose driver is made
    of the index crypto does not move with equities on the same day: their truth would not be
    known otherwise. The oracle of a ``break`` world knows the day on which it breaks.
    """
    law = find_world(world)
    _check(assets, horizons, thresholds)
    days = timeline(start, years, ahead=max(horizons) + 1)
    dates, sessions = pd.DatetimeIndex(days.dates[: days.days]), days.session_dates
    if days.session_count == 0:
        raise InsufficientHistoryError("simulated market", needed=1, found=0, unit="sessions")
    last = _last_days(assets, dates, ends or {})
    own = market_noise(days.days, seed)
    known = publish(
        days,
        seed,
        constituent_count=constituent_count,
        turn=round(turn_years * _YEAR_DAYS),
        lead=law.lead,
        crypto_shocks=own.shocks,
    )
    driver = law.driver(known)
    noise = coupled(own, days, known.index, law.coupling)
    laws = {asset: COINS[asset].law(strength * law.loading) for asset in assets}

    prices = price_tables(known.index, sessions, seed, missing_bars=missing_bars)
    path = driver.path()
    for asset in assets:
        prices[asset] = coin_table(
            asset, laws[asset], path, noise, dates, seed=seed, last_day=last[asset],
            gaps=crypto_gaps,
        )  # fmt: skip
    market = Market(
        prices=prices,
        flows={FUND: flow_table(known.flows, known.index, sessions)},
        macro=macro_tables(dates, sessions, known.index.states, seed, liquidity=known.liquidity),
        panel=known.section.panel,
        crypto=tuple(symbol for symbol in CRYPTO_UNIVERSE if symbol in assets),
        name=f"simulated {world}, seed {seed}",
    )
    if law.trap is not None:
        market = law.trap(market, dates.to_numpy(), np.sqrt(noise.variance) * noise.shocks)

    pieces = []
    for horizon in horizons:
        ahead = driver.ahead(horizon)
        for threshold in thresholds:
            for asset in assets:
                piece = pd.DataFrame({"date": dates, "asset": asset, "horizon": horizon})
                piece["p_star"] = rise_probability(
                    ahead, laws[asset], REGIME, noise.states, horizon, threshold=threshold
                )
                piece["threshold"] = float(threshold)
                there = piece["date"].isin(prices[asset]["date"])
                pieces.append(piece[there & (piece["date"] >= sessions[0])])
    truth = pd.concat(pieces).sort_values(["date", "asset", "horizon", "threshold"])
    return Simulated(market, truth.reset_index(drop=True), world, seed, strength)


def write_simulated(simulated: Simulated, directory: str | Path) -> None:
    """Write a market directory, and ``truth.csv`` in it beside ``prices/``.

    Parameters
    ----------
    simulated : what to write; ``truth.csv`` has the columns ``date,asset,horizon,p_star``, and
        ``threshold`` where any differs from 0.
    directory : made where it does not exist.

    Raises
    ------
    OSError
        Where it cannot be written; no half-written file is left under a final name.
    """
    write_market(simulated.market, directory)
    truth = simulated.truth
    if (truth["threshold"] == 0).all():
        truth = truth.drop(columns="threshold")
    target = Path(directory) / "truth.csv"
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        truth.to_csv(temporary, index=False, date_format="%Y-%m-%d", lineterminator="\n")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _check(assets: Sequence[str], horizons: Sequence[int], thresholds: Sequence[float]) -> None:
    for asset in assets:
        if asset not in COINS:
            raise UnknownNameError("asset", asset, list(COINS))
    if min(horizons) < 1 or min(thresholds) <= -1:
        msg = f"needed horizons from 1 and thresholds above -1; found {horizons}, {thresholds}"
        raise ValueError(msg)


def _last_days(
    assets: Sequence[str], dates: pd.DatetimeIndex, ends: Mapping[str, str]
) -> dict[str, int]:
    """Return by asset the last day of the market on which it has a bar."""
    last = {}
    for asset in assets:
        end = pd.Timestamp(ends[asset]) if asset in ends else dates[-1]
        found = int(dates.searchsorted(end, side="right"))
        needed = COINS[asset].listed_day + 1
        if found < needed:
            raise InsufficientHistoryError(f"simulated {asset}", needed=needed, found=found)
        last[asset] = found - 1
    return last
