"""Which code a job ran: the digest is of what decides a result, and of nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

from training.codebase import PACKAGES, code_digest, code_version, digest_of

ROOT = Path(__file__).parents[2]


def test_the_digest_is_of_names_and_content_and_not_of_where_the_code_lies(tmp_path: Path) -> None:
    assert digest_of({package: ROOT / package for package in PACKAGES}) == code_digest()
    folder = tmp_path / "models"
    shutil.copytree(ROOT / "models", folder, ignore=shutil.ignore_patterns("__pycache__"))
    there = digest_of({"models": ROOT / "models"})
    (folder / "notes.txt").write_text("no source")
    assert digest_of({"models": folder}) == there
    (folder / "scores.py").rename(folder / "points.py")
    renamed = digest_of({"models": folder})
    (folder / "points.py").write_text("# changed\n")
    assert len({there, renamed, digest_of({"models": folder})}) == 3


def test_the_version_says_the_release() -> None:
    assert code_version()[0].startswith("0.")
