"""The command line, as a user meets it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, free_port

COLUMNS = "date,asset,horizon,threshold,probability,lower,upper,base_rate,outcome"
DAY = "2017-06-14"


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    program = Path(sys.executable).parent / "riskon"
    shown = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    for name in ("demo", "simulate", "dataset", "backtest", "train", "promote", "score", "serve"):
        assert name in shown
    heavy = ("numpy", "pandas", "mlflow", "sklearn", "rich", "pydantic")
    code = f"import sys, riskon.cli; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"


def test_backtest_writes_the_contracts_csv_and_prints_the_scores(home, tmp_path: Path) -> None:
    output = tmp_path / "predictions.csv"
    done = home.run("backtest", "--market", home.market, "--asset", "BTC", "--horizon", 5,
                    "--output", output, "--format", "json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert output.read_text().splitlines()[0] == COLUMNS
    table = pd.read_csv(output, dtype={"outcome": str}, keep_default_na=False)
    assert set(table["outcome"]) == {"0", "1", ""}
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", table["date"].iloc[0])
    (row,) = json.loads(done.stdout)
    known = table[table["outcome"] != ""]
    p, y = known["probability"].astype(float), known["outcome"].astype(int)
    loss = -np.log(np.where(y == 1, p, 1 - p)).mean()
    assert row["log_loss"] == pytest.approx(loss)
    assert row["n"] == len(known)


def test_the_same_days_score_is_one_number_by_cli_rest_and_backtest(home, tmp_path: Path) -> None:
    output = tmp_path / "p.csv"
    home.run("backtest", "--market", home.market, "--horizon", 1, "--horizon", 5,
             "--start", DAY, "--end", DAY, "--output", output)  # fmt: skip
    scored = home.run("score", "--market", home.market, "--as-of", DAY, "--format", "json")
    assert scored.returncode == 0, scored.stderr
    by_cli = {(s["asset"], s["horizon_days"]): s for s in json.loads(scored.stdout)}
    with serving(home) as url:
        answer = httpx.get(f"{url}/v1/scores", params={"as_of": DAY})
    by_rest = {(s["asset"], s["horizon_days"]): s for s in answer.json()["scores"]}
    assert by_cli == by_rest
    table = pd.read_csv(output)
    assert len(table) == len(by_cli) == 4
    for row in table.itertuples():
        score = by_cli[row.asset, row.horizon]
        assert score["probability"] == row.probability
        assert (score["lower"], score["upper"]) == (row.lower, row.upper)
        assert score["base_rate"] == row.base_rate


def test_asking_again_gives_the_same_bytes(home) -> None:
    first, again = (
        home.run("score", "--market", home.market, "--as-of", "2017-03-01", "--format", "json")
        for _ in range(2)
    )
    assert first.returncode == 0, first.stderr
    assert first.stdout == again.stdout


def test_score_in_table_and_csv_stands_beside_its_base_rate(home) -> None:
    table = home.run("score", "--market", home.market, "--as-of", DAY).stdout
    assert "base rate" in table
    assert "interval" in table
    rows = home.run("score", "--market", home.market, "--as-of", DAY, "--format", "csv").stdout
    assert "base_rate" in rows.splitlines()[0]
    assert len(rows.splitlines()) == 5


def test_dataset_writes_parquet_and_csv_alike(home, tmp_path: Path) -> None:
    for name in ("rows.parquet", "rows.csv"):
        done = home.run("dataset", "--market", home.market, "--asset", "BTC", "--horizon", 20,
                        "--output", tmp_path / name)  # fmt: skip
        assert done.returncode == 0, done.stderr
    one, other = pd.read_parquet(tmp_path / "rows.parquet"), pd.read_csv(tmp_path / "rows.csv")
    assert list(one.columns) == list(other.columns)
    assert {"label_end", "weight", "outcome", "flow_20s"} <= set(one.columns)
    np.testing.assert_allclose(one["flow_20s"], other["flow_20s"])
    assert ((one["label_end"] - one["date"]).dt.days == 20).all()


def test_a_configuration_in_toml_changes_the_model_and_a_misspelt_one_is_refused(
    home, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text("least_labels = 200\n[logistic]\nprior_deviation = 0.1\n")
    bad.write_text("least_label = 200\n")
    words = ("backtest", "--market", home.market, "--asset", "BTC", "--horizon", 5, "--output")
    assert home.run(*words, tmp_path / "p.csv", "--config", good).returncode == 0
    refused = home.run(*words, tmp_path / "q.csv", "--config", bad)
    assert refused.returncode == 2
    assert "least_label: Extra inputs are not permitted" in refused.stderr
    assert not (tmp_path / "q.csv").exists()


def test_an_unknown_asset_or_horizon_exits_2_and_lists_the_known_ones(home) -> None:
    for words, said in (
        (("backtest", "--asset", "PEPE"), "unknown asset 'PEPE': known are BTC, ETH"),
        (("backtest", "--horizon", "400"), "unknown horizon '400': known are 1 to 365 days"),
        (("score", "--asset", "SOL"), "unknown asset 'SOL': known are BTC, ETH"),
        (("score", "--horizon", "20"), "unknown horizon '20': known are 1, 5"),
    ):
        done = home.run(words[0], "--market", home.market, *words[1:])
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


def test_score_before_any_champion_exits_4_and_names_the_command_that_makes_one(
    home, tmp_path: Path
) -> None:
    done = home.run("score", "--market", home.market, RISKON_HOME=str(tmp_path / "new"))
    assert done.returncode == 4
    assert "riskon train" in done.stderr
    assert done.stderr.count("\n") == 1


def test_promoting_a_version_that_is_not_there_exits_4(home) -> None:
    done = home.run("promote", 99, "--reason", "x")
    assert done.returncode == 4
    assert "riskon train" in done.stderr


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        pytest.param("prices/BTC.csv", b"<!DOCTYPE html><html>limit</html>\n", "HTML", id="A07"),
        pytest.param("flows/IWM.csv", None, "flows/IWM.csv", id="lacks-a-needed-file"),
        pytest.param("prices/RUT.csv", b"date,close\n2015-01-02,1", "line end", id="A09"),
        pytest.param("prices/BTC.csv", b"date,close\n2015-01-02,0\n", "close, row 2", id="A22"),
        pytest.param("prices/BTC.csv", b"date,close\n2015-01-02,1\n2015-01-03,1.x\n",
                     "column close, row 3", id="A23"),
    ],
)  # fmt: skip
def test_a_bad_market_is_one_line_exit_3_and_nothing_written(
    home, tmp_path: Path, file: str, content: bytes | None, said: str
) -> None:
    market, output = tmp_path / "market", tmp_path / "out" / "p.csv"
    shutil.copytree(home.market, market)
    if content is None:
        # Another fund is there, so the folder is no choice: the file was forgotten.
        (market / file).rename(market / "flows" / "IWO.csv")
    else:
        (market / file).write_bytes(content)
    done = home.run("backtest", "--market", market, "--horizon", 5, "--output", output)
    assert done.returncode == 3
    assert said in done.stderr
    assert "needed" in done.stderr
    assert "found" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not output.parent.exists()


@pytest.mark.parametrize("kind", ["missing", "empty", "a file"])
def test_a_market_that_is_no_directory_of_prices_exits_3(home, tmp_path: Path, kind: str) -> None:
    market = tmp_path / "market"
    if kind == "empty":
        market.mkdir()
    elif kind == "a file":
        market.write_text("x\n")
    done = home.run("backtest", "--market", market)
    assert done.returncode == 3
    assert str(market) in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("score --as-of 2025-13-40", "--as-of: needed a day as YYYY-MM-DD; found '2025-13-40'"),
        ("daily --as-of yesterday", "--as-of: needed a day as YYYY-MM-DD; found 'yesterday'"),
        ("score --known-at noon",
         "--known-at: needed an instant with its offset, as 2025-06-21T06:00:00Z; found 'noon'"),
        ("score --format xml",
         "--format: needed one of 'table', 'json', 'csv'; found 'xml'; see 'riskon score --help'"),
        ("backtest --horizon five",
         "--horizon: needed a valid integer; found 'five'; see 'riskon backtest --help'"),
        ("evaluate --seeds 0",
         "--seeds: needed at least 1; found '0'; see 'riskon evaluate --help'"),
        ("promote 1", "missing option '--reason'; see 'riskon promote --help'"),
        ("score --as-of", "option '--as-of' requires an argument; see 'riskon score --help'"),
        ("score --forma xml",
         "no such option: --forma (Possible options: --format); see 'riskon score --help'"),
        ("nonsense", "no such command 'nonsense'; see 'riskon --help'"),
    ],
)  # fmt: skip
def test_D33_wrong_usage_exits_2_with_one_line_that_says_what_is_needed(
    command, words: str, said: str
) -> None:
    done = command(*words.split())
    assert done.returncode == 2
    assert done.stderr == f"riskon: {said}\n"
    assert done.stdout == ""


def test_no_word_at_all_shows_the_commands_and_exits_2(command) -> None:
    done = command()
    assert done.returncode == 2
    assert "Commands:" in done.stderr
    assert done.stdout == ""


def test_what_a_market_warns_of_is_said_once_a_command_however_often_it_is_read(
    tmp_path: Path,
) -> None:
    days = pd.bdate_range("2020-01-02", periods=3)
    closes = pd.DataFrame({"date": days, "AAA": [1.0, 0.0, 0.0], "BBB": [0.0, 2.0, 2.0]})
    for folder in ("prices", "constituents"):
        (tmp_path / folder).mkdir()
    closes.to_csv(tmp_path / "constituents" / "closes.csv", index=False)
    closes[["date"]].assign(close=1.0).to_csv(tmp_path / "prices" / "BTC.csv", index=False)
    # A command of its own, which reads the market as a daily run that trains does: twice.
    code = (
        "from pathlib import Path\n"
        "from riskon.cli import app, main\n"
        "from sources import read_market\n"
        "@app.command()\n"
        f"def twice(): [read_market(Path({str(tmp_path)!r})) for _ in range(2)]\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "twice"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "constituents/closes.csv: 3 zero prices quarantined: AAA, BBB\n"


def test_a_day_outside_the_market_exits_3_and_gives_the_range(home) -> None:
    for day in ("1999-01-01", "2099-01-01"):
        done = home.run("score", "--market", home.market, "--as-of", day)
        assert done.returncode == 3
        assert "2017-12-31" in done.stderr or "2013-01-01" in done.stderr


def test_D33_a_reader_that_closes_early_gets_no_traceback(home) -> None:
    program = Path(sys.executable).parent / "riskon"
    done = subprocess.run(
        f"'{program}' score --market '{home.market}' --as-of {DAY} --format json | head -c 10",
        shell=True, capture_output=True, text=True, check=False,
        env={"RISKON_HOME": str(home.folder), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout.startswith("[")
    assert "Traceback" not in done.stderr


def test_serving_to_others_without_keys_is_refused(home) -> None:
    done = home.run("serve", "--host", "0.0.0.0", "--port", 8999)
    assert done.returncode == 2
    assert "RISKON_API_KEYS" in done.stderr


def test_serving_on_a_taken_port_is_one_line_and_exit_2(home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = home.run("serve", "--port", taken.getsockname()[1])
    assert done.returncode == 2
    assert "found it taken" in done.stderr
    assert done.stderr.count("\n") == 1


def test_with_keys_the_api_wants_one_and_health_does_not(home) -> None:
    with serving(home, RISKON_API_KEYS="s3cret-key") as url:
        assert httpx.get(f"{url}/health/live").status_code == 200
        assert httpx.get(f"{url}/v1/scores").status_code == 401
        wrong = httpx.get(f"{url}/v1/scores", headers={"X-API-Key": "guess"})
        assert wrong.status_code == 403
        right = httpx.get(f"{url}/v1/scores", headers={"X-API-Key": "s3cret-key"})
        assert right.status_code == 200
        assert right.json()["as_of"] == "2017-12-31"


def test_a_window_too_short_for_figures_says_so_and_still_writes(home, tmp_path: Path) -> None:
    output = tmp_path / "p.csv"
    done = home.run("backtest", "--market", home.market, "--asset", "BTC", "--horizon", 5,
                    "--start", DAY, "--end", DAY, "--output", output)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "BTC_5d has no figures" in done.stderr
    assert len(output.read_text().splitlines()) == 2


@pytest.mark.parametrize("threshold", ["nan", "-1.5", "inf"])
def test_a_threshold_that_no_return_can_meet_exits_2(home, threshold: str) -> None:
    done = home.run("backtest", "--market", home.market, f"--threshold={threshold}")
    assert done.returncode == 2
    assert "unknown threshold" in done.stderr


def test_a_horizon_longer_than_the_history_exits_3_from_worker_processes_too(
    home, tmp_path: Path
) -> None:
    short = tmp_path / "short"
    assert home.run("simulate", "--market", short, "--world", "null", "--years", 2).returncode == 0
    done = home.run("backtest", "--market", short, "--horizon", 365, "--output", tmp_path / "p")
    assert done.returncode == 3
    assert "needed at least 365 labels" in done.stderr


def test_serving_a_market_that_is_not_there_exits_3(home) -> None:
    done = home.run("serve", "--market", "nowhere", "--port", 8998)
    assert done.returncode == 3
    assert "nowhere" in done.stderr


class serving:  # noqa: N801 - used as a function
    """A real server on a real socket, with the market at hand."""

    def __init__(self, home, **environment: str) -> None:
        self.port = free_port()
        program = Path(sys.executable).parent / "riskon"
        self.words = [program, "serve", "--market", home.market, "--port", str(self.port)]
        self.environment = {"RISKON_HOME": str(home.folder), "PATH": "/usr/bin:/bin", **environment}

    def __enter__(self) -> str:
        self.process = subprocess.Popen(
            self.words, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        url = f"http://127.0.0.1:{self.port}"
        for _ in range(150):
            try:
                if httpx.get(f"{url}/health/ready", timeout=5).status_code == 200:
                    return url
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise AssertionError("the server did not become ready")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


def test_features_are_listed_explained_and_drawn(home, tmp_path: Path) -> None:
    listed = json.loads(home.run("features", "--format", "json").stdout)
    assert {"momentum", "highs", "flows", "breadth", "liquidity", "crypto"} == {
        row["block"] for row in listed
    }
    words = ("features", "--market", home.market)
    highs = json.loads(home.run(*words, "--explain", "highs", "--format", "json").stdout)
    assert {row["index"] for row in highs} == {"RUT", "IWM"}
    assert all(row["close"] > row["previous_high"] for row in highs)
    page = tmp_path / "features.html"
    drawn = home.run(*words, "--block", "flows", "--output", page)
    assert drawn.returncode == 0, drawn.stderr
    assert "data:image/png;base64," in page.read_text()
    assert home.run("features", "--block", "astrology").returncode == 2


def test_docs_load_nothing_from_elsewhere(home) -> None:
    with serving(home) as url:
        page = httpx.get(f"{url}/docs")
        assert "https://" not in page.text
        script = re.search(r'src="(/[^"]+swagger-ui-bundle\.js)"', page.text)
        assert script is not None
        assert httpx.get(url + script[1]).status_code == 200


def test_mlflow_folder_holds_no_python_and_tests_hold_no_init() -> None:
    assert not list((ROOT / "mlflow").rglob("*.py"))
    assert not list((ROOT / "tests").rglob("__init__.py"))
