"""The history of champions: which version spoke from when, by whose word; never changed.

It lives in our own database and decides who speaks; the alias in MLflow, where
the last writer wins, only mirrors it.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    func,
    select,
)

from serving.database import Instant, metadata, reading, writing
from sources.errors import IntegrityError, ModelNotFoundError, PromotionConflictError

CHAMPIONS = Table(
    "champions",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("promoted_at", Instant, nullable=False),
    Column("action", String(16), nullable=False),
    Column("name", String(256), nullable=False),
    Column("version", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("overridden", Boolean, nullable=False),
    Column("fit_to_serve", Boolean, nullable=False),
    Column("skill_certified", Boolean, nullable=False),
    Column("checks", Text, nullable=False),
    Column("promoted_by", String(256)),
)

ALIAS = "champion"
FIRST_STEPS = (
    "riskon train --market DIR --asset BTC --horizon 5, then riskon promote 1 --reason TEXT"
)


@dataclass(frozen=True)
class Champion:
    """The version that speaks, since when, and why."""

    name: str
    version: int
    digest: str
    promoted_at: datetime
    reason: str
    fit_to_serve: bool
    skill_certified: bool


class ChampionHistory:
    """Who spoke, of one registered model, in the order they were appointed."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name

    def champion(self, at: datetime | None = None) -> Champion:
        """Return who speaks, or who spoke at an instant.

        Raises
        ------
        ModelNotFoundError
            Before the first promotion.
        """
        return _champion(self.record(at))

    def record(self, at: datetime | None = None) -> dict[str, Any]:
        """Return the row that made the champion, or the one of an instant, with all it holds.

        ``until`` is when the next one took over, None while it speaks.

        Raises
        ------
        ModelNotFoundError
            Before the first promotion.
        """
        with reading(self.engine) as connection:
            history = self._rows(connection)
        spoke = [row for row in history if at is None or row["promoted_at"] <= at]
        if not spoke:
            alias = ALIAS if at is None else f"{ALIAS} at {at.isoformat()}"
            raise ModelNotFoundError(self.name, alias=alias, hint=FIRST_STEPS)
        later = history[len(spoke) :]
        return {**spoke[-1], "until": later[0]["promoted_at"] if later else None}

    def records(self) -> tuple[dict[str, Any], ...]:
        """Return every row, in the order in which they were appended; none before the first."""
        with reading(self.engine) as connection:
            return tuple(dict(row) for row in self._rows(connection))

    def current(self) -> tuple[Champion | None, int]:
        """Return who speaks, None before the first, and where the history ends."""
        with reading(self.engine) as connection:
            history = self._rows(connection)
        return (_champion(history[-1]) if history else None), _end(history)

    def previous(self) -> tuple[dict[str, Any], int]:
        """Return the row of the champion before this one, and where the history ends.

        A promotion goes on top of the ones before, a rollback takes the top off.

        Raises
        ------
        ModelNotFoundError
            If there was none before.
        """
        with reading(self.engine) as connection:
            history = self._rows(connection)
        stack: list[RowMapping] = []
        for row in history:
            if row["action"] == "promote":
                stack.append(row)
            else:
                stack.pop()
        if len(stack) < 2:
            hint = "there is no earlier one; riskon promote VERSION --reason TEXT"
            raise ModelNotFoundError(self.name, alias="previous champion", hint=hint)
        return dict(stack[-2]), _end(history)

    def append(self, row: Mapping[str, Any], expected_end: int) -> Champion:
        """Append a row, if the history still ends where it did; the champion again adds none.

        Raises
        ------
        PromotionConflictError
            If the champion changed in the meantime.
        IntegrityError
            If the version was promoted before with another bundle.
        """
        with writing(self.engine, "champions") as connection:
            history = self._rows(connection)
            last = history[-1] if history else None
            if last is not None and last["position"] != expected_end:
                raise PromotionConflictError(
                    row["version"],
                    winner=last["version"],
                    by=last["promoted_by"],
                    at=last["promoted_at"].isoformat(timespec="seconds"),
                )
            for other in history:
                if other["version"] == row["version"] and other["digest"] != row["digest"]:
                    raise IntegrityError(
                        f"version {row['version']} of {self.name}",
                        expected=f"bundle {other['digest']}, as promoted before",
                        found=row["digest"],
                    )
            if last is not None and last["version"] == row["version"]:
                return _champion(last)
            end = connection.execute(select(func.max(CHAMPIONS.c.position))).scalar_one()
            now = datetime.now(UTC)
            new = {
                **row,
                "promoted_by": who(),
                "name": self.name,
                "position": (end or 0) + 1,
                # A clock that was set back must not reorder the history.
                "promoted_at": max(now, last["promoted_at"]) if last else now,
            }
            connection.execute(CHAMPIONS.insert().values(**new))
        return _champion(new)

    def _rows(self, connection: Connection) -> list[RowMapping]:
        mine = select(CHAMPIONS).where(CHAMPIONS.c.name == self.name)
        return list(connection.execute(mine.order_by(CHAMPIONS.c.position)).mappings())


def who() -> str:
    """Return the user and machine that this process runs as."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())  # A container's user may have no name.
    return f"{user}@{socket.gethostname()}"[:256]


def _end(history: list[RowMapping]) -> int:
    return history[-1]["position"] if history else 0


def _champion(row: Mapping[Any, Any]) -> Champion:
    return Champion(**{name: row[name] for name in Champion.__dataclass_fields__})
