"""The highs of an index by date, for a person to check against the calendar."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.highs import LEAST_HISTORY, first_after_quiet, is_all_time_high, sessions_since
from features.quotes import unsplit_price
from sources.errors import UnknownNameError
from sources.market import Market, known_at

CLUSTER_SESSIONS = 252
"""A cluster of highs is over after a year without one."""


def all_time_highs(
    market: Market,
    index: str,
    *,
    as_of: pd.Timestamp | None = None,
    cluster_sessions: int = CLUSTER_SESSIONS,
) -> pd.DataFrame:
    """List the all-time highs of an index, on the price.

    The feed's first 252 rows are no highs: see :mod:`features.highs`.

    Parameters
    ----------
    market : with ``prices`` of the index.
    index : symbol, for instance ``RUT``.
    as_of : instant, UTC, at which the prices are taken; all of them by default.
    cluster_sessions : sessions without a high that end a cluster.

    Returns
    -------
    frame with ``date``, ``close``, ``previous_high`` (the closing high that it
    exceeds), ``sessions_since_previous`` (since the last flagged high; NaN for the
    first) and ``first_of_cluster`` (bool).

    Raises
    ------
    UnknownNameError
        For a symbol without prices; lists those there are.
    """
    if index not in market.prices:
        raise UnknownNameError("index", index, sorted(market.prices))
    table = market.prices[index]
    instant = table["available_at"].max() if as_of is None else as_of
    known = known_at(table, instant).set_index("date")
    price = unsplit_price(known)
    flag = is_all_time_high(price)
    high = (flag == 1).to_numpy()
    return pd.DataFrame(
        {
            "date": price.index[high],
            "close": price.to_numpy()[high],
            "previous_high": price.cummax().shift(1).ffill().to_numpy()[high],
            "sessions_since_previous": (sessions_since(flag).shift(1) + 1).to_numpy()[high],
            "first_of_cluster": (first_after_quiet(flag, cluster_sessions) == 1).to_numpy()[high],
        }
    )


def closest_approach(market: Market, index: str, since: pd.Timestamp) -> tuple[pd.Timestamp, float]:
    """Return the later day whose close came nearest to the all-time high, and how near.

    Returns
    -------
    day, and close / highest earlier close.
    """
    table = market.prices[index]
    known = known_at(table, table["available_at"].max()).set_index("date")
    price = unsplit_price(known)
    nearness = (price / price.cummax().shift(1))[price.index > since]
    best = int(np.nanargmax(nearness.to_numpy()))
    return pd.DatetimeIndex(nearness.index)[best], float(nearness.iloc[best])


__all__ = ["CLUSTER_SESSIONS", "LEAST_HISTORY", "all_time_highs", "closest_approach"]
