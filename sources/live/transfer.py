"""One request and its whole answer, or the reason why there is none.

Bytes are counted while they come, before and after decompression; a secret is put into the request
below httpx's own logging and errors, so that no message, log or repr can hold it.
"""

from __future__ import annotations

import ssl
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from sources.strict_csv import shown

_NO_ANSWER = (408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524)
_SHOWN_BYTES = 120
_USER_AGENT = "Mozilla/5.0 (compatible; riskon)"


@dataclass(frozen=True)
class Limits:
    """How long, how much and how often.

    Attributes
    ----------
    connect_seconds, read_seconds : of one connection attempt and of one silence.
    deadline_seconds : of one question, with all its retries and waits.
    retries : after the first attempt.
    backoff_seconds : mean wait before the first retry; doubles with each.
    longest_wait_seconds : a server that asks for more is left alone.
    content_bytes : largest body, before and after decompression.
    redirects : followed at most; none where a secret is sent.
    """

    connect_seconds: float = 10.0
    read_seconds: float = 20.0
    deadline_seconds: float = 90.0
    retries: int = 3
    backoff_seconds: float = 0.5
    longest_wait_seconds: float = 30.0
    content_bytes: int = 64 * 2**20
    redirects: int = 3


class Refused(Exception):  # noqa: N818 - the client makes an error of it
    """An answer that asking again will not better."""

    def __init__(self, found: str, status: int | None = None) -> None:
        super().__init__(found)
        self.status = status


class Failed(Exception):  # noqa: N818 - the client makes an error of it
    """No answer, or one that may be better next time; ``after`` is its Retry-After header."""

    def __init__(self, found: str, status: int | None = None, after: str | None = None) -> None:
        super().__init__(found)
        self.status, self.after = status, after


async def ask(
    url: httpx.URL, secret: Mapping[str, str], headers: Mapping[str, str], limits: Limits
) -> tuple[bytes, str]:
    """Return content and content type of the answer to one GET.

    Parameters
    ----------
    url : the question, which messages and logs may show.
    secret : parameters of its query that they may not.
    headers : besides our own.
    limits : of time, size and redirects; the deadline is the caller's.

    Raises
    ------
    Refused, Failed
        Where there is no whole answer of status 200.
    """
    try:
        async with (
            httpx.AsyncClient(
                transport=_Transport(secret, verify=_tls(), proxy=_proxy(url)),
                timeout=httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds),
                max_redirects=limits.redirects,
                follow_redirects=not secret,
                headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "gzip, deflate", **headers},
            ) as session,
            session.stream("GET", url) as response,
        ):
            content = await _read(response, limits.content_bytes)
    except httpx.TooManyRedirects:
        raise Refused(f"more than {limits.redirects} redirects") from None
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise Refused(_said(error)) from None
    except httpx.RequestError as error:
        raise Failed(_said(error)) from None
    after = response.headers.get("Retry-After")
    check_status(response.status_code, after, content, secret)
    return content, response.headers.get("Content-Type", "")


class _Transport(httpx.AsyncHTTPTransport):
    """Send a request with its secret, which nobody above has seen."""

    def __init__(self, secret: Mapping[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self._secret = secret

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        signed = httpx.Request(
            request.method,
            request.url.copy_merge_params(dict(self._secret)),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return await super().handle_async_request(signed)


@cache
def _tls() -> ssl.SSLContext:
    """Return the context that trusts the usual authorities; slow to make."""
    return httpx.create_ssl_context()


def _proxy(url: httpx.URL) -> str | None:
    """Return the proxy that the environment names for a URL."""
    if urllib.request.proxy_bypass(url.host):
        return None
    return urllib.request.getproxies().get(url.scheme)


async def _read(response: httpx.Response, limit: int) -> bytes:
    """Return the whole body, decompressed, never holding more than the limit."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip", "deflate"}:
        raise Refused(f"content encoding {shown(encoding)}", response.status_code)
    stated = response.headers.get("Content-Length", "")
    if stated.isdecimal() and int(stated) > limit:
        raise Refused(f"{stated} bytes, limit {limit}", response.status_code)
    # 32 more than the window's bits: a gzip or a zlib header, whichever is there.
    inflate = None if encoding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)
    body, received = bytearray(), 0
    async for chunk in response.aiter_raw():
        received += len(chunk)
        try:
            body += chunk if inflate is None else inflate.decompress(chunk, limit + 1 - len(body))
        except zlib.error as error:
            raise Failed(f"a damaged {encoding} body ({error})") from None
        if max(received, len(body)) > limit:
            raise Refused(f"more than the limit of {limit} bytes", response.status_code)
    if inflate is not None and received and (not inflate.eof or inflate.unused_data):
        raise Failed(f"a {encoding} body that is cut off or followed by something else")
    return bytes(body)


def check_status(
    status: int, after: str | None, content: bytes, secret: Mapping[str, str] | None = None
) -> None:
    """Refuse an answer whose status is not 200, quoting the start of what it says.

    Raises
    ------
    Failed, Refused
        Where asking again may help (408, 429, 5xx), and where not.
    """
    if status == httpx.codes.OK:
        return
    found = f"HTTP {status}"
    said = content.decode("utf-8", "replace")
    for value in filter(None, (secret or {}).values()):
        said = said.replace(value, "***")  # before it is cut: half a key is a secret too
    said = " ".join(said[:_SHOWN_BYTES].split())
    if said and not said.startswith("<"):
        found += f" {said!a}"
    if status in _NO_ANSWER:
        raise Failed(found, status, after)
    raise Refused(found, status)


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
