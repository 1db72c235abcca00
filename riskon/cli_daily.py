"""The commands of every day: run it, hold it to account, see how it stands."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from riskon.options import Day, Format, Market


class Ingest(StrEnum):
    """Where a daily run takes new data from."""

    NONE = "none"
    FILES = "files"
    LIVE = "live"


class Retrain(StrEnum):
    """When a daily run trains a successor."""

    AUTO = "auto"
    NEVER = "never"


def daily(
    market: Market = None,
    as_of: Day = None,
    ingest: Annotated[
        Ingest | None,
        typer.Option(help="Where new data come from.  [default: files with --from, else none]"),
    ] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", help="Market directory to read, for files.")
    ] = None,
    catch_up: Annotated[
        int, typer.Option(min=0, max=400, help="Missed days before that are scored too.")
    ] = 30,
    retrain: Annotated[
        Retrain, typer.Option(help="Train a successor when it is due, through the gate.")
    ] = Retrain.AUTO,
    retrain_after: Annotated[
        int, typer.Option(min=1, help="Days since training after which it is due.")
    ] = 92,
    format: Annotated[Format, typer.Option(help="Of the result.")] = Format.TABLE,
) -> None:
    """Ingest, settle, score, watch, and retrain when due; safe to repeat.

    Without --as-of the last bar has to be of the latest finished day, or the feed has stopped.
    Exit code 0 done, also where nothing changed; 1 another run goes, named; 3 data missing,
    stale or refused, all else done; 4 no champion; 5 integrity.
    """
    from riskon.daily_run import Asked
    from riskon.daily_run import daily as command
    from riskon.settings import Settings
    from riskon.verifying import parsed_day
    from sources.errors import RefusedError

    source = ingest or (Ingest.FILES if from_ else Ingest.NONE)
    if (from_ is not None) != (source is Ingest.FILES):
        raise RefusedError(
            f"--ingest {source.value}: needed --from DIR exactly with files; "
            f"found {'one' if from_ else 'none'}"
        )
    asked = Asked(
        market=market,
        as_of=parsed_day(as_of),
        ingest=source.value,
        source=from_,
        catch_up=catch_up,
        retrain=retrain.value,
        retrain_after=retrain_after,
    )
    command(Settings(), asked, format.value)


def verify(
    market: Market = None,
    version: Annotated[
        int | None, typer.Option(min=1, help="Of the forecasts; all by default.")
    ] = None,
    format: Annotated[Format, typer.Option(help="Of the skill.")] = Format.TABLE,
) -> None:
    """Settle due forecasts, check both chains, and print live skill with its interval.

    Exit code 5 names the first row that is not what was written.
    """
    from riskon.settings import Settings
    from riskon.verifying import verify as command

    command(Settings(), market, version, format.value)


def status(
    format: Annotated[Format, typer.Option(help="Of the status; json or table.")] = Format.TABLE,
) -> None:
    """Say who speaks, how fresh it is, what the watch found, and how the last run went."""
    from riskon.settings import Settings
    from riskon.verifying import status as command

    command(Settings(), format.value)
