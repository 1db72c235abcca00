"""The routes of the record: what was said and what came of it, and how good that was."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from serving.cached import Answers, Kept
from serving.daily import DailyScores, Served
from serving.names import refuse_unknown
from serving.outcomes import SettledScore
from serving.problems import ProblemError
from serving.questions import AssetText, DayText, HorizonText
from serving.verification import Verification

Count = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,8}$")]


Rows = Annotated[str, StringConstraints(pattern=r"^([1-9][0-9]{0,2}|1000)$")]
"""Of a page, 1000 at most."""

DEFAULT_ROWS = 100


class RecordQuery(BaseModel):
    """Which part of the record; all of it by default."""

    model_config = ConfigDict(extra="forbid")

    asset: AssetText | None = Field(None, examples=["BTC"])
    horizon: HorizonText | None = Field(None, examples=["5"])
    start: DayText | None = None
    end: DayText | None = None
    version: Count | None = Field(None, examples=["1"])


class HistoryQuery(RecordQuery):
    """A page of the record, from its beginning by default."""

    after: Count | None = Field(None, examples=["100"])
    limit: Rows | None = Field(None, examples=["100"])


class History(BaseModel):
    """A page of what was said, in the order it was said; ``after`` asks for the next, if any."""

    items: tuple[SettledScore, ...]
    after: int | None


def record_router(service: DailyScores) -> APIRouter:
    """Return the routes of the record."""
    router, answers = APIRouter(), Answers(lambda: service.record_end)

    @router.get("/history")
    def history(query: Annotated[HistoryQuery, Query()]) -> History:
        """Return a page of forecasts with their outcomes, in the order they were issued."""
        limit = int(query.limit or DEFAULT_ROWS)
        chosen = _chosen(query)
        after = None if query.after is None else int(query.after)
        # What is on record is told without a champion, too.
        _refuse_unknown(service, query, service.speaks)
        found = service.ledger.history(*chosen, after=after, limit=limit)
        last = found[-1].position if len(found) == limit else None
        return History(items=found, after=last)

    @router.get("/verification", response_model=Verification)
    def verification(request: Request, query: Annotated[RecordQuery, Query()]) -> Response:
        """Return how settled forecasts did, with anytime-valid intervals and reliability bins."""
        stamp = answers.stamp()
        key = request.scope["query_string"]
        kept = answers.get(key)
        if kept is None:
            _refuse_unknown(service, query, service.served())
            found = service.verification(*_chosen(query))
            kept = Kept.of(found.model_dump_json().encode())
            answers.put(key, kept, stamp)
        return kept.response(request.headers.get("if-none-match"))

    return router


def _refuse_unknown(service: DailyScores, query: RecordQuery, served: Served | None) -> None:
    """Refuse a name that nobody forecast; any will do before there is a champion."""
    asset, horizon, _, _, version = _chosen(query)
    if served is not None:
        refuse_unknown(
            service.ledger, service.registry.history, served.head,
            asset=asset, horizon=horizon, version=version,
        )  # fmt: skip


def _chosen(
    query: RecordQuery,
) -> tuple[str | None, int | None, date | None, date | None, int | None]:
    """Return asset, horizon, start, end and version."""
    return (
        query.asset,
        None if query.horizon is None else int(query.horizon),
        _calendar_day("start", query.start),
        _calendar_day("end", query.end),
        None if query.version is None else int(query.version),
    )


def _calendar_day(name: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise ProblemError(422, "invalid-request", f"{name}: not a day of the calendar.") from error
