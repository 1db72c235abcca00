"""The client gives a whole answer, or says why not, in bounded time and memory."""

from __future__ import annotations

import gzip
import logging
import socket
import time
import tracemalloc
import zlib

import pytest
from conftest import free_port
from patience import NOW, Patience
from proxies import FaultyProxy, RawServer
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from sources.errors import ProviderUnavailableError
from sources.live import Client, Limits, Payload

BODY = b"Date,Close\n2024-11-27,1.6\n2024-11-29,1.75\n"
QUICK = Limits(connect_seconds=0.3, read_seconds=0.3, deadline_seconds=0.8)


def _get(url: str, patience: Patience, limits: Limits | None = None, **asked: object) -> Payload:
    with Client(limits or Limits(), patience.clock) as client:
        return client.get("stooq IWM", url, **asked)


def _refusal(
    url: str, patience: Patience, limits: Limits | None = None, **asked: object
) -> ProviderUnavailableError:
    with pytest.raises(ProviderUnavailableError) as caught:
        _get(url, patience, limits, **asked)
    message = str(caught.value)
    assert message.startswith("stooq IWM: needed an answer; found ")
    assert message.isprintable()
    return caught.value


def test_a_whole_answer_is_a_payload_as_it_came(httpserver: HTTPServer, patience: Patience) -> None:
    httpserver.expect_request("/q", query_string="s=iwm.us&i=d").respond_with_data(
        BODY, content_type="text/csv"
    )
    payload = _get(httpserver.url_for("/q"), patience, params={"s": "iwm.us", "i": "d"})
    assert payload == Payload(httpserver.url_for("/q?s=iwm.us&i=d"), BODY, "text/csv", NOW)
    # printf 'Date,Close\n2024-11-27,1.6\n2024-11-29,1.75\n' | sha256sum
    assert payload.sha256 == "3c73c28de1f9fd877683c9579de159276d719a1ed414391eadb87d81f63c4f7a"
    assert patience.waits == []


def test_A01_a_closed_port_is_tried_four_times_with_growing_waits(patience: Patience) -> None:
    refusal = _refusal(f"http://127.0.0.1:{free_port()}/", patience)
    assert (refusal.attempts, refusal.status, refusal.exit_code) == (4, None, 3)
    assert patience.waits == [0.5, 1.0, 2.0]  # 0.5 * 2**n * (0.5 + jitter 0.5)


def test_A01_a_name_that_nobody_has_is_unavailable(patience: Patience) -> None:
    refusal = _refusal("http://nobody.invalid/", patience)
    assert refusal.attempts == 4


def test_A02_a_server_that_says_nothing_is_left_at_the_deadline(
    httpserver: HTTPServer, patience: Patience
) -> None:
    start = time.monotonic()
    with FaultyProxy(httpserver.port, blackhole=True) as proxy:
        refusal = _refusal(proxy.url, patience, QUICK)
    assert "ReadTimeout" in str(refusal)
    assert time.monotonic() - start < 2.0


@pytest.mark.parametrize("body", [BODY, BODY * 100], ids=["headers", "body"])
def test_A03_a_drip_ends_at_the_deadline_though_no_read_is_late(
    httpserver: HTTPServer, patience: Patience, body: bytes
) -> None:
    httpserver.expect_request("/").respond_with_data(body)
    # 0.05 s a byte: the headers alone (>= 100 bytes) take 5 s, and no read waits 0.3 s.
    drip = 0.05 if body is BODY else 0.002
    start = time.monotonic()
    with FaultyProxy(httpserver.port, drip_seconds=drip) as proxy:
        refusal = _refusal(proxy.url, patience, QUICK)
        assert time.monotonic() - start < 2.0
    assert "no whole answer within 0.8 s" in str(refusal)


@pytest.mark.parametrize(
    ("header", "waits", "retry_at"),
    [
        pytest.param("2", [2.0], None, id="seconds"),
        pytest.param("Fri, 29 Nov 2024 12:00:09 GMT", [9.0], None, id="date"),
        pytest.param("Fri, 29 Nov 2024 11:00:00 GMT", [0.0], None, id="date-gone-by"),
        pytest.param("soon", [0.5], None, id="garbage"),
        pytest.param("-1", [0.5], None, id="negative"),
        pytest.param("9" * 400, [0.5], None, id="absurd"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 -1200", [0.5], None, id="beyond-9999"),
        pytest.param("Sat, 30 Nov 2024 12:00:00 -99999999999999", [0.5], None, id="far-zone"),
        pytest.param("", [0.5], None, id="empty"),
        pytest.param("45", [], "2024-11-29T12:00:45Z", id="more-than-30-seconds"),
        pytest.param("86400", [], "2024-11-30T12:00:00Z", id="a-day"),
        pytest.param("Sat, 30 Nov 2024 12:00:00 GMT", [], "2024-11-30T12:00:00Z", id="next-day"),
    ],
)
def test_A04_retry_after_is_honoured_where_it_is_short_and_reported_where_it_is_long(
    httpserver: HTTPServer,
    patience: Patience,
    header: str,
    waits: list[float],
    retry_at: str | None,
) -> None:
    limited = Response("slow down", 429, {"Retry-After": header})
    httpserver.expect_ordered_request("/").respond_with_response(limited)
    httpserver.expect_ordered_request("/").respond_with_data(BODY)
    if retry_at is None:
        assert _get(httpserver.url_for("/"), patience).content == BODY
    else:
        refusal = _refusal(httpserver.url_for("/"), patience)
        assert (refusal.retry_at, refusal.status, refusal.attempts) == (retry_at, 429, 1)
        assert str(refusal).endswith(f"retry at {retry_at}")
    assert patience.waits == waits


def test_A04_a_server_that_is_always_busy_is_asked_four_times(
    httpserver: HTTPServer, patience: Patience
) -> None:
    httpserver.expect_request("/").respond_with_data(
        "busy", status=429, headers={"Retry-After": "2"}
    )
    refusal = _refusal(httpserver.url_for("/"), patience)
    assert (refusal.attempts, refusal.status) == (4, 429)
    assert patience.waits == [2.0, 2.0, 2.0]
    assert len(httpserver.log) == 4


def test_waits_never_go_past_the_deadline(httpserver: HTTPServer, patience: Patience) -> None:
    httpserver.expect_request("/").respond_with_data(
        "busy", status=503, headers={"Retry-After": "25"}
    )
    # 25 s each: the third wait would end at 75 s, past 60.
    refusal = _refusal(httpserver.url_for("/"), patience, Limits(deadline_seconds=60.0))
    assert patience.waits == [25.0, 25.0]
    assert refusal.attempts == 3


@pytest.mark.parametrize("status", [500, 502, 503])
def test_A05_two_failures_and_then_an_answer_is_an_answer(
    httpserver: HTTPServer, patience: Patience, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sources.live")
    for _ in range(2):
        httpserver.expect_ordered_request("/").respond_with_data("", status=status)
    httpserver.expect_ordered_request("/").respond_with_data(BODY)
    assert _get(httpserver.url_for("/"), patience).content == BODY
    assert len(patience.waits) == 2
    said = [r.getMessage() for r in caplog.records if r.name == "sources.live.client"]
    assert said == [
        f"stooq IWM: HTTP {status}; attempt 2 in 0.5 s",
        f"stooq IWM: HTTP {status}; attempt 3 in 1.0 s",
    ]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_A06_a_refusal_is_not_asked_again_and_never_shows_the_key(
    httpserver: HTTPServer, patience: Patience, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asked: list[str] = []

    def refuse(request: Request) -> Response:
        asked.append(request.args["api_key"])
        return Response(f"no such key {request.args['api_key']}", status)

    httpserver.expect_request("/").respond_with_handler(refuse)
    refusal = _refusal(httpserver.url_for("/"), patience, secret={"api_key": "s3cret"})
    assert asked == ["s3cret"]
    assert refusal.status == status
    assert "no such key ***" in str(refusal)
    ours = [r.getMessage() for r in caplog.records if r.name.split(".")[0] in {"httpx", "httpcore"}]
    assert ours
    assert "s3cret" not in "".join(ours) + str(refusal) + repr(refusal.__dict__)


def test_F03_a_payload_does_not_hold_the_key(httpserver: HTTPServer, patience: Patience) -> None:
    httpserver.expect_request("/", query_string="id=DGS2&api_key=s3cret").respond_with_data(BODY)
    payload = _get(
        httpserver.url_for("/"), patience, params={"id": "DGS2"}, secret={"api_key": "s3cret"}
    )
    assert payload.url == httpserver.url_for("/?id=DGS2")
    assert "s3cret" not in repr(payload)


def test_F03_a_key_is_not_carried_along_a_redirect(
    httpserver: HTTPServer, patience: Patience
) -> None:
    moved = Response("", 302, {"Location": "/elsewhere"})
    httpserver.expect_request("/").respond_with_response(moved)
    refusal = _refusal(httpserver.url_for("/"), patience, secret={"api_key": "s3cret"})
    assert refusal.status == 302
    assert len(httpserver.log) == 1


def test_a_redirect_is_followed_but_not_for_ever(
    httpserver: HTTPServer, patience: Patience
) -> None:
    httpserver.expect_request("/a").respond_with_response(Response("", 301, {"Location": "/b"}))
    httpserver.expect_request("/b").respond_with_data(BODY)
    httpserver.expect_request("/c").respond_with_response(Response("", 301, {"Location": "/c"}))
    assert _get(httpserver.url_for("/a"), patience).content == BODY
    assert "more than 3 redirects" in str(_refusal(httpserver.url_for("/c"), patience))


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_A09_an_answer_cut_off_is_asked_for_again(
    httpserver: HTTPServer, patience: Patience, reset: bool
) -> None:
    httpserver.expect_request("/").respond_with_data(BODY)
    whole = len(_raw(httpserver.port))
    with Client(Limits(), patience.clock) as client:
        for cut in range(1, whole, 5):
            with FaultyProxy(httpserver.port, cut_after=cut, reset=reset, faults=1) as proxy:
                assert client.get("stooq IWM", proxy.url).content == BODY
                assert proxy.connections == 2


def _raw(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as server:
        server.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: server.recv(65536), b""))


PACKED = gzip.compress(BODY)


@pytest.mark.parametrize(
    "packed",
    [PACKED, zlib.compress(BODY)],
    ids=["gzip", "deflate"],
)
def test_a_compressed_answer_is_unpacked(
    httpserver: HTTPServer, patience: Patience, packed: bytes
) -> None:
    encoding = "gzip" if packed is PACKED else "deflate"
    httpserver.expect_request("/").respond_with_data(packed, headers={"Content-Encoding": encoding})
    assert _get(httpserver.url_for("/"), patience).content == BODY


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        *[pytest.param(PACKED[:n], "gzip body", id=f"cut-at-{n}") for n in (1, 12, 30, -8, -1)],
        pytest.param(PACKED + PACKED, "something else", id="two-members"),
        pytest.param(PACKED[:-6] + b"\0" + PACKED[-5:], "damaged", id="bit-flip"),
        pytest.param(BODY, "damaged", id="no-gzip-at-all"),
    ],
)
def test_A10_a_damaged_archive_is_no_answer(
    httpserver: HTTPServer, patience: Patience, packed: bytes, said: str
) -> None:
    httpserver.expect_request("/").respond_with_data(packed, headers={"Content-Encoding": "gzip"})
    assert said in str(_refusal(httpserver.url_for("/"), patience))


def test_A10_a_bomb_is_refused_before_it_goes_off(
    httpserver: HTTPServer, patience: Patience
) -> None:
    bomb = gzip.compress(bytes(50 * 2**20))  # 50 MiB of zeros in 50 kB
    httpserver.expect_request("/").respond_with_data(bomb, headers={"Content-Encoding": "gzip"})
    limits = Limits(content_bytes=2**20)
    tracemalloc.start()
    refusal = _refusal(httpserver.url_for("/"), patience, limits)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20
    assert "more than the limit of 1048576 bytes" in str(refusal)
    assert refusal.attempts == 1


def test_an_encoding_that_was_not_asked_for_is_refused(
    httpserver: HTTPServer, patience: Patience
) -> None:
    httpserver.expect_request("/").respond_with_data(BODY, headers={"Content-Encoding": "br"})
    assert "content encoding 'br'" in str(_refusal(httpserver.url_for("/"), patience))


def test_A11_a_content_length_larger_than_the_body_is_no_answer(patience: Patience) -> None:
    with RawServer(b"Content-Length: %d" % (len(BODY) + 1), BODY) as server:
        refusal = _refusal(server.url, patience)
    assert "RemoteProtocolError" in str(refusal)
    assert refusal.attempts == 4


@pytest.mark.parametrize("head", [b"Content-Length: x", b"Content-Length: 5\r\nContent-Length: 6"])
def test_A11_a_content_length_that_is_none_is_no_answer(patience: Patience, head: bytes) -> None:
    with RawServer(head, BODY) as server:
        assert "RemoteProtocolError" in str(_refusal(server.url, patience))


def test_A11_what_is_sent_beyond_the_content_length_answers_no_later_question() -> None:
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    with RawServer(b"Content-Length: %d" % len(BODY), BODY + forged) as server, Client() as client:
        for _ in range(2):
            assert client.get("stooq IWM", server.url).content == BODY


@pytest.mark.parametrize("head", [b"Content-Length: 524288000", b"X: y"], ids=["stated", "not"])
def test_A33_500_MB_are_refused_at_the_limit_and_not_read(patience: Patience, head: bytes) -> None:
    with RawServer(head, bytes(2**20), times=500) as server:
        refusal = _refusal(server.url, patience, Limits(content_bytes=4 * 2**20))
        assert refusal.attempts == 1
        assert "limit" in str(refusal)
    assert server.sent < 32 * 2**20  # the rest of it is the kernel's buffers


def test_a_proxy_of_the_environment_is_used(
    httpserver: HTTPServer, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpserver.expect_request("/q").respond_with_data(BODY)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{httpserver.port}")
    monkeypatch.setenv("no_proxy", "localhost")
    assert _get("http://stooq.invalid/q", patience).content == BODY
