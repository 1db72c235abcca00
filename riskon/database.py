"""The one alembic tree, brought to its head from within the program."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from serving.database import reading, writing
from sources.errors import IntegrityError

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "riskon_schema_version"
"""A name of our own: MLflow keeps its ``alembic_version``, perhaps in the same database."""


def head() -> str:
    """Return the newest revision, by the names of the files: alembic takes long to import."""
    return max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def migrate(engine: Engine) -> None:
    """Bring the database to the newest revision; does nothing where it is there already.

    Of several processes one migrates and the others wait; a migration that is
    interrupted leaves nothing behind.

    Raises
    ------
    IntegrityError
        If the database is of a newer revision than this program.
    DataUnavailableError
        Where the database does not answer.
    """
    with reading(engine) as connection:
        if _revision(connection) == head():
            return
    with writing(engine, "migrations") as connection:
        found = _revision(connection)
        if found == head():
            return
        if found is not None and found > head():
            raise IntegrityError(
                f"database {engine.url.render_as_string(hide_password=True)}",
                expected=f"schema revision {head()} or older",
                found=found,
            )
        from alembic import command
        from alembic.config import Config

        config = Config(attributes={"connection": connection})
        # alembic interpolates percent signs, which a path may hold.
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    query = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a constant
    revision: str | None = connection.execute(query).scalar_one_or_none()
    return revision
