"""The REST API: scores, the model that speaks, and health; made by :func:`create_app`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI
from fastapi_offline import FastAPIOffline
from structlog.typing import FilteringBoundLogger

from serving.answers import problems
from serving.cached import Answers
from serving.daily import DailyScores
from serving.dashboard import mount_dashboard
from serving.guard import Guard, refuse_repeats
from serving.keys import KeyRing, KeyScope, require_key
from serving.ledger import Ledger
from serving.limits import Limits
from serving.metrics import Metrics
from serving.problems import register_problems
from serving.registry import Registry
from serving.routes_model import admin_router, health_router, model_router
from serving.routes_record import record_router
from serving.routes_scores import batch_router, scores_router
from serving.scorer import Fallback, utc_now
from serving.speaker import MarketReader


@dataclass(frozen=True)
class ServiceConfig:
    """What the service is made of.

    Attributes
    ----------
    registry, ledger : who speaks, and what was said.
    market_dir : market directory to score what the ledger lacks; None to read the ledger only.
    allowed_hosts : names that may stand in the Host header; ``*`` allows any.
    api_keys : sha256 of each key, in hex -> what it may do; none lets anyone read.
    clock : the current instant.
    reader : reads the market; plain directories by default.
    limits : what a client may take.
    isolated : load and score in a process of its own.
    fallback : what stands in where the model abstains.
    poll_seconds : between two looks at who is champion.
    precompute : score the latest day before anyone asks.
    prepare : brings the database to its newest schema; tried until it succeeds once.
    log : of requests; None writes none.
    """

    registry: Registry
    ledger: Ledger
    market_dir: Path | None = None
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    api_keys: Mapping[str, KeyScope] = field(default_factory=dict)
    clock: Callable[[], datetime] = utc_now
    reader: MarketReader | None = None
    limits: Limits = field(default_factory=Limits)
    isolated: bool = False
    fallback: Fallback = "abstain"
    poll_seconds: float = 1.0
    precompute: bool = False
    prepare: Callable[[], None] | None = None
    log: FilteringBoundLogger | None = None


def create_app(config: ServiceConfig) -> FastAPI:
    """Return the application; opens nothing before it is started or asked."""
    service = DailyScores(
        config.registry,
        config.ledger,
        config.market_dir,
        config.clock,
        config.reader,
        isolated=config.isolated,
        fallback=config.fallback,
        prepare=config.prepare,
    )
    ring, answers, metrics = (
        KeyRing(config.api_keys),
        Answers(lambda: service.generation),
        Metrics(),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.watch(config.poll_seconds, precompute=config.precompute)
        yield
        service.close()

    # The pages of /docs come from here too: a service may have no way out.
    app = FastAPIOffline(
        title="riskon",
        summary="Daily probabilities that a crypto asset rises, each beside its base rate.",
        version="1",
        lifespan=lifespan,
        responses=problems(400, 422, 429, 431, 503),
    )
    app.state.service = service
    register_problems(app)
    app.add_middleware(
        Guard,
        allowed_hosts=config.allowed_hosts,
        ring=ring,
        limits=config.limits,
        answers=answers,
        metrics=metrics,
        log=config.log,
    )
    # Without keys anyone may read, and OpenAPI asks for none.
    locked = [Depends(require_key(ring))] if ring.scopes else []
    v1 = APIRouter(
        prefix="/v1",
        dependencies=[*locked, Depends(refuse_repeats)],
        responses=problems(401, 403) if ring.scopes else None,
    )
    v1.include_router(scores_router(service, answers))
    v1.include_router(batch_router(service))
    v1.include_router(model_router(service))
    v1.include_router(record_router(service))
    if ring.scopes:
        v1.include_router(admin_router(service, ring))
    app.include_router(v1)
    app.include_router(health_router(service, metrics))
    mount_dashboard(app, service, ring)
    return app
