"""The answer in five sentences, made from what was found."""

from __future__ import annotations

import datetime as dt
from math import expm1, isfinite

from training.study.claims import Claim
from training.study.run import Study
from training.study.table import rose
from training.study.testimony import sentence
from training.study.verdicts import VERDICTS, Judged
from training.study.words import TARGETS, count, effect_of, p_value, percent, signed, size_of


def answer(study: Study) -> tuple[str, ...]:
    """Return five sentences: the tally, the main claim, each time, why, and what it would take."""
    return (
        _tally(study),
        _main(study),
        _each_time(study),
        _together(study),
        _power(study),
    )


def tally(study: Study) -> dict[str, list[str]]:
    """Return verdict -> ids of the claims that have it, for those verdicts that occur."""
    found = {v: [j.claim.id for j in study.judged if j.verdict == v] for v in VERDICTS}
    return {verdict: names for verdict, names in found.items() if names}


def _tally(study: Study) -> str:
    parts = [f"{len(names)} {verdict} ({', '.join(names)})"
             for verdict, names in tally(study).items()]  # fmt: skip
    head = "None of" if not any(j.verdict == "supported" for j in study.judged) else "Of"
    all_of = f"the {len(study.judged)} claims"
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    if head == "None of":
        return f"None of {all_of} is supported by the data: {listed}."
    return f"Of {all_of} {listed}."


def _main(study: Study) -> str:
    judged = _first(study, "event_return")
    if judged is None:
        return "No claim of the ledger is about returns after new highs."
    claim, found = judged.claim, judged.primary.finding
    target, index = TARGETS.get(claim.targets[0], claim.targets[0]), claim.indices[0]
    rises, over = rose(study.events[claim.id], index, claim.primary_days)
    if not isfinite(found.effect):
        return f"What {target} does after new highs of {index} cannot be told here: {found.reason}."
    effect, interval = effect_of(claim, found)
    return (
        f"{target} stood higher {claim.primary_days} days after {rises} of {over} new highs of the "
        f"small-cap index ({index}), and its mean return was {effect} against days of the same "
        f"trend and volatility, with a 95 % interval from {interval}."
    )


def _each_time(study: Study) -> str:
    judged = _first(study, "rose_each_time")
    if judged is None or not isfinite(judged.primary.finding.effect):
        return "Whether it rose each time cannot be told from these data."
    claim, found = judged.claim, judged.primary.finding
    rises = int(found.checks["rises"])
    every = rises == found.n
    verdict = "That it rose each time holds here, and says little" if every else (
        "That it rose each time is not so"
    )  # fmt: skip
    return (
        f"{verdict}: {claim.primary_days} days on it stood higher after {rises} of "
        f"{found.n:.0f}, where {percent(found.base)} is what such days bring anyway, and three of "
        f"three would have a chance of {percent(found.base**3)} with no effect at all."
    )


def _together(study: Study) -> str:
    parts = []
    judged = _first(study, "synchrony")
    if judged is not None and isfinite(judged.primary.finding.effect):
        found = judged.primary.finding
        parts.append(
            f"Small caps and crypto move together ({found.effect:.2f} is the correlation of a "
            f"day's returns, where the claim wants {judged.claim.asserted:g})"
        )
    parts.append(sentence(study.causes))
    return f"{', and '.join(parts)}."


def _power(study: Study) -> str:
    judged = _first(study, "event_return")
    if judged is None:
        return "How much could have been found is in the table."
    claim, found = judged.claim, judged.primary.finding
    if not isfinite(found.needed) or found.n < 1:
        return "So few events can show nothing, and their silence is no evidence of absence."
    span = dt.date.fromisoformat(study.last_day) - dt.date.fromisoformat(study.first_day)
    years = span.days / 365.25
    later = (found.needed - found.n) * years / found.n
    more = f" ({later:.0f} more years at the pace so far)" if later > 0 else ""
    return (
        f"{count(found.n)} independent highs can show an effect of "
        f"{size_of(claim, found.least_detectable)} or more, and it would take about "
        f"{count(found.needed)} of them{more} to tell one of {signed(expm1(claim.asserted))} from "
        "luck: what is called underpowered here is neither true nor false, it is not known."
    )


def _first(study: Study, kind: str) -> Judged | None:
    return next((j for j in study.judged if j.claim.kind == kind), None)


def limits(study: Study) -> tuple[str, ...]:
    """Return what the reader should hold against these results."""
    tests = sum(len(j.tests) for j in study.judged)
    earlier = sum(lock.primary_tests + lock.other_tests for lock in study.earlier)
    counted = (
        f" {earlier} tests of {len(study.earlier)} claims that were locked on these data before, "
        "and have been changed or left out since, count as well."
        if earlier
        else ""
    )
    return (
        f"The data end on {study.last_day}; the articles are of December 2025. The highs that they "
        "speak of may lie beyond the data: " + " ".join(study.highs),
        "Few events: new highs after a quiet spell come a few times a decade, and crypto has been "
        "traded for little more than one. Variants of an index share their events, so that they "
        "add robustness and hardly any evidence.",
        "Survivorship: coins and constituents are those that are still known. Coins that died are "
        "not among the altcoins, which flatters them; constituents that left the index before the "
        "panel begins are missing, which makes past breadth look better.",
        "Highs are of the price where a file has closes; an index or fund given by adjusted closes "
        "alone makes its highs with dividends in them, which come earlier and more often.",
        f"All {tests} tests stand in one correction (Holm, weighted: half of alpha for the "
        f"{len(study.judged)} primary tests, half for the variants), at "
        f"{percent(study.ledger.alpha)} for any false \u201csupported\u201d.{counted}",
        "Where a source names no size, the ledger set the least that would be worth the name, "
        "before any outcome was read; another size may give another verdict.",
        "Whoever wrote the ledger had seen charts of these years. No lock can undo that: what the "
        "next highs bring is the cleaner test.",
    )


def one_line(study: Study, claim: Claim) -> str:
    """Return the result of a claim's primary test in a line."""
    judged = study.judgement(claim.id)
    effect, interval = effect_of(claim, judged.primary.finding)
    between = f" ({interval})" if interval else ""
    return f"{effect}{between}, p {p_value(judged.primary.p_corrected)}"
