"""The migrations, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.synchronize import Barrier

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from riskon.database import MIGRATIONS, VERSION_TABLE, head, migrate
from serving import Ledger, Score
from serving.database import metadata, open_database, writing
from sources import IntegrityError
from sources.store import manifest
from training import trials


def _migrate(url: str, start: Barrier) -> None:
    start.wait()
    migrate(open_database(url))


def test_the_tables_declared_are_the_tables_migrated(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        declared = [metadata, manifest.metadata, trials.metadata]
        assert compare_metadata(context, declared) == []


def test_the_head_by_file_name_is_alembics_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [head()]


def test_two_migrators_at_once_both_succeed_e03(empty_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    both = [context.Process(target=_migrate, args=(empty_url, start)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    engine = open_database(empty_url)
    assert {"forecasts", "champions", "store_batches"} <= set(inspect(engine).get_table_names())
    engine.dispose()


def test_an_interrupted_migration_leaves_nothing_and_runs_again_e03(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, upgrade = open_database(empty_url), command.upgrade

    def interrupted(config: Config, revision: str) -> None:
        upgrade(config, revision)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "upgrade", interrupted)
    with pytest.raises(KeyboardInterrupt):
        migrate(engine)
    assert inspect(engine).get_table_names() == []
    monkeypatch.undo()
    migrate(engine)
    assert inspect(engine).has_table("forecasts")
    engine.dispose()


def test_the_downgrade_takes_everything_back_e03(engine: Engine) -> None:
    with writing(engine, "migrations") as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.downgrade(config, "base")
    assert inspect(engine).get_table_names() == [VERSION_TABLE]
    migrate(engine)
    assert inspect(engine).has_table("champions")


def test_a_ledger_of_before_outcomes_keeps_its_hashes_and_goes_on(
    empty_url: str, make_score: Callable[..., Score]
) -> None:
    engine = open_database(empty_url)
    with writing(engine, "migrations") as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0004")
    Ledger(engine).record([make_score(), make_score("ETH")])
    migrate(engine)
    # As version 0.1 wrote them, before chains had a module of their own.
    with engine.connect() as connection:
        hashes = connection.execute(text("SELECT row_hash FROM forecasts ORDER BY position"))
        assert [row[0] for row in hashes] == [
            "ab6e2673ffc843b08c579418b9db0fca98324071b4cd53cc26a6a0ebed2d3e5c",
            "acc2c27852ec4989c796b1f036451770e29545fb9c64781d96d3937c241d4a2d",
        ]
    Ledger(engine).record([make_score("SOL")])
    assert Ledger(engine).verify() == 3
    assert Ledger(engine).verify_outcomes() == 0
    engine.dispose()


def test_a_database_of_a_later_program_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(IntegrityError, match="needed schema revision 0006 or older; found 9999"):
        migrate(engine)


def test_a_database_at_its_head_is_left_without_importing_alembic(
    sqlite_engine: Engine,
) -> None:
    url = sqlite_engine.url.render_as_string()
    code = (
        "import sys; from riskon.database import migrate; from serving.database import "
        f"open_database; migrate(open_database({url!r})); "
        "print(sorted({'alembic', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
