"""Lead and lag (claims C9, C10): how returns of small caps and of crypto go together, at every lag.

Lags count calendar days from a session. A positive lag is crypto after small caps: the bar of
day d + k beside the session of d, close to close, which is over by then. A negative lag is
crypto before: the bar of d - k beside the session from open to close, which begins after it.
At 0 the two share the day. So no lag but 0 has an hour on both sides, whatever the season and
the weekend; correlated by date, close to close, crypto would seem to lead by a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sources.errors import InsufficientHistoryError
from sources.market import Market
from training.bootstrap import StationaryBootstrap
from training.study.plain import plain
from training.study.profiles import (
    BLOCK_SESSIONS,
    BLOCK_WEEKS,
    LAGS,
    WEEKLY_LAGS,
    WEEKLY_WINDOWS,
    WINDOWS,
    Pairs,
    Profile,
    correlations,
    daily_pairs,
    profile_of,
    sum_of,
    sums_over,
    weekly_pairs,
)
from training.study.regimes import regimes_of
from training.study.rolling import Rolling, link_of, rolling_of, together
from training.study.sessions import Sessions, read_sessions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESAMPLES = 2000


@dataclass(frozen=True)
class RegimeLink:
    """How an asset goes with small caps in one regime.

    Attributes
    ----------
    regime, side : such as ``period`` and ``since 2020``.
    same : correlation of the same session, with its 90 % interval.
    follows, leads : sum of correlations over 5 days after, and before, with their intervals.
    beta : of crypto from session to session on small caps from close to close.
    n : sessions.
    """

    asset: str
    regime: str
    side: str
    same: tuple[float, float, float]
    follows: tuple[float, float, float]
    leads: tuple[float, float, float]
    beta: tuple[float, float, float]
    n: int


@dataclass(frozen=True)
class LeadLag:
    """What was found.

    Attributes
    ----------
    symbols : small caps' closes and opens were read from these.
    profiles : by asset, daily and weekly.
    rolling : by asset.
    regimes : by asset and regime.
    """

    symbols: tuple[str, str]
    profiles: tuple[Profile, ...]
    rolling: tuple[Rolling, ...]
    regimes: tuple[RegimeLink, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; NaN is null."""
        return dict(plain(self))


def measure_lead_lag(
    market: Market,
    assets: Sequence[str] = ("BTC", "ETH"),
    *,
    index: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> LeadLag:
    """Measure correlations at all lags, by day and by week, over time and by regime.

    Returns are over the deviation of those before them (half-life 60) and cut at 5, so that one
    crash does not decide a decade; the last vintage of each. Nothing is forecast.

    Parameters
    ----------
    index : whose closes; the first there is of RUT, IWM, IJR and IWN by default.

    Raises
    ------
    DataUnavailableError
        Where no small-cap price, or none of the assets, is there.
    InsufficientHistoryError
        For fewer than 120 sessions that both have.

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap; Romano and Wolf (2005), Exact and
    approximate stepdown methods for multiple hypothesis testing.
    """
    sessions = read_sessions(market, assets, index=index)
    profiles, rolling, links = [], [], []
    for asset in sessions.crypto:
        pairs = daily_pairs(sessions, asset)
        links += _by_regime(market, sessions, asset, pairs, resamples, seed)
        daily = profile_of(asset, "day", LAGS, pairs, BLOCK_SESSIONS, WINDOWS, resamples, seed)
        weeks = weekly_pairs(sessions, asset)
        profiles += [
            daily,
            profile_of(
                asset, "week", WEEKLY_LAGS, weeks, BLOCK_WEEKS, WEEKLY_WINDOWS, resamples, seed
            ),
        ]
        rolling.append(rolling_of(sessions, asset))
    return LeadLag(sessions.symbols, tuple(profiles), tuple(rolling), tuple(links))


def _by_regime(
    market: Market, sessions: Sessions, asset: str, pairs: Pairs, resamples: int, seed: int
) -> list[RegimeLink]:
    lags = [lag for lag in LAGS if -5 <= lag <= 5]
    kept = [LAGS.index(lag) for lag in lags]
    small, own = together(sessions, asset)
    sums = {
        key: weights for key, weights in sums_over(lags, (5,)).items() if key[0] != "difference"
    }
    same = (np.array(lags) == 0).astype("float64")
    found = []
    for regime in regimes_of(market, sessions.dates):
        for side, rows in regime.sides.items():
            mine = (pairs[0][rows], pairs[1][rows], pairs[2][rows][:, kept])
            try:
                correlation, influence = correlations(lags, mine)
            except InsufficientHistoryError:
                continue
            draws = StationaryBootstrap(
                len(influence), block_length=BLOCK_SESSIONS, resamples=resamples, seed=seed
            )
            moved = draws.means(influence)
            both = rows & np.isfinite(small) & np.isfinite(own)
            link = link_of(small[both], own[both])
            figures = [
                sum_of(correlation, moved, weights)
                for weights in (
                    same,
                    sums["crypto follows", 5],
                    sums["crypto leads", 5],
                )
            ]
            found.append(
                RegimeLink(
                    asset=asset,
                    regime=regime.name,
                    side=side,
                    same=figures[0],
                    follows=figures[1],
                    leads=figures[2],
                    beta=(link[3], link[4], link[5]),
                    n=len(influence),
                )
            )
    return found


def figure(result: LeadLag) -> Figure:
    """Draw the profile, the rolling correlation and the regimes of the first asset."""
    from training.study.leadlag_figure import draw

    return draw(result)
