"""How many things were tried on the same data: counted when they begin, never uncounted.

A search that tries a hundred configurations finds a good one on noise. What corrects
for that must know of all of them, pruned and failed ones too, and of those whose run somebody
deleted: so the count is a table of our own, and refuses updates and deletes.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import (
    Column,
    DateTime,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    func,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError as AlreadyThere

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"}
)
"""Tables of the training room."""

trials = Table(
    "trials",
    metadata,
    Column("job", String(64), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("data_digest", String(64), nullable=False),
    Column("config_digest", String(64), nullable=False),
    Column("begun_at", DateTime(timezone=True), nullable=False),
    Index(None, "data_digest"),
)


class TrialCount:
    """The count, on a database whose schema is there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, data_digest: str, job: str, place: int, config_digest: str) -> None:
        """Count a trial before it runs; once, however often it is begun again."""
        row = {
            "job": job,
            "place": place,
            "data_digest": data_digest,
            "config_digest": config_digest,
            "begun_at": dt.datetime.now(dt.UTC),
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(trials).values(row))
        except AlreadyThere:
            return

    def trials_counted(self, data_digest: str) -> int:
        """Return how many trials were begun on a data snapshot, by all jobs together."""
        query = select(func.count()).where(trials.c.data_digest == data_digest)
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())
