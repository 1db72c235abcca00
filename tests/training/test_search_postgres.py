"""The record of a search on a PostgreSQL: the choice of a journal, through kill and restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from postgres import postgres, run_as_postgres
from searches import JOB, run_search

from sources import Market
from sources.errors import DataUnavailableError
from training.tuning import prepare

CHILD = Path(__file__).parents[1] / "searches.py"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_C12_a_search_killed_on_postgresql_and_resumed_chooses_what_the_journal_does(
    market: Market, tmp_path: Path
) -> None:
    with postgres() as server:
        psql = str(Path(server.pg_ctl).with_name("psql"))
        run_as_postgres(psql, f"{server.url}/postgres", "-qc", "CREATE DATABASE trials")
        url = f"{server.url}/trials".replace("postgresql:", "postgresql+psycopg:")
        command = [sys.executable, str(CHILD), str(tmp_path / "pg"), "1", url]
        killed = subprocess.run(
            command, env={**os.environ, "CRASHPOINT": "before_trial_stored@4:SIGKILL"},
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert killed.stderr.count("begun") == 4
        # What was stored before a crash of the server too is stored.
        server.stop()
        tuning = prepare(market, JOB)
        with pytest.raises(DataUnavailableError, match=r"record of trials .*needed an answer"):
            run_search(tmp_path / "pg", tuning, url=url)
        server.start()
        begun: list[int] = []
        chosen = run_search(
            tmp_path / "pg", tuning, url=url, begun=lambda place, _config: begun.append(place)
        )
        # Three of ten were stored; the one that ran at the kill is begun again.
        assert begun == list(range(3, 10))
        assert not (tmp_path / "pg" / "journal.log").exists()
    assert chosen.to_json() == run_search(tmp_path / "journal", tuning).to_json()
