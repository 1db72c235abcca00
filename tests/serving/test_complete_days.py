"""Days count in order, once all that was issued on them is settled, whatever horizons there are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd

from serving.monitoring_watch import _of_skill
from serving.verification import Skill, Verification, complete_days, skill_of

FIRST = date(2024, 1, 1)


def issued(
    asked: Iterable[tuple[int, int]], looked: int, missing: dict[tuple[int, int], int] | None = None
) -> pd.DataFrame:
    """Return the questions (day, horizon) of those asked, as known on a day, settled when due.

    Parameters
    ----------
    missing : question -> day on which its close comes, after it is due.
    """
    rows = [
        (day, horizon, (missing or {}).get((day, horizon), day + horizon))
        for day, horizon in asked
        if day <= looked
    ]
    midnight = datetime(2024, 1, 2, tzinfo=UTC)
    return pd.DataFrame(
        {
            "position": range(len(rows)),
            "as_of": [FIRST + timedelta(days=day) for day, _, _ in rows],
            "asset": "BTC",
            "horizon_days": [horizon for _, horizon, _ in rows],
            "threshold": 0.0,
            "probability": 0.6,
            "base_rate": 0.5,
            "outcome": [float(day % 2) if known <= looked else np.nan for day, _, known in rows],
            "live": True,
            "settled_at": pd.to_datetime(
                [midnight + timedelta(days=k) if k <= looked else pd.NaT for _, _, k in rows],
                utc=True,
            ),
        }
    )


def counted(asked: list[tuple[int, int]], looked: int, **known: dict[tuple[int, int], int]) -> int:
    return len(complete_days(issued(asked, looked, **known)))


def test_skill_goes_on_where_the_longest_horizon_is_no_longer_asked() -> None:
    # 20 days ahead on the first ten days, 5 days ahead on all of the 400.
    asked = [(day, 5) for day in range(400)] + [(day, 20) for day in range(10)]
    skill = skill_of(issued(asked, 399), {})
    assert skill is not None
    # 5 days ahead of day 394 is day 399: 395 days, and the ten of the longer horizon.
    assert (skill.n, skill.last) == (405, FIRST + timedelta(days=394))
    # 395 days over the 20 of the longest ever issued, also after it has gone.
    assert skill.effective_n == 395 / 20


def test_the_first_long_outcome_takes_nothing_away_and_a_day_once_counted_stays() -> None:
    asked = [(day, horizon) for day in range(60) for horizon in (5, 20)]
    # Until day 20 no day is complete; from then on one more each day, with both its questions.
    assert skill_of(issued(asked, 19), {}) is None
    found = [counted(asked, looked) for looked in range(18, 25)]
    assert found == [0, 0, 2, 4, 6, 8, 10]
    before: set[tuple[object, object]] = set()
    for looked in range(60):
        rows = complete_days(issued(asked, looked, {(7, 5): 30, (9, 20): 50}))
        now = set(zip(rows["as_of"], rows["horizon_days"], strict=True))
        assert before <= now
        # A beginning: what is new comes after all that counted.
        if before and now - before:
            assert min(a for a, _ in now - before) > max(a for a, _ in before)  # type: ignore[type-var]
        before = now


def test_a_missing_close_is_waited_for_a_week_and_then_passed_over_for_good() -> None:
    asked = [(day, 1) for day in range(30)]
    # Of day 3 the close of day 4 is missing: days 0 to 2 count until outcomes due on day 11 are
    # there; on day 12, which is the first after them, all of days 0 to 11 but day 3.
    for comes in (25, 99):
        late = {"missing": {(3, 1): comes}}
        found = [counted(asked, looked, **late) for looked in (4, 10, 12, 29)]
        assert found == [3, 3, 11, 28]
    # What comes within the week counts, and days go on.
    assert [counted(asked, looked, missing={(3, 1): 9}) for looked in (8, 9, 29)] == [3, 9, 29]


def test_the_limit_of_evidence_grows_with_the_pairs_of_horizon_and_threshold() -> None:
    skill = skill_of(issued([(day, 1) for day in range(40)], 39), {"horizon_days": 1})
    assert isinstance(skill, Skill)
    suspect = skill.model_copy(update={"calibration_evidence": 50.0})
    found = Verification(
        made_at=datetime(2024, 3, 1, tzinfo=UTC), level=0.95, n_forecasts=40, n_settled=39,
        n_live=39, cells=(), pooled=(suspect,), replayed=(),
    )  # fmt: skip
    # 20 x 2 is below 50, and 20 x 4 is not.
    assert [len(_of_skill(found, questions)) for questions in (2, 4)] == [1, 0]
