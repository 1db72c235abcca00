"""A version is tried in a process of its own before it speaks; what fails there harms nobody."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from listening import until
from mlflow import MlflowClient
from sqlalchemy import text

from models import ModelBundle
from serving import Champion, DailyScores, Ledger, Registry, Score
from serving.known_good import known_good
from serving.probe import SpeakerProcess
from serving.speaker import DirectoryReader, Places, Speaker
from sources import DataUnavailableError, IntegrityError

NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)
DAY = date(2024, 5, 15)


@pytest.fixture(scope="module")
def places(shared_registry: Registry, market_dir: Path) -> Places:
    return Places.of(shared_registry, market_dir, DirectoryReader(), "abstain")


@pytest.fixture(scope="module")
def process(places: Places) -> Iterator[SpeakerProcess]:
    started = SpeakerProcess(places)
    yield started
    started.close()


def rows(registry: Registry) -> int:
    with registry.history.engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM forecasts")).scalar_one())


def forged(bundle_dir: Path, folder: Path, name: str, content: str) -> str:
    """Copy a bundle with one file changed and its manifest made to agree; return the digest."""
    shutil.copytree(bundle_dir, folder)
    (folder / name).write_text(content, encoding="utf-8", newline="\n")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256(content.encode()).hexdigest()
    text_ = json.dumps(manifest)
    (folder / "manifest.json").write_text(text_)
    return hashlib.sha256(text_.encode()).hexdigest()


def champion_of(registry: Registry, bundle_dir: Path, name: str, content: str) -> Champion:
    """Put a forged bundle where the registry keeps those it fetched; return its champion."""
    spare = registry.artifacts / "bundles" / "forging"
    digest = forged(bundle_dir, spare, name, content)
    spare.rename(registry.folder(digest))
    return replace(registry.champion(), version=9, digest=digest)


def test_a_process_scores_as_this_one_does_to_the_bit(
    process: SpeakerProcess, shared_registry: Registry, market_dir: Path
) -> None:
    champion = shared_registry.champion()
    process.ask("load", champion)
    assert process.ask("days", NOW) == (date(2022, 1, 1), date(2024, 6, 20))
    ledger = Ledger(shared_registry.history.engine)
    made = process.ask("score", DAY, ("BTC",), (), NOW)
    assert made == ledger.find(DAY, ["BTC"])
    here = Speaker(shared_registry, ledger, market_dir, DirectoryReader())
    here.load(champion)
    # BTC is on record; ETH is made here, and must be what the process makes of it.
    assert here.ask("score", DAY, ("BTC",), (), NOW) == made
    there = process.ask("score", DAY, (), (), NOW)
    assert here.ask("score", DAY, (), (), NOW) == there
    with pytest.raises(DataUnavailableError, match="needed a finished day"):
        process.ask("score", date(2030, 1, 1), (), (), NOW)


def test_a_service_that_ends_waits_seconds_for_its_scorer_and_who_asked_is_told(
    shared_registry: Registry, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("serving.daily", "serving.probe"):
        monkeypatch.setattr(f"{module}.CLOSE_SECONDS", 0.2)
    ledger = Ledger(shared_registry.history.engine)
    service = DailyScores(shared_registry, ledger, clock=lambda: NOW)
    hung = SpeakerProcess(places)
    assert hung.pid is not None
    os.kill(hung.pid, signal.SIGSTOP)  # it will not answer
    service._speaking = (service.served().champion, hung)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(service.verification)
        while not service._scoring.locked():
            time.sleep(0.01)
        begun = time.monotonic()
        service.close()
        with pytest.raises(DataUnavailableError, match="its process ended, exit code -9"):
            asked.result(10)
        assert time.monotonic() - begun < 5  # not the 120 s of an answer
    assert not hung.alive


def test_what_nobody_foresaw_does_not_end_the_thread_that_follows_the_champion(
    shared_registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = DailyScores(shared_registry, Ledger(shared_registry.history.engine))
    read, tries = Registry.champion, list[int]()

    def unlucky(registry: Registry) -> Champion:
        tries.append(1)
        if len(tries) == 1:
            raise ZeroDivisionError
        return read(registry)

    monkeypatch.setattr(Registry, "champion", unlucky)
    thread = service.watch(0.01)
    try:
        until(lambda: service.speaks is not None or not thread.is_alive(), 10)
        assert service.speaks is not None
    finally:
        service.close()
    assert "ZeroDivisionError" in caplog.text


def test_garbled_trees_with_a_true_digest_end_their_process_or_are_refused_d05(
    process: SpeakerProcess, shared_registry: Registry, bundle_dirs: tuple[Path, Path]
) -> None:
    name = next(
        str(p.relative_to(bundle_dirs[0])) for p in sorted(bundle_dirs[0].glob("trees/*/*.txt"))
    )
    trees = (bundle_dirs[0] / name).read_text()
    garbled = champion_of(shared_registry, bundle_dirs[0], name, trees.replace("num_leaves", "x"))
    with pytest.raises(Exception, match=r"bundle|scorer"):
        process.ask("load", garbled)
    # This test is still running: whatever ended, it was not this process.
    assert process.pid is not None


def test_five_hundred_mutations_of_a_bundle_are_all_refused_before_they_are_parsed_d05(
    bundle_dirs: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle_dirs[0], folder)
    digest = ModelBundle.load(folder).digest
    draw = random.Random(5)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for number in range(500):
        path = draw.choice(files)
        content = path.read_bytes()
        at = draw.randrange(len(content))
        kind = number % 4
        if kind == 0:
            path.write_bytes(content[:at])
        elif kind == 1:
            path.write_bytes(
                content[:at] + bytes([content[at] ^ (1 << draw.randrange(8))]) + content[at + 1 :]
            )
        elif kind == 2:
            path.write_bytes(content[at:] + content[:at] if at else content[::-1])
        else:
            path.unlink()
            path.symlink_to("/dev/zero")  # endless, had anyone read it
        with pytest.raises(IntegrityError):
            ModelBundle.load(folder, digest=digest)
        path.unlink()
        path.write_bytes(content)
    assert ModelBundle.load(folder, digest=digest).digest == digest


def test_a_pickle_or_a_program_beside_the_bundle_is_never_run_d06(
    bundle_dirs: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, canary = tmp_path / "bundle", tmp_path / "canary"
    shutil.copytree(bundle_dirs[0], folder)

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (canary,))

    for name in ("model.pkl", "bundle.pkl", "cells/model.skops"):
        (folder / name).write_bytes(pickle.dumps(Bomb()))
    program = f"from pathlib import Path; Path({str(canary)!r}).touch()"
    for name in ("model.py", "sitecustomize.py", "__init__.py"):
        (folder / name).write_text(program)
    ModelBundle.load(folder, digest=ModelBundle.load(bundle_dirs[0]).digest)
    assert not canary.exists()


def test_a_version_whose_golden_rows_differ_is_refused_d07(
    shared_registry: Registry, bundle_dirs: tuple[Path, Path], market_dir: Path
) -> None:
    golden = json.loads((bundle_dirs[0] / "golden.json").read_text())
    golden["BTC_5d"]["probabilities"]["boosting"][0] += 1e-9
    other = champion_of(shared_registry, bundle_dirs[0], "golden.json", json.dumps(golden))
    ledger = Ledger(shared_registry.history.engine)
    here = Speaker(shared_registry, ledger, market_dir, DirectoryReader())
    with pytest.raises(IntegrityError, match=r"1 differences, first BTC_5d, boosting, row 0"):
        here.load(other)


def test_a_bundle_from_before_golden_rows_still_speaks(bundle: ModelBundle, tmp_path: Path) -> None:
    assert set(bundle.golden) == set(bundle.cells)
    old = replace(bundle, golden={}).save(tmp_path / "old")
    assert not (tmp_path / "old" / "golden.json").exists()
    ModelBundle.load(tmp_path / "old", digest=old.digest).refuse_other_numbers()


@pytest.mark.parametrize(
    ("point", "kept"),
    [("before_ledger_commit", 0), ("after_ledger_commit", 4)],
)
def test_a_scorer_killed_around_the_commit_leaves_all_or_nothing_and_the_retry_one_row_d26(
    registry: Registry,
    market_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    kept: int,
) -> None:
    registry.promote(1, reason="first")
    ledger = Ledger(registry.history.engine)
    service = DailyScores(registry, ledger, market_dir, lambda: NOW, isolated=True)
    monkeypatch.setenv("CRASHPOINT", f"{point}:SIGKILL")
    try:
        with pytest.raises(DataUnavailableError, match="its process ended, exit code -9"):
            service.scores(DAY)
        assert rows(registry) == kept
        monkeypatch.delenv("CRASHPOINT")
        again = service.scores(DAY)
        assert again == ledger.find(DAY)
        assert rows(registry) == 4
        assert ledger.verify() == 4
    finally:
        service.close()


def test_a_new_version_that_cannot_be_loaded_leaves_the_old_one_speaking_d03_d04(
    registry: Registry, tmp_path: Path
) -> None:
    registry.promote(1, reason="first")
    service = DailyScores(registry, Ledger(registry.history.engine), clock=lambda: NOW)
    service.refresh()
    tracking = registry.tracking_uri
    second = registry.promote(2, reason="better")
    folder = registry.folder(second.digest)
    away = tmp_path / "away"
    folder.rename(away)
    registry.tracking_uri = "http://127.0.0.1:9"  # nobody listens there
    service.refresh()
    assert (service.served().champion.version, service.stale) == (1, True)
    before = service.generation
    service.refresh()  # too soon to try again: no other question to a server that is down
    assert service.generation == before
    registry.tracking_uri = tracking
    service.refresh(at_once=True)
    assert (service.served().champion.version, service.stale) == (2, False)
    kept = known_good(registry.artifacts)
    assert kept is not None
    assert kept.version == 2


def test_the_record_goes_on_while_a_new_version_is_refused_d03(
    registry: Registry, make_score: Callable[..., Score]
) -> None:
    registry.promote(1, reason="first")
    ledger = Ledger(registry.history.engine)
    service = DailyScores(registry, ledger, clock=lambda: NOW)
    service.refresh()
    second = registry.promote(2, reason="better")
    (registry.folder(second.digest) / "bundle.json").write_text("{}")
    service.refresh()
    assert service.stale
    # What /v1/verification keeps holds until record_end changes; /v1/scores until generation does.
    before = (service.record_end, service.generation)
    ledger.record([make_score(digest=registry.champion().digest)])
    service.refresh()
    assert service.stale
    assert service.record_end != before[0]
    assert service.generation == before[1] + 1


def test_the_last_good_version_speaks_where_the_champion_is_bad_from_the_start_d01(
    registry: Registry,
) -> None:
    registry.promote(1, reason="first")
    ledger = Ledger(registry.history.engine)
    DailyScores(registry, ledger, clock=lambda: NOW).refresh()
    second = registry.promote(2, reason="better")
    (registry.folder(second.digest) / "bundle.json").write_text("{}")
    restarted = DailyScores(registry, ledger, clock=lambda: NOW)
    assert restarted.served().champion.version == 1
    assert restarted.stale
    assert isinstance(restarted.trouble, IntegrityError)


def test_the_tracked_versions_hold_golden_rows(registry: Registry) -> None:
    client = MlflowClient(tracking_uri=registry.tracking_uri, registry_uri=registry.tracking_uri)
    run = client.get_run(client.get_model_version("riskon", "1").run_id)
    assert (Path(run.info.artifact_uri) / "bundle" / "golden.json").is_file()
