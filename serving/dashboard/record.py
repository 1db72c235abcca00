"""The page of the record: what was said before, beside what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from markupsafe import Markup, escape

from serving.dashboard import words
from serving.dashboard.charts import Axis, dot_and_interval, nice_axis, scale
from serving.dashboard.lines import Band, Line, day_ticks, panel
from serving.dashboard.today import tick_labels
from serving.ledger import SettledScore
from serving.verification import ReliabilityBin, Skill, Verification

LATEST_ROWS = 15
LIKELY = 20.0
"""Evidence that is called strong: by chance alone it is ever reached one time in twenty."""


@dataclass(frozen=True)
class Cell:
    """An asset and a horizon that the record holds."""

    asset: str
    horizon_days: int


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
class Said:
    """A forecast and what came of it."""

    forecast_id: str
    as_of: str
    probability: str
    interval: str
    base_rate: str
    outcome: str
    kind: str


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
    total = verification.pooled[-1] if verification.pooled else None
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
        bins=() if drawn is None else tuple(_bin_row(b) for b in drawn.bins),
        cells=tuple(cells),
        chosen=chosen,
        history=_history_chart(history, chosen),
        ticks=_history_ticks(history),
        latest=tuple(_said(one) for one in reversed(history[-LATEST_ROWS:])),
        series=_series(history),
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


def reliability_diagram(bins: Sequence[ReliabilityBin], name: str) -> Markup:
    """Return how often it happened against what was said, with the band of calibrated forecasts."""
    ends = [v for b in bins for v in (b.mean_probability, b.observed_frequency)]
    ends += [v for b in bins for v in (b.band_lower, b.band_upper)]
    axis = nice_axis(ends, 8, pad=0.04)
    body = ""
    for tick, label in zip(axis.ticks, tick_labels(axis), strict=True):
        x, y = _percent(axis.share(tick)), _percent(100 - axis.share(tick))
        body += f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="100%"/>'
        body += f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
        body += f'<text class="tick" x="-8" y="{y}" dy="4" text-anchor="end">{escape(label)}</text>'
        body += f'<text class="tick" x="{x}" y="100%" dy="17" text-anchor="middle">{escape(label)}</text>'
    body += '<line class="level" x1="0" y1="100%" x2="100%" y2="0"/>'
    dots, most = "", max(b.n for b in bins)
    for b in bins:
        x = _percent(axis.share(b.mean_probability))
        low, high = (_percent(100 - axis.share(v)) for v in (b.band_lower, b.band_upper))
        body += f'<line class="reach" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>'
        inside = b.band_lower <= b.observed_frequency <= b.band_upper
        y, size = _percent(100 - axis.share(b.observed_frequency)), 3.5 + 3 * (b.n / most) ** 0.5
        dots += f'<circle class="{"said" if inside else "out"}" cx="{x}" cy="{y}" r="{size:.1f}"/>'
    body += dots
    out = sum(not b.band_lower <= b.observed_frequency <= b.band_upper for b in bins)
    title = escape(
        f"Reliability of {name}: {words.plural(len(bins), 'bin')}, {out} outside the band "
        "of calibrated forecasts"
    )
    return Markup(  # noqa: S704 - the title is escaped, the rest is made of numbers here
        f'<svg class="chart square" role="img" aria-label="{title}" width="100%" '
        f'height="100%"><title>{title}</title>{body}</svg>'
    )


def _percent(share: float) -> str:
    return f"{share:.2f}%"


def _bin_row(b: ReliabilityBin) -> tuple[str, ...]:
    inside = b.band_lower <= b.observed_frequency <= b.band_upper
    return (
        f"{words.percent(b.lower)} to {words.percent(b.upper)}",
        f"{b.n:,}",
        words.percent(b.mean_probability),
        words.percent(b.observed_frequency),
        f"{words.percent(b.band_lower)} to {words.percent(b.band_upper)}",
        "inside" if inside else "outside",
    )


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


def _history_chart(history: Sequence[SettledScore], chosen: Cell | None) -> Markup | None:
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


def _history_ticks(history: Sequence[SettledScore]) -> tuple[tuple[str, str], ...]:
    if len(history) < 2:
        return ()
    return tuple((f"{at:.2f}%", said) for at, said in day_ticks(_days(history)))


def _said(one: SettledScore) -> Said:
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


def _series(history: Sequence[SettledScore]) -> dict[str, object]:
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
