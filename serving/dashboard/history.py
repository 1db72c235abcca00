"""What was said of one asset and horizon, day by day, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from markupsafe import Markup

from serving.dashboard import words
from serving.dashboard.charts import nice_axis
from serving.dashboard.lines import Band, Line, day_ticks, panel
from serving.dashboard.today import tick_labels
from serving.outcomes import SettledScore


@dataclass(frozen=True)
class Cell:
    """An asset and a horizon that the record holds."""

    asset: str
    horizon_days: int


@dataclass(frozen=True)
class Said:
    """A forecast and what came of it."""

    forecast_id: str
    as_of: str
    probability: str
    interval: str
    base_rate: str
    outcome: str
    kind: str


def _days(history: Sequence[SettledScore]) -> np.ndarray:
    first, last = history[0].score.as_of, history[-1].score.as_of
    return np.arange(np.datetime64(first), np.datetime64(last) + 1)


def _by_day(history: Sequence[SettledScore]) -> dict[str, np.ndarray]:
    """Return what was said on every day from the first to the last; NaN where nothing was."""
    days = _days(history)
    found = {n: np.full(len(days), np.nan) for n in ("probability", "lower", "upper", "base_rate")}
    found["outcome"] = np.full(len(days), np.nan)
    for one in history:
        at = (one.score.as_of - history[0].score.as_of).days
        for name in ("probability", "lower", "upper", "base_rate"):
            value = getattr(one.score, name)
            found[name][at] = np.nan if value is None else value
        if one.outcome is not None:
            found["outcome"][at] = one.outcome.outcome
    return found


def history_chart(history: Sequence[SettledScore], chosen: Cell | None) -> Markup | None:
    """Return the picture of what was said of a cell; None of less than two days."""
    if len(history) < 2 or chosen is None:
        return None
    series = _by_day(history)
    seen = np.concatenate([series["lower"], series["upper"], series["base_rate"]])
    seen = seen[np.isfinite(seen)]
    if not len(seen):
        return None
    axis = nice_axis([float(seen.min()), float(seen.max())], 4, pad=0.14)
    asked = f"{chosen.asset}, {words.days(chosen.horizon_days)}"
    return panel(
        f"{asked}: past probabilities with interval and base rate; dots at the top are days after "
        "which it rose, at the foot those after which it did not",
        [Line(series["base_rate"], "base"), Line(series["probability"], "said")],
        height=220,
        axis=axis,
        labels=tick_labels(axis),
        band=Band(series["lower"], series["upper"]),
        high_marks=(series["outcome"] == 1, series["outcome"] == 0),
        uprights=[at for at, _ in day_ticks(_days(history))],
    )


def history_ticks(history: Sequence[SettledScore]) -> tuple[tuple[str, str], ...]:
    """Return where the picture's days are labelled, and how."""
    if len(history) < 2:
        return ()
    return tuple((f"{at:.2f}%", said) for at, said in day_ticks(_days(history)))


def said_row(one: SettledScore) -> Said:
    """Return a forecast and its outcome in words."""
    score = one.score
    outcome = "open" if one.outcome is None else ("rose" if one.outcome.outcome else "did not")
    return Said(
        forecast_id=score.forecast_id,
        as_of=words.short_day(score.as_of),
        probability=words.percent(score.probability),
        interval=words.interval(score.lower, score.upper),
        base_rate=words.percent(score.base_rate),
        outcome=outcome,
        kind="live" if one.live else "replayed",
    )


def history_series(history: Sequence[SettledScore]) -> dict[str, object]:
    """Return what a script needs to say the values under the pointer."""
    if len(history) < 2:
        return {}
    days, series = _days(history), _by_day(history)
    said: dict[str, object] = {
        "day": [str(day) for day in days],
        "at": [round(100 * (k + 0.5) / len(days), 3) for k in range(len(days))],
    }
    for name, values in series.items():
        said[name] = [None if v != v else float(f"{v:.5g}") for v in values]  # noqa: PLR0124 - NaN
    return said


def one_a_day(history: Sequence[SettledScore]) -> list[SettledScore]:
    """Return the first answer of each day, by day: what one could have acted on."""
    first: dict[date, SettledScore] = {}
    for one in history:
        first.setdefault(one.score.as_of, one)
    return [first[day] for day in sorted(first)]
