"""Resistance turned support: a breakout, then a retest of the broken level that holds.

Definitions, fixed before looking at any outcome:

- *Level*: the highest close so far, untouched for ``QUIET_SESSIONS`` of
  :mod:`features.highs`. *Breakout*: the first close above it.
- The price has *left* the level once it closes more than ``BAND`` above.
- *Retest*: after leaving, a close within ``BAND`` of the level, from above.
- The retest *holds* on the first later close that has left the level again.
- The breakout *fails* at a close more than ``BAND`` below the level, and
  *expires* without a held retest after ``EXPIRY_SESSIONS``.

A later breakout over a higher level replaces the earlier one.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

BAND = 0.02
"""Width of the level, a fraction of it: about two daily moves of the index."""
EXPIRY_SESSIONS = 60

_NONE, _BROKEN_OUT, _LEFT, _RETESTED, _HELD = range(5)


def resistance_turned_support(
    price: pd.Series, breakout: pd.Series, decay_sessions: float
) -> dict[str, pd.Series]:
    """Follow each breakout through its retest, session by session.

    Row t reads rows up to t; a row without a price leaves the state as it was.

    Parameters
    ----------
    price : closes.
    breakout : 1 on the first close above an untouched level; NaN where unknown.

    Returns
    -------
    ``breakout_open`` (1 from breakout to settlement), ``breakout_distance``
    (log of close over level, while open or held), ``retest_held`` (1 on the
    session the retest held), ``retest_freshness`` (exp(-age / decay), 0 before any).
    """
    closes = price.to_numpy("float64")
    levels = price.cummax().shift(1).ffill().to_numpy("float64")
    breaks = breakout.to_numpy("float64") == 1
    rows = len(closes)
    opened, held, distance = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    # Nothing happens between breakouts: only the stretches after them are walked through.
    starts = np.flatnonzero(breaks)
    for start, stop in itertools.pairwise([*starts, rows]):
        _follow(closes[start:stop], levels[start], opened[start:stop], held[start:stop],
                distance[start:stop])  # fmt: skip
    known = breakout.notna()
    row = np.arange(rows)
    age = pd.Series(row, price.index) - pd.Series(row, price.index).where(held == 1).ffill()
    freshness = np.exp(-age / decay_sessions).where(age.notna(), 0.0)
    found = {"breakout_open": opened, "breakout_distance": distance, "retest_held": held}
    return {
        **{name: pd.Series(value, price.index).where(known) for name, value in found.items()},
        "retest_freshness": freshness.where(known),
    }


def _follow(
    closes: np.ndarray,
    level: float,
    opened: np.ndarray,
    held: np.ndarray,
    distance: np.ndarray,
) -> None:
    """Walk from a breakout on; fill the three outputs in place."""
    # Lists: a walk of single steps is three times slower over arrays.
    above, below = (closes > level * (1 + BAND)).tolist(), (closes < level * (1 - BAND)).tolist()
    priced = (~np.isnan(closes)).tolist()
    state, end = _BROKEN_OUT, len(closes)
    for t in range(len(closes)):
        if priced[t]:
            if below[t] or (state != _HELD and t >= EXPIRY_SESSIONS):
                end = t
                break
            if state in {_BROKEN_OUT, _RETESTED} and above[t]:
                held[t] = float(state == _RETESTED)
                state = _HELD if state == _RETESTED else _LEFT
            elif state == _LEFT and not above[t]:
                state = _RETESTED
        opened[t] = float(state != _HELD)
    distance[:end] = np.log(closes[:end] / level)
