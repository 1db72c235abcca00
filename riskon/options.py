"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How a command prints its result."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class Source(StrEnum):
    """Where data come from."""

    FILES = "files"
    LIVE = "live"


Market = Annotated[
    Path | None,
    typer.Option(
        help="Market directory or store.  [default: $RISKON_MARKET, else $RISKON_HOME/market]"
    ),
]
Assets = Annotated[
    list[str] | None, typer.Option("--asset", help="Crypto symbol; repeat.  [default: all]")
]
Horizons = Annotated[
    list[int] | None,
    typer.Option("--horizon", help="Horizon in calendar days; repeat.  [default: 1, 5, 20]"),
]
Thresholds = Annotated[
    list[float] | None,
    typer.Option("--threshold", help="Fractional return to exceed; repeat.  [default: 0]"),
]
Config = Annotated[
    Path | None, typer.Option(help="Model configuration, TOML.  [default: built in]")
]
Day = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes side by side.  [default: one a core]")
]
Cluster = Annotated[
    str | None,
    typer.Option(metavar="tcp://HOST:PORT", help="Scheduler of a Dask cluster to run it on."),
]
Output = Annotated[Path, typer.Option(help="File to write.")]


def options_given(context: typer.Context) -> tuple[str, ...]:
    """Return the options that stand on the command line, as they are written there."""
    return tuple(
        f"--{name.replace('_', '-')}"
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    )
