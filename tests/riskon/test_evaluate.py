"""``riskon evaluate``, as a user meets it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from riskon import evaluate as command
from riskon.settings import Settings
from sources.errors import RiskonError
from sources.simulated import WORLDS
from training.peers import PEERS
from training.worlds import WorldScore


def test_worlds_print_json_alone_on_stdout(home) -> None:
    done = home.run("evaluate", "--worlds", "flow,null", "--seeds", 1, "--years", 3,
               "--peers", 0, "--format", "json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    asked = [(world, horizon) for world in ("flow", "null") for horizon in (1, 5, 20)]
    assert [(row["world"], row["horizon"]) for row in rows] == asked
    for row in rows:
        assert row["gain_mnat"] <= row["limit_mnat"]
        assert row["worst_mnat"] <= row["gain_mnat"]
        assert row["leak"] is False


def test_peers_stand_below_ours_with_the_same_limit_and_lose_where_there_is_nothing(home) -> None:
    done = home.run("evaluate", "--worlds", "null", "--seeds", 1, "--years", 3,
               "--format", "csv")  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    names = ["riskon", *PEERS]
    assert [(row["forecaster"], row["horizon"]) for row in rows] == [
        (name, horizon) for name in names for horizon in ("1", "5", "20")
    ]
    limits = {(row["horizon"], row["limit_mnat"]) for row in rows}
    assert len(limits) == 3
    # The default answer of LightGBM to noise is hundreds of thousandths of a nat of harm.
    assert all(float(r["gain_mnat"]) < -100 for r in rows if r["forecaster"] == names[1])


def test_the_tables_fit_a_terminal_of_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    widest = max(WORLDS, key=len)
    row = WorldScore(widest, "signal", 20, 4, -25.12, -125.34, "ETH_20d, seed 3", 125.34, -0.57,
                     -1.23, -0.45, 9.0, -16.0)  # fmt: skip
    command.print_worlds([row], "table")
    command.print_peers([row], {name: [row] for name in PEERS})
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80, lines
    assert any(line.startswith(widest) for line in lines)


def test_an_unknown_world_is_wrong_usage_and_the_known_ones_are_named(home) -> None:
    done = home.run("evaluate", "--worlds", "nowhere")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    for name in ("nowhere", "null", "flow", "momentum_x_dispersion"):
        assert name in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("--worlds", "flow", "--market", "anywhere"), id="worlds-and-a-market"),
        pytest.param(("--seeds", 3, "--market", "anywhere"), id="seeds-and-a-market"),
        pytest.param(("--worlds", "flow+break"), id="worlds-that-cannot-be-added"),
        pytest.param(("--seeds", 0), id="no-seed"),
    ],
)
def test_what_cannot_be_evaluated_is_wrong_usage(home, words: tuple[object, ...]) -> None:
    done = home.run("evaluate", *words)
    assert done.returncode == 2
    assert done.stdout == ""


def test_a_market_is_judged_by_cell_and_together_with_what_it_could_have_shown(home) -> None:
    done = home.run("evaluate", "--market", home.market, "--format", "csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["asset"], row["horizon"]) for row in rows] == [
        *((asset, horizon) for asset in ("BTC", "ETH") for horizon in ("1", "5", "20")),
        ("pooled", ""),
    ]
    for row in rows:
        lower, gain, upper = (
            float(row[name]) for name in ("gain_mnat_lower", "gain_mnat", "gain_mnat_upper")
        )
        assert lower <= gain <= upper
        # 2.49 deviations detect; half the interval is about 1.645 of them.
        assert 0.5 * (upper - lower) < float(row["least_detectable_mnat"]) < upper - lower
    # The simulated market ends with 2017: a year of days at most counts.
    assert all(0 < int(row["days"]) <= 365 for row in rows)


def test_a_leak_fails_with_a_line_that_says_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leaking = WorldScore("null", "nothing", 5, 1, 0.1, 0.0, "BTC_5d, seed 0", 0.2, 0.5, 1.0, 0.7,
                         surplus_mnat=9.0, surplus_deviations=6.0)  # fmt: skip
    monkeypatch.setattr(command, "run_trials", lambda *_, **__: {})
    monkeypatch.setattr(command, "score_worlds", lambda _: (leaking,))
    with pytest.raises(RiskonError, match=r"leak: .* null at 5 days") as caught:
        command.evaluate(Settings(home=tmp_path), ["null"], 1, 0, 4.0, 1.0, None, None, "table", 1)
    assert caught.value.exit_code == 1
    assert "LEAK" in capsys.readouterr().out
