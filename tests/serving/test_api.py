"""The API, by a real client over a real socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from listening import POLL, problem, served, until
from sqlalchemy import text

from features import Dataset, build_dataset
from serving import Ledger, Registry, Score, Scorer
from serving.api import ServiceConfig
from serving.keys import hash_key, scoped_keys
from sources import read_market

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
FIELDS = {
    "forecast_id", "as_of", "issued_at", "asset", "horizon_days", "threshold", "probability",
    "lower", "upper", "base_rate", "abstained", "reason", "model", "data", "drivers",
    "experts",
}  # fmt: skip


@pytest.fixture
def config(registry: Registry) -> ServiceConfig:
    """A champion, an empty ledger, no market."""
    registry.promote(1, reason="first")
    ledger = Ledger(registry.history.engine)
    return ServiceConfig(registry, ledger, clock=lambda: NOW, poll_seconds=POLL)


@pytest.fixture
def client(config: ServiceConfig, market_dir: Path) -> Iterator[httpx.Client]:
    with served(replace(config, market_dir=market_dir)) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(shared_registry: Registry, market_dir: Path) -> Iterator[httpx.Client]:
    """A service for tests that change neither the champion nor the ledger's rows."""
    ledger = Ledger(shared_registry.history.engine)
    with served(ServiceConfig(shared_registry, ledger, market_dir, clock=lambda: NOW)) as opened:
        yield opened


def test_the_scores_of_the_latest_day_are_those_of_the_scorer_and_the_ledger(
    client: httpx.Client, config: ServiceConfig, market_dir: Path
) -> None:
    answer = client.get("/v1/scores")
    assert answer.status_code == 200
    content = answer.json()
    assert content["as_of"] == "2024-06-20"
    assert all(set(score) == FIELDS for score in content["scores"])
    stored = config.ledger.find(date(2024, 6, 20))
    assert [s.to_json() for s in stored] == content["scores"]
    champion = config.registry.champion()
    scorer = Scorer(config.registry.load(champion), champion, config.ledger, config.clock)
    assert scorer.score(read_market(market_dir)) == stored


def test_asking_again_returns_the_same_bytes_d22(shared: httpx.Client) -> None:
    first = shared.get("/v1/scores?as_of=2024-05-15").content
    assert shared.get("/v1/scores?as_of=2024-05-15").content == first
    one = json.loads(first)["scores"][2]
    assert shared.get(f"/v1/scores/{one['forecast_id']}").json() == one


def test_assets_and_horizons_select(shared: httpx.Client) -> None:
    def asked(query: str) -> list[tuple[str, int]]:
        scores = shared.get(f"/v1/scores?as_of=2024-05-15&{query}").json()["scores"]
        return [(score["asset"], score["horizon_days"]) for score in scores]

    assert asked("asset=ETH") == [("ETH", 1), ("ETH", 5)]
    assert asked("horizon=5") == [("BTC", 5), ("ETH", 5)]
    assert asked("asset=ETH&asset=BTC&horizon=1") == [("BTC", 1), ("ETH", 1)]


def test_fifty_askers_at_once_get_one_row_made_once_d22(
    client: httpx.Client, config: ServiceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Dataset] = []

    def counted(*told: Any) -> Dataset:
        made.append(build_dataset(*told))
        return made[-1]

    monkeypatch.setattr("serving.scorer.build_dataset", counted)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: client.get("/v1/scores?as_of=2024-05-16"), range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(made) == 1
    with config.ledger.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM forecasts")).scalar_one() == 4


def test_without_a_market_what_was_not_issued_names_the_next_step(
    config: ServiceConfig, market_dir: Path
) -> None:
    with served(config) as client:
        said = problem(client.get("/v1/scores?as_of=2024-05-15"), 404, "no-scores")
        assert "riskon score --as-of 2024-05-15" in said
        assert "riskon score --market" in problem(client.get("/v1/scores"), 404, "no-scores")
        champion = config.registry.champion()
        scorer = Scorer(config.registry.load(champion), champion, config.ledger, config.clock)
        issued = scorer.score(read_market(market_dir), date(2024, 5, 15), ["BTC"])
        found = client.get("/v1/scores").json()
        assert found == {"as_of": "2024-05-15", "scores": [score.to_json() for score in issued]}


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        pytest.param("as_of=2024-07-01", "as-of-in-future", id="D09-today"),
        pytest.param("as_of=9999-12-31", "as-of-in-future", id="D09-end-of-time"),
        pytest.param("as_of=2024-06-25", "as-of-out-of-range", id="D11-after-the-data"),
        pytest.param("as_of=2021-01-01", "as-of-out-of-range", id="D11-before-the-data"),
        pytest.param("as_of=2023-06-01", "as-of-out-of-range", id="D11-before-the-model"),
        pytest.param("as_of=2024-02-30", "invalid-request", id="D14-no-such-day"),
        pytest.param("as_of=0", "invalid-request", id="D14-number"),
        pytest.param("as_of=20240515", "invalid-request", id="D14-other-format"),
        pytest.param("as_of=2024-05-15T00:00:00", "invalid-request", id="D14-instant"),
        pytest.param("as_of=%D9%A2024-05-15", "invalid-request", id="D14-other-digits"),
        pytest.param("as_of=", "invalid-request", id="D14-empty"),
        pytest.param("as_of=2024-05-15%00", "invalid-request", id="D14-nul"),
        pytest.param("as_of=2024-05-15%0A", "invalid-request", id="D14-newline"),
        pytest.param("as_of=%ED%A0%80", "invalid-request", id="D14-lone-surrogate"),
        pytest.param("as_of=2024-05-15&as_of=2024-05-16", "repeated-parameter", id="D14-two-days"),
        pytest.param("asset=BTC&asset=BTC", "repeated-parameter", id="D12-duplicate"),
        pytest.param("asset=XYZZY", "unknown-asset", id="D12-unknown"),
        pytest.param("asset=btc", "invalid-request", id="D12-wrong-case"),
        pytest.param("asset=%D0%92TC", "invalid-request", id="D12-look-alike"),
        pytest.param("asset=", "invalid-request", id="D12-empty"),
        pytest.param("asset=x'%20OR%201=1--", "invalid-request", id="D15-injection"),
        pytest.param("asset=..%2F..%2Fetc", "invalid-request", id="D16-traversal"),
        pytest.param("horizon=7", "unknown-horizon", id="D12-unknown-horizon"),
        pytest.param("horizon=1e400", "invalid-request", id="D14-infinite"),
        pytest.param("horizon=-5", "invalid-request", id="D14-negative"),
        pytest.param("horizon=5.0", "invalid-request", id="D14-fraction"),
        pytest.param(f"horizon={'9' * 5000}", "invalid-request", id="D14-huge"),
        pytest.param("xyzzy=1", "invalid-request", id="D14-unknown-parameter"),
    ],
)
def test_bad_input_is_422_and_is_not_echoed(shared: httpx.Client, query: str, kind: str) -> None:
    said = problem(shared.get(f"/v1/scores?{query}"), 422, kind)
    assert "xyzzy" not in said.lower()
    assert "9999" not in said
    if kind == "as-of-out-of-range":
        assert "from 202" in said
    if kind == "unknown-asset":
        assert "BTC, ETH" in said


@pytest.mark.parametrize("route", ["/v1/history", "/v1/verification"])
@pytest.mark.parametrize(
    ("query", "kind", "known"),
    [
        pytest.param("asset=XYZZY", "unknown-asset", "BTC, ETH", id="D12-asset"),
        pytest.param("horizon=7", "unknown-horizon", "1, 5", id="D12-horizon"),
        pytest.param("asset=BTC&version=9999", "unknown-version", "1", id="D12-version"),
    ],
)
def test_the_record_of_a_name_that_nobody_forecast_is_422_as_its_score_is(
    shared: httpx.Client, route: str, query: str, kind: str, known: str
) -> None:
    said = problem(shared.get(f"{route}?{query}"), 422, kind)
    assert f"known are: {known}." in said
    assert "xyzzy" not in said.lower()
    assert "9999" not in said
    assert shared.get(f"{route}?asset=BTC&horizon=5&version=1").status_code == 200


def test_what_an_earlier_version_forecast_can_be_asked_for_ever(
    config: ServiceConfig, make_score: Callable[..., Score]
) -> None:
    # The champion, version 1, answers BTC and ETH at 1 and 5 days.
    config.ledger.record([make_score(asset="OLD", horizon_days=20, version=7)])
    with served(config) as client:
        until(lambda: client.get("/health/ready").status_code == 200)
        found = client.get("/v1/history?asset=OLD&horizon=20&version=7").json()
        assert [item["score"]["asset"] for item in found["items"]] == ["OLD"]
        said = problem(client.get("/v1/history?asset=XYZ"), 422, "unknown-asset")
        assert "BTC, ETH, OLD" in said


@pytest.mark.parametrize("path", ["x'%20OR%201=1--", "..%2f..%2fetc", "AB" * 16, "a" * 31, "%00"])
def test_a_strange_forecast_id_is_refused_d15(shared: httpx.Client, path: str) -> None:
    assert shared.get(f"/v1/scores/{path}").status_code in (404, 422)


def test_what_is_not_there_is_a_problem_too(shared: httpx.Client) -> None:
    problem(shared.get(f"/v1/scores/{'0' * 32}"), 404, "no-such-score")
    problem(shared.get("/v2"), 404, "not-found")
    problem(shared.post("/v1/scores"), 405, "method-not-allowed")


def test_the_model_says_who_speaks_and_who_spoke(shared: httpx.Client) -> None:
    now = shared.get("/v1/model").json()
    assert (now["version"], now["reason"], now["fit_to_serve"]) == (1, "first", True)
    assert (now["assets"], now["horizons"]) == (["BTC", "ETH"], [1, 5])
    assert now["trained_through"] == "2024-04-01"
    problem(shared.get("/v1/model?at=2020-01-01T00:00:00Z"), 404, "no-model-then")
    problem(shared.get("/v1/model?at=yesterday"), 422, "invalid-request")
    assert shared.get("/v1/model?at=2999-01-01T00:00:00Z").json() == now


def test_a_new_champion_speaks_within_a_poll_and_in_whole_answers_d08(
    client: httpx.Client, config: ServiceConfig
) -> None:
    old = client.get("/v1/scores?as_of=2024-05-15").json()
    config.registry.promote(2, reason="better")
    until(lambda: client.get("/v1/model").json()["version"] == 2)
    new = client.get("/v1/scores?as_of=2024-05-15").json()
    assert {score["model"]["version"] for score in old["scores"]} == {1}
    assert {score["model"]["version"] for score in new["scores"]} == {2}


def test_live_is_not_ready_before_there_is_a_champion_d02(registry: Registry) -> None:
    with served(ServiceConfig(registry, Ledger(registry.history.engine))) as client:
        assert client.get("/health/live").json() == {"status": "live"}
        assert "riskon train" in problem(client.get("/health/ready"), 503, "no-model")
        problem(client.get("/v1/scores"), 503, "no-model")
        registry.promote(1, reason="first")
        ready = client.get("/health/ready").json()
        assert (ready["status"], ready["version"], ready["stale"]) == ("ready", 1, False)


def test_ready_says_which_inputs_are_stale_and_stays_ready(
    config: ServiceConfig, make_score: Callable[..., Score]
) -> None:
    # The input was a seventh of a day old at the end of 20 June, the last finished day of the 21st;
    # prices of crypto may be one day old, so at the end of the 21st (1.14 days) it speaks no more.
    told = []
    for day in (21, 22):
        now = datetime(2024, 6, day, 12, tzinfo=UTC)
        with served(replace(config, clock=lambda now=now: now)) as client:
            if day == 21:
                assert client.get("/health/ready").json()["inputs"] == "unknown"
                config.ledger.record([make_score(digest=config.registry.champion().digest)])
            answer = client.get("/health/ready")
            assert (answer.status_code, answer.json()["latest_as_of"]) == (200, "2024-06-20")
            told.append((answer.json()["inputs"], answer.json()["stale_inputs"]))
            assert f"riskon_stale_inputs {float(day == 22)}" in client.get("/metrics").text
    assert told == [("fresh", []), ("stale", ["prices/BTC"])]


def test_a_database_that_is_down_is_503_without_its_address_d23(
    config: ServiceConfig, tmp_path: Path
) -> None:
    with served(config) as client:
        assert client.get("/health/ready").status_code == 200
        for hidden in (True, False):
            for file in tmp_path.glob("riskon.db*" if hidden else "hidden-*"):
                name = f"hidden-{file.name}" if hidden else file.name.removeprefix("hidden-")
                file.rename(tmp_path / name)
            config.ledger.engine.dispose()
            if hidden:
                said = problem(client.get("/health/ready"), 503, "data-unavailable")
                assert str(tmp_path) not in said
                for file in tmp_path.glob("riskon.db*"):
                    file.unlink()
        assert client.get("/health/ready").status_code == 200


def test_keys_are_asked_for_where_there_are_keys_d18(
    config: ServiceConfig, caplog: pytest.LogCaptureFixture
) -> None:
    hashes = (hash_key("one"),)
    with served(replace(config, api_keys=scoped_keys(("one", "two")))) as client:
        missing = client.get("/v1/model")
        problem(missing, 401, "key-missing")
        assert missing.headers["www-authenticate"] == "X-API-Key"
        problem(client.get("/v1/model", headers={"X-API-Key": "three"}), 403, "key-wrong")
        problem(client.get("/v1/model", headers={"X-API-Key": hashes[0]}), 403, "key-wrong")
        # Who has no key does not learn what else is wrong.
        problem(client.get("/v1/scores?as_of=0"), 401, "key-missing")
        assert client.get("/v1/model", headers={"X-API-Key": "two"}).status_code == 200
        assert client.get("/health/ready").status_code == 200
    assert "three" not in caplog.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil", ""])
def test_a_foreign_host_is_refused_d17(shared: httpx.Client, host: str) -> None:
    problem(shared.get("/health/live", headers={"Host": host}), 400, "bad-host")
    for known in ("localhost", "LOCALHOST:8000", "[::1]:8000", "[::1]", "127.0.0.1"):
        assert shared.get("/health/live", headers={"Host": known}).status_code == 200


def test_a_request_without_a_host_is_refused_d17(shared: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", shared.base_url.port), timeout=10) as raw:
        raw.sendall(b"GET /health/live HTTP/1.0\r\n\r\n")
        assert raw.makefile("rb").readline().split()[1] == b"400"


def test_every_answer_carries_the_security_headers(shared: httpx.Client) -> None:
    for path in ("/health/live", "/v1/scores?as_of=0", "/nowhere", "/v1/model"):
        headers = shared.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"
        assert len(headers["x-request-id"]) == 32


def test_openapi_describes_the_routes(shared: httpx.Client) -> None:
    described = shared.get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/v1/scores", "/v1/scores/{forecast_id}", "/v1/scores:batch", "/v1/model",
        "/v1/history", "/v1/verification",
        "/health/live", "/health/ready", "/metrics",
    }  # fmt: skip
    named = {p["name"] for p in described["paths"]["/v1/scores"]["get"]["parameters"]}
    assert named == {"as_of", "asset", "horizon"}
    assert set(described["components"]["schemas"]["Score"]["properties"]) == FIELDS
    assert "swagger" in shared.get("/docs").text.lower()


def test_what_goes_wrong_inside_is_a_problem_without_its_words(
    config: ServiceConfig, monkeypatch: pytest.MonkeyPatch, make_score: Callable[..., Score]
) -> None:
    def broken(_: str) -> Score:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(config.ledger, "get", broken)
    with served(config) as client:
        answer = client.get(f"/v1/scores/{make_score().forecast_id}")
        assert "secret" not in problem(answer, 500, "internal")
