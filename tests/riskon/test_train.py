"""``riskon train`` with a search: counted, cut short in order, resumed, and blind to later data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markets import random_market
from mlflow import MlflowClient

from riskon.jobs import begin_job, holding, open_job, read_job
from riskon.settings import Settings
from riskon.train import read_truth
from riskon.watch import Watch
from serving.database import open_database
from sources.errors import DataUnavailableError, IntegrityError, RefusedError, SchemaError
from training.codebase import code_digest
from training.jobfile import JobConfig
from training.trials import TrialCount

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
trials = 40
side_by_side = 2

[search.space]
"mixture.rate" = { factors = [0.25, 0.5, 1] }
"rules" = { off = true }
"signals.effect" = { factors = [0.7, 1, 1.4] }
"signals.drift_weight" = { factors = [0.5, 1] }
"""
pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"
)
AS_OF = pd.Timestamp("2022-06-15T09:30", tz="UTC")


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    path = tmp_path / "job.toml"
    path.write_text(JOB)
    return path


def counted(home, data_digest: str) -> int:
    engine = open_database(f"sqlite:///{home.folder / 'riskon.db'}")
    found = TrialCount(engine).trials_counted(data_digest)
    engine.dispose()
    return found


def run_of(home, job: str) -> tuple[str, str]:
    """Return the status and the kind of the newest run of a job that is none of a trial or cell."""
    client = MlflowClient(tracking_uri=f"sqlite:///{home.folder / 'mlflow.db'}")
    places = [e.experiment_id for e in client.search_experiments()]
    run = client.search_runs(places, f"tags.job = '{job}' and tags.kind = 'job'")[0]
    return run.info.status, run.data.tags["kind"]


def test_C06_a_job_cut_short_ends_in_order_within_ten_seconds_and_goes_on(
    home, job_file: Path
) -> None:
    """With workers side by side; what was stored is not tried again, and counts once."""
    trials = 6
    program = Path(sys.executable).parent / "riskon"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("RISKON_", "MLFLOW_"))}
    process = subprocess.Popen(
        [program, "train", "--market", home.market, "--job", job_file, "--trials", str(trials),
         "--workers", "2"],
        env={**environment, "RISKON_HOME": str(home.folder)}, stderr=subprocess.PIPE, text=True,
        cwd=home.folder.parent,
    )  # fmt: skip
    assert process.stderr is not None
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("trial "):
            break
    (name,) = (line.split()[1].rstrip(":") for line in said if line.startswith("Job "))
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    rest = process.stderr.read()
    assert process.wait(timeout=20) == 130
    process.stderr.close()
    assert time.monotonic() - begun < 10
    assert f"Next: riskon train --resume {name}\nriskon: interrupted\n" in rest
    assert "Traceback" not in rest
    assert run_of(home, name) == ("KILLED", "job")
    stored = rest.count("\ntrial ") + rest.startswith("trial ") + 1
    done = home.run("train", "--resume", name, "--workers", 1)
    assert done.returncode == 0, done.stderr
    # The signal may fall between a trial's storing and its line.
    assert trials + 1 - stored - done.stderr.count("\ntrial ") in (0, 1)
    assert "Registered version" in done.stderr
    assert run_of(home, name) == ("FINISHED", "job")
    kept = json.loads((home.folder / "jobs" / name / "job.json").read_text())
    # The champion of this home was a trial on the same data as well.
    assert counted(home, kept["data_digest"]) == trials + 2


def test_resuming_takes_no_other_words_and_a_name_that_is_there(home) -> None:
    both = home.run("train", "--resume", "abc", "--trials", 3)
    assert both.returncode == 2
    assert "--resume: needed no other description" in both.stderr
    nowhere = home.run("train", "--resume", "../../etc")
    assert nowhere.returncode == 3
    assert "needed a job under" in nowhere.stderr
    assert nowhere.stderr.count("\n") == 1


def test_flags_override_the_file_and_a_misspelt_setting_is_refused(
    home, job_file: Path, tmp_path: Path
) -> None:
    config = read_job(job_file, {"search.trials": 2, "assets": ["ETH"], "seeds": None})
    assert config.search.trials == 2
    assert config.assets == ("ETH",)
    assert config.model.boosting is not None
    assert config.model.boosting.trees == 4
    bad = tmp_path / "bad.toml"
    bad.write_text("[search]\ntrails = 5\n")
    done = home.run("train", "--market", home.market, "--job", bad)
    assert done.returncode == 2
    assert "search.trails: Extra inputs are not permitted" in done.stderr
    with pytest.raises(RefusedError, match="needed a TOML file"):
        read_job(tmp_path / "none.toml", {})


def begin(where: Settings, storage: str | None = None):
    market = random_market()
    then = market.as_of(AS_OF)
    return market, begin_job(where, JobConfig(), Path("m"), then, AS_OF, "riskon", storage)


def test_C16_a_job_resumed_after_midnight_reads_what_it_read_at_first(tmp_path: Path) -> None:
    """In the morning no bar of June 15 was known; later the market holds half a year more."""
    where = Settings(home=tmp_path)
    market, begun = begin(where)
    later = open_job(where, begun.name, None)
    assert later == begun
    read = later.same_market(market)
    assert read.digest() == begun.data_digest
    assert read.prices["BTC"]["date"].max() == pd.Timestamp("2022-06-14")
    assert market.digest() != begun.data_digest


def test_C16_a_past_that_reads_differently_is_refused(tmp_path: Path) -> None:
    market, begun = begin(Settings(home=tmp_path))
    changed = market.prices["BTC"].copy()
    changed.loc[10, "close"] = np.nextafter(changed.loc[10, "close"], np.inf)
    other = replace(market, prices={**market.prices, "BTC": changed})
    with pytest.raises(IntegrityError, match="as of 2022-06-15T09:30Z; found"):
        begun.same_market(other)


def test_the_same_job_on_the_same_data_is_the_same_job(tmp_path: Path) -> None:
    where = Settings(home=tmp_path)
    assert begin(where)[1].name == begin(where)[1].name


def test_the_truth_of_a_simulated_market_is_read_and_a_file_that_is_none_is_refused(
    tmp_path: Path,
) -> None:
    assert read_truth(tmp_path) is None
    (tmp_path / "truth.csv").write_text("date,asset,horizon,p_star\n2020-01-02,BTC,5,0.625\n")
    table = read_truth(tmp_path)
    assert table is not None
    assert table.iloc[0].tolist() == [pd.Timestamp("2020-01-02"), "BTC", 5, 0.625]
    for wrong in ("p_star,date\n", "date,asset,horizon,p_star\n2020-01-02,BTC,5,1.5\n"):
        (tmp_path / "truth.csv").write_text(wrong)
        with pytest.raises(SchemaError, match=r"truth\.csv"):
            read_truth(tmp_path)


def test_C17_a_job_that_other_code_began_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = Settings(home=tmp_path)
    begun = begin(where)[1]
    assert begun.tags["code_digest"] == code_digest()
    monkeypatch.setattr("riskon.jobs.code_digest", lambda: "f" * 64)
    with pytest.raises(RefusedError, match=f"sha256 {code_digest()[:12]}; found ffffffffffff; "):
        open_job(where, begun.name, None)
    # The same words by the new code are another job.
    assert begin(where)[1].name != begun.name


def test_C12_two_processes_on_one_job_the_second_is_told_of_the_first(tmp_path: Path) -> None:
    _, begun = begin(Settings(home=tmp_path))
    with (
        holding(begun),
        pytest.raises(RefusedError, match=f"found process {os.getpid()} running it"),
        holding(begun),
    ):
        pass
    with holding(begun):
        pass


def test_a_job_keeps_no_password_and_wants_its_storage_again(tmp_path: Path) -> None:
    where = Settings(home=tmp_path)
    url = "postgresql://u:s3cret@db/x"
    _, begun = begin(where, url)
    assert "s3cret" not in (begun.folder / "job.json").read_text()
    with pytest.raises(RefusedError, match="needed --storage with its URL"):
        open_job(where, begun.name, None)
    assert open_job(where, begun.name, url).storage == url
    with pytest.raises(DataUnavailableError, match=f"found {begun.name}"):
        open_job(where, "other", None)


def test_C12_a_record_on_a_database_that_is_down_is_one_line_and_exit_3(
    home, job_file: Path
) -> None:
    done = home.run(
        "train", "--market", home.market, "--job", job_file, "--trials", 1,
        "--storage", "postgresql://u:s3cret@127.0.0.1:1/x",
    )  # fmt: skip
    assert done.returncode == 3
    assert "record of trials" in done.stderr
    assert "s3cret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_time_left_is_that_of_the_trials_here(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = Watch.__new__(Watch)
    watch._total, watch._done, watch._here, watch._began = 11, 5, 0, 100.0
    # Three of the eleven were there when it began; two took 30 s, and six are left: 90 s.
    watch._here, now[0] = 2, 130.0
    assert watch.seconds_left == 90.0
