"""What is answered over REST, beside a score itself."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel

from serving.problems import MEDIA_TYPE
from serving.score import Score


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class Scores(BaseModel):
    """The scores of a day."""

    as_of: date
    scores: tuple[Score, ...]


class ItemAnswer(BaseModel):
    """The answer to one question of a batch: a score, or the problem that there is none."""

    status: int
    score: Score | None = None
    problem: Problem | None = None


class BatchAnswer(BaseModel):
    """The answers, in the order of the questions."""

    items: tuple[ItemAnswer, ...]


class ModelInfo(BaseModel):
    """The version that speaks, who made it so and why, and what it answers.

    ``stale`` where the champion could not be found out or loaded, and the last good version
    speaks; ``model_age_days`` since the last day that it learned from.
    """

    name: str
    version: int
    digest: str
    promoted_at: AwareDatetime
    reason: str
    fit_to_serve: bool
    skill_certified: bool
    trained_through: date
    data_digest: str
    assets: tuple[str, ...]
    horizons: tuple[int, ...]
    thresholds: tuple[float, ...]
    model_age_days: int
    stale: bool


class Live(BaseModel):
    """The process answers."""

    status: str


class Ready(BaseModel):
    """The service can score; how old its model is, and the last day that is on record.

    ``inputs`` says whether what that day was scored from could speak for the last finished day;
    ``stale_inputs`` names what could not. ``unknown`` where nothing is on record.
    """

    status: str
    version: int
    stale: bool
    model_age_days: int
    latest_as_of: date | None
    inputs: Literal["fresh", "stale", "unknown"]
    stale_inputs: tuple[str, ...]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe errors for OpenAPI."""
    return {
        status: {
            "description": SAID[status],
            "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
        }
        for status in statuses
    }


SAID = {
    400: "A request that is not whole, or meant for another host",
    401: "No key",
    403: "A key that is not known, or may not",
    404: "Nothing of that name or day",
    408: "Too slow",
    413: "A body too large",
    415: "A body of another kind",
    422: "A request that cannot be",
    429: "Too often; Retry-After says how long to wait",
    431: "Headers too large",
    503: "Nobody can answer now; Retry-After says when to ask again",
}
