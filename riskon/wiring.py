"""The composition root: settings in, working parts out."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from riskon.database import migrate
from riskon.settings import Settings
from sources.errors import RefusedError, SchemaError
from sources.files import read_market
from sources.market import CRYPTO_UNIVERSE, Market
from sources.store import MANIFEST, Marker, Store, is_store

if TYPE_CHECKING:
    from models import ModelConfig


def open_market(
    directory: Path | None, where: Settings, known_at: pd.Timestamp | None = None
) -> Market:
    """Read the market directory or store given, or the one the settings name, as it stands now.

    What is not known yet, such as the candle of a day that is not over, is left out; and, where
    ``known_at`` is given, what came to the store later.

    Raises
    ------
    RefusedError
        Where a plain directory is asked what was known at an instant: it does not remember.
    """
    now = pd.Timestamp.now(tz="UTC")
    root = directory or where.market_directory
    if is_store(root):
        return open_store(root, where).read(as_of=now, known_at=known_at)
    if known_at is not None:
        raise RefusedError(
            f"--known-at: needed a store, which remembers when each row came; found {root}; "
            "make one with `riskon ingest`"
        )
    return read_market(root, crypto=crypto_universe(where)).as_of(now)


def open_store(root: Path, where: Settings, *, create: bool = False) -> Store:
    """Open a store, with its manifest brought to the newest schema.

    Parameters
    ----------
    root : its directory.
    where : settings; a database URL among them holds the manifest of stores made from now on.
    create : make it where it is not there yet.

    Raises
    ------
    RefusedError
        Where a directory that holds something else is to become a store, or the manifest is on
        a server and no URL says on which.
    DataUnavailableError
        Where it is no store, or the manifest does not answer.
    """
    from sources.store.database import open_database

    if create and not is_store(root):
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise RefusedError(
                f"{root}: needed a store, or a new or empty directory to make one in; "
                "found other files; name one with --market"
            )
        Marker.make(root, "directory" if where.database_url is None else "server")
    marker = Marker.read(root)
    if marker.manifest == "server":
        if where.database_url is None:
            raise RefusedError(
                f"{root}: needed RISKON_DATABASE_URL, as this store's manifest is on a server; "
                "found none"
            )
        engine = open_database(where.database)
    else:
        engine = open_database(f"sqlite:///{(root / MANIFEST).resolve()}", wal=False)
    migrate(engine)
    return Store(root, engine, crypto=crypto_universe(where))


def crypto_universe(where: Settings) -> tuple[str, ...]:
    """Return the symbols that trade every day."""
    return (*CRYPTO_UNIVERSE, *where.more_crypto)


def model_config(path: Path | None) -> ModelConfig:
    """Read a model configuration from TOML, the built-in one by default.

    Raises
    ------
    SchemaError
        If the file is not TOML.
    ValidationError
        If it names a setting that does not exist, or gives one a value it cannot have.
    """
    from models import ModelConfig  # a service that answers from the ledger needs no learner

    if path is None:
        return ModelConfig()
    if not path.is_file():
        raise RefusedError(f"--config {path}: needed a TOML file; found none")
    try:
        text = path.read_text(encoding="utf-8")
        return ModelConfig.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SchemaError(str(path), expected="TOML", found=str(error)) from error


def default_workers() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[str], None]]:
    """Show a bar on stderr while cells are done; yield the function that advances it."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    # A file or a pipe gets no bar: it would be noise between the lines of a log.
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(title, total=total)

        def advance(name: str) -> None:
            bar.update(task, advance=1, description=f"{title} {name}")

        yield advance


@contextmanager
def status(message: str) -> Iterator[None]:
    """Show a spinner with a message on stderr while something takes its time."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(message):
        yield
