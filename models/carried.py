"""What a walk carries from day to day, so that a later one can begin where it stood.

The signals are running sums over all days. A walk that leaves its sums before
a day (:func:`leaving_before`) lets another (:func:`taking_up`) begin with that
day, and say the same to the bit: the same numbers are added in the same order.
The formulas do not know of it. They call :func:`running`, :func:`before`,
:func:`delayed` and :func:`begun`, and these meet in the same order each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np
from scipy.signal import lfilter

from sources.errors import IntegrityError


@dataclass
class _Walk:
    """A walk under way: what it takes up, or the row before which it leaves its sums."""

    taken: Iterator[np.ndarray] | None = None
    row: int | None = None
    left: list[np.ndarray] = field(default_factory=list)


_WALK: ContextVar[_Walk | None] = ContextVar("walk", default=None)


@contextmanager
def leaving_before(row: int) -> Iterator[list[np.ndarray]]:
    """Note the sums over the rows before a row, one or more, of the walk within."""
    walk = _Walk(row=row)
    token = _WALK.set(walk)
    try:
        yield walk.left
    finally:
        _WALK.reset(token)


@contextmanager
def taking_up(sums: Sequence[np.ndarray]) -> Iterator[None]:
    """Begin the walk within where another one left its sums.

    Raises
    ------
    IntegrityError
        If the walk meets more sums than were left, or fewer: it is another walk.
    """
    rest = iter(sums)
    token = _WALK.set(_Walk(taken=rest))
    try:
        yield
    finally:
        _WALK.reset(token)
    over = sum(1 for _ in rest)
    if over:
        found = f"a walk that took {len(sums) - over}"
        raise IntegrityError("carried.json", expected=f"a walk of {len(sums)} sums", found=found)


def running(values: np.ndarray, discount: float = 1.0) -> np.ndarray:
    """Return discounted sums over rows up to t, t included."""
    start = _taken()
    if discount == 1.0:
        if start is None:
            sums = np.cumsum(values, axis=0)
        else:
            sums = np.cumsum(np.concatenate([start, values]), axis=0)[1:]
    else:
        rule = [1.0], [1.0, -discount]
        if start is None:
            sums = np.asarray(lfilter(*rule, values, axis=0))
        else:
            sums = np.asarray(lfilter(*rule, values, axis=0, zi=discount * start)[0])
    walk = _WALK.get()
    if walk is not None and walk.row is not None:
        walk.left.append(sums[walk.row - 1 : walk.row].astype("float64"))
    return sums


def before(values: np.ndarray) -> np.ndarray:
    """Shift by a row: what was there before t, 0 before the first."""
    return delayed(values, 1, 0.0)


def delayed(values: np.ndarray, days: int, nothing: float = np.nan) -> np.ndarray:
    """Return what was there so many rows ago; ``nothing`` before the first."""
    start = _taken()
    if start is None:
        start = np.full((days, *values.shape[1:]), nothing)
    late = np.concatenate([start, values])
    walk = _WALK.get()
    if walk is not None and walk.row is not None:
        walk.left.append(late[walk.row : walk.row + days].copy())
    return late[: len(values)]


def begun(state: np.ndarray) -> np.ndarray:
    """Return the state that a recursion of its own begins with: this one, or that taken up."""
    start = _taken()
    return state if start is None else start[0]


def left(states: np.ndarray) -> None:
    """Leave the state of such a recursion; row t holds it as it is before row t."""
    walk = _WALK.get()
    if walk is not None and walk.row is not None:
        walk.left.append(states[walk.row : walk.row + 1].copy())


def _taken() -> np.ndarray | None:
    walk = _WALK.get()
    if walk is None or walk.taken is None:
        return None
    start = next(walk.taken, None)
    if start is None:
        raise IntegrityError("carried.json", expected="a sum for each of the walk", found="no more")
    return start
