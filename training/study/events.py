"""The events of a claim, each on the day at whose end it could be known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from features.clock import DAY, point_in_time
from features.highs import DECAY_SESSIONS, first_after_quiet, is_all_time_high
from features.quotes import unsplit_price
from features.retests import resistance_turned_support
from sources.market import Market
from training.study.claims import Event


def find_events(market: Market, index: str, event: Event, days: pd.DatetimeIndex) -> np.ndarray:
    """List the days on which an event of an index became known.

    The event of session s is known at its close, so at T(s); where the row came late, on the
    first day at whose end it was there. What was restated afterwards changes no event: each
    day is judged by the prices known at its end.

    Parameters
    ----------
    market : with ``prices`` of the index.
    days : as-of days, consecutive; events outside are left out.

    Returns
    -------
    (n,) datetime64[D], ascending; none where the market lacks the index.
    """
    table = market.prices.get(index)
    if table is None or table.empty or len(days) == 0:
        return np.zeros(0, dtype="datetime64[D]")

    def build(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        price = unsplit_price(tables["index"])
        first = first_after_quiet(is_all_time_high(price), event.quiet_sessions)
        if event.kind == "retest":
            first = resistance_turned_support(price, first, DECAY_SESSIONS)["retest_held"]
        return first.to_frame("event")

    # A day before the first, so that an event known earlier is not taken for one of that day.
    begin = days[0] - pd.Timedelta(days=1)
    asked = pd.DatetimeIndex(np.concatenate([[begin.to_datetime64()], days.to_numpy()])).as_unit(
        "us"
    )
    flag, age = point_in_time(build, {"index": table}, asked)
    day = asked.to_numpy("datetime64[D]")
    row_date = day - np.where(np.isnan(age), 0, age).astype("int64") * DAY
    fresh = np.append(False, row_date[1:] != row_date[:-1])
    found: np.ndarray = day[fresh & (flag["event"].to_numpy() == 1) & ~np.isnan(age)]
    return found


def apart(days: np.ndarray, least_days: int) -> np.ndarray:
    """Keep the first of events that lie less than some days apart: what follows overlaps.

    Parameters
    ----------
    days : (n,) datetime64[D], ascending.

    Returns
    -------
    (m,) datetime64[D], each at least ``least_days`` after the one before.

    Examples
    --------
    >>> days = np.array(["2020-01-01", "2020-01-15", "2020-02-01"], dtype="datetime64[D]")
    >>> [str(day) for day in apart(days, 30)]
    ['2020-01-01', '2020-02-01']
    """
    kept: list[np.datetime64] = []
    for day in days:
        if not kept or (day - kept[-1]) >= least_days * DAY:
            kept.append(day)
    return np.array(kept, dtype="datetime64[D]")
