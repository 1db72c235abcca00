"""``riskon train --cluster`` as a user runs it, on a cluster that ``riskon cluster`` started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import LocalCluster
from conftest import free_port

JOB = """
assets = ["BTC"]
horizons = [5]

[model]
least_labels = 200
boosting = { trees = 4 }

[folds]
inner = 3
outer = 1

[search]
trials = 6
side_by_side = 2

[search.space]
"mixture.rate" = { factors = [0.25, 0.5, 1] }
"signals.effect" = { factors = [0.7, 1, 1.4] }
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    started = LocalCluster(tmp_path)
    yield started
    started.end()


def test_a_cluster_that_is_down_or_comes_with_workers_is_one_line_in_seconds(command) -> None:
    begun = time.monotonic()
    address = f"tcp://127.0.0.1:{free_port()}"
    down = command("train", "--cluster", address)
    assert time.monotonic() - begun < 10
    assert down.returncode == 3
    assert down.stderr.startswith(f"riskon: cluster {address}: needed a scheduler; found none (")
    assert down.stderr.count("\n") == 1
    both = command("train", "--cluster", address, "--workers", 2)
    assert both.returncode == 2
    assert both.stderr.startswith("riskon: --workers 2: needed none beside --cluster")


@pytest.mark.slow
@pytest.mark.slow
def test_a_job_whose_scheduler_is_killed_says_how_to_go_on_and_does(
    home, cluster: LocalCluster, tmp_path: Path
) -> None:
    job = tmp_path / "job.toml"
    job.write_text(JOB)
    address = cluster.address
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RISKON_", "MLFLOW_"))}
    program = Path(sys.executable).parent / "riskon"
    with subprocess.Popen(
        [program, "train", "--market", home.market, "--job", job, "--cluster", address],
        env={**kept, "RISKON_HOME": str(home.folder)}, stderr=subprocess.PIPE, text=True,
        cwd=tmp_path, stdout=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said: list[str] = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("trial "):
                break
        begun = time.monotonic()
        cluster.signal(signal.SIGKILL)
        said += process.stderr
        assert process.wait(timeout=30) == 3
    assert time.monotonic() - begun < 10
    (name,) = (line.split()[1].rstrip(":") for line in said if line.startswith("Job "))
    assert said[0] == f"On cluster {address}, with 2 workers.\n"
    assert said[-1].startswith(f"riskon: cluster {address}: needed a scheduler; found none (")
    assert said[-1].endswith(f"; what is done is kept, go on with: riskon train --resume {name}\n")
    assert "Traceback" not in "".join(said)
    stored = sum(line.startswith("trial ") for line in said)
    done = home.run("train", "--resume", name, "--cluster", cluster.address)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\ntrial ") == 7 - stored
    assert "Registered version" in done.stderr
