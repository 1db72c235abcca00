"""HTTP on the socket: a request that trickles in is cut off at a deadline, not waited for.

uvicorn's own timer runs only between requests; who sends a byte a minute would hold a connection
for ever.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from serving.problems import MEDIA_TYPE, SECURITY_HEADERS, document

HEADER_BYTES = 16 * 1024
"""Of the request line and all headers together."""

REQUEST_SECONDS = 10.0
"""From the first byte of a request, or from connecting, to its last byte."""


class PunctualProtocol(H11Protocol):
    """uvicorn's protocol, that gives up on a request which is not whole in time."""

    request_seconds = REQUEST_SECONDS
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take some bytes; the clock runs on until they make a whole request."""
        super().data_received(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            if self._deadline is None and not self._between_requests():
                self._wait()
        else:
            self._relax()

    def on_response_complete(self) -> None:
        """Wait for the next request as uvicorn does; what is sent of it already counts."""
        self._relax()
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._relax()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, as a problem document like any other."""
        status, kind = 400, "bad-request"
        if "too large" in msg or self._too_large():
            status, kind = 431, "headers-too-large"
        self._refuse(status, kind, "Needed a request of HTTP/1.1, with headers of 16 KiB at most.")

    def _between_requests(self) -> bool:
        return self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]

    def _too_large(self) -> bool:
        return len(self.conn.trailing_data[0]) > HEADER_BYTES

    def _wait(self) -> None:
        self._relax()
        self._deadline = self.loop.call_later(self.request_seconds, self._give_up)

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:
            self._refuse(408, "too-slow", f"Needed the request within {self.request_seconds:g} s.")
        else:
            self.transport.abort()

    def _refuse(self, status: int, kind: str, detail: str) -> None:
        body = json.dumps(document(status, kind, detail)).encode()
        fields: dict[str, Any] = {
            "content-type": MEDIA_TYPE,
            "content-length": str(len(body)),
            "connection": "close",
            **SECURITY_HEADERS,
        }
        lines = [f"{name}: {value}\r\n" for name, value in fields.items()]
        head = f"HTTP/1.1 {status} Refused\r\n{''.join(lines)}\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()
