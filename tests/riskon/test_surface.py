"""The public surface of each room is a list that changes only on purpose."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

ROOMS = ("features", "models", "serving", "sources", "training")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_offers_what_its_list_says_sorted_and_nothing_missing(room: str) -> None:
    module = importlib.import_module(room)
    offered = module.__all__
    assert list(offered) == sorted(offered, key=lambda name: (not name.isupper(), name))
    for name in offered:
        assert hasattr(module, name)
    assert module.__doc__


@pytest.mark.parametrize("room", ROOMS)
def test_importing_a_room_reads_no_environment_and_writes_nothing(room: str) -> None:
    code = (
        "import os, sys\n"
        "before = dict(os.environ)\n"
        f"import {room}\n"
        "assert dict(os.environ) == before\n"
        "assert 'mlflow' not in sys.modules and 'optuna' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_what_answers_requests_loads_no_learner() -> None:
    # They would add half as much memory again to each worker; the scoring process has them.
    code = (
        "import sys, riskon.services, serving.api, serving.dashboard\n"
        "print(sorted({'models', 'lightgbm', 'sklearn', 'training'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
