"""A version that was trained with other libraries: said, or refused, wherever it is loaded."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from models import library_versions
from riskon.services import SameLibraries, open_scorer
from riskon.settings import Settings
from serving import Champion, Ledger, Registry
from serving.daily import DailyScores
from sources.errors import IntegrityError

HERE = library_versions()["lightgbm"]


@pytest.fixture
def drifted(bundle_dirs: tuple[Path, Path], tmp_path: Path, champion: Champion) -> Champion:
    """Put a bundle into the cache whose manifest says LightGBM 3.2.1; return it as champion."""
    folder = tmp_path / "edited"
    shutil.copytree(bundle_dirs[0], folder)
    head = folder / "bundle.json"
    content = json.loads(head.read_text())
    content["versions"]["lightgbm"] = "3.2.1"
    head.write_text(json.dumps(content))
    manifest = folder / "manifest.json"
    listed = json.loads(manifest.read_text())
    listed["files"]["bundle.json"] = hashlib.sha256(head.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(listed))
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    shutil.copytree(folder, tmp_path / "artifacts" / "bundles" / digest)
    return replace(champion, digest=digest)


def speaking(engine: Engine, drifted: Champion, folder: Path, *, refuse: bool) -> Registry:
    """Return a registry whose champion is the one with the edited manifest."""
    admit = SameLibraries(refuse=refuse)
    registry = Registry(engine, folder / "artifacts", "sqlite:///none.db", admit=admit)
    row = {
        "action": "promote", "version": 1, "digest": drifted.digest, "reason": "test",
        "overridden": False, "fit_to_serve": True, "skill_certified": False, "checks": "[]",
    }  # fmt: skip
    registry.history.append(row, registry.history.current()[1])
    return registry


def test_C17_a_drift_of_libraries_is_said_once_and_the_version_speaks(
    sqlite_engine: Engine, drifted: Champion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = speaking(sqlite_engine, drifted, tmp_path, refuse=False)
    assert registry.load(registry.champion()).versions["lightgbm"] == "3.2.1"
    registry.load(registry.champion())
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"trained with lightgbm 3.2.1; this is lightgbm {HERE}" in said


def test_C17_by_policy_a_drift_of_libraries_silences_the_version_in_score_and_serve_alike(
    sqlite_engine: Engine, drifted: Champion, tmp_path: Path
) -> None:
    registry = speaking(sqlite_engine, drifted, tmp_path, refuse=True)
    needed = f"needed lightgbm 3.2.1, .*RISKON_VERSION_POLICY=refuse; found lightgbm {HERE}"
    with pytest.raises(IntegrityError, match=needed):
        DailyScores(registry, Ledger(sqlite_engine)).served()
    where = Settings(home=tmp_path, version_policy="refuse", database_url=str(sqlite_engine.url))
    with pytest.raises(IntegrityError, match=needed):
        open_scorer(where)
    assert open_scorer(where.model_copy(update={"version_policy": "warn"})).champion.version == 1
