"""Splits of asset x date panels by dates and ``label_end``, with scikit-learn's interface.

A row as of day d carries a label that looks at the days after d up to its
``label_end``. A training label must not share a day with a test label, whatever
the asset: so rows are parted by dates and never by their count, and training
rows whose label reaches into a test fold are purged. A label that ends on the
day a fold begins is known at T of that day, and may be learned from.

References
----------
Lopez de Prado (2018), Advances in financial machine learning, chapters 7 and 12.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb
from typing import Any

import numpy as np
import pandas as pd

from sources.errors import InsufficientHistoryError, SchemaError

DAY = np.timedelta64(1, "D")
Split = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Span:
    """Calendar days ``[begin, end)``."""

    begin: np.datetime64
    end: np.datetime64

    def holds(self, days: np.ndarray) -> np.ndarray:
        """Return which days lie within."""
        inside: np.ndarray = (days >= self.begin) & (days < self.end)
        return inside


class DateSplitter(ABC):
    """A splitter by dates: ``split(X, y, groups)`` yields positions of training and test rows.

    Dates and label ends are read from ``groups``, (n, 2) datetime64, or, where
    there are none, from the columns ``date`` and ``label_end`` of ``X``, as
    :meth:`features.Dataset.frame` has them.
    """

    embargo_days: int

    @abstractmethod
    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return how many splits there are."""

    @abstractmethod
    def test_spans(self, days: np.ndarray) -> list[tuple[Span, ...]]:
        """Return the test folds of each split, from the distinct days of a panel, ascending."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:  # noqa: ARG002 - scikit-learn's signature
        """Yield (train, test) positions, ascending.

        Raises
        ------
        SchemaError
            For rows without date or label end, a label that ends before its day, or
            the same asset and day twice.
        InsufficientHistoryError
            If the dates are too few, or a split would have nothing to train or test on.
        """
        date, end = dates_of(X, groups)
        for spans in self.test_spans(np.unique(date)):
            tested = np.zeros(len(date), dtype=bool)
            trained = self.trainable(date, spans)
            for span in spans:
                inside = span.holds(date)
                tested |= inside
                last = end[inside].max(initial=span.begin)
                before = end <= span.begin - self.embargo_days * DAY
                after = date >= np.maximum(last, span.end) + self.embargo_days * DAY
                trained &= before | after
            for what, rows in (("training", trained), ("test", tested)):
                if not rows.any():
                    raise InsufficientHistoryError(
                        f"split with a test fold from {spans[0].begin}: {what} rows",
                        needed=1,
                        found=0,
                        unit="rows",
                    )
            yield np.flatnonzero(trained), np.flatnonzero(tested)

    def trainable(self, date: np.ndarray, spans: Sequence[Span]) -> np.ndarray:  # noqa: ARG002 - for those that train on less
        """Return the rows that may train before any purge; all by default."""
        return np.ones(len(date), dtype=bool)


class PurgedWalkForward(DateSplitter):
    """Test folds one after the other in time, each trained on what was known when it began.

    Parameters
    ----------
    n_splits : test folds, where ``starts`` does not name them.
    test_days : calendar days of a test fold; the last one ends with the dates. By default the
        calendar is cut into ``n_splits + 1`` equal spans, the first for training alone.
    embargo_days : between the last day of a training label and the first of a test fold.
    train_days : a rolling window of so many days before each fold; expanding by default.
    starts : first days of the test folds, ascending; each ends where the next begins.
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        test_days: int | None = None,
        embargo_days: int = 0,
        train_days: int | None = None,
        starts: Sequence[Any] | None = None,
    ) -> None:
        self.n_splits = n_splits
        self.test_days = test_days
        self.embargo_days = embargo_days
        self.train_days = train_days
        self.starts = starts

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: ARG002 - scikit-learn's signature
        """Return how many splits there are."""
        return self.n_splits if self.starts is None else len(self.starts)

    def test_spans(self, days: np.ndarray) -> list[tuple[Span, ...]]:
        """Return one span a split."""
        stop = days[-1] + DAY
        if self.starts is not None:
            begins = np.array(self.starts, dtype="datetime64[D]")
        else:
            total = int((stop - days[0]) / DAY)
            each = self.test_days or total // (self.n_splits + 1)
            if each < 1 or each * self.n_splits >= total:
                raise InsufficientHistoryError(
                    f"{self.n_splits} test folds of {max(each, 1)} days and training before them",
                    needed=self.n_splits * max(each, 1) + 1,
                    found=total,
                )
            begins = stop - np.arange(self.n_splits, 0, -1) * each * DAY
        ends = [*begins[1:], stop]
        return [(Span(begin, end),) for begin, end in zip(begins, ends, strict=True)]

    def trainable(self, date: np.ndarray, spans: Sequence[Span]) -> np.ndarray:
        """Return the rows before the fold, the latest of them where the window rolls."""
        begin = spans[0].begin
        rows: np.ndarray = date < begin
        if self.train_days is not None:
            rows &= date >= begin - self.train_days * DAY
        return rows


class CombinatorialPurged(DateSplitter):
    """Every choice of ``n_test`` of ``n_groups`` spans as test folds; all else trains, purged.

    Training follows a test fold only from the day after its last label has ended, and the
    embargo. Each span is tested in ``comb(n_groups - 1, n_test - 1)`` splits, so the test
    folds make up that many paths through all of time (:attr:`n_paths`).
    """

    def __init__(self, n_groups: int = 6, n_test: int = 2, *, embargo_days: int = 0) -> None:
        self.n_groups = n_groups
        self.n_test = n_test
        self.embargo_days = embargo_days

    @property
    def n_paths(self) -> int:
        """Paths through all of time that the test folds make up."""
        return comb(self.n_groups - 1, self.n_test - 1)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: ARG002 - scikit-learn's signature
        """Return how many splits there are."""
        return comb(self.n_groups, self.n_test)

    def test_spans(self, days: np.ndarray) -> list[tuple[Span, ...]]:
        """Return ``n_test`` spans a split, in the order of :func:`itertools.combinations`."""
        if not 1 <= self.n_test < self.n_groups:
            raise SchemaError(
                "combinatorial splits",
                expected="1 <= n_test < n_groups",
                found=f"n_test {self.n_test}, n_groups {self.n_groups}",
            )
        total = int((days[-1] + DAY - days[0]) / DAY)
        if total < self.n_groups:
            raise InsufficientHistoryError(
                f"{self.n_groups} groups of days", needed=self.n_groups, found=total
            )
        edges = days[0] + (np.arange(self.n_groups + 1) * total // self.n_groups) * DAY
        spans = [Span(a, b) for a, b in pairwise(edges)]
        return list(combinations(spans, self.n_test))


def dates_of(X: Any, groups: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) dates and label ends, datetime64[D], of the rows of a panel.

    Raises
    ------
    SchemaError
        For rows without them, a label that ends before its day, or the same asset and day twice.
    """
    if groups is None:
        if not isinstance(X, pd.DataFrame) or not {"date", "label_end"} <= set(X.columns):
            raise SchemaError(
                "rows to split",
                expected="columns date and label_end, or groups of both",
                found=type(X).__name__ if not isinstance(X, pd.DataFrame) else "other columns",
            )
        keys = [name for name in ("asset", "date") if name in X.columns]
        twice = int(X.duplicated(keys).sum()) if "asset" in keys else 0
        if twice:
            raise SchemaError(
                "rows to split", expected="each asset and day once", found=f"{twice} twice"
            )
        pairs = X[["date", "label_end"]].to_numpy("datetime64[D]")
    else:
        pairs = np.asarray(groups).astype("datetime64[D]")
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise SchemaError(
            "rows to split", expected="(n, 2) dates and label ends", found=str(pairs.shape)
        )
    date, end = pairs[:, 0], pairs[:, 1]
    absent = int((np.isnat(date) | np.isnat(end)).sum())
    if absent:
        raise SchemaError(
            "rows to split", expected="a date and a label end each", found=f"{absent} without"
        )
    wrong = int((end <= date).sum())
    if wrong:
        raise SchemaError(
            "rows to split", expected="labels that end after their day",
            found=f"{wrong} that do not",
        )  # fmt: skip
    return date, end
