"""The commands of the store: data into it, and out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from riskon.options import Format, Market, Source


def ingest(
    market: Annotated[
        Path | None,
        typer.Option(help="Store to fill.  [default: $RISKON_MARKET, else $RISKON_HOME/market]"),
    ] = None,
    source: Annotated[Source, typer.Option(help="Where the data come from.")] = Source.FILES,
    from_: Annotated[
        Path | None, typer.Option("--from", help="Market directory to read, for files.")
    ] = None,
    series: Annotated[
        list[str] | None,
        typer.Option(help="Live series to ask for, such as prices/IWM; all by default."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print what was kept out and why; bring nothing in.")
    ] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Merge the store's segments, and bring nothing in.")
    ] = False,
    format: Annotated[Format, typer.Option(help="Of the summary.")] = Format.TABLE,
) -> None:
    """Bring data into a point-in-time store; safe to repeat."""
    from riskon.ingest import compact as compacting
    from riskon.ingest import ingest as command
    from riskon.settings import Settings

    mode = "--explain" if explain else "--compact" if compact else f"--source {source.value}"
    goes_with = {"--from": "--source files", "--series": "--source live", "--compact": "--compact"}
    given = {"--from": from_ is not None, "--series": bool(series), "--compact": compact}
    for flag, needed in goes_with.items():
        if given[flag] and mode != needed:
            from sources.errors import RefusedError

            raise RefusedError(f"{flag}: needed {needed}; found {mode}")
    if compact:
        compacting(Settings(), market)
    elif explain:
        from riskon.ingest import explain as explaining

        explaining(Settings(), market, format.value)
    elif source is Source.LIVE:
        from riskon.live import ingest_live

        ingest_live(Settings(), market, series or [], format.value)
    else:
        command(Settings(), market, from_, format.value)


def export(
    output: Annotated[Path, typer.Option(help="Directory to write; new or empty.")],
    market: Market = None,
) -> None:
    """Write a store as a market directory, with all vintages."""
    from riskon.ingest import export as command
    from riskon.settings import Settings

    command(Settings(), market, output)
