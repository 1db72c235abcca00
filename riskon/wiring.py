"""The composition root: settings in, working parts out."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from models import ModelConfig
from riskon.settings import Settings
from sources.errors import RefusedError, SchemaError
from sources.files import read_market
from sources.market import CRYPTO_UNIVERSE, Market


def open_market(directory: Path | None, where: Settings) -> Market:
    """Read the market directory given, or the one the settings name, as it stands now.

    What is not known yet, such as the candle of a day that is not over, is left out.
    """
    market = read_market(
        directory or where.market_directory, crypto=(*CRYPTO_UNIVERSE, *where.more_crypto)
    )
    return market.as_of(pd.Timestamp.now(tz="UTC"))


def model_config(path: Path | None) -> ModelConfig:
    """Read a model configuration from TOML, the built-in one by default.

    Raises
    ------
    SchemaError
        If the file is not TOML.
    ValidationError
        If it names a setting that does not exist, or gives one a value it cannot have.
    """
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
