"""The demo: the whole path on a simulated market, where the truth is known."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from models import ModelConfig
from riskon import commands
from riskon import output as out
from riskon.champions import promote
from riskon.settings import Settings
from riskon.wiring import default_workers, progress
from sources import read_market
from sources.simulated import simulate_market, write_simulated
from training.job import HORIZONS, run_job
from training.limit import Capture, captures, total_capture


def run_demo(settings: Settings, world: str, seed: int) -> None:
    """Simulate, build, train, track, promote, score; say what was found and where to look next.

    State goes to ``demo`` under the home directory, made anew each time, so
    that a champion of a simulated market is never taken for one of the real.
    """
    begun = time.monotonic()
    home = settings.home / "demo"
    simulated = simulate_market(world, seed=seed)
    if home.exists():
        shutil.rmtree(home)
    alone = {"home": home, "database_url": None, "tracking_uri": None, "market": None}
    where = settings.model_copy(update=alone)
    directory = home / "market"
    out.note(f"1/5 Simulate 12 years of world {world!r}, seed {seed}, to {directory}")
    write_simulated(simulated, directory)
    out.note("2/5 Read it back, build point-in-time features, walk forward")
    market = read_market(directory)
    cells = len(market.crypto) * len(HORIZONS)
    with progress("walking forward", cells) as advance:
        job = run_job(
            market, market.crypto, HORIZONS, ModelConfig(), workers=default_workers(), done=advance,
            truth=simulated.truth,
        )  # fmt: skip
    out.note(f"3/5 Track in MLflow, under {home}")
    commands.open_tracking(where)
    version = commands.track(where, job, "riskon")
    out.note(f"4/5 Promote version {version}")
    promote(where, version, "demo", override=False)
    out.note("5/5 Score the latest day\n")
    commands.score(where, directory, None, None, None, "table")
    out.print_evaluations(job.report.evaluations, "table")
    _print_captures(captures(job.runs, simulated.truth))
    spent = time.monotonic() - begun
    out.note(
        f"\nDone in {spent:.0f} s. No advice: these prices are invented. Try next:\n"
        f"  RISKON_HOME={home} .venv/bin/riskon serve --port 8000      # then open http://127.0.0.1:8000\n"
        f"  .venv/bin/mlflow ui --backend-store-uri sqlite:///{home / 'mlflow.db'}\n"
        f"  .venv/bin/riskon backtest --market {directory} --asset BTC --horizon 5 "
        f"--output {Path(tempfile.gettempdir()) / 'predictions.csv'}"
    )


def _print_captures(found: tuple[Capture, ...]) -> None:
    rows = [
        [str(c.cell), str(c.days), f"{c.gain_mnat:+.2f}", f"{c.limit_mnat:.2f}", _share(c.capture)]
        for c in found
    ]
    rows.append(["together", "", "", "", _share(total_capture(found))])
    out.print_table(
        "Against the known limit, in expectation under the true probability (mnat)",
        ["cell", "days", "gain over climatology", "limit", "captured"],
        rows,
    )


def _share(capture: float) -> str:
    return "nothing to find" if capture != capture else f"{capture:.0%}"  # noqa: PLR0124 - NaN
