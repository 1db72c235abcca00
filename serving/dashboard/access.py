"""Who may look: as with the API, anyone where there are no keys, else who has one.

A browser cannot send a header of its own, so a key is given once, on a page, for a cookie that a
script cannot read and other sites cannot send. The cookie holds no key: it is the time it ends
and an HMAC of that under the key's hash, so every worker can check it, nothing is kept, and a key
that is taken away ends its cookies.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from urllib.parse import parse_qs

from fastapi import Request, Response

from serving.keys import KeyRing, hash_key

COOKIE = "riskon_session"
LASTS = timedelta(hours=12)
LONGEST_FORM = 2048
"""Bytes of a sign-in form that are read."""


class Access:
    """Checks keys and the cookies made from them.

    Parameters
    ----------
    ring : the keys; none lets anyone look.
    """

    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring

    @property
    def guarded(self) -> bool:
        """Whether a key is needed."""
        return bool(self.ring.scopes)

    def allows(self, request: Request, now: datetime) -> bool:
        """Say whether a request carries a key, or a cookie that still counts."""
        return self.ring.may_read(request.headers.get("x-api-key")) or self._signed(
            request.cookies.get(COOKIE), now
        )

    def known(self, key: str) -> str | None:
        """Return the hash of a key if it is one of ours."""
        return hash_key(key) if key and self.ring.scope_of(key) is not None else None

    def sign(self, response: Response, known: str, now: datetime, *, secure: bool) -> None:
        """Give the cookie of a key."""
        ends = int((now + LASTS).timestamp())
        response.set_cookie(
            COOKIE,
            f"{ends}.{_mac(known, ends)}",
            max_age=int(LASTS.total_seconds()),
            secure=secure,
            httponly=True,
            samesite="strict",
        )

    def forget(self, response: Response) -> None:
        """Take the cookie away."""
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")

    def _signed(self, cookie: str | None, now: datetime) -> bool:
        text, _, mac = (cookie or "").partition(".")
        if not (text.isascii() and text.isdigit() and len(text) < 12 and mac.isascii()):
            return False
        found = [h for h in self.ring.scopes if hmac.compare_digest(mac, _mac(h, int(text)))]
        return bool(found) and now.timestamp() < int(text)


def _mac(key_hash: str, ends: int) -> str:
    message = f"riskon dashboard until {ends}".encode()
    return hmac.new(bytes.fromhex(key_hash), message, hashlib.sha256).hexdigest()


def local_path(text: str) -> str:
    """Return a path of this server to go to, never another server's.

    Examples
    --------
    >>> local_path("/model"), local_path("//evil.example"), local_path("https://evil.example")
    ('/model', '/', '/')
    """
    ours = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if ours and "\\" not in text else "/"


def from_elsewhere(request: Request) -> bool:
    """Say whether another site's page made a browser send a request.

    ``Sec-Fetch-Site`` is the browser's own word, which holds behind a proxy that changes ``Host``
    too; browsers send it over https and on loopback, and ``Origin`` with every form. Who sends
    neither is no browser, and carries no one's cookie.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    # Without the scheme: it is http here where a proxy ends TLS.
    return origin is not None and origin.partition("://")[2] != request.headers.get("host")


async def sign_in_form(request: Request) -> tuple[str, str]:
    """Return the key and the path of a sign-in form; empty where it is none."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            return "", "/"
    fields = parse_qs(body.decode("utf-8", "replace"))
    return fields.get("key", [""])[0].strip(), local_path(fields.get("next", ["/"])[0])
