"""A Dask cluster: the same to the bit as this machine, and nothing lost with a member."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from clusters import LocalCluster
from conftest import free_port
from searches import JOB, run_search

from models import cells_of
from sources import Market
from sources.errors import ClusterUnavailableError, RefusedError
from training.cluster import Cluster, joined, what_runs
from training.durable import open_storage
from training.search import Choice
from training.tuning import Tuning, prepare
from training.walkforward import bundle_of, walk_forward


@pytest.fixture(scope="module")
def tuning(market: Market) -> Tuning:
    return prepare(market, JOB)


@pytest.fixture(scope="module")
def clean(tuning: Tuning, tmp_path_factory: pytest.TempPathFactory) -> Choice:
    """Return what the search chooses on this machine, with nothing happening on the way."""
    return run_search(tmp_path_factory.mktemp("clean"), tuning)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory):
    cluster = LocalCluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.end()


def processes_of(cluster: Cluster) -> list[int]:
    return sorted(cluster._client.run(os.getpid).values())


def test_C11_trials_on_a_cluster_give_the_same_bytes_as_here(
    started: LocalCluster, tuning: Tuning, clean: Choice, tmp_path: Path
) -> None:
    with joined(started.address) as cluster:
        assert cluster.size == 2
        found = run_search(tmp_path, tuning, crew=cluster.trials)
    assert found.to_json() == clean.to_json()


def test_C11_cells_walked_on_a_cluster_make_the_same_bundle_as_here(
    started: LocalCluster, tuning: Tuning, tmp_path: Path
) -> None:
    cells = cells_of(("ETH", "BTC"), (5, 1))
    digests = []
    with joined(started.address) as cluster:
        for name, walkers in (("here", None), ("there", cluster.cells)):
            runs = walk_forward(tuning.dataset, cells, JOB.base, walkers=walkers)
            assert tuple(runs) == cells
            bundle = bundle_of(runs, tuning.dataset, JOB.base, "0" * 64)
            digests.append(bundle.save(tmp_path / name).digest)
    assert digests[0] == digests[1]


def test_C12_a_member_killed_in_the_middle_costs_nothing_but_time(
    started: LocalCluster, tuning: Tuning, clean: Choice, tmp_path: Path
) -> None:
    killed: list[int] = []
    with joined(started.address) as cluster:
        members = processes_of(cluster)

        def kill_one(place: int, _config: object) -> None:
            """Stop both, so that no trial can end before one of them is killed."""
            if place != 3 or killed:
                return
            killed.append(members[0])
            for pid in members:
                os.kill(pid, signal.SIGSTOP)

            def end() -> None:
                os.kill(members[0], signal.SIGKILL)
                os.kill(members[1], signal.SIGCONT)

            threading.Timer(0.5, end).start()

        found = run_search(tmp_path, tuning, crew=cluster.trials, begun=kill_one)
    assert killed
    assert found.to_json() == clean.to_json()
    record = open_storage(tmp_path)
    trials = record.get_all_trials(record.get_study_id_from_name("small"))
    # Ten places; what the killed member had begun was begun again, and the record says so.
    assert [t.user_attrs.get("reason") for t in trials].count("interrupted: its process ended") == 1
    assert len(trials) == 11
    assert "is gone; another takes its place" in started.said.read_text()


@pytest.mark.slow
def test_members_of_other_versions_are_refused_in_one_line(
    started: LocalCluster, tmp_path: Path
) -> None:
    """A worker that has another LightGBM by what its files say of themselves."""
    other = tmp_path / "lightgbm-3.9.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: lightgbm\nVersion: 3.9.9\n")
    address = started.address
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    worker = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1",
         "--no-nanny", "--no-dashboard", "--name", "other"],
        env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                with joined(address):
                    time.sleep(0.2)
            except RefusedError as error:
                said = str(error)
                break
        else:
            pytest.fail("never refused")
        assert re.fullmatch(
            rf"worker tcp://127.0.0.1:\d+: needed lightgbm {what_runs()['lightgbm']}; found 3.9.9",
            said,
        )
    finally:
        worker.terminate()
        worker.wait(30)


@pytest.mark.parametrize(
    ("number", "group"),
    [
        pytest.param(signal.SIGINT, True, id="Ctrl-C in its terminal"),
        pytest.param(signal.SIGKILL, False, id="kill -9", marks=pytest.mark.slow),
    ],
)
def test_a_scheduler_that_dies_is_one_line_in_seconds_and_the_job_goes_on_elsewhere(
    started: LocalCluster, tuning: Tuning, clean: Choice, tmp_path: Path,
    number: signal.Signals, group: bool,
) -> None:  # fmt: skip
    address, died = started.address, []
    said = started.said.read_text().count("\n")

    def kill(place: int, _config: object) -> None:
        if place == 5:
            started.signal(number, group=group)
            died.append(time.monotonic())

    with joined(address) as cluster:
        assert len(started.members()) >= 3
        with pytest.raises(ClusterUnavailableError, match=f"{address}: needed a scheduler; "):
            run_search(tmp_path, tuning, crew=cluster.trials, begun=kill)
    assert time.monotonic() - died[0] < 10
    assert started.process is not None
    assert started.process.wait(60) == (0 if group else -number)
    assert started.gone_within(10)
    # After kill -9 Python's own tracker of semaphores has its say.
    assert number == signal.SIGKILL or started.said.read_text().count("\n") == said
    begun: list[int] = []
    found = run_search(tmp_path, tuning, begun=lambda place, _config: begun.append(place))
    assert found.to_json() == clean.to_json()
    # Three generations of three and one: what was stored of the first is not tried again.
    assert not {0, 1, 2} & set(begun)


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8786", "tcp://127.0.0.1", "tcp://a:b", "http://127.0.0.1:8786", ""]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(RefusedError, match="needed tcp://HOST:PORT"), joined(address):
        pytest.fail("joined nothing")


def test_where_no_scheduler_listens_it_is_said_at_once() -> None:
    begun = time.monotonic()
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(ClusterUnavailableError, match="refused") as raised, joined(address):
        pass
    assert raised.value.exit_code == 3
    assert time.monotonic() - begun < 5
