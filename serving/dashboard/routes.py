"""The routes of the dashboard, and what a person reads when a page cannot be made."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from serving.dashboard.access import Access, local_path, sign_in_form
from serving.dashboard.anatomy import anatomy_view
from serving.dashboard.assets import asset_response, asset_url
from serving.dashboard.pages import environment, page, rendered
from serving.dashboard.record import Cell
from serving.dashboard.signals_view import DEFAULT_RANGE, RANGES, signals_view
from serving.dashboard.today import today_view
from serving.dashboard.views import Scores, Views
from serving.keys import KeyRing
from serving.limits import TokenBuckets, address_of
from serving.problems import UNAVAILABLE
from sources.errors import ModelNotFoundError, RiskonError

logger = logging.getLogger(__name__)

FORECAST_ID = re.compile(r"[0-9a-f]{32}")

SIGN_INS_PER_MINUTE = 20.0
"""From one address, right or wrong."""

FIRST_STEPS = (
    "riskon train --market DIR --asset BTC --horizon 5",
    "riskon promote 1 --reason TEXT",
)


@dataclass(frozen=True)
class Refusal(Exception):  # noqa: N818 - it is an answer
    """A page that is not there, in the words that a person is to read."""

    status: int
    heading: str
    said: str
    steps: tuple[str, ...] = ()


def mount_dashboard(app: FastAPI, service: Scores, ring: KeyRing) -> None:
    """Add the pages to an application; opens nothing before it is asked.

    Parameters
    ----------
    service : who answers for a day.
    ring : keys that may read; with none, anyone may look.
    """
    views, access, clock = Views(service), Access(ring), service.clock
    tries = TokenBuckets(SIGN_INS_PER_MINUTE / 60, SIGN_INS_PER_MINUTE)
    router = APIRouter(include_in_schema=False)
    environment().globals["asset_url"] = asset_url

    def shown(request: Request, make: Callable[[], tuple[str, dict[str, Any]]]) -> Response:
        """Return a page, the one to sign in on, or one that says why there is none."""
        common = {"path": request.url.path, "guarded": access.guarded}
        if not access.allows(request, clock()):
            back = local_path(request.url.path)
            return page(rendered("sign_in.html", **common, back=back, wrong=False), 401)
        try:
            template, values = make()
            return page(rendered(template, **common, **values))
        except Refusal as refusal:
            return page(rendered("message.html", **common, refusal=refusal), refusal.status)
        except RiskonError as error:
            refusal = refusal_of(error)
            return page(rendered("message.html", **common, refusal=refusal), refusal.status)

    @router.get("/")
    def today(request: Request) -> Response:
        def make() -> tuple[str, dict[str, Any]]:
            scores = service.scores()
            if not scores:
                raise Refusal(404, "No scores yet", "The champion has not scored a day.",
                              ("riskon score --market DIR",))  # fmt: skip
            issued, outcomes = service.ledger.counts()
            values = {
                "view": today_view(scores, clock()),
                "card": views.card(),
                "record": views.known_record(),
                "issued": issued,
                "outcomes": outcomes,
                "stale": service.stale,
            }
            return "today.html", values

        return shown(request, make)

    @router.get("/scores/{forecast_id}")
    def score(request: Request, forecast_id: str) -> Response:
        def make() -> tuple[str, dict[str, Any]]:
            found = None
            if FORECAST_ID.fullmatch(forecast_id):
                found = service.ledger.get(forecast_id)
                # An abstention is in no ledger, but the day's page links to it.
                found = found or next(
                    (s for s in service.scores() if s.forecast_id == forecast_id), None
                )
            if found is None:
                raise Refusal(404, "No such score", "No score of this address was issued.")
            return "score.html", {"view": anatomy_view(found)}

        return shown(request, make)

    @router.get("/signals")
    def signals(request: Request) -> Response:
        def make() -> tuple[str, dict[str, Any]]:
            if views.of_the_day is None:
                raise Refusal(503, "No market at hand", "The service was started without a market, "
                              "so there are no signals to draw.",
                              ("riskon serve --market DIR",))  # fmt: skip
            found = views.signals()
            if found is None:
                return "making.html", {}
            asset = request.query_params.get("asset", next(iter(found.close)))
            span = request.query_params.get("range", DEFAULT_RANGE)
            if asset not in found.close or span not in RANGES:
                known = ", ".join(found.close)
                raise Refusal(404, "No such picture", f"Assets are {known}; ranges are "
                              f"{', '.join(RANGES)}.")  # fmt: skip
            view = views.once(("signals", id(found), asset, span),
                              lambda: signals_view(found, asset, span))  # fmt: skip
            return "signals.html", {"view": view}

        return shown(request, make)

    @router.get("/record")
    def record(request: Request) -> Response:
        def make() -> tuple[str, dict[str, Any]]:
            asset, days = request.query_params.get("asset"), request.query_params.get("horizon", "")
            asked = Cell(asset, int(days)) if asset and re.fullmatch("[1-9][0-9]{0,2}", days) else None
            view = views.record(asked)
            if (asset or days) and view.chosen != asked:
                raise Refusal(404, "No such record", "Nothing was said of this asset and horizon.")
            return "record.html", {"view": view}

        return shown(request, make)

    @router.get("/model")
    def model(request: Request) -> Response:
        return shown(request, lambda: ("model.html", {"card": views.card()}))

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        common = {"path": "/sign-in", "guarded": access.guarded}
        if tries.wait(address_of(request.scope)) > 0:
            refusal = Refusal(429, "Too many tries", "Wait a minute, then sign in again.")
            return page(rendered("message.html", **common, refusal=refusal), 429)
        key, back = await sign_in_form(request)
        known = access.known(key)
        if known is None:
            return page(rendered("sign_in.html", **common, back=back, wrong=True), 403)
        answer = RedirectResponse(back, 303)
        access.sign(answer, known, clock(), secure=request.url.scheme == "https")
        return answer

    @router.post("/sign-out")
    def sign_out() -> Response:
        answer = RedirectResponse("/", 303)
        access.forget(answer)
        return answer

    @router.get("/static/{name}")
    def static(request: Request, name: str) -> Response:
        found = asset_response(name, request)
        return found if found is not None else Response(status_code=404)

    app.include_router(router)


def refusal_of(error: RiskonError) -> Refusal:
    """Return what a person reads of an error; what it says of paths and hosts stays in the log."""
    logger.error("503: %s", error)
    if isinstance(error, ModelNotFoundError):
        return Refusal(503, "No model speaks yet", "A model is trained, then promoted through the "
                       "gate; from then on there are scores.", FIRST_STEPS)  # fmt: skip
    _, said = next(words for kind, words in UNAVAILABLE.items() if isinstance(error, kind))
    return Refusal(503, "Not available now", f"{said} The server's log says more.")
