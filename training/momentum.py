"""Crypto's own momentum, as a forecaster that gets every chance ours gets.

What an asset did over the last month, quarter and third of a year, and nothing else: the
forecast that anybody can make without looking at equities. It is fitted on the same days as
ours, on the same outcomes, known by then; it moves the same base rate; and the same guard
weighs it against climatology. Who gains on climatology but not on this has found momentum.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from models import CellRows, PenalisedLogistic
from models.guard import GuardState, guarded
from training.walkforward import CellRun

LOOKBACKS = (20, 60, 120)
PRIOR_DEVIATION = 0.1
"""Log-odds a standard deviation: an area under the ROC curve of 0.53 is well within it."""
PRIOR_CLIMATOLOGY = 0.5
LEAST_PROBABILITY = 0.02
LEAST_ROWS = 100


def own_returns(rows: CellRows) -> np.ndarray:
    """Return the asset's past returns, in volatilities; NaN where they were not known.

    Row t chains returns over h days that ended by t; all of them were known at T(t).

    Returns
    -------
    (n, 3) log return over about 20, 60 and 120 days, over its deviation at t.
    """
    h, n = rows.cell.horizon_days, len(rows.days)
    ends = [max(1, round(lookback / h)) for lookback in LOOKBACKS]
    columns: dict[int, np.ndarray] = {}
    total = np.zeros(n)
    for step in range(1, max(ends) + 1):
        back = min(step * h, n)
        past = np.full(n, np.nan)
        there = rows.usable[: n - back] & (rows.known_on[: n - back] <= rows.days[back:])
        past[back:][there] = np.log1p(rows.forward_return[: n - back][there])
        total = total + past
        columns[step] = total / (rows.volatility * np.sqrt(step * h))
    return np.column_stack([columns[end] for end in ends])


def momentum_forecast(run: CellRun) -> np.ndarray:
    """Return (n,) what a guarded forecaster of own momentum says on the days of a run's path.

    Row t depends on what was known at T(t) alone.
    """
    rows, path = run.rows, run.path
    h = rows.cell.horizon_days
    past = own_returns(rows)
    finite = np.isfinite(past).all(axis=1)
    at = np.searchsorted(rows.days, path.days)
    moved = np.zeros(len(path.days))
    fits = [snapshot.fit_as_of for snapshot in run.snapshots]
    for begin, end in zip(fits, [*fits[1:], None], strict=True):
        known = rows.labelled_by(begin) & finite
        if known.sum() < LEAST_ROWS or len(np.unique(rows.outcome[known])) < 2:
            continue
        model = PenalisedLogistic(PRIOR_DEVIATION).fit(
            past[known], rows.outcome[known], np.full(int(known.sum()), 1 / h)
        )
        spoken = (path.days >= begin) & finite[at]
        if end is not None:
            spoken &= path.days < end
        moved[spoken] = model.margin(past[at[spoken]])
    said = expit(logit(path.base_rate) + moved)
    sure = np.clip(said, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    leader = np.where(moved == 0, path.base_rate, sure)
    settled = rows.settled_in_time(path.days[0], len(path.days))
    guard = guarded(GuardState.fresh(h), leader, path.base_rate, settled, PRIOR_CLIMATOLOGY)
    mixed: np.ndarray = path.base_rate + guard.trust * (leader - path.base_rate)
    return mixed
