"""What can go wrong while a store is written or read: kills, full disks, flipped bits, races."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from markets import random_market
from sqlalchemy import Engine, update
from store_child import CONTEXT, FIRST, SECOND, feeds, run, start
from stores import Clock, closes, coin, make_store

from sources import write_market
from sources.errors import AlreadyRunningError, IntegrityError
from sources.store import Store, directory_feeds, parse_file
from sources.store.durable import CRASHPOINTS, write_durably
from sources.store.lock import exclusive
from sources.store.manifest import LOCKS


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return the digests after one batch and after two."""
    clock = Clock(FIRST)
    store = make_store(tmp_path_factory.mktemp("clean") / "store", None, clock)
    digests = []
    for now, value in ((FIRST, 1.0), (SECOND, 1.5)):
        clock.set(now)
        store.ingest(feeds(value))
        digests.append(store.read().digest())
    return digests[0], digests[1]


@pytest.mark.parametrize("point", [p for p in CRASHPOINTS if p != "after_unlink"])
def test_B05_killed_at_any_step_the_old_state_stands_and_the_next_run_gives_the_same(
    point: str, tmp_path: Path, uninterrupted: tuple[str, str]
) -> None:
    root = tmp_path / "store"
    store = make_store(root, None, Clock(FIRST))
    assert run(root, 1.0, FIRST) == 0
    assert run(root, 1.5, SECOND, point=point) == -signal.SIGKILL
    # All of the batch is there or nothing of it.
    done = point == "after_manifest"
    assert store.read().digest() == uninterrupted[done]
    two_hours_pass(root)
    assert run(root, 1.5, SECOND) == 0
    assert store.read().digest() == uninterrupted[1]
    assert len(store.catalog.batches()) == 2
    assert_nothing_left_over(store)


@pytest.mark.parametrize("point", ["before_manifest", "in_manifest"])
def test_B05_killed_at_the_manifest_of_a_server_the_next_run_gives_the_same(
    point: str, tmp_path: Path, engine: Engine, uninterrupted: tuple[str, str]
) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("tested at every step")
    root, url = tmp_path / "store", url_of(engine)
    store = make_store(root, engine, Clock(FIRST))
    assert run(root, 1.0, FIRST, url=url) == 0
    assert run(root, 1.5, SECOND, url=url, point=point) == -signal.SIGKILL
    assert store.read().digest() == uninterrupted[0]
    assert run(root, 1.5, SECOND, url=url) == 0
    assert store.read().digest() == uninterrupted[1]


@pytest.mark.parametrize(
    "point", ["after_tmp_write", "before_manifest", "in_manifest", "after_manifest", "after_unlink"]
)
def test_B05_a_compaction_killed_at_any_step_changes_no_answer(
    point: str, tmp_path: Path, uninterrupted: tuple[str, str]
) -> None:
    root = tmp_path / "store"
    store = make_store(root, None, Clock(SECOND))
    for value, now in ((1.0, FIRST), (1.5, SECOND)):
        assert run(root, value, now) == 0
    assert run(root, "compact", SECOND, point=point) == -signal.SIGKILL
    assert store.read().digest() == uninterrupted[1]
    two_hours_pass(root)
    store.compact()
    assert store.read().digest() == uninterrupted[1]
    assert_nothing_left_over(store)


def two_hours_pass(root: Path) -> None:
    for path in root.rglob(".*.tmp"):
        os.utime(path, (path.stat().st_mtime - 7200,) * 2)


def assert_nothing_left_over(store: Store) -> None:
    named = {Path(segment.name).name for segment in store.catalog.segments()}
    assert {path.name for path in (store.root / "segments").iterdir()} == named
    assert not list(store.root.rglob(".*.tmp"))


def test_B06_files_that_the_manifest_does_not_name_are_not_read(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    store.ingest([coin(["2024-06-18"], [1])])
    before = store.read().digest()
    folder = store.root / "segments"
    (segment,) = store.catalog.segments()
    content = (store.root / segment.name).read_bytes()
    (folder / "000002-prices-0123456789ab.parquet").write_bytes(content)
    (folder / ".000002-prices-0123456789ab.parquet.x.tmp").write_bytes(content[:100])
    (folder / "notes.txt").write_text("not ours")
    (store.root / ".store.json.x.tmp").write_text("{")
    two_hours_pass(store.root)
    assert store.read().digest() == before
    store.clock.set(SECOND)
    store.ingest([coin(["2024-06-19"], [2])])
    # What was left by an interrupted write is gone; what is not ours is not touched.
    assert sorted(p.name for p in folder.iterdir() if "0123456789ab" in p.name) == []
    assert (folder / "notes.txt").is_file()
    assert not list(store.root.rglob(".*.tmp"))


def test_B10_a_payload_that_another_process_is_writing_is_not_swept_away(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store = make_store(root, None, Clock(FIRST))
    child = start(root, 1.0, SECOND, point="raw_after_tmp_write:SIGSTOP")
    assert child.pid is not None
    state, deadline = Path(f"/proc/{child.pid}/stat"), time.monotonic() + 60
    while state.read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(list((root / "raw").glob(".*.tmp"))) == 1
    store.ingest([coin(["2024-06-17"], [1.0])])
    os.kill(child.pid, signal.SIGCONT)
    child.join(120)
    assert child.exitcode == 0
    assert len(list((root / "raw").glob("*.zst"))) == 1


def test_B05_the_name_of_a_new_folder_is_forced_to_the_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        forced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_durably(tmp_path / "store" / "raw" / "one", b"1")
    # Each folder that got a new name in it: a folder, the folder in that, and the file at last.
    expected = {str(place) for place in (tmp_path, tmp_path / "store", tmp_path / "store" / "raw")}
    assert expected <= set(forced)
    forced.clear()
    write_durably(tmp_path / "store" / "raw" / "two", b"2")
    assert str(tmp_path / "store") not in forced


def test_B07_a_flipped_bit_anywhere_in_a_segment_is_an_error_that_names_the_file(
    tmp_path: Path,
) -> None:
    store = make_store(tmp_path / "store")
    store.ingest([coin(["2024-06-17", "2024-06-18"], [1, 2]), closes("2024-06-17", {"A": [1, 2]})])
    generator = np.random.default_rng(7)
    paths = sorted((store.root / "segments").iterdir())
    for _ in range(200):
        path = paths[generator.integers(len(paths))]
        good = path.read_bytes()
        place, bit = generator.integers(len(good)), generator.integers(8)
        flipped = bytearray(good)
        flipped[place] ^= 1 << int(bit)
        path.write_bytes(bytes(flipped))
        with pytest.raises(IntegrityError, match=path.name) as raised:
            store.read()
        assert raised.value.exit_code == 5
        path.write_bytes(good)
    store.read()


def test_B07_the_next_ingest_after_a_flipped_bit_makes_the_segment_again(tmp_path: Path) -> None:
    write_market(random_market(start="2023-01-03", end="2024-06-14", symbols=3), tmp_path / "files")
    store = make_store(tmp_path / "store")
    market = list(directory_feeds(store, tmp_path / "files"))
    store.ingest(market)
    before = store.read().digest()
    path = next((store.root / "segments").glob("*block*"))
    path.write_bytes(path.read_bytes()[:-5] + b"xxxxx")
    with pytest.raises(IntegrityError, match=path.name):
        store.ingest(market)
    store.rebuild(parse_file)
    assert store.ingest(market).batch is None
    assert store.read().digest() == before


def test_B07_a_damaged_payload_is_named_and_kept_again_when_it_comes_again(tmp_path: Path) -> None:
    write_market(random_market(start="2024-01-03", end="2024-06-14", symbols=3), tmp_path / "files")
    store = make_store(tmp_path / "store")
    store.ingest(list(directory_feeds(store, tmp_path / "files")))
    path = min((store.root / "raw").iterdir())
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(IntegrityError, match=path.name):
        store.verify()
    list(directory_feeds(store, tmp_path / "files"))
    store.verify()


@pytest.mark.parametrize("limit", [40, 1_000, 5_000, 40_000])
def test_B08_a_full_disk_at_any_point_leaves_the_old_state_and_the_next_run_succeeds(
    limit: int, tmp_path: Path, uninterrupted: tuple[str, str]
) -> None:
    # No file may grow beyond the limit: the raw payload, a segment or the manifest is refused.
    root = tmp_path / "store"
    store = make_store(root, None, Clock(FIRST))
    assert run(root, 1.0, FIRST) == 0
    assert run(root, 1.5, SECOND, limit=limit) == 1
    (said,) = (path.read_text() for path in tmp_path.glob("said-*"))
    assert "File too large" in said or "disk is full" in said or "disk I/O error" in said
    assert "\n" not in said
    assert store.read().digest() == uninterrupted[0]
    assert run(root, 1.5, SECOND) == 0
    assert store.read().digest() == uninterrupted[1]
    assert_nothing_left_over(store)


def test_B10_of_two_ingests_at_once_one_wins_and_the_other_is_told(
    tmp_path: Path, engine: Engine
) -> None:
    root = tmp_path / "store"
    store = make_store(root, None if engine.dialect.name == "sqlite" else engine, Clock(FIRST))
    with exclusive(root, store.catalog.engine, store.marker.store_id):
        with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()} on") as raised:
            store.ingest([coin(["2024-06-18"], [1])])
        assert raised.value.exit_code == 1
    assert store.ingest([coin(["2024-06-18"], [1])]).batch is not None


def test_B10_eight_ingests_at_once_give_one_result(
    tmp_path: Path, uninterrupted: tuple[str, str]
) -> None:
    root = tmp_path / "store"
    store = make_store(root, None, Clock(FIRST))
    barrier = CONTEXT.Barrier(8)
    running = [start(root, 1.0, FIRST, barrier=barrier) for _ in range(8)]
    for process in running:
        process.join(120)
    assert any(process.exitcode == 0 for process in running)
    for path in tmp_path.glob("said-*"):
        assert path.read_text().startswith("AlreadyRunningError")
    assert store.read().digest() == uninterrupted[0]
    assert len(store.catalog.batches()) == 1


def test_B10_who_lost_the_lock_to_another_machine_writes_nothing(
    tmp_path: Path, engine: Engine
) -> None:
    root = tmp_path / "store"
    store = make_store(root, None if engine.dialect.name == "sqlite" else engine, Clock(FIRST))
    with exclusive(root, store.catalog.engine, store.marker.store_id) as held:
        with store.catalog.engine.begin() as connection:
            connection.execute(update(LOCKS).values(fence=LOCKS.c.fence + 1, holder="other"))
        with pytest.raises(AlreadyRunningError, match=r"fence 1 .*other, fence 2"):
            held.renew()


def test_B10_another_machine_that_lives_keeps_its_lock_and_a_silent_one_loses_it(
    tmp_path: Path, engine: Engine
) -> None:
    root = tmp_path / "store"
    store = make_store(root, None if engine.dialect.name == "sqlite" else engine, Clock(FIRST))
    clock = Clock(FIRST)
    with exclusive(root, store.catalog.engine, store.marker.store_id, clock):
        pass
    with store.catalog.engine.begin() as connection:
        connection.execute(update(LOCKS).values(host="elsewhere", released=False))
    clock.set("2024-06-20T22:09:00+00:00")
    with (
        pytest.raises(AlreadyRunningError),
        exclusive(root, store.catalog.engine, store.marker.store_id, clock),
    ):
        pass
    clock.set("2024-06-20T22:11:00+00:00")
    with exclusive(root, store.catalog.engine, store.marker.store_id, clock) as held:
        assert held.fence == 2
