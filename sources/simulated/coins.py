"""The crypto assets of a simulated market: their laws, listings and price tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sources.calendars import available_at_crypto
from sources.market import CRYPTO_UNIVERSE
from sources.simulated.equities import IndexPath, bars
from sources.simulated.noise import VolatilityRegime, legible_volume, stream
from sources.simulated.oracle import Law
from sources.simulated.timeline import Timeline

REGIME = VolatilityRegime()
"""Of crypto's daily shocks, shared by all assets."""
_COMMON_SHARE = 0.7
"""Correlation of two assets' shocks."""
_MISSING_SHARE = 1 / 200


@dataclass(frozen=True)
class Coin:
    """What tells one asset from another.

    Attributes
    ----------
    listed_day : of the market, from 0.
    first_price : USD, on that day.
    scale : standard deviation of a day's log return, about.
    mean_ratio : mean daily log return over ``scale``.
    loading_ratio : response to the driver over ``scale``, against BTC's.
    """

    listed_day: int
    first_price: float
    scale: float
    mean_ratio: float
    loading_ratio: float

    def law(self, loading: float) -> Law:
        """Return the law at a daily signal to noise of ``loading`` for BTC."""
        return Law(
            mean=self.mean_ratio * self.scale,
            loading=loading * self.loading_ratio * self.scale,
            scale=self.scale,
        )


def _others() -> dict[str, Coin]:
    """List the rest of the universe one after the other, a little different in all else."""
    return {
        symbol: Coin(420 + 60 * place, 1.0, 0.05 + 0.001 * place, 0.015, 0.90 + 0.05 * (place % 5))
        for place, symbol in enumerate(CRYPTO_UNIVERSE[2:])
    }


COINS: Mapping[str, Coin] = {
    "BTC": Coin(0, 100.0, 0.035, 0.020, 1.0),
    "ETH": Coin(300, 10.0, 0.045, 0.015, 1.05),
    **_others(),
}
"""Symbol -> asset, for the whole crypto universe."""


@dataclass(frozen=True)
class MarketNoise:
    """What all assets share, a row a day.

    Attributes
    ----------
    states : (n,) int64, volatility state, legible from each bar's volume.
    variance : (n,) float64 of the day's shock, jumps included.
    shocks : (n,) standard normal, the crypto market's.
    """

    states: np.ndarray
    variance: np.ndarray
    shocks: np.ndarray


def market_noise(days: int, seed: int) -> MarketNoise:
    """Draw what all assets share, before anything else moves with it."""
    states, variance = REGIME.simulate(days, stream(seed, "crypto volatility"))
    return MarketNoise(states, variance, stream(seed, "crypto").standard_normal(days))


def coupled(noise: MarketNoise, days: Timeline, index: IndexPath, coupling: float) -> MarketNoise:
    """Let the crypto market share the index's shocks on sessions, the only days there are any.

    Parameters
    ----------
    coupling : correlation of the two.
    """
    shocks = noise.shocks.copy()
    rows = days.sessions[: days.session_count]
    shocks[rows] = np.sqrt(1 - coupling**2) * shocks[rows] + coupling * index.shocks
    return replace(noise, shocks=shocks)


def coin_table(
    asset: str,
    law: Law,
    driver: np.ndarray,
    noise: MarketNoise,
    dates: pd.DatetimeIndex,
    *,
    seed: int,
    last_day: int | None = None,
    gaps: bool = False,
) -> pd.DataFrame:
    """Make an asset's price table, from the day it lists at its first price.

    Parameters
    ----------
    driver : (n,) float64; row d acts on the return from the close of d to that of d+1.
    dates : (n,) all days of the market.
    last_day : of the market, from 0, on which the asset has a bar; None where it goes on.
    gaps : leave out about one bar in 200, never the first.
    """
    coin = COINS[asset]
    own = stream(seed, f"crypto {asset}").standard_normal(len(dates))
    mixed = np.sqrt(_COMMON_SHARE) * noise.shocks + np.sqrt(1 - _COMMON_SHARE) * own
    moves = law.mean + law.scale * np.sqrt(noise.variance) * mixed
    moves[1:] += law.loading * driver[:-1]
    moves = moves[coin.listed_day :]
    moves[0] = 0.0
    # Crypto never closes, so that a bar opens where the last one ended: no gap.
    table = bars(
        np.log(coin.first_price) + np.cumsum(moves),
        gap_share=0.0,
        wick=0.3 * coin.scale,
        rng=stream(seed, f"bars {asset}"),
    )
    listed = dates[coin.listed_day :]
    volume = stream(seed, f"volume {asset}")
    table["adj_close"] = np.nan
    table["volume"] = legible_volume(noise.states[coin.listed_day :], 1e9, volume)
    table.insert(0, "date", listed)
    table["available_at"] = available_at_crypto(listed)
    lost = gaps & (stream(seed, f"missing {asset}").random(len(dates)) < _MISSING_SHARE)
    lost = lost[coin.listed_day :]
    lost[0] = False
    if last_day is not None:
        lost[last_day - coin.listed_day + 1 :] = True
    return table[~lost].reset_index(drop=True)
