"""Rebasing: history restated by constant factors, as every split and dividend does to it.

A vendor that adjusts prices divides the whole past by the same number. Nothing that was said of
returns becomes wrong by it, but the new rows stand on the new basis: old history beside them
would show a jump that never was.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TOLERANCE = 1e-3
"""Prices of a few dollars are rounded to cents."""

LEAST_RUN = 3
"""Fewer rows in a row with one factor are a restatement."""


class Rebasing(NamedTuple):
    """Which rows were multiplied by a constant, and whether what is held before them was not.

    Attributes
    ----------
    moved : (n,) bool.
    since : the feed's first shared date, where rows held before it are on another basis.
    """

    moved: np.ndarray
    since: np.datetime64 | None


def rebasing(
    date: np.ndarray,
    said: np.ndarray,
    held: np.ndarray,
    shared: np.ndarray,
    held_from: np.datetime64,
) -> Rebasing:
    """Find the rows whose prices are those held times a factor that they share with neighbours.

    Parameters
    ----------
    date : (n,) datetime64[us], ascending.
    said, held : (n, c) prices of the feed and of the store.
    shared : (n,) bool, rows of which both speak.
    held_from : the first date held.
    """
    moved = np.zeros(len(date), dtype=bool)
    rows = np.flatnonzero(shared)
    if len(rows) < LEAST_RUN:
        return Rebasing(moved, None)
    changed = np.zeros(len(rows), dtype=bool)
    constant = np.ones(len(rows), dtype=bool)
    from_the_first = False
    for column in range(said.shape[1]):
        ratio = said[rows, column] / held[rows, column]
        spoken = np.isfinite(ratio)
        if not spoken.any() or (ratio[spoken] == 1).all():
            continue
        where = np.flatnonzero(spoken)
        step = np.abs(ratio[where][1:] / ratio[where][:-1] - 1) > TOLERANCE
        run = np.concatenate([[0], np.cumsum(step)])
        long = np.bincount(run)[run] >= LEAST_RUN
        differs = ratio[where] != 1
        changed[where] |= differs
        constant[where] &= long | ~differs
        first = float(np.median(ratio[where][run == 0]))
        from_the_first |= bool(long[0] and abs(first - 1) > TOLERANCE)
    moved[rows] = changed & constant
    beyond = from_the_first and held_from < date[rows[0]]
    return Rebasing(moved, date[rows[0]] if beyond else None)
