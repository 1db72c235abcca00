"""The one HTTP client of live sources: bounded in time, size and patience.

httpx's timeouts are per read, so that a server that drips a byte a second is never late: here a
deadline holds over everything, headers, retries and waits included.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import httpx

from sources.errors import ProviderUnavailableError
from sources.live.provider import Payload
from sources.live.transfer import Failed, Limits, Refused, ask

if TYPE_CHECKING:
    from types import TracebackType

_LOG = logging.getLogger(__name__)

_LONGEST_DIGITS = 9
"""Of a Retry-After in seconds: three decades, and no overflow."""


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Clock:
    """Time as the client sees it: the wall's, a stopwatch, how to wait, and chance in [0, 1)."""

    now: Callable[[], dt.datetime] = _utc_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


class Client:
    """Ask questions over HTTP, each answered by a :class:`~sources.live.provider.Payload`.

    Parameters
    ----------
    limits : of time, size and patience.
    clock : the system's by default.

    Notes
    -----
    Use it in a ``with`` block, from one thread, outside of any event loop. Each question has its
    own connection: what a server says beyond its Content-Length is not the next one's answer.
    """

    def __init__(self, limits: Limits | None = None, clock: Clock | None = None) -> None:
        self.limits = limits or Limits()
        self.clock = clock or Clock()
        self._runner: asyncio.Runner | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what the client holds; it may be used again."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def get(
        self,
        source: str,
        url: str,
        params: Mapping[str, str | int] | None = None,
        *,
        secret: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Payload:
        """Ask for a URL until there is a whole answer, or reason to give up.

        Parameters
        ----------
        source : who is asked for what, for messages: ``"stooq IWM"``.
        url, params : the question; ``url`` may have a query of its own.
        secret : more of ``params`` that must not be seen; redirects are then refused.
        headers : besides the client's own.

        Returns
        -------
        The answer of status 200, whatever it is about.

        Raises
        ------
        ProviderUnavailableError
            Where nobody answers, or refuses (401, 403, 404 …: not asked again), or has no answer
            now (429, 5xx: asked again, ``retry_at`` where the server says when), or the answer is
            cut off, larger than the limit, or not over by the deadline.
        """
        question = str(httpx.URL(url).copy_merge_params(dict(params or {})))
        return self.patiently(
            source,
            question,
            lambda seconds: self.once(question, seconds, secret=secret, headers=headers),
        )

    def once(
        self,
        url: str,
        seconds: float,
        *,
        secret: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[bytes, str]:
        """Ask once, within the seconds given; return content and content type.

        Raises
        ------
        Failed, Refused
            Where there is no whole answer of status 200.
        """
        if self._runner is None:
            self._runner = asyncio.Runner()

        async def in_time() -> tuple[bytes, str]:
            async with asyncio.timeout(seconds):
                return await ask(httpx.URL(url), secret or {}, headers or {}, self.limits)

        try:
            return self._runner.run(in_time())
        except TimeoutError:
            limit = self.limits.deadline_seconds
            raise Failed(f"no whole answer within {limit:g} s") from None

    def patiently(
        self, source: str, url: str, attempt: Callable[[float], tuple[bytes, str]]
    ) -> Payload:
        """Repeat an attempt until there is an answer, or reason to give up; see :meth:`get`.

        For libraries that bring an HTTP client of their own.

        Parameters
        ----------
        source : who is asked for what, for messages.
        url : what is asked for, without secrets.
        attempt : takes the seconds that are left, returns content and content type, raises
            :class:`~sources.live.transfer.Failed` or :class:`~sources.live.transfer.Refused`.

        Raises
        ------
        ProviderUnavailableError
            Where there is no answer in the end.
        """
        end = self.clock.monotonic() + self.limits.deadline_seconds
        count = 1
        while True:
            try:
                content, kind = attempt(max(end - self.clock.monotonic(), 0.0))
                return Payload(url, content, kind, self.clock.now())
            except Refused as refusal:
                raise ProviderUnavailableError(
                    source, found=str(refusal), attempts=count, status=refusal.status
                ) from None
            except Failed as failure:
                self._wait(source, failure, count, end)
            count += 1

    def _wait(self, source: str, failure: Failed, attempt: int, end: float) -> None:
        """Wait before asking again, or give up where that would be too often, long or late."""
        asked = retry_after(failure.after, self.clock.now())
        mean = self.limits.backoff_seconds * 2 ** (attempt - 1)
        seconds = mean * (0.5 + self.clock.jitter()) if asked is None else asked
        if (
            attempt > self.limits.retries
            or seconds > self.limits.longest_wait_seconds
            or self.clock.monotonic() + seconds >= end
        ):
            retry_at = None
            if asked is not None:
                instant = self.clock.now() + dt.timedelta(seconds=asked)
                retry_at = f"{instant:%Y-%m-%dT%H:%M:%SZ}"
            raise ProviderUnavailableError(
                source,
                found=str(failure),
                attempts=attempt,
                status=failure.status,
                retry_at=retry_at,
            ) from None
        _LOG.info("%s: %s; attempt %d in %.1f s", source, failure, attempt + 1, seconds)
        self.clock.sleep(seconds)


def retry_after(header: str | None, now: dt.datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for; None for none, or nonsense.

    Examples
    --------
    >>> retry_after("Fri, 29 Nov 2024 12:00:09 GMT", dt.datetime(2024, 11, 29, 12, tzinfo=dt.UTC))
    9.0
    """
    text = (header or "").strip()
    if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_DIGITS:
        return float(text)
    try:
        at = email.utils.parsedate_to_datetime(text)
        if at.tzinfo is None:
            at = at.replace(tzinfo=dt.UTC)
        return max((at.astimezone(dt.UTC) - now).total_seconds(), 0.0)
    except (ValueError, OverflowError):  # a zone may lead beyond the year 9999
        return None
