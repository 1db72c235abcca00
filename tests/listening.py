"""The API on a real socket, for tests that ask it as any client would."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import uvicorn

from riskon.services import forwarding_options
from riskon.settings import Settings
from serving.api import ServiceConfig, create_app
from serving.protocol import HEADER_BYTES, PunctualProtocol

POLL = 0.05


@contextmanager
def served(
    config: ServiceConfig,
    protocol: type[PunctualProtocol] = PunctualProtocol,
    *,
    trusted_proxies: str = "",
) -> Iterator[httpx.Client]:
    """Serve in a thread of this process; yield a client."""
    forwarding = forwarding_options(Settings(trusted_proxies=trusted_proxies))
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(config),
            host="127.0.0.1",
            port=0,
            log_level="critical",
            ws="none",
            http=protocol,
            h11_max_incomplete_event_size=HEADER_BYTES,
            **forwarding,
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(POLL)


def problem(answer: httpx.Response, status: int, kind: str) -> str:
    """Check that an answer is a problem of a status and kind; return its detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert content["type"] == f"urn:riskon:problem:{kind}"
    assert content["status"] == status
    return str(content["detail"])
