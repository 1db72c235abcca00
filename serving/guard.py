"""The door: what a request passes before a route hears of it, and an answer on its way out."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from serving.cached import Answers
from serving.keys import RAW_HEADER, KeyRing
from serving.limits import Bounded, Limits, Patience, address_of, declared_faults
from serving.logs import request_id
from serving.metrics import UNKNOWN_ROUTE, Metrics
from serving.problems import SECURITY_HEADERS, ProblemError, problem, problem_of

DOCS = ("/docs", "/docs/oauth2-redirect", "/redoc")
"""Pages that load a program, from this server; all else may load nothing."""

OWN = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; worker-src blob:; frame-ancestors 'none'"
)

NOTHING = "default-src 'none'; frame-ancestors 'none'"

HEALTH = ("/health/live", "/health/ready")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
V1 = "/v1/"
SCORES = "/v1/scores"

_RAW = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_NAMES = {name for name, _ in _RAW} | {b"content-security-policy"}


class Guard:
    """ASGI middleware: hosts, limits and headers; a log line and a count for every request.

    Today's scores, once encoded, are answered here: a look into a dictionary, and no route.

    Parameters
    ----------
    app : what it guards.
    allowed_hosts : names without port that may stand in Host; ``*`` allows any.
    ring, limits, answers, metrics : keys, what a client may take, kept answers, counts.
    log : of requests; None writes none.
    """

    def __init__(
        self,
        app: ASGIApp,
        allowed_hosts: Sequence[str],
        ring: KeyRing,
        limits: Limits,
        answers: Answers,
        metrics: Metrics,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self.app = Bounded(app, limits)
        self.allowed_hosts = frozenset(host.lower() for host in allowed_hosts)
        self.ring, self.limits, self.answers = ring, limits, answers
        self.metrics, self.log = metrics, log
        self.patience = Patience(limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500
        headers: dict[bytes, bytes] = dict(scope["headers"])
        name = request_id(headers.get(b"x-request-id"))
        policy = (OWN if scope["path"] in DOCS else NOTHING).encode()

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = message["headers"]
                there = {key for key, _ in own if key in _NAMES}
                own = [*own, *(pair for pair in _RAW if pair[0] not in there)]
                if b"content-security-policy" not in there:
                    own.append((b"content-security-policy", policy))
                own.append((b"x-request-id", name.encode()))
                message = {**message, "headers": own}
            await send(message)

        try:
            refused = self._refusal(scope, headers)
            answer = refused or self._kept(scope, headers)
            await (answer or self.app)(scope, receive, send_guarded)
        finally:
            self._told(scope, name, status, time.perf_counter() - begun)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> Response | None:
        """Return the answer to a request that no route hears of."""
        if not self._allows(scope):
            return problem(400, "bad-host", "Not a host served here.")
        fault: ProblemError | None = declared_faults(scope, self.limits)
        if fault is not None:
            return problem_of(fault)
        if scope["path"] in HEALTH:
            return None
        address, key = address_of(scope), headers.get(RAW_HEADER)
        if key is None or not self.ring.scopes:
            return self.patience.refuse(address)
        if self.ring.may_read(key.decode("latin-1")):
            return self.patience.refuse(f"key {hash(key)}")
        return self.patience.refuse_tries(address)

    def _kept(self, scope: Scope, headers: dict[bytes, bytes]) -> Response | None:
        """Return an answer that is ready, to who may have it."""
        if scope["path"] != SCORES or scope["method"] != "GET":
            return None
        kept = self.answers.get(scope["query_string"])
        if kept is None:
            return None
        key = headers.get(RAW_HEADER)
        if not self.ring.may_read(None if key is None else key.decode("latin-1")):
            return None
        known = headers.get(b"if-none-match")
        return kept.response(None if known is None else known.decode("latin-1"))

    def _allows(self, scope: Scope) -> bool:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return False
        host, colon, port = hosts[0].lower().rpartition(":")
        if not colon or port.endswith("]"):
            host = hosts[0].lower()
        return "*" in self.allowed_hosts or host in self.allowed_hosts

    def _told(self, scope: Scope, name: str, status: int, seconds: float) -> None:
        """Count a request and write its line; of what was sent, the method and the template."""
        template: str | None = getattr(scope.get("route"), "path_format", None)
        if template is not None and scope["path"].startswith(V1) and not template.startswith(V1):
            template = V1 + template.removeprefix("/")  # FastAPI tells it without the prefix
        route = template or (SCORES if scope["path"] == SCORES else UNKNOWN_ROUTE)
        method = scope["method"] if scope["method"] in METHODS else "other"
        self.metrics.answered(method, route, status, seconds)
        if self.log is not None:
            self.log.info(
                "request",
                request_id=name,
                method=method,
                route=route,
                status=status,
                milliseconds=round(1000 * seconds, 2),
                client=address_of(scope),
            )


def refuse_repeats(request: Request) -> None:
    """Refuse a parameter given twice, but for different assets and horizons."""
    pairs = request.query_params.multi_items()
    once = [name for name, _ in pairs if name not in ("asset", "horizon")]
    if len(set(pairs)) < len(pairs) or len(set(once)) < len(once):
        raise ProblemError(422, "repeated-parameter", "A parameter or a value is given twice.")
