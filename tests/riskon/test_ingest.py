"""``riskon ingest``, ``export`` and ``score --known-at``, as a user meets them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

DAY = "2017-06-14"


@pytest.fixture(scope="module")
def store(home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store filled from the simulated market; tests that change it copy it."""
    root = tmp_path_factory.mktemp("stores") / "store"
    done = home.run("ingest", "--source", "files", "--from", home.market, "--market", root)
    assert done.returncode == 0, done.stderr
    return root


def test_the_same_directory_again_brings_nothing_new_b11(home, store: Path) -> None:
    words = ("ingest", "--from", home.market, "--market", store, "--format", "json")
    done = home.run(*words)
    assert done.returncode == 0, done.stderr
    assert "nothing new" in done.stderr
    rows = json.loads(done.stdout)
    assert {"series", "source", "new", "revised"} <= set(rows[0])
    assert not any(row["new"] or row["revised"] for row in rows)


def test_a_backtest_over_the_store_is_that_over_the_directory_to_the_bit(
    home, store: Path, tmp_path: Path
) -> None:
    for name, market in (("files", home.market), ("store", store)):
        done = home.run("backtest", "--market", market, "--asset", "BTC", "--horizon", 5,
                        "--output", tmp_path / f"{name}.csv")  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "files.csv").read_bytes() == (tmp_path / "store.csv").read_bytes()


def test_an_export_is_the_directory_that_was_brought_in(home, store: Path, tmp_path: Path) -> None:
    done = home.run("export", "--market", store, "--output", tmp_path / "files")
    assert done.returncode == 0, done.stderr
    for path in sorted(home.market.glob("*/*")):
        other = tmp_path / "files" / path.relative_to(home.market)
        if path.suffix == ".csv":
            assert other.read_bytes() == path.read_bytes(), path
    again = home.run("ingest", "--from", tmp_path / "files", "--market", store)
    assert "nothing new" in again.stderr
    refused = home.run("export", "--market", store, "--output", tmp_path / "files")
    assert refused.returncode == 3
    assert refused.stderr.count("\n") == 1


def test_a_past_score_stays_the_same_bytes_when_the_feed_is_corrupted_restated_and_extended(
    home, store: Path, tmp_path: Path
) -> None:
    mine, feed, ledger = tmp_path / "store", tmp_path / "feed", tmp_path / "home"
    shutil.copytree(store, mine)
    shutil.copytree(home.market, feed)
    shutil.copytree(home.folder, ledger)
    words = ("score", "--market", mine, "--as-of", DAY, "--format", "json")
    first = home.run(*words)
    assert first.returncode == 0, first.stderr
    # Values of all days to 2017-06-14 change, a day is missing, and one is in it that was not.
    for path in (feed / "prices" / "BTC.csv", feed / "flows" / "IWM.csv"):
        lines = path.read_text().splitlines()
        header = lines[0].split(",")
        values = [header.index(n) for n in header if n not in {"date", "available_at", "volume"}]
        for i in range(1, len(lines)):
            cells = lines[i].split(",")
            if "2017-05-01" <= cells[0] <= "2017-06-14" and i % 3:
                for place in values:
                    cells[place] = repr(float(cells[place]) * (1.01 + i % 7 / 100))
            lines[i] = ",".join(cells)
        del lines[-200]
        path.write_text("\n".join(lines) + "\n")
    done = home.run("ingest", "--from", feed, "--market", mine, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert sum(row["revised"] for row in json.loads(done.stdout)) > 20
    # A ledger that has not said it yet, so that it is made anew.
    with sqlite3.connect(ledger / "riskon.db") as connection:
        connection.execute("DROP TRIGGER forecasts_no_delete")
        connection.execute("DELETE FROM forecasts")
    again = home.run(*words, RISKON_HOME=str(ledger))
    assert again.returncode == 0, again.stderr

    def numbers(text: str) -> list[dict[str, object]]:
        return [{k: v for k, v in s.items() if k != "issued_at"} for s in json.loads(text)]

    assert numbers(again.stdout) == numbers(first.stdout)
    assert home.run(*words).stdout == first.stdout


def test_known_at_recreates_a_score_and_a_plain_directory_is_refused_it(home, store: Path) -> None:
    words = ("score", "--market", store, "--as-of", DAY, "--format", "json")
    issued = home.run(*words)
    recreated = home.run(*words, "--known-at", "2100-01-01T00:00:00Z")
    assert recreated.returncode == 0, recreated.stderr
    assert recreated.stdout == issued.stdout
    before = home.run(*words, "--known-at", "2020-01-01T00:00:00Z")
    assert before.returncode == 3
    assert "found the first batch at" in before.stderr
    plain = home.run("score", "--market", home.market, "--known-at", "2024-01-01T00:00:00Z")
    assert plain.returncode == 2
    assert "needed a store" in plain.stderr
    assert home.run(*words, "--known-at", "2024-01-01").returncode == 2


def test_b07_a_flipped_bit_is_exit_5_and_the_next_ingest_mends_it(
    home, store: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "store"
    shutil.copytree(store, mine)
    path = next((mine / "segments").glob("*prices*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))
    broken = home.run("backtest", "--market", mine, "--output", tmp_path / "p.csv")
    assert broken.returncode == 5
    assert path.name in broken.stderr
    assert broken.stderr.count("\n") == 1
    mended = home.run("ingest", "--from", home.market, "--market", mine)
    assert mended.returncode == 0, mended.stderr
    assert "again from the raw payloads" in mended.stderr
    done = home.run("dataset", "--market", mine, "--asset", "BTC", "--horizon", 5,
                    "--output", tmp_path / "rows.csv")  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_what_cannot_become_or_fill_a_store_is_refused_in_one_line(home, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    for words, code, said in (
        (("ingest", "--market", tmp_path / "s"), 2, "--from"),
        (("ingest", "--from", tmp_path / "none", "--market", tmp_path / "s"), 3, "found nothing"),
        (("ingest", "--from", home.market, "--market", home.market), 2, "found other files"),
        (("ingest", "--from", home.market, "--market", tmp_path / "other"), 2, "other files"),
    ):
        done = home.run(*words)
        assert done.returncode == code, done.stderr
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "s").exists()


def test_b09_a_store_that_may_not_be_written_is_read_and_says_so_when_it_is_filled(
    home, store: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "store"
    shutil.copytree(store, mine)
    if os.geteuid() == 0:
        mounted = subprocess.run(
            ["mount", "--bind", "-o", "ro", mine, mine], capture_output=True, check=False
        )
        if mounted.returncode != 0:
            pytest.skip("root, and no right to mount read-only")
    else:
        for path in (mine, *mine.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        read = home.run("dataset", "--market", mine, "--asset", "BTC", "--horizon", 5,
                        "--output", tmp_path / "rows.csv")  # fmt: skip
        assert read.returncode == 0, read.stderr
        written = home.run("ingest", "--from", home.market, "--market", mine)
        assert written.returncode == 1
        assert "Read-only" in written.stderr or "Permission denied" in written.stderr
        assert written.stderr.count("\n") == 1
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", mine], check=True)
        else:
            for path in (mine, *mine.rglob("*")):
                path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--series", "prices/IWM"], "--series: needed --source live; found --source files"),
        (["--source", "live", "--from", "x"], "--from: needed --source files; found --source live"),
        (["--explain", "--compact"], "--compact: needed --compact; found --explain"),
    ],
)
def test_D33_flags_that_do_not_go_together_are_refused_and_nothing_is_made(
    home, tmp_path: Path, flags: list[str], message: str
) -> None:
    done = home.run("ingest", "--market", tmp_path / "store", *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not (tmp_path / "store").exists()
