"""What the dashboard's pages say of scores and records, without a server."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from serving import Score
from serving.dashboard.anatomy import anatomy_view, log_odds, top_parts
from serving.dashboard.lines import Line, panel, thinned
from serving.dashboard.pages import rendered
from serving.dashboard.today import input_rows, limit_days, probability_axis, today_view
from serving.score import InputAge, ScoreDriver, ScoreExpert

NOW = datetime(2024, 6, 21, 1, tzinfo=UTC)
MakeScore = Callable[..., Score]


def explained(make_score: MakeScore) -> Score:
    """Say 60 % against 50 %, moved by 0.5 and -0.3 and what is left of log(0.6 / 0.4)."""
    left = math.log(1.5) - 0.2
    return make_score().model_copy(
        update={
            "probability": 0.6,
            "base_rate": 0.5,
            "drivers": (
                ScoreDriver(feature="flow_20s", value=0.012, contribution=0.5),
                ScoreDriver(feature="(drift)", value=None, contribution=-0.3),
                ScoreDriver(feature="(mixture)", value=None, contribution=left),
            ),
            "experts": (
                ScoreExpert(name="signals", weight=0.9, probability=0.62, contribution=0.3),
                ScoreExpert(name="climatology", weight=0.1, probability=0.5, contribution=0.0),
            ),
        }
    )


def test_the_steps_lead_from_the_base_rate_to_the_probability(make_score: MakeScore) -> None:
    view = anatomy_view(explained(make_score))
    # log(0.6 / 0.4) - log(0.5 / 0.5) = 0.405
    assert view.total == "+0.405"
    assert [step.kind for step in view.steps] == ["start", "part", "part", "part", "end"]
    assert [step.contribution for step in view.steps] == [
        "0.000", "+0.500", "\N{MINUS SIGN}0.300", "+0.205", "+0.405",
    ]  # fmt: skip
    assert view.steps[1].name == "Flow, 20 sessions"
    # Experts give 0.3; what they do not explain, 0.105, is calibration's.
    assert [step.name for step in view.experts[1:-1]] == ["Signals", "Climatology", "Calibration"]
    assert view.experts[-2].contribution == "+0.105"


def test_small_parts_are_told_together_and_the_sum_stays() -> None:
    parts = [("a", 1.0, 0.4), ("b", 2.0, -0.2), *((f"c{k}", 0.0, 1e-5) for k in range(50))]
    told = top_parts(parts)
    assert [name for name, *_ in told] == ["a", "b", "50 other inputs"]
    assert math.fsum(c for *_, c in told) == pytest.approx(0.2005, abs=1e-12)


def test_an_abstention_shows_its_reason_and_its_base_rate_and_no_number(
    make_score: MakeScore,
) -> None:
    score = make_score(probability=None)
    row = today_view([score], NOW).assets[0].rows[0]
    assert (row.speaks, row.probability, row.base_rate) == (False, "\N{EM DASH}", "54.3\xa0%")
    assert row.reason == "stale: prices/IWM is 9.2 days old, limit 7"
    assert anatomy_view(score).steps == ()


def test_a_hostile_reason_is_text_and_nothing_more(make_score: MakeScore) -> None:
    hostile = "<img src=x onerror=alert(1)>\"'</title></script>"
    score = make_score(probability=None).model_copy(update={"reason": hostile, "asset": "<B>"})
    said = rendered("score.html", view=anatomy_view(score), path="/scores/x", guarded=False)
    assert "<img" not in said
    assert "<B>" not in said
    assert "&lt;img src=x onerror=alert(1)&gt;" in said


def test_a_day_behind_is_said_from_the_second_day_on(make_score: MakeScore) -> None:
    # As of 20 June, seen on the 21st: that is the newest day there can be.
    assert today_view([make_score()], NOW).days_ago == 0
    assert today_view([make_score()], datetime(2024, 6, 24, tzinfo=UTC)).days_ago == 3


def test_an_input_beyond_its_limit_comes_first_and_is_called_stale() -> None:
    read = [
        InputAge(name="macro/VIXCLS", available_at=NOW, age_days=5.0),
        InputAge(name="prices/BTC", available_at=NOW, age_days=1.5),
        InputAge(name="prices/IWM", available_at=NOW, age_days=0.125),
    ]
    rows = input_rows(read)
    # Limits are 14 days for macro, 1 for crypto, 7 for other prices: 0.36, 1.5 and 0.02 used.
    assert [(row.name, row.stale) for row in rows] == [
        ("prices/BTC", True), ("macro/VIXCLS", False), ("prices/IWM", False),
    ]  # fmt: skip
    assert limit_days("macro/VIXCLS") == 14


def test_the_axis_holds_all_scores_and_stays_between_0_and_1(make_score: MakeScore) -> None:
    low = make_score().model_copy(update={"lower": 0.001, "upper": 0.999})
    axis = probability_axis([low])
    assert (axis.low, axis.high) == (0.0, 1.0)
    assert axis.share(0.25) == 25.0
    narrow = probability_axis(
        [
            make_score().model_copy(
                update={"probability": 0.5, "lower": 0.5, "upper": 0.5, "base_rate": 0.5}
            )
        ]
    )
    assert narrow.high - narrow.low > 0.04


def test_a_gap_breaks_a_line_and_nothing_is_drawn_through_it() -> None:
    values = np.array([1.0, 2.0, np.nan, 2.0, 1.0])
    said = str(panel("gap", [Line(values, "said")]))
    path = said.partition('class="said" d="')[2].partition('"')[0]
    assert path.count("M") == 2
    assert "nan" not in said


def test_of_many_days_the_last_is_always_drawn() -> None:
    for count in (10, 719, 720, 721, 4000):
        kept = thinned(count)
        assert len(kept) <= 720
        assert kept[-1] == count - 1


def test_log_odds_of_certainty_are_finite() -> None:
    assert math.isfinite(log_odds(1.0))
    assert math.isfinite(log_odds(0.0))
