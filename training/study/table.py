"""The events one by one, so that a reader can check "three times before" against a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from features.explain import CLUSTER_SESSIONS
from training.study.claims import Claim
from training.study.event_study import EventStudy
from training.study.events import apart
from training.study.outcomes import forward, largest_rise

AFTER_DAYS = (20, 60, 120, 180)
RISE_DAYS = 365
REGIMES = ("falling, calm", "falling, volatile", "rising, calm", "rising, volatile")


@dataclass(frozen=True)
class EventRow:
    """One event, and what followed it.

    Attributes
    ----------
    day : ISO date at whose end it was known.
    starts_cluster : whether a year had passed without a high before it.
    counted : whether it is one of the independent events of the primary test.
    price : of the target at that day's end, USD; None for a basket or a difference.
    regime : of the coin, in words; empty where it is not known.
    returns : horizon in days -> simple return of the target (fraction), None where not over.
    largest_rise : within 365 days, None where they are not over.
    states : what claims split events by, known on the day.
    """

    index: str
    day: str
    starts_cluster: bool
    counted: bool
    price: float | None
    regime: str
    returns: Mapping[int, float | None]
    largest_rise: float | None
    states: Mapping[str, float] = field(default_factory=dict)


def event_rows(study: EventStudy, claim: Claim) -> tuple[EventRow, ...]:
    """List the events of each of a claim's indices, with what the primary target did."""
    target = claim.targets[0]
    level = study.level(target)
    if level is None:
        return ()
    horizons = sorted({*AFTER_DAYS, *claim.horizons_days})
    returns = {h: forward(level, h) for h in horizons}
    rises = largest_rise(level, RISE_DAYS)
    regime = study.regime(target)
    rows: list[EventRow] = []
    for index in claim.indices:
        days = study.events(claim, index)
        # Before it is listed, nothing can follow.
        days = days[~np.isnan(level[study.rows(days)])]
        quiet = claim.event.model_copy(update={"quiet_sessions": CLUSTER_SESSIONS})
        starts = set(study.events_of(quiet, index).tolist())
        usable = days[~np.isnan(returns[claim.primary_days][study.rows(days)])]
        counted = set(apart(usable, claim.primary_days).tolist())
        for day, row in zip(days, study.rows(days), strict=True):
            rows.append(
                EventRow(
                    index=index,
                    day=str(day),
                    starts_cluster=day.tolist() in starts,
                    counted=day.tolist() in counted,
                    price=_number(np.exp(level[row])) if target in study.outcomes.coins else None,
                    regime=REGIMES[regime[row]] if regime[row] >= 0 else "",
                    returns={h: _simple(returns[h][row]) for h in horizons},
                    largest_rise=_simple(rises[row]),
                    states={
                        name: float(values[row])
                        for name, values in study.states.items()
                        if not np.isnan(values[row])
                    },
                )
            )
    return tuple(rows)


def rose(rows: Sequence[EventRow], index: str, days: int) -> tuple[int, int]:
    """Return how many events of an index saw a rise over some days, of how many that are over.

    Examples
    --------
    >>> rose([], "RUT", 60)
    (0, 0)
    """
    known = [r.returns[days] for r in rows if r.index == index]
    over = [value for value in known if value is not None]
    return sum(value > 0 for value in over), len(over)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _simple(log_return: float) -> float | None:
    return float(np.expm1(log_return)) if np.isfinite(log_return) else None
