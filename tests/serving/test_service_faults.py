"""Bad requests and bad manners, against the API on a real socket."""

from __future__ import annotations

import io
import json
import resource
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest
from listening import POLL, problem, served
from sqlalchemy import text

from serving import DailyScores, Ledger, Registry
from serving.api import ServiceConfig
from serving.cached import Answers, Kept
from serving.client import (
    ApiError,
    Client,
    InvalidRequestError,
    NothingFoundError,
    RefusedKeyError,
    UnavailableError,
)
from serving.keys import scoped_keys
from serving.limits import Limits
from serving.logs import configure_logging, request_log
from serving.protocol import PunctualProtocol
from serving.questions import Item
from serving.speaker import Speaker
from sources import Market, write_market

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
DAY = "2024-05-15"


@dataclass
class Service:
    """A service that many tests share, and what it wrote."""

    client: httpx.Client
    config: ServiceConfig
    log: io.StringIO

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self.client.base_url)

    def raw(self, *sent: bytes) -> bytes:
        """Send bytes as they are, and return all that comes back."""
        with socket.create_connection(("127.0.0.1", self.client.base_url.port), 10) as link:
            got = b""
            try:
                for part in sent:
                    link.sendall(part)
                while chunk := link.recv(65536):
                    got += chunk
            except (BrokenPipeError, ConnectionResetError):
                pass  # It has hung up, as it may.
            return got


@pytest.fixture(scope="module")
def service(shared_registry: Registry, market_dir: Path) -> Iterator[Service]:
    log = io.StringIO()
    config = ServiceConfig(
        shared_registry,
        Ledger(shared_registry.history.engine),
        market_dir,
        clock=lambda: NOW,
        poll_seconds=POLL,
        limits=Limits(requests_per_second=0),
        log=request_log(log),
    )
    with served(config) as client:
        yield Service(client, config, log)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def posted(service: Service, body: str | bytes, kind: str = "application/json") -> httpx.Response:
    return service.client.post("/v1/scores:batch", content=body, headers={"content-type": kind})


GOOD = '{"items": [{"asset": "BTC", "horizon_days": 5, "as_of": "2024-05-15"}]}'


JSON = "application/json"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        pytest.param("[" * 100_000, JSON, 422, id="deep"),
        pytest.param('{"a":' * 5_000 + "1" + "}" * 5_000, JSON, 422, id="deep-names"),
        pytest.param(GOOD.replace("5,", "NaN,"), JSON, 422, id="nan"),
        pytest.param(GOOD.replace("5,", "Infinity,"), JSON, 422, id="infinity"),
        pytest.param(GOOD.replace("5,", "1e400,"), JSON, 422, id="1e400"),
        pytest.param(GOOD.replace("5,", "9" * 5000 + ","), JSON, 422, id="huge-int"),
        pytest.param(GOOD.replace("5,", "5.0,"), JSON, 422, id="float-for-int"),
        pytest.param(GOOD.replace("5,", "true,"), JSON, 422, id="true-for-int"),
        pytest.param(GOOD.replace("5,", '"5",'), JSON, 422, id="text-for-int"),
        pytest.param(GOOD.replace("5,", '5, "horizon_days": 1,'), JSON, 422, id="a-name-twice"),
        pytest.param(GOOD.replace("BTC", "\\ud800"), JSON, 422, id="lone-surrogate"),
        pytest.param(GOOD.replace("BTC", "B\\u0000C"), JSON, 422, id="nul"),
        pytest.param(GOOD.replace("BTC", "x' OR 1=1--"), JSON, 422, id="D15-injection"),
        pytest.param(GOOD.replace("BTC", "../../etc"), JSON, 422, id="D16-traversal"),
        pytest.param(GOOD.replace("BTC", "file:///etc"), JSON, 422, id="D16-file-url"),
        pytest.param('\ufeff{"items": []}', JSON, 422, id="byte-order-mark"),
        pytest.param(b"\xff\xfe{}", JSON, 422, id="not-utf-8"),
        pytest.param("", JSON, 422, id="empty"),
        pytest.param("null", JSON, 422, id="null"),
        pytest.param("[]", JSON, 422, id="list"),
        pytest.param('{"items": []}', JSON, 422, id="no-items"),
        pytest.param(GOOD[:-1] + ', "xyzzy": 1}', JSON, 422, id="unknown-name"),
        pytest.param(GOOD, "text/plain", 415, id="other-type"),
        pytest.param(GOOD, "application/json; charset=utf-16", 415, id="other-charset"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_is_4xx_and_is_not_echoed_d14(
    service: Service, body: str | bytes, kind: str, status: int
) -> None:
    answer = posted(service, body, kind)
    kinds = {422: ("invalid-json", "invalid-request"), 415: ("not-json",)}[status]
    said = problem(answer, status, answer.json()["type"].rpartition(":")[2])
    assert answer.json()["type"].rpartition(":")[2] in kinds
    for sent in ("xyzzy", "OR 1=1", "etc", "9999"):
        assert sent not in said


def test_one_bad_question_among_many_keeps_no_other_from_its_score_d31(service: Service) -> None:
    items = [
        Item(asset="BTC", horizon_days=5, as_of=DAY),
        Item(asset="XYZ", horizon_days=5, as_of=DAY),
        Item(asset="ETH", horizon_days=7, as_of=DAY),
        Item(asset="ETH", horizon_days=1, as_of="2030-01-01"),
        Item(asset="ETH", horizon_days=1, as_of="2021-01-01"),
        Item(asset="ETH", horizon_days=1, as_of=DAY, threshold=0.05),
        Item(asset="ETH", horizon_days=1, as_of=DAY),
        Item(asset="ETH", horizon_days=1),
    ]
    with Client(service.url) as client:
        answers = client.batch(items).items
        assert [answer.status for answer in answers] == [200, 422, 422, 422, 422, 422, 200, 200]
        kinds = [answer.problem and answer.problem.type.rpartition(":")[2] for answer in answers]
        assert kinds == [
            None, "unknown-asset", "unknown-horizon", "as-of-in-future", "as-of-out-of-range",
            "unknown-threshold", None, None,
        ]  # fmt: skip
        day = client.scores(date(2024, 5, 15)).scores
        assert (answers[0].score, answers[6].score) == (day[1], day[2])
        assert answers[7].score == client.scores(asset=["ETH"], horizon=[1]).scores[0]


def test_batch_rest_the_library_and_the_record_say_the_same_bytes(service: Service) -> None:
    ask = [
        Item(asset=a, horizon_days=h, as_of="2024-05-20") for a in ("BTC", "ETH") for h in (1, 5)
    ]
    with Client(service.url) as client:
        batch = [answer.score for answer in client.batch(ask).items]
        single = [client.score(score.forecast_id) for score in batch if score is not None]
        day = client.scores(date(2024, 5, 20)).scores
    speaker = Speaker(
        service.config.registry, service.config.ledger, service.config.market_dir,
        DailyScores(service.config.registry, service.config.ledger).reader,
    )  # fmt: skip
    speaker.load(service.config.registry.champion())
    here = speaker.score(date(2024, 5, 20), (), (), NOW)
    record = [settled.score for settled in service.config.ledger.history(
        start=date(2024, 5, 20), end=date(2024, 5, 20))]  # fmt: skip
    said = [
        [score.model_dump_json() for score in scores if score is not None]
        for scores in (batch, single, day, here, record)
    ]
    assert said[0] == said[1] == said[2] == said[3] == said[4]
    assert len(said[0]) == 4


def test_the_record_is_read_by_pages_and_verified(service: Service) -> None:
    with Client(service.url) as client:
        client.scores(date(2024, 5, 15))
        client.scores(date(2024, 5, 16))
        every = list(client.history(page=3, start="2024-05-15", end="2024-05-16"))
        assert [item.score for item in every] == [
            *client.scores(date(2024, 5, 15)).scores,
            *client.scores(date(2024, 5, 16)).scores,
        ]
        assert [item.outcome for item in every] == [None] * 8
        assert {item.live for item in every} == {False}  # made weeks later
        assert client.verification(asset="BTC").n_settled == 0
        assert client.model().assets == ("BTC", "ETH")
        assert client.ready().version == 1
        problem(service.client.get("/v1/history?limit=1001"), 422, "invalid-request")
        problem(service.client.get("/v1/history?start=2024-02-30"), 422, "invalid-request")


def test_a_market_without_an_asset_of_the_pool_is_our_fault_and_its_folder_is_not_told(
    registry: Registry, market: Market, tmp_path: Path
) -> None:
    registry.promote(1, reason="first")
    lacking = {name: bars for name, bars in market.prices.items() if name != "ETH"}
    write_market(replace(market, prices=lacking), tmp_path / "secret-folder")
    ledger = Ledger(registry.history.engine)
    config = ServiceConfig(registry, ledger, tmp_path / "secret-folder", clock=lambda: NOW)
    with served(config) as client:
        answer = client.get(f"/v1/scores?as_of={DAY}")
        problem(answer, 503, "data-unavailable")
        assert "secret-folder" not in answer.text


def test_an_answer_that_the_asker_has_costs_304(service: Service) -> None:
    first = service.client.get(f"/v1/scores?as_of={DAY}")
    tag = first.headers["etag"]
    again = service.client.get(
        f"/v1/scores?as_of={DAY}", headers={"if-none-match": f'W/"x", {tag}'}
    )
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (
        service.client.get(f"/v1/scores?as_of={DAY}", headers={"if-none-match": '"x"'}).content
        == first.content
    )
    assert first.headers["cache-control"] == "private, no-cache"


def test_an_answer_of_yesterday_does_not_land_among_those_of_today() -> None:
    stamp: list[object] = []
    answers = Answers(lambda: stamp[0])
    today = threading.Thread(target=lambda: answers.put(b"other", Kept.of(b"new"), 2))

    class Slow(int):
        """A stamp whose second comparison, the last before the write, lets today's answer in."""

        compared = 0

        def __ne__(self, other: object) -> bool:
            Slow.compared += 1
            if Slow.compared == 2:
                stamp[0] = 2
                today.start()
                today.join(0.2)  # waits for its turn, or has none to wait for
            return int(self) != other

        __hash__ = int.__hash__

    stamp.append(1)
    answers.put(b"first", Kept.of(b"old"), 1)
    answers.put(b"asked", Kept.of(b"old"), Slow(1))
    today.join(5)
    assert answers.get(b"asked") is None
    held = answers.get(b"other")
    assert held is not None
    assert held.body == b"new"


def test_a_body_of_any_size_is_refused_before_it_is_read_d13(service: Service) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    head = (
        b"POST /v1/scores:batch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    )
    declared = service.raw(head + b"content-length: 100000000\r\n\r\n")
    assert status_of(declared) == 413
    # 16 MB in chunks, of which no more than the first MiB and what is under way is taken.
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    streamed = service.raw(
        head + b"transfer-encoding: chunked\r\n\r\n", *[chunk] * 256, b"0\r\n\r\n"
    )
    assert status_of(streamed) in (0, 413)
    gzip = service.raw(
        head + b"content-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00"
    )
    assert status_of(gzip) == 415
    million = '{"items": [' + ",".join(['{"asset":"BTC","horizon_days":5}'] * 30_000) + "]}"
    problem(posted(service, million), 422, "invalid-request")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB
    assert service.client.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    ("request_", "statuses"),
    [
        pytest.param(b"x: " + b"a" * 1_000_000 + b"\r\n", {431, 400, 0}, id="a-megabyte"),
        pytest.param(b"x: 1\r\n" * 10_000, {431, 400, 0}, id="10000-lines"),
        pytest.param(b"".join(b"x%d: 1\r\n" % i for i in range(100)), {431}, id="a-hundred"),
        pytest.param(b"content-length: 3\r\ncontent-length: 4\r\n", {400}, id="two-lengths"),
        pytest.param(
            b"content-length: 3\r\ntransfer-encoding: chunked\r\n", {400}, id="both-lengths"
        ),
        pytest.param(b"content-length: -1\r\n", {400}, id="negative-length"),
        pytest.param(b"host: evil.example\r\n", {400}, id="second-host"),
        pytest.param(b"x: a\rb\r\n", {400}, id="bare-return"),
        pytest.param(b"x\x00y: 1\r\n", {400}, id="nul-in-name"),
    ],
)  # fmt: skip
def test_abused_headers_are_refused_as_problems_d17(
    service: Service, request_: bytes, statuses: set[int]
) -> None:
    head = b"GET /v1/model HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
    answer = service.raw(head + request_ + b"\r\n")
    assert status_of(answer) in statuses
    if answer:
        assert b"application/problem+json" in answer
        assert b"nosniff" in answer
    assert service.client.get("/health/live").status_code == 200


def test_who_forwards_is_not_believed_and_ids_are_not_forged_in_the_log_d17_d35(
    service: Service,
) -> None:
    service.log.truncate(0)
    service.log.seek(0)
    service.client.get("/v1/model", headers={"x-forwarded-for": "8.8.8.8", "x-request-id": "a b"})
    named = service.client.get("/v1/model", headers={"x-request-id": "trace-0000-1"})
    service.client.get("/v1/scores/%0A%22forged%22%3A1?%0d%0aevent=forged")
    service.raw(b'GET /v1/model HTTP/1.1\r\nhost: localhost\r\nx-request-id: x"}\xc2\x85{\r\n'
                b"connection: close\r\n\r\n")  # fmt: skip
    assert named.headers["x-request-id"] == "trace-0000-1"
    deadline = time.monotonic() + 10  # a line is written after its answer was sent
    while service.log.getvalue().count("\n") < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    lines = [json.loads(line) for line in service.log.getvalue().strip("\x00").splitlines()]
    assert len(lines) == 4
    assert {line["client"] for line in lines} == {"127.0.0.1"}
    assert [line["request_id"] == "trace-0000-1" for line in lines] == [False, True, False, False]
    assert "forged" not in service.log.getvalue()
    assert lines[0]["route"] == "/v1/model"


def test_records_of_the_log_are_json_lines_without_secrets_f03() -> None:
    import logging

    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logging(stream)
        logging.getLogger("somewhere").warning("postgresql://me:hush@h/db\napi_key=hush %s", "x\ny")
    finally:
        root.handlers[:], root.level = handlers, level
    (line,) = stream.getvalue().splitlines()
    assert "hush" not in line
    assert json.loads(line)["event"].startswith("postgresql://***@h/db")


def test_metrics_count_by_template_and_leak_nothing_d34(service: Service) -> None:
    service.client.get(f"/v1/scores/{'0' * 32}")
    service.client.get("/nowhere/at/all")
    told = service.client.get("/metrics").text
    assert (
        'riskon_requests_total{method="GET",route="/v1/scores/{forecast_id}",status="404"}' in told
    )
    assert 'route="unknown",status="404"' in told
    assert "riskon_registry_stale 0.0" in told
    assert "riskon_model_version 1.0" in told
    for leak in ("000000", "nowhere", "sqlite", "/tmp", str(service.config.registry.artifacts)):
        assert leak not in told


class Hasty(PunctualProtocol):
    """Gives up after half a second."""

    request_seconds = 0.5


def test_requests_that_trickle_in_are_cut_off_while_others_are_served_d19(
    service: Service,
) -> None:
    config = replace(service.config, market_dir=None, log=None)
    head = (
        b"POST /v1/scores:batch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    )
    with served(config, Hasty) as client:
        links = [
            socket.create_connection(("127.0.0.1", client.base_url.port), 10) for _ in range(150)
        ]
        begun = time.monotonic()
        for number, link in enumerate(links):
            # Idle, half a header, and half a body.
            link.sendall((b"", b"GET / HT", head + b"content-length: 9\r\n\r\n{")[number % 3])
        slowest = 0.0
        while time.monotonic() - begun < 0.4:
            asked = time.monotonic()
            assert client.get("/health/live").status_code == 200
            slowest = max(slowest, time.monotonic() - asked)
            time.sleep(0.02)
        for link in links[1::3]:
            link.sendall(b"TP")  # a byte now and then buys no time
        for link in links:
            link.settimeout(10)
            try:
                while link.recv(4096):
                    pass
            except ConnectionResetError:
                pass
            link.close()
        assert time.monotonic() - begun < 8
        assert slowest < 2
        assert client.get("/health/live").status_code == 200


def test_who_asks_too_often_or_tries_keys_waits_d18_d20(service: Service) -> None:
    limits = Limits(requests_per_second=5, wrong_keys_per_minute=6)
    config = replace(
        service.config, limits=limits, market_dir=None, log=None,
        api_keys=scoped_keys(("reads", "rules:admin")),
    )  # fmt: skip
    with served(config) as client:
        tried = [client.get("/v1/model", headers={"x-api-key": f"no{i}"}) for i in range(8)]
        assert [answer.status_code for answer in tried] == [403] * 6 + [429] * 2
        assert int(tried[-1].headers["retry-after"]) >= 1
        # Who has a key is not held up by who has none, and has ten at once.
        mine = [client.get("/v1/model", headers={"x-api-key": "reads"}) for _ in range(12)]
        assert [answer.status_code for answer in mine[:10]] == [200] * 10
        assert mine[-1].status_code == 429
        assert client.get("/health/ready").status_code == 200
        query = client.get("/v1/model?api_key=rules", headers={"x-api-key": "rules"})
        assert query.status_code == 422
        # Only who may administer does.
        time.sleep(0.5)
        url = str(client.base_url)
        assert client.post("/v1/admin/reload").status_code == 401
        refused = client.post("/v1/admin/reload", headers={"x-api-key": "reads"})
        problem(refused, 403, "key-scope")
        reloaded = client.post("/v1/admin/reload", headers={"x-api-key": "rules"})
        assert reloaded.json()["version"] == 1
        with (
            Client(url, "wrong", attempts=1) as other,
            pytest.raises((RefusedKeyError, UnavailableError)),
        ):
            other.model()


def test_a_full_house_asks_to_come_back_and_a_late_answer_is_given_up_d20_d21(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    real = Ledger.get

    def slow(ledger: Ledger, forecast_id: str) -> object:
        go_on.wait(20)
        return real(ledger, forecast_id)

    monkeypatch.setattr(Ledger, "get", slow)
    limits = Limits(requests_per_second=0, at_once=4, seconds=1.0)
    config = replace(service.config, limits=limits, market_dir=None, log=None)
    with served(config) as client, ThreadPoolExecutor(4) as pool:
        under_way = [pool.submit(client.get, f"/v1/scores/{'0' * 32}") for _ in range(4)]
        time.sleep(0.3)
        busy = client.get("/v1/model")
        problem(busy, 503, "busy")
        assert busy.headers["retry-after"] == "1"
        assert client.get("/health/live").status_code == 200
        assert threading.active_count() < 100
        for answer in under_way:
            problem(answer.result(), 503, "deadline")
        # Who hangs up leaves nothing half done either.
        go_on.set()
        with (
            Client(str(client.base_url), sleep=lambda _: time.sleep(0.1)) as patient,
            pytest.raises(NothingFoundError),
        ):
            patient.score("0" * 32)


def test_an_asker_that_hangs_up_leaves_a_whole_day_on_record_d21(service: Service) -> None:
    engine = service.config.ledger.engine

    def rows() -> int:
        with engine.connect() as connection:
            query = text("SELECT count(*) FROM forecasts WHERE as_of = '2024-05-21'")
            return int(connection.execute(query).scalar_one())

    with socket.create_connection(("127.0.0.1", service.client.base_url.port), 10) as link:
        link.sendall(b"GET /v1/scores?as_of=2024-05-21 HTTP/1.1\r\nhost: localhost\r\n\r\n")
    end = time.monotonic() + 20
    while rows() == 0 and time.monotonic() < end:
        time.sleep(0.05)
    assert rows() == 4
    assert len(service.client.get("/v1/scores?as_of=2024-05-21").json()["scores"]) == 4
    assert rows() == 4


def test_the_client_tries_again_where_that_helps_and_nowhere_else(service: Service) -> None:
    waits: list[float] = []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with Client(nobody, sleep=waits.append) as client, pytest.raises(UnavailableError) as told:
        client.model()
    assert (told.value.status, len(waits)) == (0, 3)
    waits.clear()
    with Client(service.url, sleep=waits.append) as client:
        with pytest.raises(InvalidRequestError, match="422 unknown-asset") as refused:
            client.scores(asset=["XYZ"])
        assert refused.value.kind == "unknown-asset"
        with pytest.raises(ApiError):
            client.score("x")
    assert waits == []


def test_a_swap_of_champions_under_load_fails_no_request_and_mixes_no_versions_d08(
    registry: Registry, market_dir: Path
) -> None:
    registry.promote(1, reason="first")
    ledger = Ledger(registry.history.engine)
    config = ServiceConfig(
        registry, ledger, market_dir, clock=lambda: NOW, poll_seconds=0.02,
        limits=Limits(requests_per_second=0),
    )  # fmt: skip
    stop, seen, wrong = threading.Event(), set[int](), list[str]()

    def load(client: httpx.Client, query: str) -> None:
        while not stop.is_set():
            answer = client.get(f"/v1/scores?as_of={DAY}{query}")
            if answer.status_code != 200:
                wrong.append(answer.text)
                continue
            versions = {score["model"]["version"] for score in answer.json()["scores"]}
            if len(versions) > 1:
                wrong.append(str(versions))
            seen.update(versions)

    with served(config) as client:
        client.get(f"/v1/scores?as_of={DAY}")
        askers = [
            threading.Thread(target=load, args=(client, query))
            for query in ("", "&asset=BTC", "&horizon=1")
        ]
        for asker in askers:
            asker.start()
        for _ in range(3):
            registry.promote(2, reason="better")
            time.sleep(0.6)
            registry.rollback(reason="it drifts")
            time.sleep(0.4)
        stop.set()
        for asker in askers:
            asker.join()
    assert wrong == []
    assert seen == {1, 2}
