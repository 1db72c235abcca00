"""The routes of the dashboard."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response

from serving.dashboard.access import Access, from_elsewhere, local_path, sign_in_form
from serving.dashboard.assets import asset_response
from serving.dashboard.contents import Content, Contents, Refusal, refusal_of
from serving.dashboard.pages import page, rendered
from serving.dashboard.views import Scores
from serving.keys import KeyRing
from serving.limits import TokenBuckets, address_of
from sources.errors import RiskonError

SIGN_INS_PER_MINUTE = 20.0
"""From one address, right or wrong."""


def mount_dashboard(app: FastAPI, service: Scores, ring: KeyRing) -> None:
    """Add the pages to an application; opens nothing before it is asked.

    Parameters
    ----------
    service : who answers for a day.
    ring : keys that may read; with none, anyone may look.
    """
    access = Access(ring)
    app.include_router(page_router(service, access))
    app.include_router(sign_in_router(service, access))


def page_router(service: Scores, access: Access) -> APIRouter:
    """Return the routes of the pages, and of the files that they load."""
    router = APIRouter(include_in_schema=False)
    contents = Contents(service)

    def shown(request: Request, make: Callable[[], Content]) -> Response:
        """Return a page, the one to sign in on, or one that says why there is none."""
        common = {"path": request.url.path, "guarded": access.guarded}
        if not access.allows(request, service.clock()):
            back = local_path(request.url.path)
            return page(rendered("sign_in.html", **common, back=back, wrong=False), 401)
        try:
            template, values = make()
        except Refusal as refusal:
            return page(rendered("message.html", **common, refusal=refusal), refusal.status)
        except RiskonError as error:
            said = refusal_of(error)
            return page(rendered("message.html", **common, refusal=said), said.status)
        return page(rendered(template, **common, **values))

    @router.get("/")
    def today(request: Request) -> Response:
        return shown(request, contents.today)

    @router.get("/scores/{forecast_id}")
    def score(request: Request, forecast_id: str) -> Response:
        return shown(request, lambda: contents.score(forecast_id))

    @router.get("/signals")
    def signals(request: Request) -> Response:
        return shown(request, lambda: contents.signals(request.query_params))

    @router.get("/record")
    def record(request: Request) -> Response:
        return shown(request, lambda: contents.record(request.query_params))

    @router.get("/model")
    def model(request: Request) -> Response:
        return shown(request, contents.model)

    @router.get("/static/{name}")
    def static(request: Request, name: str) -> Response:
        found = asset_response(name, request)
        return found if found is not None else Response(status_code=404)

    return router


def sign_in_router(service: Scores, access: Access) -> APIRouter:
    """Return the routes that give a cookie for a key, and take it away."""
    router = APIRouter(include_in_schema=False)
    tries = TokenBuckets(SIGN_INS_PER_MINUTE / 60, SIGN_INS_PER_MINUTE)

    def refused(status: int, heading: str, said: str) -> Response:
        common = {"path": "/sign-in", "guarded": access.guarded}
        refusal = Refusal(status, heading, said)
        return page(rendered("message.html", **common, refusal=refusal), status)

    def refused_from_elsewhere() -> Response:
        return refused(403, "Sent from another site", "Sign in or out on a page of this service.")

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        if from_elsewhere(request):
            return refused_from_elsewhere()
        if tries.wait(address_of(request.scope)) > 0:
            return refused(429, "Too many tries", "Wait a minute, then sign in again.")
        key, back = await sign_in_form(request)
        known = access.known(key)
        if known is None:
            common = {"path": "/sign-in", "guarded": access.guarded}
            return page(rendered("sign_in.html", **common, back=back, wrong=True), 403)
        answer = RedirectResponse(back, 303)
        access.sign(answer, known, service.clock(), secure=request.url.scheme == "https")
        return answer

    @router.post("/sign-out")
    def sign_out(request: Request) -> Response:
        if from_elsewhere(request):
            return refused_from_elsewhere()
        answer = RedirectResponse("/", 303)
        access.forget(answer)
        return answer

    return router
