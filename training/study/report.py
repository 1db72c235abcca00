"""The report: the study as Markdown and as JSON; the page is in ``page.py``."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from training.study.answer import answer, limits
from training.study.claims import Claim
from training.study.plain import plain
from training.study.run import Study
from training.study.table import EventRow
from training.study.verdicts import Judged, Tested
from training.study.words import NONE, TARGETS, count, effect_of, p_value, signed, size_of

TITLE = "When small caps make new highs, does crypto follow?"
HEAD = (
    "claim",
    "verdict",
    "effect",
    "95 % interval",
    "p if none",
    "p if as claimed",
    "n",
    "least detectable",
    "needed",
)
NOTE = (
    "Effects after highs and in splits and gaps are against days of the same trend and volatility. "
    "An interval is that of its one test. The two p-values are after the correction over all "
    "claims, horizons and variants: of no effect (C9: of one no larger than claimed), and of one "
    "as large as claimed. A verdict rests on them, so an interval may leave out what the verdict "
    "cannot rule out."
)


def as_json(study: Study) -> list[dict[str, Any]]:
    """Return the list of claims, each with its verdict and what it rests on.

    ``p`` is after the correction over all claims, horizons and variants, ``events`` are those
    of the primary index by ISO date, numbers that do not exist are null.
    """
    locked = {lock.claim: lock for lock in study.locks}
    found = []
    for judged in study.judged:
        claim, main = judged.claim, judged.primary
        lock = locked.get(claim.id)
        expert = claim.rule if judged.verdict == "supported" and claim.rule else None
        row = {
            "id": claim.id,
            "title": claim.title,
            "paraphrase": claim.paraphrase,
            "reading": claim.reading,
            "verdict": judged.verdict,
            "reason": judged.reason,
            "unit": claim.unit,
            "asserted": claim.asserted,
            "asserted_by": claim.asserted_by,
            **_tested(main),
            "events": _by_date(study.events.get(claim.id, ()), claim.indices[0]),
            "events_of_variants": {
                index: _by_date(study.events[claim.id], index)
                for index in claim.indices[1:]
                if claim.id in study.events
            },
            "variants": [
                {"index": t.cell.index, "target": t.cell.target,
                 "horizon_days": t.cell.horizon_days, **_tested(t)}
                for t in judged.tests[1:]
            ],
            "numbers": [
                {"said": fact.said, "what": fact.what, "found": fact.found}
                for fact in study.facts
                if fact.claim == claim.id
            ],
            "expert_to_beat": expert,
            "claim_sha256": claim.digest,
            "locked_at": lock.locked_at if lock else None,
            "data_sha256": study.data_digest,
        }  # fmt: skip
        found.append(plain(row))
    return found


def _tested(tested: Tested) -> dict[str, Any]:
    found = tested.finding
    return {
        "effect": found.effect,
        "interval": [found.lower, found.upper],
        "p": tested.p_corrected,
        "p_uncorrected": found.p,
        "p_refute": tested.p_refute_corrected,
        "n": round(found.n),
        "observed": found.observed,
        "base": found.base,
        "least_detectable": found.least_detectable,
        "power": found.power,
        "events_needed": round(found.needed) if isfinite(found.needed) else None,
        "no_result_because": found.reason or None,
        "checks": dict(found.checks),
    }


def _by_date(rows: Sequence[EventRow], index: str) -> dict[str, Any]:
    return {
        row.day: {
            "counted": row.counted,
            "starts_cluster": row.starts_cluster,
            "price": row.price,
            "regime": row.regime or None,
            "returns": {str(days): value for days, value in row.returns.items()},
            "largest_rise_365d": row.largest_rise,
            "states": dict(row.states),
        }
        for row in rows
        if row.index == index
    }


def verdict_cells(judged: Judged) -> list[str]:
    """Return the row of the table of verdicts, in the order of ``HEAD``."""
    claim, main = judged.claim, judged.primary
    effect, interval = effect_of(claim, main.finding)
    return [
        f"{claim.id} {claim.title}",
        judged.verdict,
        effect,
        interval or NONE,
        p_value(main.p_corrected) if effect != NONE else NONE,
        p_value(main.p_refute_corrected) if effect != NONE else NONE,
        count(main.finding.n),
        size_of(claim, main.finding.least_detectable) if effect != NONE else NONE,
        count(main.finding.needed),
    ]


def event_cells(row: EventRow, horizons: Sequence[int]) -> list[str]:
    """Return the row of a table of events: date, price, regime, returns, largest rise."""
    price = f"{row.price:,.0f}" if row.price is not None and row.price >= 10 else (
        f"{row.price:.4g}" if row.price is not None else NONE
    )  # fmt: skip
    returns = [row.returns.get(days) for days in horizons]
    return [
        f"{row.day}{' *' if row.starts_cluster else ''}",
        price,
        row.regime or NONE,
        *(NONE if value is None else signed(value) for value in returns),
        NONE if row.largest_rise is None else signed(row.largest_rise),
    ]


def tables_of(study: Study, claim: Claim) -> dict[str, list[EventRow]]:
    """Return index -> its events, of each index of a claim that has any."""
    every = study.events.get(claim.id, ())
    rows = {index: [row for row in every if row.index == index] for index in claim.indices}
    return {index: mine for index, mine in rows.items() if mine}


def shown_before(study: Study) -> dict[tuple[str, str], str]:
    """Return claim and index -> the earlier claim whose table of events says all that this would.

    Claims that part the same events, or ask something else of them, need no table of their own.
    """
    shown: dict[tuple[str, str], list[tuple[Claim, list[EventRow]]]] = {}
    found: dict[tuple[str, str], str] = {}
    for claim in (judged.claim for judged in study.judged):
        for index, rows in tables_of(study, claim).items():
            cells = [event_cells(row, claim.horizons_days) for row in rows]
            tables = shown.setdefault((index, claim.targets[0]), [])
            for other, theirs in tables:
                covered = set(claim.horizons_days) <= set(other.horizons_days)
                if covered and cells == [event_cells(row, claim.horizons_days) for row in theirs]:
                    found[claim.id, index] = other.id
                    break
            else:
                tables.append((claim, rows))
    return found


def elsewhere(study: Study, claim: Claim) -> dict[str, list[str]]:
    """Return earlier claim -> the indices whose events stand there for a claim."""
    found: dict[str, list[str]] = {}
    for (mine, index), other in shown_before(study).items():
        if mine == claim.id:
            found.setdefault(other, []).append(index)
    return found


def as_markdown(study: Study) -> str:
    """Return the report as Markdown."""
    lines = [f"# {TITLE}", ""]
    lines += [f"{number}. {sentence}" for number, sentence in enumerate(answer(study), 1)]
    lines += ["", "## Verdicts", "", _row(HEAD), _row(["---"] * len(HEAD))]
    lines += [_row(verdict_cells(judged)) for judged in study.judged]
    lines += ["", NOTE, ""]
    lines += ["## The articles' figures beside ours", "", _row(("said", "of", "found")),
              _row(["---"] * 3)]  # fmt: skip
    lines += [_row([fact.said, fact.what, fact.found]) for fact in study.facts]
    for judged in study.judged:
        lines += ["", *_claim(study, judged)]
    lines += ["", "## Limits", "", *(f"- {text}" for text in limits(study))]
    lines += ["", f"Data {study.data_digest[:12]}, {study.first_day} to {study.last_day}; claims "
              f"locked {_locked(study)}.", ""]  # fmt: skip
    return "\n".join(lines)


def _claim(study: Study, judged: Judged) -> list[str]:
    claim = judged.claim
    lines = [f"## {claim.id} {claim.title}: {judged.verdict}", "", claim.paraphrase, "",
             f"{judged.reason} Read as: {claim.reading}", ""]  # fmt: skip
    horizons = claim.horizons_days
    target = TARGETS.get(claim.targets[0], claim.targets[0])
    there = elsewhere(study, claim)
    for index, mine in tables_of(study, claim).items():
        if any(index in indices for indices in there.values()):
            continue
        head = ["date", "price", "regime", *(f"{h} days" for h in horizons), "most in a year"]
        lines += [f"Events of {index}, {target} after each (* a year had passed without one):", ""]
        lines += [_row(head), _row(["---"] * len(head))]
        lines += [_row(event_cells(row, horizons)) for row in mine]
        lines.append("")
    for other, indices in there.items():
        lines += [f"Events of {', '.join(indices)}, {target} after each: under {other}.", ""]
    return lines


def _locked(study: Study) -> str:
    if not study.locks:
        return "nowhere: no record was kept"
    return min(lock.locked_at for lock in study.locks)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
