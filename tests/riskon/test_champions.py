"""The commands about who speaks, and about jobs that wait, as a user runs them."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import free_port

Home = Any


def dead_server() -> str:
    return f"http://127.0.0.1:{free_port()}"


def test_the_champion_is_told_with_who_promoted_it_and_why(home: Home) -> None:
    done = home.run("champion", "--format", "json")
    (told,) = json.loads(done.stdout)
    assert (told["version"], told["reason"], told["until"]) == (1, "first champion", None)
    assert "@" in told["promoted_by"]
    assert all(len(check) == 2 for check in told["checks"])
    since = datetime.fromisoformat(told["since"])
    then = home.run("champion", "--at", (since + timedelta(seconds=1)).isoformat())
    assert "first champion" in then.stdout
    before = home.run("champion", "--at", (since - timedelta(seconds=1)).isoformat())
    assert before.returncode == 4
    assert "needed" in before.stderr or "no model" in before.stderr


@pytest.mark.parametrize(
    "instant",
    [
        pytest.param("2026-01-01", id="a day is no instant"),
        pytest.param("2026-01-01T00:00", id="no zone"),
        pytest.param("yesterday", id="words"),
        pytest.param((datetime.now(UTC) + timedelta(days=2)).isoformat(), id="the future"),
    ],
)
def test_an_instant_that_is_none_is_wrong_usage(home: Home, instant: str) -> None:
    done = home.run("champion", "--at", instant)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--at: needed an instant" in done.stderr


def test_promoting_the_champion_again_says_so_and_changes_nothing(home: Home) -> None:
    # The home's version was forced past the gate, which is not asked a second time.
    before = home.run("champion", "--format", "json").stdout
    done = home.run("promote", 1, "--reason", "once more")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("Version 1 is the champion already (skill ")
    assert "by the reason 'first champion'; nothing changed.\n" in done.stderr
    assert "FAIL" not in done.stderr
    assert home.run("champion", "--format", "json").stdout == before


def test_a_promotion_without_a_reason_is_wrong_usage(home: Home) -> None:
    assert home.run("promote", 1, "--reason", " ").returncode == 2


def test_nothing_to_sync_is_said_without_asking_a_server(home: Home) -> None:
    done = home.run("sync", MLFLOW_TRACKING_URI=dead_server())
    assert done.returncode == 0
    assert "Nothing waits" in done.stderr


@pytest.mark.slow
def test_a_job_trained_while_tracking_is_down_is_kept_and_synced_once_c01_c02(
    home: Home, tmp_path: Path
) -> None:
    def run(*words: object, **environment: str) -> Any:
        return home.run(*words, RISKON_HOME=str(tmp_path / "home"), **environment)

    words = ("train", "--market", home.market, "--asset", "BTC", "--horizon", 1)
    begun = time.monotonic()
    refused = run(*words, MLFLOW_TRACKING_URI=dead_server())
    assert refused.returncode == 1
    assert "tracking server" in refused.stderr
    assert time.monotonic() - begun < 10
    kept = run(*words, "--spool", MLFLOW_TRACKING_URI=dead_server())
    assert kept.returncode == 0, kept.stderr
    assert "Next, when it answers again: riskon sync" in kept.stderr
    sent = run("sync")
    assert sent.returncode == 0, sent.stderr
    assert "version 1 of model riskon" in sent.stderr
    assert "Nothing waits" in run("sync").stderr
    assert run("promote", 1, "--reason", "synced", "--override").returncode == 0
