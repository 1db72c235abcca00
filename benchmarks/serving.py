"""Today's score and a live one, beside ``mlflow models serve`` with the same model; one JSON line.

Both sides have the champion of a demo's market in memory, and are asked over HTTP on this machine
by wrk, 16 connections, one after the other. Ours answers all questions of a day at a time. The
peer is a pyfunc around the same bundle: ``/invocations`` takes a day, an asset and a horizon. It
serves no precomputed day, as it knows of none; it makes the day's features once a day and keeps
them, which is more than a pyfunc would do of itself, and forecasts at each request. ``live`` asks
both every question of days that nobody has scored, a question a request: ours scores the day whole
at the first and writes it to the ledger. ``load`` is the machine's, to say what else ran.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

CONNECTIONS = 16

MODEL = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
import numpy as np
import pandas as pd
import mlflow
from features import build_dataset
from models import Cell, ModelBundle
from sources import as_of_instant, read_market

class Whole(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.bundle = ModelBundle.load(Path(context.artifacts["bundle"]))
        self.market = read_market(Path({market!r}))
        self.days = {{}}

    def predict(self, context, model_input, params=None):
        said = []
        for row in model_input.itertuples():
            day = pd.Timestamp(row.as_of)
            if day not in self.days:
                cut = self.market.as_of(as_of_instant(day))
                self.days[day] = build_dataset(cut, self.bundle.pool, self.bundle.config.features)
            cell = Cell(row.asset, int(row.horizon))
            made = self.bundle.forecast(self.days[day], [cell], np.datetime64(day, "D"))[cell]
            said.append({{"probability": made.probability, "base_rate": made.base_rate,
                         "lower": made.lower, "upper": made.upper}})
        return pd.DataFrame(said)

mlflow.models.set_model(Whole())
"""


def main() -> None:
    """Serve both, ask both, and print one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, help="of a finished `riskon demo`; else one is run")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--days", type=int, default=32)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="riskon-bench-") as held:
        home = Path(held) / "home"
        if chosen.home is None:
            run("riskon", "demo", RISKON_HOME=held)
            shutil.move(Path(held) / "demo", home)
        else:
            shutil.copytree(chosen.home, home)
        figures = measured(home, Path(held), chosen.seconds, chosen.days)
    print(json.dumps({"benchmark": "serving", "load": round(os.getloadavg()[0], 1), **figures}))


def measured(home: Path, held: Path, seconds: int, days: int) -> dict[str, object]:
    """Return requests a second, milliseconds, and ratios."""
    market = home / "market"
    settings = {
        "RISKON_HOME": str(home), "RISKON_MARKET": str(market), "RISKON_REQUESTS_PER_SECOND": "0",
        "RISKON_DEADLINE_SECONDS": "600",
    }  # fmt: skip
    flags = ("serve", "--port", (port := str(free_port())))
    url = f"http://127.0.0.1:{port}"
    with started("riskon", *flags, **settings):
        until_ready(f"{url}/health/ready")
        today = asked(f"{url}/v1/scores")["as_of"]
    begun = time.perf_counter()
    with started("riskon", *flags, **settings) as ours:
        until_ready(f"{url}/health/ready")
        cold = time.perf_counter() - begun
        asked(f"{url}/v1/scores")
        mine = wrk(f"{url}/v1/scores", seconds)
        fresh = [str(day) for day in days_before(today, 2 * days)]
        asked(f"{url}/v1/scores?as_of={fresh[0]}")
        questions = [
            (day, score["asset"], score["horizon_days"])
            for day in fresh[1 : 1 + days]
            for score in asked(f"{url}/v1/scores")["scores"]
        ]
        live = each(
            questions, lambda q: asked(f"{url}/v1/scores?as_of={q[0]}&asset={q[1]}&horizon={q[2]}")
        )
        memory = resident(ours)
    bundle = next((home / "artifacts" / "bundles").iterdir())
    with peer(held, bundle, market) as (theirs, other):
        body = invocation(today)
        sent = json.dumps(body)
        until_ready(f"{other}/ping")
        posted(f"{other}/invocations", body)
        script = held / "ask.lua"
        script.write_text(
            'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            f"wrk.body = [[{sent}]]\n"
        )
        his = wrk(f"{other}/invocations", seconds, script)
        his_live = each(questions, lambda q: posted(f"{other}/invocations", invocation(*q)))
        his_memory = resident(theirs)
    return {
        "today": {"riskon": mine, "mlflow": his},
        "today_times_requests": round(mine["per_second"] / his["per_second"], 1),
        "today_p99_share": round(mine["p99_ms"] / his["p99_ms"], 3),
        "live_scores_per_second": {"riskon": live, "mlflow": his_live},
        "live_times": round(live / his_live, 2),
        "cold_start_seconds": round(cold, 2),
        "worker_resident_mb": memory,
        "mlflow_resident_mb": his_memory,
    }


def each(questions: list[Any], ask: Callable[[Any], object]) -> float:
    """Return answers a second when some connections ask one question each."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(ask, questions))
    return round(len(questions) / (time.perf_counter() - begun), 2)


def wrk(url: str, seconds: int, script: Path | None = None) -> dict[str, float]:
    """Return what wrk measures; any answer but 2xx ends the benchmark."""
    told = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
    out = subprocess.run(  # noqa: S603 - ours
        [*told, *(["-s", str(script)] if script else []), url],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    if "Non-2xx" in out:
        raise SystemExit(f"{url}: needed answers 2xx; found others:\n{out}")
    per_second = re.search(r"Requests/sec:\s+([0-9.]+)", out)
    p99 = re.search(r"99%\s+([0-9.]+)(us|ms|s)", out)
    if per_second is None or p99 is None:
        raise SystemExit(f"wrk: needed figures; found:\n{out}")
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}[p99[2]]
    return {"per_second": float(per_second[1]), "p99_ms": round(float(p99[1]) * scale, 2)}


@contextmanager
def peer(held: Path, bundle: Path, market: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Save the bundle as a pyfunc, and serve it with MLflow."""
    code, saved, port = held / "whole.py", held / "pyfunc", free_port()
    code.write_text(MODEL.format(root=str(Path(__file__).resolve().parents[1]), market=str(market)))
    subprocess.run(  # noqa: S603 - ours
        [
            sys.executable, "-W", "ignore", "-c",
            "import sys, mlflow; mlflow.pyfunc.save_model(sys.argv[1], python_model=sys.argv[2], "
            "artifacts={'bundle': sys.argv[3]}, pip_requirements=[])",
            str(saved), str(code), str(bundle),
        ],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )  # fmt: skip
    told = (
        "models",
        "serve",
        "-m",
        str(saved),
        "-p",
        str(port),
        "--env-manager",
        "local",
        "-w",
        "1",
    )
    with started("mlflow", *told, MLFLOW_DISABLE_TELEMETRY="true") as process:
        yield process, f"http://127.0.0.1:{port}"


@contextmanager
def started(program: str, *told: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program beside us, and end it and its children."""
    # MLflow calls uvicorn by its name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    process = subprocess.Popen(  # noqa: S603 - ours
        [*command(program), *told],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PATH": path, **settings},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def command(program: str) -> list[str]:
    """Return how a program of this environment is called; ours from this tree."""
    if program == "riskon":
        return [sys.executable, "-c", "from riskon.cli import main; main()"]
    return [str(Path(sys.executable).parent / program)]


def run(program: str, *told: str, **settings: str) -> None:
    """Run a program to its end."""
    subprocess.run(  # noqa: S603 - ours
        [*command(program), *told], check=True, env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


def until_ready(url: str, seconds: float = 120) -> None:
    """Wait until a service says that it is ready."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=30):  # noqa: S310 - our own
                return
        except OSError:
            time.sleep(0.02)
    raise SystemExit(f"{url}: needed an answer within {seconds:g} s; found none")


def asked(url: str) -> dict[str, Any]:
    """Return the JSON of an address."""
    with urllib.request.urlopen(url, timeout=600) as answer:  # noqa: S310 - our own
        return json.load(answer)


def posted(url: str, body: object) -> object:
    """Return the JSON that is answered to JSON."""
    request = urllib.request.Request(  # noqa: S310 - our own
        url, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310 - our own
        return json.load(answer)


def invocation(day: object, asset: str = "BTC", horizon: int = 5) -> dict[str, object]:
    """Return one question as MLflow wants it."""
    return {"dataframe_records": [{"as_of": str(day), "asset": asset, "horizon": horizon}]}


def days_before(last: str, count: int) -> list[object]:
    """Return days before one, the latest first."""
    from datetime import date, timedelta

    return [date.fromisoformat(last) - timedelta(days=n) for n in range(1, count + 1)]


def resident(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Return MB of the largest process that is no scorer, and of all together."""
    every: list[tuple[float, bool]] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) != process.pid:
                continue
            status = (folder / "status").read_text()
            scorer = b"spawn_main" in (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if found := re.search(r"VmRSS:\s+(\d+) kB", status):
            every.append((int(found[1]) / 1024, scorer))
    answering = max(size for size, scorer in every if not scorer)
    return {"answering": round(answering), "all": round(sum(size for size, _ in every))}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
