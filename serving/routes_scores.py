"""The routes of scores: a day, one of them, and a batch of questions."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from serving.answers import BatchAnswer, ItemAnswer, Problem, Scores, problems
from serving.cached import Answers, Kept
from serving.daily import DailyScores
from serving.problems import ProblemError, as_document
from serving.questions import (
    Batch,
    ForecastId,
    Item,
    NoQuery,
    ScoresQuery,
    StrictRoute,
    day_of,
)
from serving.score import Score
from sources.errors import RiskonError, UnknownNameError


def scores_router(service: DailyScores, answers: Answers) -> APIRouter:
    """Return the routes of scores."""
    router = APIRouter()

    @router.get(
        "/scores",
        response_model=Scores,
        responses={
            304: {"description": "As the asker has it, by If-None-Match"},
            **problems(404),
        },
    )
    def scores(request: Request, query: Annotated[ScoresQuery, Query()]) -> Response:
        """Return the scores of a day: as issued, else made now if a market is at hand."""
        stamp = answers.stamp()
        day = day_of(query.as_of, service.clock)
        found = service.scores(day, query.asset, [int(h) for h in query.horizon])
        if not found:
            raise _none_issued(day)
        body = Scores(as_of=found[0].as_of, scores=found).model_dump_json().encode()
        kept = Kept.of(body)
        # An abstention is not on record, and may become a score.
        if not any(score.abstained for score in found):
            answers.put(request.scope["query_string"], kept, stamp)
        return kept.response(request.headers.get("if-none-match"))

    @router.get("/scores/{forecast_id}", responses=problems(404))
    def score(forecast_id: ForecastId, _: Annotated[NoQuery, Query()]) -> Score:
        """Return one score as it was issued."""
        found = service.ledger.get(forecast_id)
        if found is None:
            raise ProblemError(404, "no-such-score", "No score of this forecast_id was issued.")
        return found

    return router


def batch_router(service: DailyScores) -> APIRouter:
    """Return the route of batches, whose body is parsed strictly."""
    router = APIRouter(route_class=StrictRoute)

    @router.post(
        "/scores:batch",
        response_model_exclude_unset=True,
        responses=problems(400, 413, 415),
    )
    def batch(asked: Batch, _: Annotated[NoQuery, Query()]) -> BatchAnswer:
        """Answer questions one by one: what is wrong with one keeps no other from its score.

        The questions of a day are scored together, by one version, and recorded together.
        """
        days: dict[date | None, dict[tuple[str, int, float], Score] | Problem] = {}
        return BatchAnswer(items=tuple(_answer(service, item, days) for item in asked.items))

    return router


def _answer(
    service: DailyScores,
    item: Item,
    days: dict[date | None, dict[tuple[str, int, float], Score] | Problem],
) -> ItemAnswer:
    try:
        day = day_of(item.as_of, service.clock)
        head = service.served().head
        head.select([item.asset], [item.horizon_days])
        if item.threshold not in head.thresholds:
            raise UnknownNameError("threshold", repr(item.threshold), head.thresholds)
        if day not in days:
            days[day] = _day(service, day)
        found = days[day]
        if isinstance(found, Problem):
            return ItemAnswer(status=found.status, problem=found)
        score = found.get((item.asset, item.horizon_days, item.threshold))
        if score is None:
            raise _none_issued(day)
    except (RiskonError, ProblemError) as error:
        said = Problem(**as_document(error))
        return ItemAnswer(status=said.status, problem=said)
    return ItemAnswer(status=200, score=score)


def _day(service: DailyScores, day: date | None) -> dict[tuple[str, int, float], Score] | Problem:
    """Return all scores of a day by their question, or why there are none."""
    try:
        found = service.scores(day)
        if not found:
            raise _none_issued(day)
    except (RiskonError, ProblemError) as error:
        return Problem(**as_document(error))
    return {(s.asset, s.horizon_days, s.threshold): s for s in found}


def _none_issued(day: date | None) -> ProblemError:
    flag = f" --as-of {day}" if day else ""
    detail = f"No scores were issued for this; next: riskon score{flag} --market DIR."
    return ProblemError(404, "no-scores", detail)
