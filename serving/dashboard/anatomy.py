"""The page of one score: what it is made of, in steps that add up from the base rate to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from serving.dashboard import words
from serving.dashboard.charts import Axis, bar, nice_axis, scale
from serving.dashboard.today import (
    InputRow,
    chart_title,
    input_rows,
    probability_axis,
    score_chart,
    tick_labels,
)
from serving.score import Score

MOST_STEPS = 10
"""Inputs that are shown alone; the others are one step, so that all add up."""


@dataclass(frozen=True)
class Step:
    """A part of the log-odds.

    Attributes
    ----------
    kind : ``start``, ``part`` or ``end``.
    value : of the input as the model saw it, in words.
    contribution : to the log-odds, in words.
    """

    kind: str
    name: str
    meaning: str
    value: str
    contribution: str
    chart: Markup


@dataclass(frozen=True)
class Anatomy:
    """What the page of one score shows."""

    score: Score
    question: str
    title: str
    probability: str
    interval: str
    base_rate: str
    difference: str
    chart: Markup
    axis: Markup
    steps: tuple[Step, ...]
    step_axis: Markup
    experts: tuple[Step, ...]
    weights: tuple[tuple[str, str, str], ...]
    total: str
    inputs: tuple[InputRow, ...]
    issued: str


def anatomy_view(score: Score) -> Anatomy:
    """Return the view of one score."""
    axis = probability_axis([score], most_ticks=6)
    gap, total = None, None
    steps: tuple[Step, ...] = ()
    experts: tuple[Step, ...] = ()
    ruler = Markup()
    if score.probability is not None and score.base_rate is not None:
        gap = score.probability - score.base_rate
        total = log_odds(score.probability) - log_odds(score.base_rate)
        parts = top_parts([(d.feature, d.value, d.contribution) for d in score.drivers])
        of_experts = [(e.name, None, e.contribution) for e in score.experts]
        rest = total - math.fsum(e.contribution for e in score.experts)
        if of_experts and abs(rest) > 5e-4:
            of_experts.append(("(calibration)", None, rest))
        scaled = step_axis([[c for *_, c in parts], [c for *_, c in of_experts]])
        ruler = scale(scaled, [words.signed(t, 2) for t in scaled.ticks])
        steps = _steps(parts, total, score, scaled, words.feature_label)
        experts = _steps(of_experts, total, score, scaled, _expert_or_part)
    return Anatomy(
        score=score,
        question=words.question(score.horizon_days, score.threshold),
        title=chart_title(score),
        probability=words.percent(score.probability),
        interval=words.interval(score.lower, score.upper),
        base_rate=words.percent(score.base_rate),
        difference=words.points(gap),
        chart=score_chart(score, axis, 56),
        axis=scale(axis, tick_labels(axis)),
        steps=steps,
        step_axis=ruler,
        experts=experts,
        weights=tuple(
            (words.expert_label(e.name), words.percent(e.weight), words.percent(e.probability))
            for e in score.experts
        ),
        total=words.signed(total),
        inputs=input_rows(score.data.inputs),
        issued=words.instant(score.issued_at),
    )


def log_odds(p: float) -> float:
    """Return ``log(p / (1 - p))``, of a probability inside (0, 1)."""
    p = min(max(p, 1e-15), 1 - 1e-15)
    return math.log(p) - math.log1p(-p)


Part = tuple[str, float | None, float]
"""Name, value and contribution."""


def top_parts(parts: Sequence[Part], most: int = MOST_STEPS) -> list[Part]:
    """Return the largest parts, and all others as one, so that the sum stays.

    >>> top_parts([("a", 1.0, 0.1), ("b", None, -0.5), ("c", 2.0, 0.2)], most=1)
    [('b', None, -0.5), ('2 other inputs', None, 0.30000000000000004)]
    """
    ordered = sorted(parts, key=lambda part: -abs(part[2]))
    kept, others = ordered[:most], ordered[most:]
    if len(others) == 1:
        return ordered
    if others:
        kept.append((f"{len(others)} other inputs", None, math.fsum(c for *_, c in others)))
    return kept


def step_axis(sums: Iterable[Sequence[float]]) -> Axis:
    """Return an axis that holds every stop of some sums, and nought."""
    stops = [0.0]
    for parts in sums:
        so_far = 0.0
        for part in parts:
            so_far += part
            stops.append(so_far)
    return nice_axis(stops, most_ticks=5, pad=0.06)


def _expert_or_part(name: str) -> str:
    return words.PARTS[name][0] if name in words.PARTS else words.expert_label(name)


def _steps(
    parts: Sequence[Part],
    total: float,
    score: Score,
    axis: Axis,
    label: Callable[[str], str],
) -> tuple[Step, ...]:
    base, said = words.percent(score.base_rate), words.percent(score.probability)
    made = [
        Step("start", "Base rate", "", base, "0.000",
             bar(axis, 0, 0, f"base rate {base}", total=True))
    ]  # fmt: skip
    so_far = 0.0
    for name, value, contribution in parts:
        shown = label(name)
        picture = bar(
            axis, so_far, so_far + contribution, f"{shown} {words.signed(contribution)}"
        )
        so_far += contribution
        made.append(
            Step("part", shown, words.feature_meaning(name),
                 "" if value is None else words.number(value), words.signed(contribution), picture)
        )  # fmt: skip
    made.append(
        Step("end", "Probability", "", said, words.signed(total),
             bar(axis, total, total, f"probability {said}", total=True))
    )  # fmt: skip
    return tuple(made)
