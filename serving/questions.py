"""What may be asked over REST: parameters and bodies, strict, none of which is ever sent back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import Path, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from serving.problems import ProblemError
from serving.scorer import latest_finished_day
from serving.strict_json import strict_json

MOST_ITEMS = 256

DayText = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    WithJsonSchema({"type": "string", "format": "date"}),
]
InstantText = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
        }
    ),
]
AssetText = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,16}$")]
HorizonText = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,2}$")]
ForecastId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", examples=["0" * 32])]


class ScoresQuery(BaseModel):
    """Which scores: a day (the latest by default), assets and horizons (all by default)."""

    model_config = ConfigDict(extra="forbid")

    as_of: DayText | None = None
    asset: list[AssetText] = Field([], max_length=64, examples=[["BTC"]])
    horizon: list[HorizonText] = Field([], max_length=64, examples=[["5"]])


class ModelQuery(BaseModel):
    """Whose turn it was: now by default."""

    model_config = ConfigDict(extra="forbid")

    at: InstantText | None = Field(None, examples=["2025-06-21T00:00:00Z"])


class NoQuery(BaseModel):
    """No parameters at all."""

    model_config = ConfigDict(extra="forbid")


class Item(BaseModel):
    """One question of a batch; the latest day and threshold 0 by default."""

    model_config = ConfigDict(extra="forbid", strict=True)

    as_of: DayText | None = None
    asset: AssetText
    horizon_days: int = Field(ge=1, le=999)
    threshold: float = Field(0.0, gt=-1, lt=100, allow_inf_nan=False)


class Batch(BaseModel):
    """Questions to answer one by one."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {"asset": "BTC", "horizon_days": 5},
                        {"asset": "ETH", "horizon_days": 1},
                    ]
                }
            ]
        },
    )

    items: list[Item] = Field(min_length=1, max_length=MOST_ITEMS)


class StrictRoute(APIRoute):
    """A route whose body is parsed by :func:`serving.strict_json.strict_json`."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """Return the handler, with the strict parser before it."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            content = await request.body()
            declared = request.headers.get("content-type", "")
            # Where starlette keeps what it has parsed.
            request._json = strict_json(content, declared)  # noqa: SLF001
            return await handle(request)

        return strict if self.body_field is not None else handle


def day_of(text: str | None, clock: Callable[[], datetime]) -> date | None:
    """Return a day that is over.

    Raises
    ------
    ProblemError
        422 for what is no day, or one that is not over.
    """
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise ProblemError(422, "invalid-request", "as_of: not a day of the calendar.") from error
    last = latest_finished_day(clock())
    if day > last:
        detail = f"as_of: needed a day that is over, at the latest {last}."
        raise ProblemError(422, "as-of-in-future", detail)
    return day


def instant_of(text: str) -> datetime:
    """Return an instant in UTC.

    Raises
    ------
    ProblemError
        422 for what is none.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise ProblemError(422, "invalid-request", "at: not an instant.") from error
