"""The dashboard, by real requests over a real socket and a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium
from listening import served, until
from playwright.sync_api import Browser, Page
from sqlalchemy import text

from serving import Ledger, Registry, Score
from serving.api import ServiceConfig
from serving.dashboard.access import COOKIE
from serving.keys import scoped_keys
from serving.settlement import settle
from sources import read_market

NOW = datetime(2024, 6, 21, 12, tzinfo=UTC)
PAGES = ("/", "/signals", "/record", "/model")
SIZES = {"light": (1280, 900), "dark": (375, 812)}


def ask(client: httpx.Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.fixture(scope="module")
def config(
    shared_registry: Registry, market_dir: Path, make_score: Callable[..., Score]
) -> ServiceConfig:
    """A champion, a market, and a record of ninety days of which all but the last are settled."""
    ledger = Ledger(shared_registry.history.engine)
    said = []
    for back in range(90, 0, -1):
        day = date(2024, 6, 20) - timedelta(days=back)
        score = make_score(
            as_of=day.isoformat(),
            digest=shared_registry.champion().digest,
            probability=0.45 + 0.002 * (back % 50),
        )
        issued = datetime(day.year, day.month, day.day, 0, 5, tzinfo=UTC) + timedelta(days=1)
        said.append(score.model_copy(update={"issued_at": issued, "lower": 0.4, "upper": 0.6}))
    ledger.record(said)
    settle(ledger, read_market(market_dir), NOW)
    return ServiceConfig(shared_registry, ledger, market_dir, clock=lambda: NOW)


@pytest.fixture(scope="module")
def client(config: ServiceConfig) -> Iterator[httpx.Client]:
    with served(config) as opened:
        until(lambda: opened.get("/signals").status_code == 200, seconds=120)
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def look(browser: Browser, client: httpx.Client) -> Iterator[Callable[..., Page]]:
    """Open a page; what it complains of fails the test."""
    contexts, complaints = [], []

    def opened(path: str, theme: str = "light", *, script: bool = True) -> Page:
        width, height = SIZES[theme]
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,
            java_script_enabled=script,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda said: complaints.append(said.text) if said.type == "error" else None
        )
        page.goto(f"{client.base_url}{path}")
        return page

    yield opened
    for context in contexts:
        context.close()
    # plotly brings a sheet for its maps along, which our policy refuses; nothing here is a map.
    assert [said for said in complaints if "inline style" not in said] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_fault_for_screen_readers_or_scrolls_sideways(
    look: Callable[..., Page], client: httpx.Client, theme: str
) -> None:
    why = re.search(r'href="(/scores/[0-9a-f]{32})"', ask(client, "/"))
    assert why is not None
    for path in (*PAGES, why[1]):
        page = look(path, theme)
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        bad = [
            (f["id"], f["nodes"][0]["html"])
            for f in found
            if f["impact"] in ("serious", "critical")
        ]
        assert bad == [], path
        assert page.evaluate("document.documentElement.scrollWidth") == SIZES[theme][0], path


def test_without_a_script_pages_show_the_same_numbers_and_pictures(
    look: Callable[..., Page],
) -> None:
    page = look("/", script=False)
    assert page.locator("tr.score svg.dot").count() == 4
    assert page.locator("tr.score").first.locator("svg.dot title").count() == 1
    assert re.fullmatch(r"\d+\.\d\s%", page.locator("tr.score td.p").first.inner_text())
    drawn = look("/signals", script=False)
    assert drawn.locator("svg.panel path").count() >= 3
    assert drawn.locator("#explore").is_hidden()
    drawn.get_by_role("link", name="ETH", exact=True).click()
    assert drawn.get_by_role("heading", level=1).inner_text() == "Small-cap signals beside ETH"


def test_with_a_script_the_pointer_tells_a_day_and_plotly_zooms_from_this_server(
    look: Callable[..., Page],
) -> None:
    page = look("/signals")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("svg.panel").first.hover(position={"x": 300, "y": 50})
    assert re.match(r"\d+ \w+ 202[34]: \d", page.locator("[data-now=close]").inner_text())
    page.get_by_role("button", name="Zoom and pan").click()
    page.locator("#plotly .main-svg").first.wait_for(timeout=20_000)
    assert {url.split("/")[2] for url in asked} == {page.url.split("/")[2]}


def test_the_keyboard_reaches_the_skip_link_first_and_shows_where_it_is(
    look: Callable[..., Page],
) -> None:
    page = look("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    for name in ("riskon", "Today"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == name
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"


def test_no_probability_stands_without_its_base_rate_and_interval_nor_with_advice(
    client: httpx.Client,
) -> None:
    page = ask(client, "/")
    rows = re.findall(r'<tr role="row" class="score">(.*?)</tr>', page, re.DOTALL)
    assert len(rows) == 4
    for row in rows:
        cells = [
            re.sub("<[^>]*>|\\s|\xa0", "", cell)
            for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)
        ]
        probability, interval, base_rate = cells[1:4]
        assert re.fullmatch(r"\d+\.\d%", probability)
        assert re.fullmatch(r"\d+\.\d\N{EN DASH}\d+\.\d%", interval)
        assert re.fullmatch(r"\d+\.\d%", base_rate)
    assert "No certified skill" in page
    assert "Probabilities, no advice" in page


def test_the_numbers_are_those_of_the_api(client: httpx.Client) -> None:
    page = ask(client, "/").replace("\xa0", " ")
    for score in client.get("/v1/scores").json()["scores"]:
        assert f"{100 * score['probability']:.1f} %" in page
        assert f"/scores/{score['forecast_id']}" in page


def test_the_record_says_what_was_live_and_leaves_its_interval_beside_it(
    client: httpx.Client,
) -> None:
    page = ask(client, "/record?asset=BTC&horizon=5").replace("\xa0", " ")
    # Scored were 90 days to 19 June, over five days each; the last bar is of 20 June, so of those
    # from 16 June on, four, no outcome is known.
    assert "86 outcomes known" in page
    assert "cannot be told from the base rate" in page
    assert "95 % interval" in page
    assert page.count("Reliability of BTC, 5 days") == 2  # its label and its title
    assert client.get("/record?asset=BTC&horizon=7").status_code == 404


def test_pages_say_so_where_there_is_no_outcome_no_score_no_champion_and_no_database(
    registry: Registry, make_score: Callable[..., Score]
) -> None:
    ledger = Ledger(registry.history.engine)
    with served(ServiceConfig(registry, ledger, clock=lambda: NOW)) as client:
        answer = client.get("/")
        assert answer.status_code == 503
        assert "No model speaks yet" in answer.text
        assert "riskon promote" in answer.text
        assert 'aria-label="Pages"' in answer.text  # the same look
        registry.promote(1, reason="<script>alert(1)</script>")
    with served(ServiceConfig(registry, ledger, clock=lambda: NOW)) as client:
        answer = client.get("/")
        assert (answer.status_code, "No scores yet" in answer.text) == (404, True)
        assert client.get("/signals").status_code == 503
        assert "&lt;script&gt;alert(1)" in ask(client, "/model")
        ledger.record([make_score(digest=registry.champion().digest)])
        assert "No outcomes yet" in ask(client, "/record")
        with ledger.engine.begin() as connection:
            connection.execute(text("ALTER TABLE forecasts RENAME TO elsewhere"))
        answer = client.get("/record")
        assert answer.status_code == 503
        assert "Not available now" in answer.text
        assert "forecasts" not in answer.text.replace("forecasts issued", "")


def test_an_address_that_is_none_is_a_page_that_says_so(client: httpx.Client) -> None:
    for path in (
        "/scores/zz",
        f"/scores/{'0' * 32}",
        "/signals?asset=%3Cb%3E",
        "/signals?range=9y",
    ):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert "<b>" not in answer.text
        assert answer.headers["content-type"].startswith("text/html")


def test_pages_may_load_what_is_ours_and_nothing_that_stands_in_them(client: httpx.Client) -> None:
    for path in (*PAGES, "/scores/zz"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert not re.search(
            r"<style|style=|<script(?![^>]*(src=|application/json))| on\w+=", answer.text
        )


def test_files_are_kept_for_a_year_by_their_content_and_nothing_else_is_served(
    client: httpx.Client,
) -> None:
    where = re.search(r'href="(/static/riskon.css\?v=[0-9a-f]{16})"', ask(client, "/"))
    assert where is not None
    answer = client.get(where[1])
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    again = client.get(where[1], headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    for name in ("routes.py", "..%2Froutes.py", "%2e%2e/routes.py", "nothing.css"):
        assert client.get(f"/static/{name}").status_code == 404


def test_names_of_files_that_are_none_leave_nothing_behind_however_long_they_are(
    client: httpx.Client,
) -> None:
    from serving.dashboard import assets

    ask(client, "/static/riskon.css")
    caches = [found for found in vars(assets).values() if hasattr(found, "cache_info")]
    held = sum(found.cache_info().currsize for found in caches)
    for name in (*(f"{number}.css" for number in range(20)), f"{'a' * 300}.css"):
        assert client.get(f"/static/{name}").status_code == 404, name
    assert sum(found.cache_info().currsize for found in caches) == held


def test_with_keys_a_page_needs_one_and_gives_a_cookie_for_it_that_scripts_cannot_read(
    config: ServiceConfig,
) -> None:
    guarded = ServiceConfig(
        config.registry, config.ledger, clock=lambda: NOW, api_keys=scoped_keys(("open sesame",))
    )
    with served(guarded) as client:
        for path in (*PAGES, f"/scores/{'0' * 32}"):
            answer = client.get(path)
            assert answer.status_code == 401, path
            assert "API key" in answer.text
            assert "%" not in re.sub("<[^>]*>", "", answer.text)
        wrong = client.post("/sign-in", data={"key": "sesame", "next": "/model"})
        assert (wrong.status_code, "set-cookie" in wrong.headers) == (403, False)
        right = client.post("/sign-in", data={"key": "open sesame", "next": "/model"})
        assert (right.status_code, right.headers["location"]) == (303, "/model")
        said = right.headers["set-cookie"]
        assert "HttpOnly" in said
        assert "SameSite=strict" in said
        assert "sesame" not in said
        assert "riskon 1" in ask(client, "/model")
        cookie = client.cookies[COOKIE]
        client.cookies.clear()
        assert client.get("/model", headers={"X-API-Key": "open sesame"}).status_code == 200
        ends, _, mac = cookie.partition(".")
        for forged in (f"{int(ends) + 1}.{mac}", f"{ends}.{'0' * 64}", ends, "x", "1.\xe9"):
            answer = client.get(
                "/model", headers={"cookie": f"{COOKIE}={forged}".encode("latin-1")}
            )
            assert answer.status_code == 401, forged
        away = client.post("/sign-in", data={"key": "open sesame", "next": "//evil.example"})
        assert away.headers["location"] == "/"
    later = NOW + timedelta(hours=12)
    with served(
        ServiceConfig(
            config.registry, config.ledger, clock=lambda: later, api_keys=guarded.api_keys
        )
    ) as client:
        answer = client.get("/model", headers={"cookie": f"{COOKIE}={cookie}"})
        assert answer.status_code == 401


def test_other_sites_can_sign_nobody_in_or_out_and_a_browser_here_can(
    config: ServiceConfig, browser: Browser
) -> None:
    keys = scoped_keys(("open sesame",))
    guarded = ServiceConfig(config.registry, config.ledger, clock=lambda: NOW, api_keys=keys)
    with served(guarded) as client:
        form = {"key": "open sesame", "next": "/model"}
        ours = str(client.base_url)
        assert client.post("/sign-in", data=form, headers={"origin": ours}).status_code == 303
        for path in ("/sign-in", "/sign-out"):
            for forged in (
                {"origin": "https://evil.example"},
                {"origin": f"https://evil.example/{ours}"},
                {"origin": "null"},
                {"sec-fetch-site": "cross-site", "origin": ours},
                {"sec-fetch-site": "same-site"},
            ):
                answer = client.post(path, data=form, headers=forged)
                assert (answer.status_code, "set-cookie" in answer.headers) == (403, False), forged
        context = browser.new_context()
        page = context.new_page()
        sent: list[dict[str, str]] = []
        page.on("request", lambda r: sent.append(r.all_headers()) if r.method == "POST" else None)
        page.goto(f"{ours}/model")
        page.get_by_label("API key").fill("open sesame")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("API key").wait_for(timeout=5000)
        assert context.cookies() == []
        context.close()
        # Where it sends no Sec-Fetch-Site, over http in a house's net, its Origin has to do.
        assert [headers["origin"] for headers in sent] == [ours, ours]


def test_a_trusted_proxy_says_who_signs_in_and_that_it_is_over_https_and_no_other_does(
    config: ServiceConfig,
) -> None:
    keys = scoped_keys(("open sesame",))
    guarded = ServiceConfig(config.registry, config.ledger, clock=lambda: NOW, api_keys=keys)
    form, https = {"key": "open sesame"}, {"x-forwarded-proto": "https"}
    for trusted, believed in (("127.0.0.0/8", True), ("10.0.0.1", False), ("", False)):
        with served(guarded, trusted_proxies=trusted) as client:
            for one in range(21):  # twenty may be tried from an address
                by = {**https, "x-forwarded-for": f"203.0.113.{one}"}
                answer = client.post("/sign-in", data=form, headers=by)
            assert answer.status_code == (303 if believed else 429), trusted
            if believed:
                assert "Secure" in answer.headers["set-cookie"]
                for _ in range(20):  # what a client puts before its address buys no more tries
                    by = {"x-forwarded-for": "198.51.100.1, 203.0.113.20"}
                    answer = client.post("/sign-in", data=form, headers=by)
                assert answer.status_code == 429


def test_a_page_is_made_in_less_than_300_ms_once_warm(client: httpx.Client) -> None:
    def milliseconds(path: str) -> float:
        return float(client.get(path).elapsed.total_seconds() * 1000)

    for path in PAGES:
        client.get(path)
        assert min(milliseconds(path) for _ in range(5)) < 300, path


def test_sessions_alone_are_highs_and_the_file_of_the_day_is_read_by_the_next_worker(
    client: httpx.Client, config: ServiceConfig, tmp_path: Path
) -> None:
    import numpy as np

    from serving.dashboard.signals import SignalsOfTheDay, packed, signals_of, unpacked
    from serving.speaker import DirectoryReader

    ask(client, "/signals")  # made by a process of its own, and kept
    assert config.market_dir is not None
    kept = config.registry.artifacts / "signals"
    held = SignalsOfTheDay(DirectoryReader(), config.market_dir, kept, config.clock)
    found = held.get(wait=0)  # no time to make it
    assert found is not None
    here = unpacked(packed(signals_of(read_market(config.market_dir))))
    np.testing.assert_array_equal(found.days, here.days)
    for name, values in here.values.items():
        np.testing.assert_array_equal(found.values[name], values)
    highs = found.days[found.values["high_flag"] == 1]
    assert len(highs) > 0
    assert {int(day) for day in (highs.astype("int64") + 3) % 7} <= {
        0,
        1,
        2,
        3,
        4,
    }  # 1970-01-01: Thursday
    other = SignalsOfTheDay(DirectoryReader(), config.market_dir, tmp_path, config.clock)
    assert other.get(wait=0) is None
