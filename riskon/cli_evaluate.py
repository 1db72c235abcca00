"""The command that shows skill, in simulated worlds beside the limit or on a market."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from riskon.options import Config, Format, Workers, options_given


def evaluate(
    context: typer.Context,
    worlds: Annotated[
        list[str] | None,
        typer.Option(
            help="World (docs/worlds.md), several by commas, a sum as flow+high, or all, which "
            "takes half an hour on two cores with peers; repeat.  [default: all]"
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Markets a world.")] = 4,
    first_seed: Annotated[int, typer.Option(min=0, help="The first of the seeds.")] = 0,
    years: Annotated[
        float, typer.Option(min=3, max=13, help="Length in years, from 2013 on.")
    ] = 12.0,
    strength: Annotated[float, typer.Option(min=0, max=10, help="Strength of the signal.")] = 1.0,
    peers: Annotated[
        int, typer.Option(min=0, help="Markets a world that plain learners run on too.")
    ] = 1,
    market: Annotated[
        Path | None, typer.Option(help="Evaluate on this market directory instead.")
    ] = None,
    config: Config = None,
    format: Annotated[Format, typer.Option(help="Of the figures.")] = Format.TABLE,
    workers: Workers = None,
) -> None:
    """Show the skill in simulated worlds beside the limit, or on a market with its uncertainty."""
    from riskon.evaluate import evaluate as command
    from riskon.evaluate import refuse_both
    from riskon.settings import Settings

    if market is not None:
        refuse_both(options_given(context))
    command(
        Settings(),
        worlds,
        seeds,
        first_seed,
        years,
        strength,
        market,
        config,
        format.value,
        workers,
        peers,
    )
