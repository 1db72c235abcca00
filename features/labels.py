"""Labels: did the asset rise above the threshold, and from when on could one know it."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    date, first = np.unique(prices["date"].to_numpy("datetime64[D]"), return_index=True)
    known = first_day_known(utc(prices["available_at"])[first])
    asked = days.to_numpy("datetime64[D]")
    at = np.searchsorted(date, asked)
    # A date after all others, for the days that come after them.
    there = np.append(date, NEVER)[at] == asked
    return np.where(there, np.maximum(np.append(known, NEVER)[at], asked), NEVER)


def close_as_known(prices: pd.DataFrame, dates: np.ndarray, as_of: np.ndarray) -> np.ndarray:
    """Return the close of each date as it was known at T of another day.

    Parameters
    ----------
    dates, as_of : (n,) datetime64[D].

    Returns
    -------
    (n,) float64, NaN where it was not known.
    """
    close = prices["close"].to_numpy("float64")
    close = np.where(np.isnan(close), prices["adj_close"].to_numpy("float64"), close)
    date, known = prices["date"].to_numpy("datetime64[D]"), utc(prices["available_at"])
    # One number orders by date, then by instant: the last row not above the one asked for stands.
    stamps = np.unique(known)
    asked_at = instants_of(pd.DatetimeIndex(as_of.astype("datetime64[us]")))
    key, asked = (
        day.astype("int64") * (len(stamps) + 1) + np.searchsorted(stamps, instant, side="right")
        for day, instant in ((date, known), (dates, asked_at))
    )
    order = np.argsort(key, kind="stable")
    row = np.append(order, len(date))[np.searchsorted(key[order], asked, side="right") - 1]
    return np.where(np.append(date, NEVER)[row] == dates, np.append(close, np.nan)[row], np.nan)


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
    both = np.concatenate([day, end])
    first = first_known_close(prices, pd.DatetimeIndex(both.astype("datetime64[us]")))
    known_on = np.maximum(np.maximum(first[: len(day)], first[len(day) :]), end)
    close = close_as_known(prices, both, np.concatenate([known_on, known_on]))
    begin_close, end_close = close[: len(day)], close[len(day) :]
    forward = end_close / begin_close - 1.0
    missing = np.isnan(forward)
    return Labels(
        outcome=np.where(missing, np.nan, (forward > threshold).astype("float64")),
        forward_return=forward,
        label_end=end,
        known_on=np.where(missing, NEVER, known_on),
    )


def volatility_labels(
    prices: pd.DataFrame,
    days: pd.DatetimeIndex,
    horizon_days: int,
    volatility: np.ndarray,
    multiple: float = 0.5,
) -> Labels:
    """Label each as-of day: 1 if the forward log return > multiple x volatility x root(h).

    Parameters
    ----------
    prices, days, horizon_days : as in :func:`forward_labels`.
    volatility : (n,) float64, daily, known at T(d) (``Dataset.volatility``); NaN gives no label.
    multiple : deviations that the return has to exceed.
    """
    labels = forward_labels(prices, days, horizon_days, 0.0)
    bound = multiple * volatility * np.sqrt(horizon_days)
    missing = np.isnan(labels.forward_return) | np.isnan(bound)
    above = np.log1p(labels.forward_return) > bound
    return replace(
        labels,
        outcome=np.where(missing, np.nan, above.astype("float64")),
        known_on=np.where(missing, NEVER, labels.known_on),
    )


def three_classes(labels: Labels, band: float | np.ndarray) -> np.ndarray:
    """Return (n,) float64: -1 down, 0 flat, 1 up; NaN where there is no label.

    Parameters
    ----------
    labels : with ``forward_return``.
    band : fractional return, one for all or one a day; what is within it, ends
        included, is flat.
    """
    forward = labels.forward_return
    classes = (forward > band).astype("float64") - (forward < -np.asarray(band))
    return np.where(np.isnan(forward) | np.isnan(band), np.nan, classes)


def triple_barrier(
    prices: pd.DataFrame,
    days: pd.DatetimeIndex,
    horizon_days: int,
    volatility: np.ndarray,
    up: float = 1.0,
    down: float = 1.0,
) -> Labels:
    """Label each as-of day by the barrier its closes touch first: 1 up, -1 down, 0 neither.

    The barriers stand at ``up`` and ``-down`` times ``volatility x root(h)`` of
    log return; the third is the end of the horizon (Lopez de Prado 2018, ch. 3).
    Closes are those of the first vintage. A bar that is missing before the first
    touch may have hidden one: there is no label then.

    Returns
    -------
    Labels whose ``label_end`` is the day of the touch, or d + h, and whose
    ``forward_return`` is the one realised there.
    """
    day = days.to_numpy("datetime64[D]")
    ahead = pd.date_range(days[0], days[-1] + pd.Timedelta(days=horizon_days), freq="D", unit="us")
    known = first_known_close(prices, ahead)
    close = close_as_known(prices, ahead.to_numpy("datetime64[D]"), known)
    rows = np.arange(len(day))
    bound = volatility * np.sqrt(horizon_days)
    outcome = np.where(np.isnan(close[rows] * bound), np.nan, 0.0)
    at, open_, latest = rows.copy(), ~np.isnan(outcome), known[rows]
    for step in range(1, horizon_days + 1):
        move = np.log(close[rows + step] / close[rows])
        at = np.where(open_, rows + step, at)
        latest = np.where(open_, np.maximum(latest, known[rows + step]), latest)
        outcome = np.where(open_ & np.isnan(move), np.nan, outcome)
        touched = open_ & ((move >= up * bound) | (move <= -down * bound))
        outcome = np.where(touched, np.where(move >= up * bound, 1.0, -1.0), outcome)
        open_ &= ~touched & ~np.isnan(move)
    missing = np.isnan(outcome)
    return Labels(
        outcome=outcome,
        forward_return=np.where(missing, np.nan, close[at] / close[rows] - 1.0),
        label_end=ahead.to_numpy("datetime64[D]")[at],
        known_on=np.where(missing, NEVER, np.maximum(latest, ahead.to_numpy("datetime64[D]")[at])),
    )


def average_uniqueness(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return how much of each label's window is its own (Lopez de Prado 2018, section 4.4).

    The mean, over the days of the window ``(begin, end]``, of one over the
    number of windows that hold the day: 1 without overlap, about 1/h for daily
    labels over h days.

    Parameters
    ----------
    begin, end : (n,) datetime64[D], begin < end.

    Returns
    -------
    (n,) float64 in (0, 1].

    Examples
    --------
    >>> day = np.array(["2024-01-01", "2024-01-02", "2024-01-10"], dtype="M8[D]")
    >>> average_uniqueness(day, day + 2).tolist()
    [0.75, 0.75, 1.0]
    """
    if len(begin) == 0:
        return np.zeros(0)
    first = begin.min()
    opens, closes = ((days - first).astype("int64") for days in (begin, end))
    change = np.zeros(closes.max() + 2)
    np.add.at(change, opens + 1, 1.0)
    np.add.at(change, closes + 1, -1.0)
    holding = np.cumsum(change)
    share = np.concatenate([[0.0], np.cumsum(1.0 / np.maximum(holding, 1.0))])
    unique: np.ndarray = (share[closes + 1] - share[opens + 1]) / (closes - opens)
    return unique
