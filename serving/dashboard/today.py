"""The page of a day: each probability beside its base rate, its interval, and what moved it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from markupsafe import Markup

from serving.dashboard import words
from serving.dashboard.charts import Axis, dot_and_interval, meter, nice_axis, scale
from serving.freshness import STALE_AFTER_DAYS
from serving.score import InputAge, Score, ScoreDriver
from sources.market import CRYPTO_UNIVERSE
from sources.publication import publication

LEAST_HALF_WIDTH = 0.02
"""The axis is never so narrow that a hair looks like a mountain."""


@dataclass(frozen=True)
class Row:
    """A score, as a line of the table."""

    forecast_id: str
    question: str
    speaks: bool
    probability: str
    interval: str
    base_rate: str
    difference: str
    direction: str
    moved: tuple[str, ...]
    reason: str | None
    chart: Markup


@dataclass(frozen=True)
class AssetRows:
    """The scores of one asset, by horizon."""

    asset: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class InputRow:
    """A table that the scores read, and how old it was."""

    name: str
    known: str
    age: str
    limit: str
    stale: bool
    chart: Markup


@dataclass(frozen=True)
class Today:
    """What the page of a day shows."""

    as_of: date
    issued: str
    days_ago: int
    model_version: int
    skill_certified: bool
    assets: tuple[AssetRows, ...]
    axis: Markup
    abstained: int
    count: int
    inputs: tuple[InputRow, ...]
    oldest: str
    stale: int


def today_view(scores: Sequence[Score], now: datetime) -> Today:
    """Return the view of a day's scores; at least one."""
    axis = probability_axis(scores)
    inputs = input_rows(read for score in scores for read in score.data.inputs)
    assets = dict.fromkeys(score.asset for score in scores)
    ages = [read.age_days for score in scores for read in score.data.inputs]
    return Today(
        as_of=scores[0].as_of,
        issued=words.instant(max(score.issued_at for score in scores)),
        days_ago=(now.date() - scores[0].as_of).days - 1,
        model_version=scores[0].model.version,
        skill_certified=scores[0].model.skill_certified,
        assets=tuple(
            AssetRows(asset, tuple(_row(s, axis) for s in scores if s.asset == asset))
            for asset in assets
        ),
        axis=scale(axis, tick_labels(axis)),
        abstained=sum(score.abstained for score in scores),
        count=len(scores),
        inputs=inputs,
        oldest=words.age(max(ages)) if ages else "",
        stale=sum(row.stale for row in inputs),
    )


def probability_axis(scores: Iterable[Score], most_ticks: int = 9) -> Axis:
    """Return one axis for all scores, that all may be compared on."""
    seen = [
        value
        for score in scores
        for value in (score.probability, score.lower, score.upper, score.base_rate)
        if value is not None
    ] or [0.5]
    mid = (min(seen) + max(seen)) / 2
    low, high = min(*seen, mid - LEAST_HALF_WIDTH), max(*seen, mid + LEAST_HALF_WIDTH)
    made = nice_axis([low, high], most_ticks, pad=0.08)
    ends = max(made.low, 0.0), min(made.high, 1.0)
    return Axis(*ends, tuple(t for t in made.ticks if ends[0] <= t <= ends[1]))


def tick_labels(axis: Axis) -> list[str]:
    """Return the ticks in per cent, with a decimal only where they need one."""
    whole = all(abs(100 * tick - round(100 * tick)) < 1e-6 for tick in axis.ticks)
    return [words.percent(tick, 0 if whole else 1) for tick in axis.ticks]


def chart_title(score: Score) -> str:
    """Return what the picture of a score says."""
    name = f"{score.asset}, {words.question(score.horizon_days, score.threshold)}"
    base = f"base rate {words.percent(score.base_rate)}"
    if score.probability is None:
        return f"{name}: abstained; {base}"
    said = words.interval(score.lower, score.upper)
    return f"{name}: probability {words.percent(score.probability)}, interval {said}, {base}"


def score_chart(score: Score, axis: Axis, height: int = 34) -> Markup:
    """Return the picture of a score."""
    said = None
    if score.probability is not None and score.lower is not None and score.upper is not None:
        said = (score.probability, score.lower, score.upper)
    return dot_and_interval(axis, chart_title(score), score.base_rate, said, height)


def _row(score: Score, axis: Axis) -> Row:
    gap = None
    if score.probability is not None and score.base_rate is not None:
        gap = score.probability - score.base_rate
    return Row(
        forecast_id=score.forecast_id,
        question=words.question(score.horizon_days, score.threshold),
        speaks=not score.abstained,
        probability=words.percent(score.probability),
        interval=words.interval(score.lower, score.upper),
        base_rate=words.percent(score.base_rate),
        difference=words.points(gap),
        direction="" if gap is None or not round(gap, 3) else "up" if gap > 0 else "down",
        moved=tuple(_moved(driver) for driver in score.drivers if driver.feature != "(mixture)")[
            :2
        ],
        reason=None if score.reason is None else first_reason(score.reason),
        chart=score_chart(score, axis),
    )


def first_reason(reason: str) -> str:
    """Return the first of several reasons, and how many more there are.

    >>> first_reason("stale: flows/IWM is 14.5 days old, limit 10; fund_flows ends 15 days before")
    'stale: flows/IWM is 14.5 days old, limit 10; and 1 more'
    """
    first, *others = reason.split("; ")
    return f"{first}; and {len(others)} more" if others else first


def _moved(driver: ScoreDriver) -> str:
    return f"{words.feature_label(driver.feature)} {words.signed(driver.contribution)}"


def limit_days(name: str) -> float:
    """Return the age from which a table may not speak any more."""
    folder, _, series = name.partition("/")
    if folder not in STALE_AFTER_DAYS:
        return float("inf")
    is_crypto = folder == "prices" and series in CRYPTO_UNIVERSE
    return publication(folder, series, is_crypto=is_crypto).stale_after_days


def input_rows(inputs: Iterable[InputAge]) -> tuple[InputRow, ...]:
    """Return each table once, the one nearest to its limit first."""
    by_name = {read.name: read for read in inputs}
    ordered = sorted(by_name.values(), key=lambda r: (-r.age_days / limit_days(r.name), r.name))
    return tuple(_input_row(read) for read in ordered)


def _input_row(read: InputAge) -> InputRow:
    limit = limit_days(read.name)
    stale = read.age_days > limit
    said = f"{read.name} is {words.age(read.age_days)} old, limit {words.days(limit)}"
    return InputRow(
        name=read.name,
        known=words.instant(read.available_at),
        age=words.age(read.age_days),
        limit=words.days(limit),
        stale=stale,
        chart=meter(read.age_days / limit, said, over=stale),
    )
