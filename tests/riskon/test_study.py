"""``riskon study`` by the command line: the report, the lock, and tracking that is down."""

from __future__ import annotations

import json

import pytest

from riskon.settings import Settings
from riskon.study import study
from sources.files import write_market
from sources.simulated import simulate_market


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "market"
    simulated = simulate_market(
        "null", seed=2, years=8, constituent_count=0, assets=("BTC", "ETH"), horizons=(1,)
    )
    write_market(simulated.market, folder)
    return folder


CLAIM = """
[[claims]]
id = "mine"
title = "Ethereum likes value stocks"
source = "a pub"
date = "2026-11-01"
paraphrase = "Ethereum gains on Bitcoin when small value stocks are at a high."
reading = "ETH less BTC over 20 days after the first high of IWN in 40 sessions."
kind = "event_return"
event = {{ quiet_sessions = {quiet} }}
indices = ["IWN"]
targets = ["ETH-BTC"]
horizons_days = [20]
primary_days = 20
null = "no difference"
test = "randomised dates"
expected_sign = 1
asserted = 0.1
unit = "log return"
least_sample = 3
"""


def test_a_report_is_written_and_C01_a_dead_tracking_server_does_not_lose_it(
    command, market, tmp_path
):
    report = tmp_path / "report"
    done = command(
        "study", "--market", market, "--output", report, "--no-causes", "--format", "json",
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert [row["claim"] for row in printed] == [f"C{i}" for i in range(1, 14)]
    claims = json.loads((report / "study.json").read_text())
    assert [claim["verdict"] for claim in claims] == [row["verdict"] for row in printed]
    assert (report / "study.html").read_text().startswith("<!doctype html>")
    assert "## Verdicts" in (report / "study.md").read_text()
    assert "Not tracked: tracking server http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
    locks = (tmp_path / "home" / "study-locks.jsonl").read_text().splitlines()
    assert len(locks) == 13


def test_claims_of_ones_own_are_tested_and_a_changed_one_is_told_to_count(market, tmp_path, capsys):
    where = Settings(home=tmp_path / "home")
    for quiet in (40, 41):
        mine = tmp_path / f"{quiet}.toml"
        mine.write_text(CLAIM.format(quiet=quiet))
        study(where, market, tmp_path / "out", mine, "table", causes=False, track=False)
    told = capsys.readouterr()
    assert "mine Ethereum likes value stocks" in told.out
    assert "1 claims locked on these data before and changed or left out" in told.err
    (only,) = json.loads((tmp_path / "out" / "study.json").read_text())
    assert only["id"] == "mine"
    assert only["events"]
