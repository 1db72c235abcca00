"""The page of one score: what it is made of, in steps that add up from the base rate to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

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

LEAST_SHARE = 0.003
"""Of all that moved a score, in either direction; what moved it less is among the others."""


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
    total: str
    inputs: tuple[InputRow, ...]
    issued: str


def anatomy_view(score: Score) -> Anatomy:
    """Return the view of one score."""
    axis = probability_axis([score], most_ticks=8)
    gap, total = None, None
    steps: tuple[Step, ...] = ()
    experts: tuple[Step, ...] = ()
    ruler = Markup()
    if score.probability is not None and score.base_rate is not None:
        gap = score.probability - score.base_rate
        total = log_odds(score.probability) - log_odds(score.base_rate)
        parts = top_parts([(d.feature, d.value, d.contribution) for d in score.drivers])
        of_experts: list[Part] = [(e.name, None, e.contribution) for e in score.experts]
        rest = total - math.fsum(e.contribution for e in score.experts)
        if of_experts and abs(rest) > 5e-4:
            of_experts.append(("(calibration)", None, rest))
        scaled = step_axis([[c for *_, c in parts], [c for *_, c in of_experts]])
        digits = digits_of(scaled)
        ruler = scale(scaled, [words.signed(t, digits) for t in scaled.ticks])
        steps = _steps(parts, total, score, scaled, _of_input, digits + 1)
        experts = _steps(of_experts, total, score, scaled, _of_expert(score), digits + 1)
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
    least = LEAST_SHARE * math.fsum(abs(c) for *_, c in parts)
    most = min(most, sum(abs(c) >= least for *_, c in parts))
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


def digits_of(axis: Axis) -> int:
    """Return the decimals that tell the ticks of an axis apart, two at least.

    >>> digits_of(Axis(0.0, 0.005, (0.0, 0.002, 0.004)))
    3
    """
    apart = [high - low for low, high in pairwise(axis.ticks)]
    return max(2, -math.floor(math.log10(min(apart)) + 1e-9)) if apart else 2


Said = tuple[str, str, str]
"""Name, meaning and value of a step, in words."""


def _of_input(name: str, value: float | None) -> Said:
    said = "" if value is None else words.number(value)
    return words.feature_label(name), words.feature_meaning(name), said


def _of_expert(score: Score) -> Callable[[str, float | None], Said]:
    by_name = {expert.name: expert for expert in score.experts}

    def said(name: str, _: float | None) -> Said:
        if name not in by_name:
            return words.feature_label(name), words.feature_meaning(name), ""
        expert = by_name[name]
        weight = f"weight {words.percent(expert.weight)}"
        return words.expert_label(name), weight, words.percent(expert.probability)

    return said


def _steps(
    parts: Sequence[Part],
    total: float,
    score: Score,
    axis: Axis,
    describe: Callable[[str, float | None], Said],
    digits: int,
) -> tuple[Step, ...]:
    base, said = words.percent(score.base_rate), words.percent(score.probability)
    made = [
        Step("start", "Base rate", "", base, f"{0:.{digits}f}",
             bar(axis, 0, 0, f"base rate {base}", total=True))
    ]  # fmt: skip
    so_far = 0.0
    for name, value, contribution in parts:
        shown, meaning, told = describe(name, value)
        moved = words.signed(contribution, digits)
        picture = bar(axis, so_far, so_far + contribution, f"{shown} {moved}")
        so_far += contribution
        made.append(Step("part", shown, meaning, told, moved, picture))
    made.append(
        Step("end", "Probability", "", said, words.signed(total, digits),
             bar(axis, total, total, f"probability {said}", total=True))
    )  # fmt: skip
    return tuple(made)
