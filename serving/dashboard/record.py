"""The page of the record: what was said before, beside what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from serving.dashboard import words
from serving.dashboard.charts import Axis, dot_and_interval, nice_axis, scale
from serving.dashboard.history import (
    Cell,
    Said,
    history_chart,
    history_series,
    history_ticks,
    said_row,
)
from serving.dashboard.reliability import bin_row, reliability_diagram
from serving.outcomes import SettledScore
from serving.verification import Skill, Verification

LATEST_ROWS = 15


@dataclass(frozen=True)
class SkillRow:
    """How the forecasts of a group did, in words."""

    name: str
    n: str
    effective_n: str
    said: str
    happened: str
    gain: str
    interval: str
    evidence: str
    brier_skill: str
    chart: Markup


@dataclass(frozen=True)
class Record:
    """What the page of the record shows."""

    n_forecasts: int
    n_settled: int
    n_live: int
    level: str
    verdict: str
    total: SkillRow | None
    rows: tuple[SkillRow, ...]
    axis: Markup
    replayed: tuple[SkillRow, ...]
    reliability: Markup | None
    reliability_of: str
    reliability_is_live: bool
    bins: tuple[tuple[str, ...], ...]
    cells: tuple[Cell, ...]
    chosen: Cell | None
    history: Markup | None
    ticks: tuple[tuple[str, str], ...]
    latest: tuple[Said, ...]
    series: dict[str, object]


def record_view(
    verification: Verification,
    cells: Sequence[Cell],
    chosen: Cell | None,
    history: Sequence[SettledScore],
) -> Record:
    """Return the view of the record.

    Parameters
    ----------
    cells : what can be chosen.
    chosen : whose history is drawn; None where nothing was ever said.
    history : its latest forecasts, one a day, ascending.
    """
    total = next((skill for skill in verification.pooled if skill.horizon_days is None), None)
    shown = [*verification.cells, *([total] if total else [])]
    axis = _gain_axis(shown or list(verification.replayed))
    drawn = _reliability_of(verification, chosen)
    return Record(
        n_forecasts=verification.n_forecasts,
        n_settled=verification.n_settled,
        n_live=verification.n_live,
        level=f"{100 * verification.level:g}{words.THIN}%",
        verdict=verdict(total),
        total=None if total is None else _row(total, axis),
        rows=tuple(_row(skill, axis) for skill in verification.cells),
        axis=scale(axis, [words.signed(tick, 0) for tick in axis.ticks]),
        replayed=tuple(_row(skill, axis) for skill in verification.replayed),
        reliability=None if drawn is None else reliability_diagram(drawn.bins, _name(drawn)),
        reliability_of="" if drawn is None else _name(drawn),
        reliability_is_live=drawn is not None and drawn in (*verification.cells, total),
        bins=() if drawn is None else tuple(bin_row(b) for b in drawn.bins),
        cells=tuple(cells),
        chosen=chosen,
        history=history_chart(history, chosen),
        ticks=history_ticks(history),
        latest=tuple(said_row(one) for one in reversed(history[-LATEST_ROWS:])),
        series=history_series(history),
    )


def verdict(total: Skill | None) -> str:
    """Say what the live record shows, in one sentence."""
    if total is None or total.gain_lower is None or total.gain_upper is None:
        return "No live outcomes yet: there is nothing to judge by."
    if total.gain_lower > 0:
        return "Live, the forecasts have beaten the base rate by more than luck explains."
    if total.gain_upper < 0:
        return "Live, the forecasts have done worse than the base rate by more than luck explains."
    return "Live, the forecasts cannot be told from the base rate so far."


def _gain_axis(skills: Sequence[Skill]) -> Axis:
    seen = [0.0]
    for skill in skills:
        seen += [skill.gain_mnat]
        seen += [end for end in (skill.gain_lower, skill.gain_upper) if end is not None]
    return nice_axis(seen if len(set(seen)) > 1 else [-1.0, 1.0], 5, pad=0.06)


def _name(skill: Skill) -> str:
    asset = skill.asset or "All assets"
    if skill.horizon_days is None:
        return f"{asset}, all horizons"
    return f"{asset}, {words.question(skill.horizon_days, skill.threshold or 0.0)}"


def _row(skill: Skill, axis: Axis) -> SkillRow:
    name, gain = _name(skill), words.signed(skill.gain_mnat, 1)
    ends, said = words.NOTHING, None
    if skill.gain_lower is not None and skill.gain_upper is not None:
        ends = f"{words.signed(skill.gain_lower, 1)} to {words.signed(skill.gain_upper, 1)}"
        said = (skill.gain_mnat, skill.gain_lower, skill.gain_upper)
    return SkillRow(
        name=name,
        n=f"{skill.n:,}",
        effective_n=f"{skill.effective_n:,.0f}",
        said=words.percent(skill.mean_probability),
        happened=words.percent(skill.frequency),
        gain=gain,
        interval=ends,
        evidence=_evidence(skill.skill_evidence),
        brier_skill=words.NOTHING
        if skill.brier_skill is None
        else words.signed(100 * skill.brier_skill, 1) + f"{words.THIN}%",
        chart=dot_and_interval(axis, f"{name}: gain {gain}, interval {ends}", 0.0, said, 30),
    )


def _evidence(value: float) -> str:
    """Return a likelihood ratio so that great ones stay short.

    >>> _evidence(0.44), _evidence(1234567.0)
    ('0.44', '> 10,000')
    """
    return "> 10,000" if value > 1e4 else words.number(value)


def _reliability_of(verification: Verification, chosen: Cell | None) -> Skill | None:
    """Return whose reliability to draw: the chosen cell's live, else replayed, forecasts."""
    for skills in (verification.cells, verification.replayed):
        for skill in skills:
            if chosen == Cell(skill.asset or "", skill.horizon_days or 0) and skill.bins:
                return skill
    return None
