"""How much anyone may ask: requests a second, bytes, time, and how many at once."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import ProblemError, problem, problem_of


@dataclass(frozen=True)
class Limits:
    """What a client may take.

    Attributes
    ----------
    requests_per_second : of one key or address, and twice as many at once; 0 sets no limit.
    wrong_keys_per_minute : from one address, before it has to wait.
    body_bytes : of one request.
    headers : lines of one request; their bytes are the protocol's limit.
    seconds : until a request is answered, one way or the other.
    at_once : requests under way; more are asked to come back.
    """

    requests_per_second: float = 100.0
    wrong_keys_per_minute: float = 20.0
    body_bytes: int = 1 << 20
    headers: int = 64
    seconds: float = 30.0
    at_once: int = 100


CLOSE = {"connection": "close"}
"""What else comes over such a connection is not to be read as another request."""


class TokenBuckets:
    """A bucket for each name: it fills at a rate up to a size, and each request takes one token.

    Parameters
    ----------
    rate : tokens a second.
    size : most that are held.
    most : names remembered; the one longest unseen is forgotten first, with a full bucket.
    clock : seconds, monotonic.
    """

    def __init__(
        self,
        rate: float,
        size: float,
        most: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rate, self.size, self.most, self.clock = rate, size, most, clock
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, name: str, tokens: float = 1.0) -> float:
        """Take tokens and return 0, or return the seconds until there are enough.

        Examples
        --------
        >>> bucket = TokenBuckets(rate=2.0, size=1.0, clock=lambda: 0.0)
        >>> bucket.wait("me"), bucket.wait("me"), bucket.wait("you")
        (0.0, 0.5, 0.0)
        """
        now = self.clock()
        held, then = self._held.pop(name, (self.size, now))
        held = min(self.size, held + (now - then) * self.rate)
        short = tokens - held
        self._held[name] = (held if short > 0 else held - tokens, now)
        if len(self._held) > self.most:
            self._held.popitem(last=False)
        return short / self.rate if short > 0 else 0.0


def declared_faults(scope: Scope, limits: Limits) -> ProblemError | None:
    """Say what of a request is refused by its headers alone, before a byte of it is read."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if len(headers) > limits.headers:
        return ProblemError(
            431, "too-many-headers", f"Needed at most {limits.headers} header lines.", CLOSE
        )
    length: bytes | None = None
    chunked = encoded = False
    for name, value in headers:
        if name == b"content-length":
            length = value
        elif name == b"transfer-encoding":
            chunked = True
        elif name == b"content-encoding":
            encoded = value.strip().lower() not in (b"", b"identity")
    if length is not None and chunked:
        # Two servers in a row could each believe another one of them.
        return ProblemError(400, "two-lengths", "Content-Length beside Transfer-Encoding.", CLOSE)
    if encoded:
        return ProblemError(415, "encoded-body", "Needed a body without Content-Encoding.", CLOSE)
    if length is not None and (not length.isdigit() or len(length) > 12):
        return ProblemError(400, "bad-length", "Content-Length: needed digits.", CLOSE)
    if length is not None and int(length) > limits.body_bytes:
        return _too_large(limits)
    return None


class Bounded:
    """ASGI middleware: a body of so many bytes, so many requests at once, an answer by a deadline.

    What takes longer goes on in the background and is finished once; its answer goes nowhere.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits
        self._under_way: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] == "/health/live":
            await self.app(scope, receive, send)
            return
        if len(self._under_way) >= self.limits.at_once:
            busy = problem(503, "busy", "Too many requests at once.", {"retry-after": "1"})
            await busy(scope, receive, send)
            return
        await self._by_the_deadline(scope, receive, send)

    async def _by_the_deadline(self, scope: Scope, receive: Receive, send: Send) -> None:
        read, begun, late = 0, False, False

        async def receive_bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.limits.body_bytes:
                raise _too_large(self.limits)
            return message

        async def send_in_time(message: Message) -> None:
            nonlocal begun
            if late:
                return
            begun = True
            await send(message)

        async def answer() -> None:
            try:
                await self.app(scope, receive_bounded, send_in_time)
            except ProblemError as error:
                if begun:
                    raise
                await problem_of(error)(scope, receive, send_in_time)

        task = asyncio.ensure_future(answer())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        done, _ = await asyncio.wait({task}, timeout=self.limits.seconds)
        if done:
            task.result()
            return
        late = True
        if not begun:
            detail = f"No answer within {self.limits.seconds:g} s."
            await problem(503, "deadline", detail, {"retry-after": "5"})(scope, receive, send)
        # The thread that works on it cannot be stopped half way; what it wrote is whole.
        task.add_done_callback(_forget)


def _forget(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()


def _too_large(limits: Limits) -> ProblemError:
    detail = f"Needed a body of at most {limits.body_bytes} bytes."
    return ProblemError(413, "body-too-large", detail, CLOSE)


class Patience:
    """Who asks too often, or tries too many keys, waits."""

    def __init__(self, limits: Limits) -> None:
        rate = limits.requests_per_second
        self._asks = TokenBuckets(rate, 2 * rate) if rate else None
        tries = limits.wrong_keys_per_minute
        self._tries = TokenBuckets(tries / 60, tries) if tries else None

    def refuse(self, name: str) -> Response | None:
        """Refuse who asks too often."""
        wait = self._asks.wait(name) if self._asks is not None else 0.0
        return _too_often(wait) if wait else None

    def refuse_tries(self, address: str) -> Response | None:
        """Refuse an address that has tried too many wrong keys; each call counts as one."""
        wait = self._tries.wait(address) if self._tries is not None else 0.0
        return _too_often(wait) if wait else None


def address_of(scope: Scope) -> str:
    """Return the address that a request came from; headers can say anything, and are not asked."""
    client = scope.get("client")
    return client[0] if client else "unknown"


def _too_often(wait: float) -> Response:
    after = {"retry-after": str(max(1, math.ceil(wait)))}
    return problem(429, "too-often", "Too many requests; come back later.", after)
