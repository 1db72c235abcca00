"""The figures that the articles give, beside what this market says of the same things."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.explain import all_time_highs, closest_approach
from sources.market import Market, known_at
from training.study.claims import ClaimLedger
from training.study.event_study import EventStudy
from training.study.outcomes import forward, largest_rise
from training.study.words import percent, signed

RISE_DAYS = 365


@dataclass(frozen=True)
class Fact:
    """One figure of a source, and ours.

    Attributes
    ----------
    claim : id of the claim it belongs to.
    said, what : the source's figure, and of what.
    found : ours, in a sentence.
    """

    claim: str
    said: str
    what: str
    found: str


def check_numbers(study: EventStudy, ledger: ClaimLedger) -> tuple[Fact, ...]:
    """Set our figure beside each one that the ledger's claims name."""
    makers = {
        "largest_rise": _largest,
        "rose_each_time": _each_time,
        "flow_60s": _flows,
        "breadth_negative_252s": _weak,
    }
    facts = []
    for claim in ledger.claims:
        make = makers.get(claim.split or claim.kind)
        for number in claim.numbers if make is not None else ():
            assert make is not None
            facts.append(Fact(claim.id, number.said, number.what, make(study, claim.id)))
    return tuple(facts)


def highs_in_data(market: Market, index: str) -> str:
    """Say when the last all-time high of an index in the data was, and how near it came since."""
    if index not in market.prices:
        return f"{index}: no prices here."
    highs = all_time_highs(market, index)
    end = market.prices[index]["date"].max()
    if highs.empty:
        return f"{index}: no all-time high until {end:%Y-%m-%d}, where the data end."
    last = highs["date"].iloc[-1]
    if last == end:
        return f"{index}: last all-time high on {last:%Y-%m-%d}, where the data end."
    near, share = closest_approach(market, index, last)
    return (
        f"{index}: last all-time high in the data on {last:%Y-%m-%d}; after it the nearest close "
        f"was on {near:%Y-%m-%d}, {percent(1 - share, 2)} below, and the data end on "
        f"{end:%Y-%m-%d}."
    )


def _largest(study: EventStudy, name: str) -> str:
    claim = study.ledger.claim(name)
    level = study.level(claim.targets[0])
    if level is None:
        return f"no prices of {claim.targets[0]} here"
    rises = largest_rise(level, RISE_DAYS)
    days = study.events(claim, claim.indices[0])
    rows = study.rows(days)
    rows = rows[~np.isnan(rises[rows])]
    if len(rows) == 0:
        return f"no held retest of {claim.indices[0]} with a year of {claim.targets[0]} after it"
    bound = claim.threshold or 0.0
    often = float(np.mean(rises[~np.isnan(rises)] >= bound))
    reached = int((rises[rows] >= bound).sum())
    each = ", ".join(f"{study.outcomes.day[r]} {signed(np.expm1(rises[r]))}" for r in rows)
    return (
        f"most that {claim.targets[0]} rose within a year after each retest that held: {each}; "
        f"{reached} of {len(rows)} came before a rise of {percent(np.expm1(bound))}, and so did "
        f"{percent(often)} of all days. {_measured_from(study, level, rows, rises, bound)}"
    )


def _measured_from(
    study: EventStudy, level: np.ndarray, rows: np.ndarray, rises: np.ndarray, bound: float
) -> str:
    """Say since when the last of the rises that fall short would make the claimed figure."""
    short = [row for row in rows if np.log(2) < rises[row] < bound]
    if not short:
        return ""
    row = short[-1]
    top = row + int(np.nanargmax(level[row : row + RISE_DAYS + 1]))
    low = np.flatnonzero(level[:top] <= level[top] - bound)
    if len(low) == 0:
        return ""
    day, late = study.outcomes.day, int(row - low[-1])
    return (
        f"To make it from the top of {day[top]}, one must count from {day[low[-1]]} or before, "
        f"{late} days ahead of the retest of {day[row]}"
    )


def _each_time(study: EventStudy, name: str) -> str:
    claim = study.ledger.claim(name)
    level = study.level(claim.targets[0])
    if level is None:
        return f"no prices of {claim.targets[0]} here"
    ahead = forward(level, claim.primary_days)
    parts = []
    for index in claim.indices:
        rows = study.rows(study.events(claim, index))
        seen = ahead[rows][~np.isnan(ahead[rows])]
        if len(seen):
            parts.append(f"{int((seen > 0).sum())} of {len(seen)} ({index})")
    base = float(np.mean(ahead[~np.isnan(ahead)] > 0))
    return (
        f"{claim.targets[0]} stood higher after {claim.primary_days} days in {', '.join(parts)}, "
        f"and so it did after {percent(base)} of all days"
    )


def _flows(study: EventStudy, name: str) -> str:
    del name
    fund, table = next(iter(study.market.flows.items()), (None, None))
    if table is None:
        return "no fund flows here"
    known = known_at(table, table["available_at"].max())
    by_year = known.groupby(known["date"].dt.year)["flow_usd"].sum() / 1e9
    last = known["date"].max()
    worst = int(by_year.index.to_numpy()[int(by_year.to_numpy().argmin())])
    return (
        f"{fund} alone, the one fund here: {by_year.iloc[-1]:+.1f} bn USD in {last:%Y} until "
        f"{last:%Y-%m-%d}; its worst year was {worst} with {by_year[worst]:+.1f} bn"
    )


def _weak(study: EventStudy, name: str) -> str:
    del name
    weak = study.states.get("breadth_negative_252s")
    if weak is None or np.isnan(weak).all():
        return "no constituents here"
    series = pd.Series(weak, study.outcomes.days).dropna()
    often = float((series > 0.4).mean())
    return (
        f"{percent(series.iloc[-1])} on {series.index[-1]:%Y-%m-%d}; the median day since "
        f"{series.index[0]:%Y-%m-%d} had {percent(series.median())}, the worst "
        f"({series.idxmax():%Y-%m-%d}) {percent(series.max())}; {percent(often)} of days had more "
        "than 40 %, which is then no record. Constituents that left before the panel begins are "
        "missing from it"
    )
