"""The command line. Heavy imports live in the commands that need them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from riskon.cli_cluster import cluster
from riskon.cli_daily import daily, status, verify
from riskon.cli_evaluate import evaluate
from riskon.cli_store import export, ingest
from riskon.cli_study import study
from riskon.once import warned_once
from riskon.options import (
    Assets,
    Cluster,
    Config,
    Day,
    Format,
    Horizons,
    Market,
    Output,
    Thresholds,
    Workers,
)

INTERRUPTED = 130
"""Exit code of Ctrl-C, as shells have it."""

app = typer.Typer(
    name="riskon",
    help="Calibrated daily probabilities for crypto returns, from US small-cap highs, "
    "flows and breadth.",
    pretty_exceptions_show_locals=False,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback on errors.")] = False,
) -> None:
    """Give calibrated daily probabilities for crypto returns, from US small-cap signals."""
    if debug:
        os.environ["RISKON_DEBUG"] = "1"
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


@app.command()
def demo(
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated market.")] = 1,
    world: Annotated[str, typer.Option(help="World to simulate.")] = "flow",
) -> None:
    """Run the whole path on a simulated market: no network, no keys."""
    from riskon.demo import run_demo
    from riskon.settings import Settings

    run_demo(Settings(), world, seed)


@app.command()
def simulate(
    market: Annotated[Path, typer.Option(help="Directory to write.")],
    world: Annotated[str, typer.Option(help="World to simulate.")] = "flow",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same market.")] = 0,
    years: Annotated[
        float, typer.Option(min=2, max=13, help="Length in years, from 2013 on.")
    ] = 12.0,
    strength: Annotated[float, typer.Option(min=0, max=10, help="Strength of the signal.")] = 1.0,
) -> None:
    """Write a simulated market and, in truth.csv, the true probability of every day."""
    from riskon.commands import simulate as command

    command(market, world, seed, years, strength)


app.command()(ingest)
app.command()(export)
app.command()(daily)
app.command()(verify)
app.command()(status)
app.command()(study)
app.command()(cluster)


@app.command()
def dataset(
    asset: Annotated[str, typer.Option(help="Crypto symbol.")],
    horizon: Annotated[int, typer.Option(help="Horizon in calendar days.")],
    output: Output,
    market: Market = None,
    threshold: Annotated[float, typer.Option(help="Fractional return to exceed.")] = 0.0,
    config: Config = None,
) -> None:
    """Write the point-in-time dataset of one asset and horizon (.parquet or .csv)."""
    from riskon.commands import dataset as command
    from riskon.settings import Settings

    command(Settings(), market, asset, horizon, threshold, config, output)


@app.command()
def features(
    market: Market = None,
    block: Annotated[
        list[str] | None, typer.Option(help="Block of features; repeat.  [default: all]")
    ] = None,
    explain: Annotated[
        str | None, typer.Option(metavar="highs", help="List all-time highs by date.")
    ] = None,
    index: Annotated[
        list[str] | None, typer.Option(help="Index to explain; repeat.  [default: RUT, IWM]")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Page of plots on the market's data to write (.html).")
    ] = None,
    format: Annotated[Format, typer.Option(help="Of what is printed.")] = Format.TABLE,
) -> None:
    """List the features there are, explain them on a market, or draw them."""
    from riskon.features import features as command
    from riskon.settings import Settings

    command(Settings(), market, block, explain, index, output, format.value)


@app.command()
def backtest(
    market: Market = None,
    asset: Assets = None,
    horizon: Horizons = None,
    threshold: Thresholds = None,
    start: Day = None,
    end: Day = None,
    config: Config = None,
    output: Annotated[Path, typer.Option(help="Predictions to write.")] = Path("predictions.csv"),
    format: Annotated[Format, typer.Option(help="Of the printed scores.")] = Format.TABLE,
    workers: Workers = None,
) -> None:
    """Walk forward, out of sample only; write the predictions and print the scores."""
    from riskon.commands import backtest as command
    from riskon.settings import Settings

    command(
        Settings(),
        market,
        asset,
        horizon,
        threshold,
        start,
        end,
        config,
        output,
        format.value,
        workers,
    )


app.command()(evaluate)


@app.command()
def train(
    market: Market = None,
    asset: Assets = None,
    horizon: Horizons = None,
    threshold: Thresholds = None,
    config: Config = None,
    job: Annotated[
        Path | None, typer.Option(help="Job, TOML; flags override it.  [default: built in]")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=0, help="Configurations to try.  [default: 0]")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 1, help="Of model and search.  [default: 7]")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="JOB", help="Go on with a job that was cut short.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Database of the trials.  [default: a journal]"),
    ] = None,
    experiment: Annotated[str, typer.Option(help="MLflow experiment.")] = "riskon",
    format: Annotated[Format, typer.Option(help="Of the printed scores.")] = Format.TABLE,
    workers: Workers = None,
    spool: Annotated[
        bool, typer.Option("--spool", help="Train even if tracking is down; sync later.")
    ] = False,
    cluster: Cluster = None,
) -> None:
    """Tune, fit, evaluate, track in MLflow, and register a version."""
    from riskon.settings import Settings
    from riskon.train import Asked
    from riskon.train import train as command

    asked = Asked(market, asset, horizon, threshold, config, job, trials, seed)
    command(Settings(), asked, resume, storage, experiment, format.value, workers, spool, cluster)


@app.command()
def compare(
    run: Annotated[
        list[str] | None,
        typer.Argument(help="Run id, its beginning, or a name.  [default: all finished jobs]"),
    ] = None,
    experiment: Annotated[str, typer.Option(help="MLflow experiment.")] = "riskon",
    filter: Annotated[
        str, typer.Option(help="As in MLflow: \"metrics.roc_auc > 0.5 and tags.seed = '7'\".")
    ] = "",
    sort: Annotated[
        str | None,
        typer.Option(help="Metric, tag or parameter.  [default: log loss on shared outcomes]"),
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="Metric, tag or parameter to show; repeat.")
    ] = None,
    nested: Annotated[bool, typer.Option("--nested", help="Runs of single cells too.")] = False,
    common: Annotated[
        bool, typer.Option("--common", help="Compare on the outcomes that all runs share.")
    ] = False,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Trials to correct for.  [default: the runs shown]")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Page to write as well.")] = None,
    format: Annotated[Format, typer.Option(help="Of what is printed.")] = Format.TABLE,
) -> None:
    """Show tracked runs by how they did, and which differences are more than luck."""
    from riskon.compare import Asked
    from riskon.compare import compare as command
    from riskon.settings import Settings

    asked = Asked(
        tuple(run or ()), experiment, filter, sort, tuple(column or ()), nested, common, trials
    )
    command(Settings(), asked, format.value, html)


@app.command()
def sync() -> None:
    """Send finished jobs that the tracking store does not have yet, each once."""
    from riskon.commands import sync as command
    from riskon.settings import Settings

    command(Settings())


@app.command()
def promote(
    version: Annotated[int, typer.Argument(min=1, help="Registered version.")],
    reason: Annotated[str, typer.Option(help="Why; recorded.")],
    override: Annotated[bool, typer.Option("--override", help="Promote against the gate.")] = False,
) -> None:
    """Make a version the champion, through the gate."""
    from riskon.champions import promote as command
    from riskon.settings import Settings

    command(Settings(), version, reason, override)
    typer.echo("Next: riskon score", err=True)


@app.command()
def rollback(
    reason: Annotated[str, typer.Option(help="Why; recorded.")] = "rollback",
) -> None:
    """Make the champion before this one the champion again."""
    from riskon.champions import rollback as command
    from riskon.settings import Settings

    command(Settings(), reason)


@app.command()
def champion(
    at: Annotated[
        str | None,
        typer.Option(metavar="INSTANT", help="Who spoke then, as 2026-01-01T00:00Z."),
    ] = None,
    format: Annotated[Format, typer.Option(help="Of the answer.")] = Format.TABLE,
) -> None:
    """Say who speaks, or who spoke at an instant, since when, by whom, and why."""
    from riskon.champions import champion as command
    from riskon.settings import Settings

    command(Settings(), at, format.value)


@app.command()
def score(
    market: Market = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="As-of day.  [default: the latest]")
    ] = None,
    asset: Assets = None,
    horizon: Annotated[
        list[int] | None, typer.Option(help="Horizon in days; repeat.  [default: the model's]")
    ] = None,
    known_at: Annotated[
        str | None,
        typer.Option(
            metavar="INSTANT",
            help="Recreate what the store knew then (2025-06-21T06:00:00Z); the ledger stays.",
        ),
    ] = None,
    format: Annotated[Format, typer.Option(help="Of the scores.")] = Format.TABLE,
) -> None:
    """Print the champion's probability scores, and write them to the ledger."""
    from riskon.commands import score as command
    from riskon.settings import Settings

    command(Settings(), market, as_of, asset, horizon, format.value, known_at)


@app.command()
def serve(
    market: Market = None,
    host: Annotated[str, typer.Option(envvar="RISKON_HOST", help="Address to bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="RISKON_PORT", min=1, max=65535)] = 8000,
    workers: Annotated[
        int, typer.Option(envvar="RISKON_WORKERS", min=1, max=64, help="Processes on the port.")
    ] = 1,
) -> None:
    """Serve the scores over REST."""
    from riskon.services import run_server
    from riskon.settings import Settings

    run_server(Settings(), market, host, port, workers)


def main() -> None:
    """Run the command line: one line on stderr for an error, and an exit code that tells which."""
    try:
        with warned_once():
            # Not typer's standalone mode, whose errors are four lines.
            code = app(prog_name="riskon", standalone_mode=False)
    except typer.TyperException as error:
        from riskon.failures import explain_usage

        commands = typer.main.get_group(app).commands
        typer.echo(f"riskon: {explain_usage(error, sys.argv[1:], commands)}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader (head, less) has what it wanted; say nothing more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:  # the last handler: one line and a code for all; --debug shows where
        from riskon.failures import exit_code, explain

        if os.environ.get("RISKON_DEBUG"):
            raise
        typer.echo(f"riskon: {explain(error)}", err=True)
        sys.exit(exit_code(error))
    if code == INTERRUPTED:  # typer makes an exit of Ctrl-C, and says nothing
        typer.echo("riskon: interrupted", err=True)
    sys.exit(code)
