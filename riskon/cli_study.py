"""The command of the study of the claims."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from riskon.options import Format, Market


def study(
    output: Annotated[
        Path, typer.Option(help="Directory for study.html, study.md and study.json.")
    ],
    market: Market = None,
    claims: Annotated[
        Path | None, typer.Option(help="Ledger of claims, TOML.  [default: built in, C1 to C13]")
    ] = None,
    causes: Annotated[
        bool, typer.Option("--causes/--no-causes", help="Study lead, cause and increment as well.")
    ] = True,
    track: Annotated[
        bool, typer.Option("--track/--no-track", help="Log to MLflow where it answers.")
    ] = True,
    format: Annotated[Format, typer.Option(help="Of the printed verdicts.")] = Format.TABLE,
) -> None:
    """Test the claims about small caps and crypto: verdicts, events by date, a report."""
    from riskon.settings import Settings
    from riskon.study import study as command

    command(Settings(), market, output, claims, format.value, causes=causes, track=track)
