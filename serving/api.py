"""The REST API: scores, the model that speaks, and health; made by :func:`create_app`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Path, Query
from fastapi_offline import FastAPIOffline
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from serving.daily import DailyScores, MarketReader
from serving.dashboard import Dashboard, mount_dashboard
from serving.guard import Guard, refuse_repeats, require_key
from serving.ledger import Ledger
from serving.problems import MEDIA_TYPE, ProblemError, register_problems
from serving.registry import Registry
from serving.score import Score
from serving.scorer import latest_finished_day, utc_now
from sources.errors import ModelNotFoundError

DayText = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
InstantText = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")
]
AssetText = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,16}$")]
HorizonText = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,2}$")]
ForecastId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


@dataclass(frozen=True)
class ServiceConfig:
    """What the service is made of.

    Attributes
    ----------
    registry, ledger : who speaks, and what was said.
    market_dir : market directory to score what the ledger lacks; None to read the ledger only.
    allowed_hosts : names that may stand in the Host header; ``*`` allows any.
    api_key_hashes : sha256 of each key that may read, in hex; none lets anyone read.
    clock : the current instant.
    reader : reads the market; plain directories by default.
    """

    registry: Registry
    ledger: Ledger
    market_dir: FilePath | None = None
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    api_key_hashes: tuple[str, ...] = ()
    clock: Callable[[], datetime] = utc_now
    reader: MarketReader | None = None


class ScoresQuery(BaseModel):
    """Which scores: a day (the latest by default), assets and horizons (all by default)."""

    model_config = ConfigDict(extra="forbid")

    as_of: DayText | None = Field(None, examples=["2025-06-20"])
    asset: list[AssetText] = Field([], max_length=64, examples=[["BTC"]])
    horizon: list[HorizonText] = Field([], max_length=64, examples=[["5"]])


class ModelQuery(BaseModel):
    """Whose turn it was: now by default."""

    model_config = ConfigDict(extra="forbid")

    at: InstantText | None = Field(None, examples=["2025-06-21T00:00:00Z"])


class NoQuery(BaseModel):
    """No parameters at all."""

    model_config = ConfigDict(extra="forbid")


class Scores(BaseModel):
    """The scores of a day."""

    as_of: date
    scores: tuple[Score, ...]


class ModelInfo(BaseModel):
    """The version that speaks, who made it so and why, and what it answers."""

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


class Health(BaseModel):
    """Whether the service lives, or is ready to score."""

    status: str


def create_app(config: ServiceConfig) -> FastAPI:
    """Return the application; opens nothing before it is asked."""
    service = DailyScores(
        config.registry, config.ledger, config.market_dir, config.clock, config.reader
    )
    # The pages of /docs come from here too: a service may have no way out.
    app = FastAPIOffline(
        title="riskon",
        summary="Daily probabilities that a crypto asset rises, each beside its base rate.",
        version="1",
        responses={
            status: {"description": said, "content": {MEDIA_TYPE: {}}}
            for status, said in ((422, "A request that cannot be"), (503, "Nobody can answer now"))
        },
    )
    register_problems(app)
    app.add_middleware(Guard, allowed_hosts=config.allowed_hosts)
    guarded = [Depends(require_key(config.api_key_hashes)), Depends(refuse_repeats)]
    v1 = APIRouter(prefix="/v1", dependencies=guarded)

    @v1.get("/scores")
    def scores(query: Annotated[ScoresQuery, Query()]) -> Scores:
        """Return the scores of a day: as issued, else made now if a market is at hand."""
        day = _day(query.as_of, config.clock)
        found = service.scores(day, query.asset, [int(h) for h in query.horizon])
        if not found:
            flag = f" --as-of {day}" if day else ""
            detail = f"No scores were issued for this; next: riskon score{flag} --market DIR."
            raise ProblemError(404, "no-scores", detail)
        return Scores(as_of=found[0].as_of, scores=found)

    @v1.get("/scores/{forecast_id}")
    def score(forecast_id: ForecastId, _: Annotated[NoQuery, Query()]) -> Score:
        """Return one score as it was issued."""
        found = config.ledger.get(forecast_id)
        if found is None:
            raise ProblemError(404, "no-such-score", "No score of this forecast_id was issued.")
        return found

    @v1.get("/model")
    def model(query: Annotated[ModelQuery, Query()]) -> ModelInfo:
        """Return the version that speaks, or spoke at an instant."""
        if query.at is None:
            # Asked once: a promotion in between must not mix two versions.
            scorer = service.scorer()
            champion, bundle = scorer.champion, scorer.bundle
        else:
            try:
                champion = config.registry.champion(_instant(query.at))
            except ModelNotFoundError as error:
                raise ProblemError(404, "no-model-then", "Nobody spoke at that time.") from error
            bundle = config.registry.load(champion)
        return ModelInfo(
            **{name: getattr(champion, name) for name in champion.__dataclass_fields__},
            trained_through=bundle.trained_through.astype(date),
            data_digest=bundle.data_digest,
            assets=bundle.assets,
            horizons=bundle.horizons,
        )

    @app.get("/health/live")
    def live() -> Health:
        """Say that the process answers."""
        return Health(status="live")

    @app.get("/health/ready")
    def ready() -> Health:
        """Say that the database answers and the champion is loaded."""
        service.scorer()
        return Health(status="ready")

    app.include_router(v1)
    mount_dashboard(app, Dashboard(service, config.api_key_hashes))
    return app


def _day(text: str | None, clock: Callable[[], datetime]) -> date | None:
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


def _instant(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise ProblemError(422, "invalid-request", "at: not an instant.") from error
