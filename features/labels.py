"""Labels: did the asset rise above the threshold, and from when on could one know it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.clock import DAY, first_day_known, instants_of, utc

NEVER = np.datetime64("9999-12-31", "D")


@dataclass(frozen=True)
class Labels:
    """Outcomes of one asset over one horizon, a row an as-of day.

    Attributes
    ----------
    outcome : (n,) float64, 1 above the threshold, 0 not, NaN where there is no label.
    forward_return : (n,) float64, ``close[d+h] / close[d] - 1``.
    label_end : (n,) datetime64[D], d + h.
    known_on : (n,) datetime64[D], first as-of day at which both closes are known:
        ``label_end`` unless a bar came late. 9999-12-31 where there is no label.
    """

    outcome: np.ndarray
    forward_return: np.ndarray
    label_end: np.ndarray
    known_on: np.ndarray


def first_known_close(prices: pd.DataFrame, days: pd.DatetimeIndex) -> np.ndarray:
    """Return the first as-of day at which the close of each day was known, NEVER if none."""
    first = prices[~prices["date"].duplicated(keep="first")]
    known = pd.Series(first_day_known(utc(first["available_at"])), first["date"].to_numpy())
    known = known.reindex(days)
    day: np.ndarray = known.to_numpy("datetime64[D]")
    return np.where(np.isnat(day), NEVER, np.maximum(day, days.to_numpy("datetime64[D]")))


def close_as_known(prices: pd.DataFrame, dates: np.ndarray, as_of: np.ndarray) -> np.ndarray:
    """Return the close of each date as it was known at T of another day.

    Parameters
    ----------
    dates, as_of : (n,) datetime64[D].

    Returns
    -------
    (n,) float64, NaN where it was not known.
    """
    close = prices["close"].where(prices["close"].notna(), prices["adj_close"])
    have = pd.DataFrame(
        {"date": prices["date"], "at": utc(prices["available_at"]), "close": close}
    ).sort_values("at", kind="stable")
    asked = pd.DataFrame(
        {
            "date": dates.astype("datetime64[us]"),
            "at": instants_of(pd.DatetimeIndex(as_of.astype("datetime64[us]"))),
            "row": np.arange(len(dates)),
        }
    ).sort_values("at", kind="stable")
    found = pd.merge_asof(asked, have, on="at", by="date").sort_values("row")
    return found["close"].to_numpy("float64")


def forward_labels(
    prices: pd.DataFrame, days: pd.DatetimeIndex, horizon_days: int, threshold: float
) -> Labels:
    """Label each as-of day: 1 if ``close[d+h] / close[d] - 1 > threshold``.

    Both closes are taken as they were known on the day the label became known,
    so that a later restatement does not rewrite what was learned from.

    Parameters
    ----------
    prices : bitemporal table of the asset.
    days : as-of days, consecutive, datetime64[us].
    horizon_days : h, calendar days.
    threshold : fractional return.
    """
    day = days.to_numpy("datetime64[D]")
    end = day + horizon_days * DAY
    first = first_known_close(prices, days)
    end_first = first_known_close(prices, pd.DatetimeIndex(end.astype("datetime64[us]")))
    known_on = np.maximum(np.maximum(first, end_first), end)
    begin_close = close_as_known(prices, day, known_on)
    end_close = close_as_known(prices, end, known_on)
    forward = end_close / begin_close - 1.0
    missing = np.isnan(forward)
    return Labels(
        outcome=np.where(missing, np.nan, (forward > threshold).astype("float64")),
        forward_return=forward,
        label_end=end,
        known_on=np.where(missing, NEVER, known_on),
    )
