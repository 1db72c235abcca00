"""The registry, over versions registered in a real MLflow file."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient
from sqlalchemy import text

from serving import Candidate, Registry
from sources import (
    IntegrityError,
    ModelNotFoundError,
    PromotionRefusedError,
    TrackingUnavailableError,
)


def client(registry: Registry) -> MlflowClient:
    return MlflowClient(tracking_uri=registry.tracking_uri, registry_uri=registry.tracking_uri)


def alias(registry: Registry) -> str:
    version = client(registry).get_model_version_by_alias("riskon", "champion")
    return str(version.version)


def entry(version: int, digest: str = "ab" * 32) -> dict[str, object]:
    return {
        "action": "promote",
        "version": version,
        "digest": digest,
        "reason": "why",
        "overridden": False,
        "fit_to_serve": True,
        "skill_certified": False,
        "checks": "[]",
    }


def test_before_any_champion_the_error_names_the_commands_that_make_one(
    registry: Registry,
) -> None:
    with pytest.raises(ModelNotFoundError, match=r"riskon train .* then riskon promote 1") as told:
        registry.champion()
    assert told.value.exit_code == 4


def test_a_promoted_version_speaks_with_its_own_bundle(registry: Registry) -> None:
    before = datetime.now(UTC)
    champion = registry.promote(1, reason="first champion")
    assert registry.champion() == champion
    assert (champion.version, champion.reason) == (1, "first champion")
    assert (champion.fit_to_serve, champion.skill_certified) == (True, False)
    assert before <= champion.promoted_at <= datetime.now(UTC)
    assert registry.load(champion).digest == champion.digest
    assert alias(registry) == "1"
    with pytest.raises(ModelNotFoundError):
        registry.champion(before - timedelta(seconds=1))


def test_the_history_says_who_spoke_when_and_a_rollback_takes_the_top_off(
    registry: Registry,
) -> None:
    first = registry.promote(1, reason="first")
    second = registry.promote(2, reason="better")
    assert registry.champion(second.promoted_at - timedelta(microseconds=1)) == first
    back = registry.rollback(reason="it drifts")
    assert (back.version, back.digest, back.reason) == (1, first.digest, "it drifts")
    assert alias(registry) == "1"
    assert registry.champion(second.promoted_at) == second
    with pytest.raises(ModelNotFoundError, match="previous champion"):
        registry.rollback(reason="further")


def test_promoting_the_champion_again_adds_nothing_and_mends_the_alias(registry: Registry) -> None:
    first = registry.promote(1, reason="first")
    client(registry).delete_registered_model_alias("riskon", "champion")
    assert registry.promote(1, reason="again") == first
    assert registry.history.current()[1] == 1
    assert alias(registry) == "1"


def test_an_unfit_version_is_refused_in_the_words_of_its_checks_c08(registry: Registry) -> None:
    with pytest.raises(
        PromotionRefusedError, match=r"version 3 refused: BTC_5d loses 3\.1 mnat"
    ) as refusal:
        registry.promote(3, reason="because")
    assert "skill" not in str(refusal.value)  # which a champion may lack
    with pytest.raises(ModelNotFoundError):
        registry.champion()
    champion = registry.promote(3, reason="for a demonstration", override=True)
    assert not champion.fit_to_serve
    with registry.history.engine.connect() as connection:
        assert connection.execute(text("SELECT overridden FROM champions")).scalar_one()


@pytest.mark.parametrize("tag", ["data_digest", "dataset_digest", "config_digest"])
def test_a_version_whose_data_or_features_are_not_known_is_refused_c09(
    registry: Registry, tag: str
) -> None:
    client(registry).delete_model_version_tag("riskon", "1", tag)
    with pytest.raises(PromotionRefusedError, match=f"needed a tag {tag}"):
        registry.promote(1, reason="because")


def test_a_version_cut_short_while_it_was_made_is_not_promoted_even_by_override_c05(
    registry: Registry,
) -> None:
    path = registry.tracking_uri.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE model_versions SET status = 'PENDING_REGISTRATION' WHERE version = 1"
        )
    with pytest.raises(PromotionRefusedError, match="needed status READY; found PENDING"):
        registry.promote(1, reason="because", override=True)


def test_the_gate_hears_of_both_versions_and_may_refuse_c08(registry: Registry) -> None:
    heard: list[tuple[int, int]] = []

    def gate(candidate: Candidate, champion: Candidate) -> list[tuple[bool, str]]:
        heard.append((candidate.version, champion.version))
        return [(False, "replaces: worse than the champion")]

    registry.promote(1, reason="first", gate=gate)
    with pytest.raises(PromotionRefusedError, match="version 2 refused: replaces: worse"):
        registry.promote(2, reason="because", gate=gate)
    forced = registry.promote(2, reason="the data moved", override=True, gate=gate)
    assert heard == [(2, 1), (2, 1)]
    record = registry.history.record()
    assert (record["overridden"], record["reason"]) == (True, "the data moved")
    assert registry.champion() == forced


def test_a_challenger_that_becomes_champion_is_a_challenger_no_longer(registry: Registry) -> None:
    client(registry).set_registered_model_alias("riskon", "challenger", "2")
    registry.promote(1, reason="first")
    assert client(registry).get_model_version("riskon", "2").aliases == ["challenger"]
    registry.promote(2, reason="better")
    assert client(registry).get_model_version("riskon", "2").aliases == ["champion"]


@pytest.mark.parametrize("point", ["before_alias", "after_alias"])
def test_a_promoter_killed_around_the_alias_leaves_one_champion_and_can_repeat_it_c05(
    registry: Registry, point: str
) -> None:
    client(registry).set_registered_model_alias("riskon", "challenger", "1")
    code = (
        "from pathlib import Path; from serving import Registry, open_database; "
        f"r = Registry(open_database({registry.history.engine.url.render_as_string()!r}), "
        f"Path({str(registry.artifacts)!r}), {registry.tracking_uri!r}); "
        "r.promote(1, reason='first')"
    )
    killed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "CRASHPOINT": f"{point}:SIGKILL"},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    # Our database was written before the alias, and decides.
    assert registry.champion().version == 1
    assert client(registry).get_model_version("riskon", "1").aliases != ["champion"]
    registry.promote(1, reason="again")
    assert client(registry).get_model_version("riskon", "1").aliases == ["champion"]
    assert registry.history.current()[1] == 1


@pytest.mark.parametrize("digest", ["", "../../etc", "AB" * 32])
def test_a_digest_that_is_none_is_refused_d16(registry: Registry, digest: str) -> None:
    client(registry).set_model_version_tag("riskon", "1", "bundle_digest", digest)
    with pytest.raises(PromotionRefusedError, match="needed a sha256"):
        registry.promote(1, reason="because", override=True)


def test_a_promotion_needs_a_reason(registry: Registry) -> None:
    with pytest.raises(PromotionRefusedError, match="needed a reason"):
        registry.promote(1, reason="  ")


@pytest.mark.parametrize("version", [0, 9])
def test_a_version_that_does_not_exist_is_named(registry: Registry, version: int) -> None:
    with pytest.raises(ModelNotFoundError, match=f"'{version}': riskon train"):
        registry.promote(version, reason="because")


def test_without_a_tracking_file_there_is_no_version_and_none_is_made(
    registry: Registry, tmp_path: Path
) -> None:
    registry.tracking_uri = f"sqlite:///{tmp_path / 'absent.db'}"
    with pytest.raises(ModelNotFoundError):
        registry.promote(1, reason="because")
    assert not (tmp_path / "absent.db").exists()


def test_a_bundle_changed_in_the_store_is_not_promoted_d05(
    registry: Registry, tmp_path: Path
) -> None:
    source = client(registry).get_model_version("riskon", "1").run_id
    run = client(registry).get_run(source)
    copy = tmp_path / "changed"
    shutil.copytree(Path(run.info.artifact_uri) / "bundle", copy)
    trees = next(copy.glob("trees/*/*.txt"))
    trees.write_text(trees.read_text().replace("leaf_value=", "leaf_value=9", 1))
    digest = client(registry).get_model_version("riskon", "1").tags["bundle_digest"]
    known = dict.fromkeys(("data_digest", "dataset_digest", "config_digest"), "ab" * 32)
    tags = {"bundle_digest": digest, "fit_to_serve": "true", **known}
    made = client(registry).create_model_version("riskon", str(copy), tags=tags)
    with pytest.raises(IntegrityError, match="trees"):
        registry.promote(int(made.version), reason="because")
    assert registry.history.current()[1] == 0
    assert list((tmp_path / "artifacts" / "bundles").iterdir()) == []


def test_a_missing_cache_is_fetched_again_and_a_changed_one_is_an_error(
    registry: Registry, tmp_path: Path
) -> None:
    champion = registry.promote(1, reason="first")
    folder = tmp_path / "artifacts" / "bundles" / champion.digest
    shutil.rmtree(folder)
    assert registry.load(champion).digest == champion.digest
    (folder / "bundle.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"bundle\.json"):
        registry.load(champion)


def test_a_version_number_that_returns_with_another_bundle_is_refused(
    registry: Registry,
) -> None:
    registry.promote(1, reason="first")
    registry.promote(2, reason="second")
    with pytest.raises(IntegrityError, match="as promoted before"):
        registry.history.append(entry(1, "cd" * 32), registry.history.current()[1])


def test_a_dead_tracking_server_is_found_out_in_seconds_c01(registry: Registry) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        registry.tracking_uri = f"http://127.0.0.1:{probe.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(TrackingUnavailableError, match="tracking server http"):
            registry.promote(1, reason="because")
    assert time.monotonic() - began < 10


def test_the_champion_speaks_and_rolls_back_without_tracking_d03(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    first = registry.promote(1, reason="first")
    registry.promote(2, reason="second")
    registry.tracking_uri = "http://127.0.0.1:9"
    assert registry.load(registry.champion()).digest == registry.champion().digest
    with caplog.at_level(logging.WARNING):
        assert registry.rollback(reason="it drifts").digest == first.digest
    assert "its alias was not moved" in caplog.text


def test_reading_the_champion_imports_no_mlflow(registry: Registry) -> None:
    champion = registry.promote(1, reason="first")
    code = (
        "import sys; from pathlib import Path; from serving import Registry, open_database; "
        f"r = Registry(open_database({registry.history.engine.url.render_as_string()!r}), "
        f"Path({str(registry.artifacts)!r}), {registry.tracking_uri!r}); "
        "print(r.load(r.champion()).digest, 'mlflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.split() == [champion.digest, "False"]
