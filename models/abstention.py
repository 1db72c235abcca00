"""When to say nothing: inputs unlike any seen, and experts that contradict each other.

Rules on one day, given the days before it. Each answers with a reason that names
what was needed and what was found, or with None. A backtest keeps the
probabilities of such days, so that what abstaining gains or loses is measured
(``training/coverage.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LONGEST_LIST = 3
"""Features named in a reason; the rest are counted."""


def strangeness(features: np.ndarray, least_days: int) -> np.ndarray:
    """Return (f,) how far the last row's features lie beyond their past, in widths of its range.

    Parameters
    ----------
    features : (n, f), a row a day, NaN where missing; rows before the last are the past.
    least_days : days that a feature must have been there before.

    Returns
    -------
    0 inside the range; NaN where the feature is missing, its past too short, or all one
    value, as of a flag that was never set: its first time is no fault.

    Examples
    --------
    >>> strangeness(np.array([[1.0], [3.0], [4.0]]), least_days=2).tolist()
    [0.5]
    """
    past, now = features[:-1], features[-1]
    there = np.isfinite(past)
    lowest = np.where(there, past, np.inf).min(axis=0, initial=np.inf)
    highest = np.where(there, past, -np.inf).max(axis=0, initial=-np.inf)
    known = (there.sum(axis=0) >= least_days) & np.isfinite(now) & (highest > lowest)
    width = np.where(known, highest - lowest, np.nan)
    beyond = np.where(known, np.maximum(now - highest, lowest - now), 0.0)
    far: np.ndarray = np.maximum(beyond, 0.0) / width
    return far


def unlike_any_seen(
    features: np.ndarray, names: Sequence[str], *, widths: float, least_days: int
) -> str | None:
    """Say which inputs of the last row lie farther beyond their past than any new record should.

    A new high moves a feature past its range by a little; a price in other units,
    a flow in thousands or a crash of its own kind by much. On the real market
    since 2017 a quarter of the range is passed on 0.1 % of days, March 2020 among them.
    """
    far = strangeness(features, least_days)
    # NaN, where a past is missing, sorts last and is beyond nothing.
    strange = [int(i) for i in np.argsort(-far, kind="stable") if far[i] > widths]
    if not strange:
        return None
    said = [f"{names[i]} {far[i]:.2f}" for i in strange[:LONGEST_LIST]]
    more = f" and {len(strange) - LONGEST_LIST} more" if len(strange) > LONGEST_LIST else ""
    return (
        f"unlike any seen: needed inputs at most {widths:g} of their past range beyond it; "
        f"found {', '.join(said)}{more}"
    )


def opposition(probability: np.ndarray, weight: np.ndarray, base_rate: np.ndarray) -> np.ndarray:
    """Return (n,) by how much weighted experts pull both ways from the base rate, in log-odds.

    The lesser of the pulls up and down: 0 while all lean to one side, whatever they weigh.
    On the real market since 2017 the most was 0.012.

    Parameters
    ----------
    probability, weight : (n, k) what each expert says, and its weight.
    base_rate : (n,).
    """
    moved = np.log(probability) - np.log1p(-probability)
    moved -= (np.log(base_rate) - np.log1p(-base_rate))[:, None]
    up = (weight * np.maximum(moved, 0.0)).sum(axis=1)
    down = (weight * np.maximum(-moved, 0.0)).sum(axis=1)
    return np.asarray(np.minimum(up, down))


def in_disagreement(
    probability: np.ndarray, weight: np.ndarray, base_rate: float, *, most: float
) -> str | None:
    """Say whether the experts of one day, (k,), pull against each other by more than ``most``."""
    found = float(opposition(probability[None], weight[None], np.array([base_rate]))[0])
    if found <= most:
        return None
    return (
        f"experts disagree: needed opposite pulls of at most {most:g} in log-odds; "
        f"found {found:.3f} each way"
    )
