"""Settlement: outcomes written once both closes of a label are known, revised when restated.

The first outcome is the label of :func:`features.labels.forward_labels`, from the closes as they
were first known. A close that is restated later, so that the event happened or did not after all,
adds a revision; the forecast and its first outcome stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
from sqlalchemy import select

from features.clock import DAY
from features.labels import NEVER, close_as_known, forward_labels
from serving.chain import append
from serving.database import reading, refuse_skew, retried, writing
from serving.ledger import FORECASTS, Ledger
from serving.outcomes import LOCK, OUTCOMES, Outcome, latest_outcomes
from sources.crashpoints import crashpoint
from sources.market import Market

RECHECK_DAYS = 400
"""Outcomes of forecasts this old are compared again with the closes as they stand now."""


@dataclass(frozen=True)
class Settlement:
    """What a settlement did.

    Attributes
    ----------
    settled : forecasts that got their first outcome.
    revised : outcomes that turned out otherwise.
    waiting : forecasts past their day, of which a close is not known.
    """

    settled: int
    revised: int
    waiting: int


@dataclass(frozen=True)
class _Found:
    """What the market says of a forecast: the first label, and the same with closes as now.

    Attributes
    ----------
    known_at : instant at which both closes of the first label were known.
    stated_at : instant of the later of the two rows that the closes of now stand in.
    """

    forecast_id: str
    label_end: date
    first: tuple[int, float, float]
    current: tuple[int, float, float]
    known_at: datetime
    stated_at: datetime


def settle(ledger: Ledger, market: Market, now: datetime | None = None) -> Settlement:
    """Write the outcomes that are known, and revise those that turned out otherwise.

    Parameters
    ----------
    market : what is known of it later than ``now`` is not read.
    now : instant of knowledge; the present by default.

    Raises
    ------
    DataUnavailableError
        Where the database does not answer.
    """
    instant = now or datetime.now(UTC)
    known = market.as_of(pd.Timestamp(instant).as_unit("us"))
    due = _due(ledger, instant)
    found = [
        item
        for (asset, horizon, threshold), rows in due.items()
        if asset in known.prices
        for item in _labels(known.prices[asset], rows, horizon, threshold, instant)
    ]
    with reading(ledger.engine) as connection:
        news = _news(latest_outcomes(connection, [item.forecast_id for item in found]), found)
    rows = retried(lambda: _write(ledger, news)) if news else []
    with reading(ledger.engine) as connection:
        ids = [forecast for rows in due.values() for forecast, _ in rows]
        waiting = len(ids) - len(latest_outcomes(connection, ids))
    settled = sum(row["revision"] == 0 for row in rows)
    return Settlement(settled, len(rows) - settled, waiting)


def _write(ledger: Ledger, news: Sequence[_Found]) -> list[dict[str, object]]:
    with writing(ledger.engine, LOCK) as connection:
        # Another settled meanwhile, perhaps.
        held = latest_outcomes(connection, [item.forecast_id for item in news])
        at = refuse_skew(connection, ledger.clock)
        rows = [
            row for item in _news(held, news) for row in _rows(item, held.get(item.forecast_id), at)
        ]
        append(connection, OUTCOMES, rows)
        crashpoint("settling")
    return rows


def _due(ledger: Ledger, instant: datetime) -> dict[tuple[str, int, float], list[tuple[str, date]]]:
    """Return asset x horizon x threshold -> forecasts whose last day is over, in order."""
    table = FORECASTS.c
    last = instant.astimezone(UTC).date() - timedelta(days=1)
    due: dict[tuple[str, int, float], list[tuple[str, date]]] = {}
    with reading(ledger.engine) as connection:
        for horizon in connection.execute(select(table.horizon_days).distinct()).scalars().all():
            end = last - timedelta(days=horizon)
            settled = select(OUTCOMES.c.forecast_id)
            asked = (
                select(table.asset, table.threshold, table.forecast_id, table.as_of)
                .where(table.horizon_days == horizon, table.as_of <= end)
                .where(
                    (table.as_of > end - timedelta(days=RECHECK_DAYS))
                    | table.forecast_id.not_in(settled)
                )
                .order_by(table.position)
            )
            for asset, threshold, forecast, as_of in connection.execute(asked):
                due.setdefault((asset, horizon, threshold), []).append((forecast, as_of))
    return due


def _labels(
    prices: pd.DataFrame,
    rows: Sequence[tuple[str, date]],
    horizon: int,
    threshold: float,
    instant: datetime,
) -> Iterable[_Found]:
    """Yield what the market says of each forecast that both closes are known of."""
    days = pd.DatetimeIndex([as_of for _, as_of in rows]).as_unit("us")
    labels = forward_labels(prices, days, horizon, threshold)
    begin, end = days.to_numpy("datetime64[D]"), labels.label_end
    today = np.full(len(days), np.datetime64(instant.date(), "D") + DAY)
    known = np.where(labels.known_on == NEVER, end, labels.known_on)
    then = [close_as_known(prices, at, known) for at in (begin, end)]
    current = [close_as_known(prices, at, today) for at in (begin, end)]
    latest = prices.groupby("date")["available_at"].max()
    stated = [latest.reindex(pd.DatetimeIndex(at.astype("datetime64[us]"))) for at in (begin, end)]
    for i, (forecast, _) in enumerate(rows):
        if labels.known_on[i] == NEVER:
            continue
        # T of that day, or earlier where the day is not over yet.
        at = datetime.combine(
            labels.known_on[i].astype(object) + timedelta(days=1), datetime.min.time(), UTC
        )
        yield _Found(
            forecast,
            end[i].astype(object),
            (int(labels.outcome[i]), float(then[0][i]), float(then[1][i])),
            _outcome(float(current[0][i]), float(current[1][i]), threshold),
            min(at, instant.astimezone(UTC)),
            max(one.iloc[i] for one in stated).to_pydatetime(),
        )


def _outcome(begin: float, end: float, threshold: float) -> tuple[int, float, float]:
    return int(end / begin - 1.0 > threshold), begin, end


def _news(held: dict[str, Outcome], found: Iterable[_Found]) -> list[_Found]:
    """Return what the ledger lacks: first outcomes, and those that turned out otherwise."""
    return [
        item
        for item in found
        if item.forecast_id not in held
        or _is_restated(item, held[item.forecast_id].outcome, held[item.forecast_id].known_at)
    ]


def _is_restated(item: _Found, outcome: int, known_at: datetime) -> bool:
    """Say whether the closes of now decide otherwise, and were stated after those that stand.

    Who settles as of the past sees closes that have been restated since: these are no news.
    """
    return item.current[0] != outcome and item.stated_at > known_at


def _rows(item: _Found, held: Outcome | None, settled_at: datetime) -> list[dict[str, object]]:
    """Return the first outcome where there is none yet, and the revision where there is one."""
    if held is not None:
        closes = (held.begin_close, held.end_close)
        return [_revision(item, held.revision + 1, closes, settled_at)]
    first = _row(item, 0, item.first, item.known_at, settled_at)
    if not _is_restated(item, item.first[0], item.known_at):
        return [first]
    return [first, _revision(item, 1, item.first[1:], settled_at)]


def _revision(
    item: _Found, revision: int, before: tuple[float, float], settled_at: datetime
) -> dict[str, object]:
    _, begin, end = item.current
    reason = f"closes restated: {before[0]!r} and {before[1]!r} are now {begin!r} and {end!r}"
    return _row(item, revision, item.current, item.stated_at, settled_at, reason)


def _row(
    item: _Found,
    revision: int,
    label: tuple[int, float, float],
    known_at: datetime,
    settled_at: datetime,
    reason: str | None = None,
) -> dict[str, object]:
    outcome, begin, end = label
    return {
        "forecast_id": item.forecast_id,
        "revision": revision,
        "outcome": outcome,
        "label_end": item.label_end,
        "begin_close": begin,
        "end_close": end,
        "known_at": known_at,
        "settled_at": settled_at,
        "reason": reason,
    }
