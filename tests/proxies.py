"""A TCP proxy that does to a connection what networks do: delay, drip, cut, reset, swallow.

::

    with FaultyProxy(port, drip_seconds=1.0) as proxy:
        ...  # http://127.0.0.1:{proxy.port}
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Self

_STEP = 0.02


@dataclass
class FaultyProxy:
    """Listen on a port of the loopback address and forward to another one, badly.

    Attributes
    ----------
    target : port of the loopback address that is forwarded to.
    delay_seconds : before the first byte of an answer.
    drip_seconds : between the single bytes of an answer; 0 for none.
    cut_after : bytes of an answer, after which the connection ends.
    reset : whether it then ends by RST, else by FIN.
    blackhole : take the question and answer nothing.
    faults : connections that are treated so; later ones are forwarded faithfully.
    """

    target: int
    delay_seconds: float = 0.0
    drip_seconds: float = 0.0
    cut_after: int | None = None
    reset: bool = False
    blackhole: bool = False
    faults: int = 10**9
    connections: int = field(default=0, init=False)
    port: int = field(default=0, init=False)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(_STEP)
        self.port = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in list(self._threads):
            thread.join()
        self._server.close()

    @property
    def url(self) -> str:
        """Return where the proxy listens."""
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._server.accept()
            except TimeoutError:
                continue
            self.connections += 1
            thread = threading.Thread(
                target=self._serve, args=(client, self.connections <= self.faults)
            )
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket, faulty: bool) -> None:
        with (
            client,
            socket.create_connection(("127.0.0.1", self.target)) as server,
            contextlib.suppress(OSError),  # whoever hangs up first
        ):
            sent = 0
            while not self._stop.is_set():
                for ready in select.select([client, server], [], [], _STEP)[0]:
                    received = ready.recv(65536)
                    if not received:
                        return
                    if ready is client:
                        if not (faulty and self.blackhole):
                            server.sendall(received)
                    elif not faulty:
                        client.sendall(received)
                    else:
                        sent += self._send(client, received, sent)
                        if self.cut_after is not None and sent >= self.cut_after:
                            return

    def _send(self, client: socket.socket, answer: bytes, sent: int) -> int:
        if not sent:
            self._stop.wait(self.delay_seconds)
        if self.cut_after is not None:
            answer = answer[: self.cut_after - sent]
        if not self.drip_seconds:
            client.sendall(answer)
        for i in range(len(answer) if self.drip_seconds else 0):
            if self._stop.wait(self.drip_seconds):
                break
            client.sendall(answer[i : i + 1])
        if self.reset and self.cut_after is not None and sent + len(answer) >= self.cut_after:
            time.sleep(_STEP / 10)  # let what was sent arrive: a reset overtakes it otherwise
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return len(answer)


class RawServer:
    """A server that answers each connection with given bytes, and counts what it could send."""

    def __init__(self, head: bytes, body: bytes, times: int = 1) -> None:
        self._head, self._body, self._times = head, body, times
        self.sent = 0

    def __enter__(self) -> Self:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with client:
                try:
                    client.recv(65536)
                    client.sendall(b"HTTP/1.1 200 OK\r\n" + self._head + b"\r\n\r\n")
                    for _ in range(self._times):
                        client.sendall(self._body)
                        self.sent += len(self._body)
                except OSError:
                    continue
