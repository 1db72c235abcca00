"""The watch: what it alarms at, what it leaves alone, and how it is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine, text

from features import Dataset, build_dataset
from models import ModelBundle
from riskon.settings import Settings
from riskon.verifying import status as status_command
from riskon.verifying import verify as verify_command
from serving import Champion, ChampionHistory, Ledger, Score, Scorer
from serving.monitoring import status
from serving.monitoring_drift import drift_of, drifted
from serving.monitoring_report import keep_report, last_report
from serving.monitoring_twins import TWINS, twin_of, twins_of
from serving.monitoring_watch import watch
from serving.settlement import settle
from serving.verification import skill_of, verify_live
from sources import IntegrityError, Market
from sources.errors import ModelNotFoundError

Make = Callable[..., Score]

DAY = date(2024, 5, 15)


@pytest.fixture(scope="module")
def dataset(market: Market, bundle: ModelBundle) -> Dataset:
    return build_dataset(market, bundle.pool, bundle.config.features)


def test_inputs_like_those_of_training_are_no_drift_and_shifted_ones_are(dataset: Dataset) -> None:
    trained, last = np.datetime64("2024-03-01"), np.datetime64("2024-06-20")
    calm = drift_of(dataset, trained, last)
    names, most = drifted(calm)
    assert len(names) <= most
    # What a changed unit does: every value of the last ninety days is ten times as large, and
    # five deviations up.
    values = dataset.values.copy()
    recent = values[-90:]
    values[-90:] = 10 * recent + 5 * np.nanstd(values, axis=(0, 1))
    shifted = drift_of(replace(dataset, values=values), trained, last)
    names, most = drifted(shifted)
    assert len(names) > most
    worst = shifted[0]
    assert worst.psi > worst.limit_psi
    assert worst.ks > worst.limit_ks
    # A feature of the market is looked at once, one of an asset for each.
    assert {one.asset for one in calm} == {"all", "BTC", "ETH"}


def test_the_distances_are_the_formulas_by_hand() -> None:
    from serving.monitoring_drift import _distances

    # Shares with half a value added to each of two bins: (3.5/9, 5.5/9) against (5.5/9, 3.5/9).
    psi, ks = _distances(np.array([[3.0, 5.0]]), np.array([5.0, 3.0]))
    assert psi[0] == pytest.approx(2 * (2 / 9) * np.log(5.5 / 3.5))
    assert ks[0] == pytest.approx(2 / 9)


def skilful(days: int) -> pd.DataFrame:
    """Return settled forecasts that know much: seven in ten against one in two."""
    random = np.random.default_rng(3)
    probability = np.where(random.random(days) < 0.5, 0.7, 0.3)
    return pd.DataFrame(
        {
            "position": np.arange(days),
            "as_of": [date(2023, 1, 1) + timedelta(days=i) for i in range(days)],
            "asset": "BTC",
            "horizon_days": 1,
            "threshold": 0.0,
            "probability": probability,
            "base_rate": 0.5,
            "outcome": (random.random(days) < probability).astype(int),
            "live": True,
            "settled_at": [
                datetime(2023, 1, 3, tzinfo=UTC) + timedelta(days=i) for i in range(days)
            ],
        }
    )


def test_twins_of_a_skilful_champion_have_no_skill_and_stay_as_they_were_drawn() -> None:
    settled = skilful(1500)
    skill = skill_of(settled, {})
    assert skill is not None
    assert skill.gain_lower is not None
    assert skill.gain_lower > 0
    twins = twins_of(settled)
    assert [twin.twin for twin in twins] == list(TWINS)
    for twin in twins:
        assert twin.gain_lower is not None
        assert twin.gain_lower < 0
        assert twin.skill_evidence < 20
    # What is drawn for a question does not hang on the questions that come after it.
    for name in TWINS:
        early = twin_of(settled.head(100), name)["probability"]
        assert early.tolist() == twin_of(settled, name)["probability"].head(100).tolist()
    # The permuted twin is as bold as the champion, the other way about half of the time.
    same = twin_of(settled, "permuted")["probability"].to_numpy() - settled["probability"]
    assert 0.4 < np.isclose(same, 0).mean() < 0.6


@pytest.fixture
def watched(
    bundle: ModelBundle, champion: Champion, ledger: Ledger, market: Market
) -> tuple[Scorer, Market]:
    """Return a scorer that has scored three days in time, of which two are settled."""
    for number in range(3):
        day = DAY - timedelta(days=2 - number)
        now = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
        scorer = Scorer(bundle, champion, ledger, clock=lambda now=now: now)  # type: ignore[misc]
        scorer.score(market, day)
    settle(ledger, market, datetime(2024, 5, 16, 1, tzinfo=UTC))
    return scorer, market


def test_a_quiet_day_has_no_alarm_and_its_report_is_kept_once(
    watched: tuple[Scorer, Market],
) -> None:
    scorer, market = watched
    report = watch(scorer, market, DAY)
    assert report.alarms == ()
    assert (report.coverage.days, report.coverage.asked) == (3, 12)
    assert (report.coverage.answered, report.coverage.live) == (12, 12)
    assert {one.name for one in report.inputs} >= {"prices/BTC", "flows/IWM"}
    assert keep_report(scorer.ledger.engine, report)
    assert not keep_report(scorer.ledger.engine, report)
    assert last_report(scorer.ledger.engine) == report
    # Trained through April 1: 44 days before.
    (old,) = watch(scorer, market, DAY, limit_age_days=43).alarms
    assert (old.name, old.retrain) == ("age", True)
    assert "within 43 days; found it trained through 2024-04-01, 44 days before" in old.message


def test_days_without_scores_are_a_lack_of_coverage(watched: tuple[Scorer, Market]) -> None:
    scorer, market = watched
    (alarm,) = watch(scorer, market, DAY + timedelta(days=1)).alarms
    # Twelve answers to the sixteen questions of four days.
    assert alarm.message == "last 4 days: needed 90% of 16 questions answered; found 12"


def test_a_lost_calibration_is_an_alarm_that_asks_for_a_new_model(
    bundle: ModelBundle, champion: Champion, ledger: Ledger, market: Market, make_score: Make
) -> None:
    from serving.monitoring_watch import _of_skill

    # Nine in ten, said of days of which half rise: about twenty times in a row is enough.
    days = [date(2024, 1, 1) + timedelta(days=i) for i in range(60)]
    said = []
    for day in days:
        issued = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
        score = make_score("ETH", 1, day.isoformat(), version=9, probability=0.9)
        said.append(score.model_copy(update={"issued_at": issued, "base_rate": 0.5}))
    ledger.record(said)
    settle(ledger, market, datetime(2024, 5, 16, 1, tzinfo=UTC))
    alarms = _of_skill(verify_live(ledger), 2)
    assert [(alarm.name, alarm.retrain) for alarm in alarms][:1] == [("calibration", True)]
    assert "1 days: needed evidence against calibration of at most 40; found" in alarms[0].message
    # Version 9 said so: where it speaks, it is to be replaced; where its successor does, not.
    speaking = Scorer(bundle, replace(champion, version=9), ledger)
    succeeding = Scorer(bundle, replace(champion, version=10), ledger)
    said_of = [
        {alarm.name for alarm in watch(s, market, DAY).alarms} for s in (speaking, succeeding)
    ]
    assert ["calibration" in names for names in said_of] == [True, False]


def test_a_status_says_who_speaks_how_far_behind_and_what_broke(
    watched: tuple[Scorer, Market], sqlite_engine: Engine
) -> None:
    scorer, market = watched
    history = ChampionHistory(sqlite_engine, "riskon")
    keep_report(sqlite_engine, watch(scorer, market, DAY))
    good = status(scorer.ledger, history, now=datetime(2024, 5, 16, 1, tzinfo=UTC))
    assert good.champion is None
    assert (good.latest_scored, good.days_behind, good.alarms) == (DAY, 0, ())
    assert (good.chain.forecasts, good.chain.outcomes, good.chain.broken) == (12, 4, None)
    late = status(scorer.ledger, history, now=datetime(2024, 5, 18, 1, tzinfo=UTC))
    assert [alarm.name for alarm in late.alarms] == ["freshness"]
    with sqlite_engine.begin() as connection:
        connection.execute(text("DROP TRIGGER outcomes_no_delete"))
        connection.execute(text("DELETE FROM outcomes WHERE position = 1"))
    bad = status(scorer.ledger, history, now=datetime(2024, 5, 16, 1, tzinfo=UTC))
    assert [alarm.name for alarm in bad.alarms] == ["chain"]
    assert bad.chain.broken == "outcomes, row 1: needed position 1; found 2"


def test_E07_verify_prints_live_skill_and_ends_with_five_at_the_first_bad_row(
    watched: tuple[Scorer, Market], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scorer, _ = watched
    where = Settings(home=tmp_path)  # Its ledger is the one of the fixture, tmp_path/riskon.db.
    verify_command(where, None, None, "table")
    told = capsys.readouterr()
    assert "Both chains hold: 12 forecast(s), 4 row(s) of outcomes." in told.err
    assert "Live skill against the base rate" in told.out
    verify_command(where, None, 1, "json")
    found = json.loads(capsys.readouterr().out)
    assert [(cell["asset"], cell["n"]) for cell in found["cells"]] == [("BTC", 2), ("ETH", 2)]
    with pytest.raises(ModelNotFoundError, match=r"version '99': versions that forecast are 1$"):
        verify_command(where, None, 99, "json")
    status_command(where, "json")
    assert json.loads(capsys.readouterr().out)["days_behind"] > 0
    with scorer.ledger.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER forecasts_no_update"))
        connection.execute(text("UPDATE forecasts SET probability = 0.9 WHERE position = 7"))
    with pytest.raises(IntegrityError, match="ledger, row 7: needed row hash") as broken:
        verify_command(where, None, None, "table")
    assert broken.value.exit_code == 5
