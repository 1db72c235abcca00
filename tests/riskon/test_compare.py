"""``riskon compare`` on a real MLflow store: what it shows, and what it refuses to compare."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from riskon.compare import Asked, compare, leaderboard
from riskon.settings import Settings
from sources.errors import DataUnavailableError, RefusedError, RiskonError, UnknownNameError
from training.artifacts import PREDICTIONS
from training.tracking import check_tracking


class Home(Protocol):
    """What the fixture of the room gives: the command line on a trained home."""

    run: Callable[..., subprocess.CompletedProcess[str]]


# MLflow's own mappers, with the SQLAlchemy that is locked; not ours to mend.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning"
)
DAYS = 400


def forecasts(skill: float, noise: int, *, days: int = DAYS) -> pd.DataFrame:
    """Return forecasts of two assets over a day, that see a share of the true log-odds."""
    generator = np.random.default_rng(0)
    truth = generator.normal(0, 0.8, (2, DAYS))[:, :days]
    outcome = np.random.default_rng(1).random((2, DAYS))[:, :days] < 1 / (1 + np.exp(-truth))
    own = np.random.default_rng(100 + noise).normal(0, 0.1, (2, days))
    p = (1 / (1 + np.exp(-skill * truth - own))).ravel()
    happened = outcome.ravel().astype("float64")
    return pd.DataFrame(
        {
            "date": np.tile(pd.date_range("2021-01-01", periods=days, unit="us"), 2),
            "asset": np.repeat(["BTC", "ETH"], days),
            "horizon": 1,
            "threshold": 0.0,
            "probability": p,
            "lower": p,
            "upper": p,
            "base_rate": 0.5,
            "outcome": happened,
            "momentum": 0.5,
            "forward_return": 0.04 * happened - 0.02,
        }
    )


@dataclass(frozen=True)
class Store:
    """A tracking store with runs, by name."""

    where: Settings
    runs: Mapping[str, str]


def log_run(
    client: MlflowClient,
    experiment: str,
    name: str,
    table: pd.DataFrame | None,
    folder: Path,
    *,
    tags: Mapping[str, str],
    **metrics: float,
) -> str:
    run = client.create_run(experiment, run_name=name, tags=dict(tags)).info.run_id
    client.log_batch(
        run,
        metrics=[Metric(key, value, 0, 0) for key, value in metrics.items()],
        params=[Param("mixture.climatology_prior", tags["prior"]), Param("seed", "7")],
        tags=[RunTag("data_digest", "d" * 64)],
    )
    if table is not None:
        path = folder / PREDICTIONS
        table.to_parquet(path, index=False, write_page_checksum=True)
        client.log_artifact(run, str(path))
    client.set_terminated(run, "FINISHED")
    return str(run)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a store with two runs on the same outcomes, one on fewer, and one without any."""
    folder = tmp_path_factory.mktemp("compare")
    where = Settings(home=folder / "home", tracking_uri=None)
    where.home.mkdir()
    check_tracking(where.tracking)
    client = MlflowClient(tracking_uri=where.tracking)
    experiment = client.create_experiment("riskon", (folder / "artifacts").as_uri())
    fewer = forecasts(0.5, 3, days=300)
    made = {
        "good": (forecasts(1.0, 1), {"prior": "0.5"}, {"gain_mnat": 60.0, "log_loss": 0.63}),
        "weak": (forecasts(0.1, 2), {"prior": "0.8"}, {"gain_mnat": 9.0, "log_loss": 0.68}),
        "fewer": (fewer, {"prior": "0.5"}, {"gain_mnat": 30.0, "log_loss": 0.66}),
        "silent": (None, {"prior": "0.5"}, {"gain_mnat": 1.0, "log_loss": 0.692}),
    }
    runs = {
        name: log_run(client, experiment, name, table, folder, tags=tags, **metrics)
        for name, (table, tags, metrics) in made.items()
    }
    nested = {"mlflow.parentRunId": runs["good"], "asset": "ETH", "horizon_days": "1",
              "threshold": "0", "prior": "0.5"}  # fmt: skip
    runs["cell"] = log_run(client, experiment, "ETH_1d", None, folder, tags=nested, gain_mnat=55.0)
    return Store(where, runs)


def named(store: Store, board: Any) -> list[list[str]]:
    back = {run_id: name for name, run_id in store.runs.items()}
    return [[back[run.run_id] for run in group.runs] for group in board.groups]


def test_runs_on_different_outcomes_are_shown_apart_and_it_is_said(store: Store) -> None:
    board = leaderboard(store.where.tracking, Asked())
    assert named(store, board) == [["good", "weak"], ["fewer"], ["silent"]]
    assert any("2 different sets of outcomes" in note for note in board.notes)
    assert any("No forecasts kept" in note and "silent" in note for note in board.notes)


def test_named_runs_on_different_outcomes_are_refused_with_the_numbers(store: Store) -> None:
    asked = Asked((store.runs["good"], store.runs["fewer"]))
    expected = r"600 outcomes in both, 200 in the first alone, 0 in the second alone.*--common"
    with pytest.raises(RefusedError, match=expected):
        leaderboard(store.where.tracking, asked)


def test_with_common_they_are_compared_on_what_they_share_and_it_is_said(store: Store) -> None:
    asked = Asked(("good", "fewer"), common=True)
    board = leaderboard(store.where.tracking, asked)
    (group,) = board.groups
    assert group.comparison is not None
    assert group.comparison.outcomes == 600
    assert any("compared on the 600 outcomes" in note for note in board.notes)


def test_a_run_is_found_by_id_by_its_beginning_and_by_name(store: Store) -> None:
    for name in (store.runs["weak"], store.runs["weak"][:10], "weak"):
        assert named(store, leaderboard(store.where.tracking, Asked((name,)))) == [["weak"]]
    with pytest.raises(UnknownNameError, match="nobody"):
        leaderboard(store.where.tracking, Asked(("nobody",)))


def test_runs_are_filtered_and_sorted_by_any_metric_tag_or_parameter(store: Store) -> None:
    few = leaderboard(store.where.tracking, Asked(filter="metrics.gain_mnat > 20"))
    assert sorted(named(store, few)) == [["fewer"], ["good"]]
    tagged = leaderboard(store.where.tracking, Asked(filter="tags.prior = '0.8'"))
    assert named(store, tagged) == [["weak"]]
    # A small loss is good, a great gain is; words go by the alphabet.
    for sort, order in (("log_loss", ["good", "weak"]), ("gain_mnat", ["good", "weak"]),
                        ("mixture.climatology_prior", ["good", "weak"])):  # fmt: skip
        board = leaderboard(store.where.tracking, Asked(("weak", "good"), sort=sort))
        assert named(store, board) == [order]
        assert board.columns == (sort,)
    with pytest.raises(UnknownNameError, match="metric, tag or parameter"):
        leaderboard(store.where.tracking, Asked(sort="no_such_metric"))
    with pytest.raises(RiskonError, match="refused"):
        leaderboard(store.where.tracking, Asked(filter="gain >>> 1"))
    with pytest.raises(DataUnavailableError, match="found 0"):
        leaderboard(store.where.tracking, Asked(filter="metrics.gain_mnat > 1000"))


def test_a_nested_run_stands_on_its_own_cell_of_its_parents_forecasts(store: Store) -> None:
    board = leaderboard(store.where.tracking, Asked((store.runs["cell"],)))
    (group,) = board.groups
    assert group.comparison is not None
    assert (group.comparison.cells, group.comparison.outcomes) == (("ETH_1d",), DAYS)


def test_what_differs_is_named_with_each_runs_value_and_what_does_not_is_not(
    store: Store,
) -> None:
    board = leaderboard(store.where.tracking, Asked(("good", "weak")))
    good, weak = store.runs["good"], store.runs["weak"]
    assert dict(board.differences) == {
        "params.mixture.climatology_prior": {good: "0.5", weak: "0.8"},
        "tags.prior": {good: "0.5", weak: "0.8"},
    }


def test_json_on_stdout_holds_standings_pairs_and_differences(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    compare(store.where, Asked(("good", "weak"), trials=10), "json", None)
    content = json.loads(capsys.readouterr().out)
    (group,) = content["groups"]
    first = group["runs"][0]
    assert first["name"] == "good"
    assert first["lower"] < first["gain_mnat"] < first["upper"]
    assert first["p_corrected"] == pytest.approx(min(1, 10 * first["p_value"]))
    (pair,) = group["pairs"]
    assert {pair["first"], pair["second"]} == {store.runs["good"], store.runs["weak"]}
    assert 0 <= group["probability_of_backtest_overfitting"] <= 1
    assert group["superior_p_value"] < 0.05


def test_the_table_names_each_run_and_the_notes_go_to_stderr(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    compare(store.where, Asked(("good", "weak")), "table", None)
    printed = capsys.readouterr()
    assert "good" in printed.out
    assert "What differs" in printed.out
    assert "among best" in printed.out
    assert "model confidence set" in printed.err


class Tags(HTMLParser):
    """What a page refers to, and what is open at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "img"}:
            self.open.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_shows_every_run(store: Store, tmp_path: Path) -> None:
    page = tmp_path / "compare.html"
    compare(store.where, Asked(), "json", page)
    text = page.read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    # Three pictures of the pair's set, two of the single run's; each within the page.
    assert len(tags.sources) == 5
    assert all(source.startswith("data:image/png;base64,") for source in tags.sources)
    assert not re.search(r"https?://", text)
    for name in ("good", "weak", "fewer", "silent"):
        assert f"{store.runs[name][:8]} {name}" in text
    assert "different sets of outcomes" in text


def test_a_name_in_a_run_cannot_put_tags_into_the_page(store: Store, tmp_path: Path) -> None:
    client = MlflowClient(tracking_uri=store.where.tracking)
    client.set_tag(store.runs["weak"], "mlflow.runName", "<script>alert(1)</script>")
    try:
        page = tmp_path / "compare.html"
        compare(store.where, Asked((store.runs["good"], store.runs["weak"])), "json", page)
        assert "<script" not in page.read_text()
    finally:
        client.set_tag(store.runs["weak"], "mlflow.runName", "weak")


def test_a_trained_job_is_compared_by_the_forecasts_that_its_figures_came_from(home: Home) -> None:
    done = home.run(
        "compare", "--nested", "--filter", "tags.horizon_days = '5'", "--column", "log_loss",
        "--column", "momentum_gain_mnat", "--format", "json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    groups = json.loads(done.stdout)["groups"]
    rows = [row for group in groups for row in group["runs"]]
    assert {row["name"].removesuffix("_5d") for row in rows} >= {"BTC", "ETH"}
    for row in rows:
        assert row["log_loss"] == pytest.approx(row["tracked.log_loss"], abs=1e-9)
        assert row["momentum_gain_mnat"] == pytest.approx(row["tracked.momentum_gain_mnat"])


def test_an_unknown_run_is_wrong_usage_in_one_line(home: Home) -> None:
    done = home.run("compare", "nobody")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 1
