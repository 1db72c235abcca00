"""The routes of who speaks, of health, of metrics, and of the administrator."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from prometheus_client import CONTENT_TYPE_LATEST

from serving.answers import Live, ModelInfo, Ready, problems
from serving.champions import Champion
from serving.daily import DailyScores
from serving.head import Head, read_head
from serving.keys import KeyRing, require_key
from serving.metrics import Metrics
from serving.problems import ProblemError
from serving.questions import ModelQuery, NoQuery, instant_of
from serving.scorer import latest_finished_day
from sources.errors import DataUnavailableError, IntegrityError, ModelNotFoundError


def model_router(service: DailyScores) -> APIRouter:
    """Return the route of who speaks, or spoke."""
    router = APIRouter()

    @router.get("/model", responses=problems(404))
    def model(query: Annotated[ModelQuery, Query()]) -> ModelInfo:
        """Return the version that speaks, or spoke at an instant."""
        if query.at is None:
            served = service.served()
            return _info(service, served.champion, served.head, stale=service.stale)
        try:
            champion = service.registry.champion(instant_of(query.at))
        except ModelNotFoundError as error:
            raise ProblemError(404, "no-model-then", "Nobody spoke at that time.") from error
        try:
            head = read_head(service.registry.folder(champion.digest), champion.digest)
        except IntegrityError as error:
            raise ModelNotFoundError(champion.name, alias=str(champion.version), hint="") from error
        return _info(service, champion, head, stale=False)

    return router


def health_router(service: DailyScores, metrics: Metrics) -> APIRouter:
    """Return the routes that need no key, and leak nothing."""
    router = APIRouter()

    @router.get("/health/live")
    def live(_: Annotated[NoQuery, Query()]) -> Live:
        """Say that the process answers."""
        return Live(status="live")

    @router.get("/health/ready", responses=problems(503))
    def ready(_: Annotated[NoQuery, Query()]) -> Ready:
        """Say that the database answers, a version speaks, and how old it and its inputs are."""
        service.refresh()
        trouble = service.trouble
        served = service.served()
        if isinstance(trouble, DataUnavailableError) and trouble.source == "database":
            raise trouble
        issued, old = service.latest_issued, service.stale_inputs()
        return Ready(
            status="ready",
            version=served.champion.version,
            stale=service.stale,
            model_age_days=_age(service, served.head),
            latest_as_of=issued[0].as_of if issued else None,
            # Said, not refused: a demo or a history is meant to be old, and serves all the same.
            inputs="unknown" if not issued else "stale" if old else "fresh",
            stale_inputs=old,
        )

    @router.get(
        "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
    )
    def metrics_of(_: Annotated[NoQuery, Query()]) -> Response:
        """Return counts and the state of the service, for Prometheus."""
        return Response(metrics.exposition(service), headers={"content-type": CONTENT_TYPE_LATEST})

    return router


def admin_router(service: DailyScores, ring: KeyRing) -> APIRouter:
    """Return what needs a key of scope admin."""
    router = APIRouter(dependencies=[Depends(require_key(ring, "admin"))])

    @router.post("/admin/reload")
    def reload(_: Annotated[NoQuery, Query()]) -> ModelInfo:
        """Find out who speaks now, and try a version again that could not be loaded."""
        service.refresh(at_once=True)
        served = service.served()
        return _info(service, served.champion, served.head, stale=service.stale)

    return router


def _info(service: DailyScores, champion: Champion, head: Head, *, stale: bool) -> ModelInfo:
    return ModelInfo(
        **{name: getattr(champion, name) for name in champion.__dataclass_fields__},
        trained_through=head.trained_through,
        data_digest=head.data_digest,
        assets=head.assets,
        horizons=head.horizons,
        thresholds=head.thresholds,
        model_age_days=_age(service, head),
        stale=stale,
    )


def _age(service: DailyScores, head: Head) -> int:
    return (latest_finished_day(service.clock()) - head.trained_through).days
