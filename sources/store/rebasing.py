"""Rebasing: history restated by constant factors, as every split and dividend does to it.

A vendor that adjusts prices divides the whole past by the same number. Nothing that was said of
returns becomes wrong by it, but the new rows stand on the new basis: old history beside them
would show a jump that never was.

An adjustment moves all that came before it: rows that keep their value, or that move while the
first shared row does not, were restated, and nobody knew that before it arrived.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TOLERANCE = 1e-3
"""Prices of a few dollars are rounded to cents."""

LEAST_RUN = 3
"""Fewer rows with one factor are a restatement."""


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
    """Find the rows whose prices are those held times one factor, where all of history moved by it.

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
        differs = spoken & (ratio != 1)
        changed |= differs
        factor = np.median(ratio[differs])
        on = differs & (np.abs(ratio / factor - 1) <= TOLERANCE)
        constant &= ~differs | (on & _is_of_all(on[where]))
        first = ratio[where][run == 0]
        another = abs(float(np.median(first)) - 1) > TOLERANCE
        from_the_first |= len(first) >= LEAST_RUN and another
    moved[rows] = changed & constant
    beyond = from_the_first and held_from < date[rows[0]]
    return Rebasing(moved, date[rows[0]] if beyond else None)


def _is_of_all(on: np.ndarray) -> bool:
    """Tell whether a factor is of all history: the first row, most rows, and the end.

    A few may stand off it: a cheap price is rounded, and the last bar may not have been finished.
    """
    most = on.sum() >= LEAST_RUN and 2 * on.sum() > len(on)
    return bool(most and on[0] and on[-LEAST_RUN:].any())
