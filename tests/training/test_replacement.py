"""Who may take the champion's place, on forecasts made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from training.replacement import judge_replacement

CHAMPION = {"config_digest": "a" * 64, "trained_through": "2025-03-31"}
OTHER = {"config_digest": "b" * 64, "trained_through": "2025-03-31"}
DAYS = 400


def forecasts(probability: float, *, horizon: int = 1, differ: int = 0, days: int = DAYS) -> bytes:
    """Say one probability of an event that happens three days in four."""
    outcome = (np.arange(days) % 4 < 3).astype("int64")
    outcome[:differ] = 1 - outcome[:differ]
    table = pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=days).strftime("%Y-%m-%d"),
            "asset": "BTC",
            "horizon": horizon,
            "threshold": 0.0,
            "probability": probability,
            "outcome": outcome.astype(str),
        }
    )
    # The last day's outcome is not known yet.
    table.loc[days - 1, "outcome"] = ""
    return table.to_csv(index=False).encode()


def passes(checks: tuple[tuple[bool, str], ...]) -> bool:
    return all(passed for passed, _ in checks)


def test_a_version_better_on_the_same_outcomes_may_replace_the_champion_and_not_the_reverse() -> (
    None
):
    # Of 399 known days 300: (300 ln 1.5 + 99 ln 0.5) / 399 is 132.88 mnat a day.
    good, bad = forecasts(0.75), forecasts(0.5)
    won = judge_replacement(OTHER, good, CHAMPION, bad)
    assert passes(won)
    assert "(mean 132.88)" in won[-1][1]
    assert not passes(judge_replacement(OTHER, bad, CHAMPION, good))


def test_an_equal_version_of_another_configuration_is_not_better_c08() -> None:
    checks = judge_replacement(OTHER, forecasts(0.75), CHAMPION, forecasts(0.75))
    assert checks[-1] == (
        False,
        "replaces: needed a refresh, or a lower bound above 0 mnat for the gain over the champion, "
        "one-sided at 1% shared by 1 trial(s); found 0.00 (mean 0.00)",
    )


def test_the_same_configuration_on_newer_data_is_a_refresh_and_on_older_data_is_not_c08() -> None:
    newer = {**CHAMPION, "trained_through": "2025-06-30"}
    older = {**CHAMPION, "trained_through": "2024-12-31"}
    same = forecasts(0.75)
    assert passes(judge_replacement(newer, same, CHAMPION, same))
    assert not passes(judge_replacement(older, same, CHAMPION, same))
    assert not passes(judge_replacement(CHAMPION, same, CHAMPION, same))


def test_a_version_that_leaves_a_question_unanswered_is_no_replacement() -> None:
    newer = {**CHAMPION, "trained_through": "2025-06-30"}
    fewer = forecasts(0.75)
    both = fewer + forecasts(0.75, horizon=5).split(b"\n", 1)[1]
    checks = judge_replacement(newer, fewer, CHAMPION, both)
    assert checks[0] == (
        False,
        "replaces: needed an answer to each of the champion's 2 question(s); "
        "found BTC 5d above 0 missing",
    )


def test_forecasts_of_other_outcomes_are_not_compared() -> None:
    # 399 outcomes are known; 1 % of them are 3, so 4 that differ are too many.
    def check(differ: int) -> bool:
        checks = judge_replacement(OTHER, forecasts(0.75), CHAMPION, forecasts(0.5, differ=differ))
        return checks[1][0]

    assert check(3)
    assert not check(4)


def test_the_more_was_tried_the_more_is_needed() -> None:
    # 0.56 instead of 0.5 gains 0.75 ln 1.12 + 0.25 ln 0.88 = 53 mnat a day, but with blocks of
    # four days alike there is little doubt: a billion trials share it, a sure thing passes.
    few = judge_replacement(OTHER, forecasts(0.56), CHAMPION, forecasts(0.5), trials=1)
    many = judge_replacement(OTHER, forecasts(0.56), CHAMPION, forecasts(0.5), trials=10**9)
    bound = [float(checks[-1][1].split("found ")[1].split()[0]) for checks in (few, many)]
    assert bound[1] < bound[0]
    assert "shared by 1000000000 trial(s)" in many[-1][1]


def test_too_few_shared_outcomes_decide_nothing() -> None:
    # 399 days hold 19.95 outcomes of 20 days.
    good, bad = forecasts(0.75, horizon=20), forecasts(0.5, horizon=20)
    checks = judge_replacement(OTHER, good, CHAMPION, bad)
    assert not passes(checks)
    assert "found 19.9" in checks[-1][1] or "found 20.0" in checks[-1][1]


def test_a_version_without_its_forecasts_is_not_compared() -> None:
    (check,) = judge_replacement(OTHER, None, CHAMPION, forecasts(0.5))
    assert check[0] is False
    assert "the version has none" in check[1]
