"""The command that starts a cluster."""

from __future__ import annotations

from typing import Annotated

import typer


def cluster(
    local: Annotated[int, typer.Option(min=1, max=256, help="Workers, of one thread each.")],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the scheduler; 0 for any that is free.")
    ] = 8786,
) -> None:
    """Start a scheduler and workers on this machine, for riskon train --cluster."""
    from riskon.cluster import serve

    serve(local, port)
