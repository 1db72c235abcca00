"""Which days a search looks at, and which it never does: by the calendar, in whole quarters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features import Dataset
from models import Cell, CellRows, ModelConfig, rows_of
from sources.errors import InsufficientHistoryError
from training.jobfile import FoldConfig
from training.splits import DAY, PurgedWalkForward, Span
from training.walkforward import refit_days

QUARTER_MONTHS = 3
LEAST_OUTCOMES = 30
"""Of a cell in all inner folds together, and both kinds of them."""


@dataclass(frozen=True)
class Folds:
    """The inner folds, that trials are scored on, and the outer ones.

    Attributes
    ----------
    inner, outer : spans of as-of days, each beginning where the one before ends, but for the
        embargo between the last inner and the first outer one.
    seen : last as-of day of which the search knows anything.
    """

    inner: tuple[Span, ...]
    outer: tuple[Span, ...]
    embargo_days: int

    @property
    def seen(self) -> np.datetime64:
        """Last as-of day of which the search knows anything, labels that end later not."""
        last: np.datetime64 = self.inner[-1].end - DAY
        return last

    @property
    def cut(self) -> pd.Timestamp:
        """The instant up to which the search knows the market: T of the last day seen."""
        return pd.Timestamp(self.seen + DAY).tz_localize("UTC").as_unit("us")


def folds_of(days: np.ndarray, first: np.datetime64, config: FoldConfig) -> Folds:
    """Lay the folds over the calendar.

    The outer folds begin with the first quarter that leaves them ``outer`` times
    ``outer_months`` months or less; the last one ends with the days. The inner
    folds are whole quarters from ``first`` on, as many in each as can be.

    Parameters
    ----------
    days : (n,) datetime64[D], ascending.
    first : earliest day on which anything is forecast.

    Raises
    ------
    InsufficientHistoryError
        If there are fewer quarters than inner folds.
    """
    months = config.outer * config.outer_months
    stop = days[-1] + DAY
    cut = _quarter_from(stop - _months(stop, months))
    starts = [cut + k * config.outer_months for k in range(config.outer)]
    begin = _quarter_from(first)
    quarters = int((cut - begin).astype("int64")) // QUARTER_MONTHS
    if quarters < config.inner:
        raise InsufficientHistoryError(
            f"inner folds from {begin} to {cut}: quarters",
            needed=config.inner,
            found=max(quarters, 0),
            unit="quarters",
        )
    at = np.arange(config.inner) * quarters // config.inner * QUARTER_MONTHS
    inner_stop = cut.astype("datetime64[D]") - config.embargo_days * DAY
    known = days[days < inner_stop]
    inner = PurgedWalkForward(starts=[(begin + k).astype("datetime64[D]") for k in at])
    outer = PurgedWalkForward(
        starts=[start.astype("datetime64[D]") for start in starts],
        embargo_days=config.embargo_days,
    )
    return Folds(
        inner=tuple(span for (span,) in inner.test_spans(known)),
        outer=tuple(span for (span,) in outer.test_spans(days)),
        embargo_days=config.embargo_days,
    )


def first_forecast(dataset: Dataset, cells: Sequence[Cell], config: ModelConfig) -> np.datetime64:
    """Return the earliest day on which a cell is forecast.

    Raises
    ------
    InsufficientHistoryError
        If none ever is.
    """
    found: list[np.datetime64] = []
    for cell in cells:
        try:
            found.append(refit_days(rows_of(dataset, cell), config)[0])
        except InsufficientHistoryError:
            if cell == cells[-1] and not found:
                raise
    return min(found)


def worth_scoring(rows: CellRows, folds: Sequence[Span], forecast: np.ndarray) -> str | None:
    """Say why a cell cannot be scored on the folds; None where it can.

    Too few outcomes, or all of one kind, tell trials apart by nothing but luck.

    Parameters
    ----------
    forecast : (n,) bool, rows that are forecast.
    """
    inside = np.zeros(len(rows.days), dtype=bool)
    for span in folds:
        inside |= span.holds(rows.days)
    outcome = rows.outcome[inside & forecast & rows.usable & ~np.isnan(rows.outcome)]
    if len(outcome) < LEAST_OUTCOMES:
        return (
            f"{rows.cell}: outcomes in the inner folds: needed at least {LEAST_OUTCOMES}; "
            f"found {len(outcome)}"
        )
    if outcome.min() == outcome.max():
        return (
            f"{rows.cell}: outcomes in the inner folds: needed both kinds; "
            f"found {len(outcome)} times {outcome[0]:.0f}"
        )
    return None


def _months(stop: np.datetime64, months: int) -> np.timedelta64:
    """Return the days from so many calendar months before a day to it."""
    month = stop.astype("datetime64[M]")
    into = stop - month.astype("datetime64[D]")
    back: np.timedelta64 = stop - ((month - months).astype("datetime64[D]") + into)
    return back


def _quarter_from(day: np.datetime64) -> np.datetime64:
    """Return the month of the first quarter that begins on a day or after it."""
    month = day.astype("datetime64[M]")
    if month.astype("datetime64[D]") != day.astype("datetime64[D]"):
        month += 1
    over = int(month.astype("int64")) % QUARTER_MONTHS
    begin: np.datetime64 = month + (QUARTER_MONTHS - over) % QUARTER_MONTHS
    return begin
