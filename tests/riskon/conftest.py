"""A home with a champion, made once by the commands themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Home:
    """A simulated market, a home with a champion, and the command line bound to them."""

    folder: Path
    market: Path
    run: Run


def command_line(home: Path) -> Run:
    """Return a function that runs ``riskon`` as a user would."""
    program = Path(sys.executable).parent / "riskon"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RISKON_", "MLFLOW_"))}

    def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *map(str, words)],
            env={**kept, "RISKON_HOME": str(home), **environment},
            cwd=home.parent,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    return run


@pytest.fixture
def command(tmp_path: Path) -> Run:
    """Return the command line of an empty home."""
    return command_line(tmp_path / "home")


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Simulate a market, train on it and promote the version, by the command line."""
    folder = tmp_path_factory.mktemp("user") / "home"
    run = command_line(folder)
    market = folder.parent / "market"
    for words in (
        ("simulate", "--market", market, "--world", "flow", "--seed", 3, "--years", 5),
        ("train", "--market", market, "--horizon", 1, "--horizon", 5),
        ("promote", 1, "--reason", "first champion", "--override"),
    ):
        done = run(*words)
        assert done.returncode == 0, done.stderr
    return Home(folder, market, run)
