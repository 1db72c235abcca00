"""Who may ask: hosts, API keys, and the headers that keep browsers careful."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import SECURITY_HEADERS, ProblemError, problem

DOCS = ("/docs", "/docs/oauth2-redirect", "/redoc")
"""Pages that load a program, from this server; all else may load nothing."""

OWN = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; worker-src blob:; frame-ancestors 'none'"
)

NOTHING = "default-src 'none'; frame-ancestors 'none'"

KEY_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)


class Guard:
    """ASGI middleware: refuses foreign Host headers, and sets security headers on every answer.

    Parameters
    ----------
    app : what it guards.
    allowed_hosts : names without port that may stand in Host; ``*`` allows any.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str]) -> None:
        self.app = app
        self.allowed_hosts = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                policy = OWN if scope["path"] in DOCS else NOTHING
                headers.setdefault("content-security-policy", policy)
            await send(message)

        app = (
            self.app if self._allows(scope) else problem(400, "bad-host", "Not a host served here.")
        )
        await app(scope, receive, send_guarded)

    def _allows(self, scope: Scope) -> bool:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return False
        host, colon, port = hosts[0].lower().rpartition(":")
        if not colon or port.endswith("]"):
            host = hosts[0].lower()
        return "*" in self.allowed_hosts or host in self.allowed_hosts


def hash_key(key: str) -> str:
    """Return the sha256 of an API key, the only form in which it is kept."""
    return hashlib.sha256(key.encode()).hexdigest()


def require_key(hashes: Sequence[str]) -> Callable[..., None]:
    """Return a dependency that lets through who has one of the keys; anyone if there are none."""

    def check(key: Annotated[str | None, Security(KEY_HEADER)]) -> None:
        if not hashes:
            return
        if not key:
            raise ProblemError(
                401, "key-missing", "Needed an X-API-Key header.", {"www-authenticate": "X-API-Key"}
            )
        # All are compared, so that the time taken tells nothing.
        found = [hmac.compare_digest(hash_key(key), known) for known in hashes]
        if not any(found):
            raise ProblemError(403, "key-wrong", "The X-API-Key is not one that is known.")

    return check


def refuse_repeats(request: Request) -> None:
    """Refuse a parameter given twice, but for different assets and horizons."""
    pairs = request.query_params.multi_items()
    once = [name for name, _ in pairs if name not in ("asset", "horizon")]
    if len(set(pairs)) < len(pairs) or len(set(once)) < len(once):
        raise ProblemError(422, "repeated-parameter", "A parameter or a value is given twice.")
