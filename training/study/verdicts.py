"""The verdict on a claim: supported, refuted, underpowered or unfalsifiable.

*Supported*: at least one of its tests rejects "no effect" after the correction over all claims,
horizons and variants, and the primary one points the same way. *Refuted*: its primary test
rejects an effect as large as the claim asserts, after the same correction. *Unfalsifiable*: no
outcome could speak against the claim as it is worded. *Underpowered*: all else, and whatever
rests on fewer events than the ledger asks for: that is not evidence of absence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from training.study.cells import Cell, Finding, weighted_holm
from training.study.claims import Claim, ClaimLedger
from training.study.event_study import EVENT_KINDS
from training.study.words import count, percent, size_of

Verdict = Literal["supported", "refuted", "underpowered", "unfalsifiable"]
VERDICTS: tuple[Verdict, ...] = ("supported", "refuted", "underpowered", "unfalsifiable")


@dataclass(frozen=True)
class Tested:
    """One test with its result, and its p-values after the correction."""

    cell: Cell
    finding: Finding
    p_corrected: float
    p_refute_corrected: float


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    Attributes
    ----------
    reason : one sentence that says why.
    primary : the test that the verdict rests on.
    tests : all of them, the primary one first.
    """

    claim: Claim
    verdict: Verdict
    reason: str
    primary: Tested
    tests: tuple[Tested, ...]


def correct(found: Sequence[tuple[Cell, Finding]]) -> tuple[Tested, ...]:
    """Correct all tests of a ledger together, for support and for refutation.

    A test that could not be made keeps its share of alpha, so that what is missing from a
    market makes nothing else easier.
    """
    weights = [cell.weight for cell, _ in found]
    supports = weighted_holm([finding.p for _, finding in found], weights)
    refutes = weighted_holm([finding.p_refute for _, finding in found], weights)
    return tuple(
        Tested(cell, finding, float(p), float(q))
        for (cell, finding), p, q in zip(found, supports, refutes, strict=True)
    )


def judge_claim(claim: Claim, tests: Sequence[Tested], ledger: ClaimLedger) -> Judged:
    """Give the verdict on one claim.

    Parameters
    ----------
    tests : those of the claim, corrected with all others of the ledger.
    """
    ordered = tuple(sorted(tests, key=lambda tested: not tested.cell.primary))
    verdict, reason = _verdict(claim, ordered, ledger)
    return Judged(claim, verdict, reason, ordered[0], ordered)


def _verdict(claim: Claim, tests: Sequence[Tested], ledger: ClaimLedger) -> tuple[Verdict, str]:
    main = tests[0]
    found = main.finding
    if not claim.falsifiable:
        return "unfalsifiable", f"As it is worded {claim.why_not}."
    if found.n < claim.least_sample:
        return "underpowered", _too_few(claim, found)
    sign = claim.expected_sign or 1
    enough = [t for t in tests if t.finding.n >= claim.least_sample]
    winners = [t for t in enough if t.p_corrected < ledger.alpha]
    refuted = main.p_refute_corrected < ledger.alpha
    if winners and not refuted and sign * (found.effect - _nothing(claim)) > 0:
        best = min(winners, key=lambda t: t.p_corrected)
        return "supported", (
            f"{best.cell}: p = {best.p_corrected:.3f} after correction for all tests of the ledger."
        )
    if refuted:
        whose = "as asserted" if claim.asserted_by == "source" else "as would be worth the name"
        if claim.kind == "rose_each_time":
            return "refuted", (
                f"It did after {found.checks['rises']:.0f} of {found.n:.0f}; that it does "
                f"{size_of(claim, claim.asserted)} of the time is ruled out: "
                f"p {below(main.p_refute_corrected)} after correction."
            )
        return "refuted", (
            f"An effect as large {whose} ({size_of(claim, claim.asserted)}) is ruled out: "
            f"p {below(main.p_refute_corrected)} after correction."
        )
    return "underpowered", _undecided(claim, main, ledger)


def below(p: float) -> str:
    """Return a p-value with its sign, as sentences have it.

    Examples
    --------
    >>> below(0.0261), below(1e-9)
    ('= 0.026', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _nothing(claim: Claim) -> float:
    """Return the effect that stands for none, in the unit of the claim."""
    return claim.asserted if claim.kind == "synchrony" else 0.0


def _what(claim: Claim) -> str:
    return "events" if claim.kind in EVENT_KINDS else "outcomes"


def _too_few(claim: Claim, found: Finding) -> str:
    why = f" ({found.reason})" if found.reason else ""
    needed = f"; about {count(found.needed)} would be needed" if isfinite(found.needed) else ""
    return (
        f"{count(found.n)} independent {_what(claim)} where the ledger asks for "
        f"{claim.least_sample}{why}{needed}."
    )


def _undecided(claim: Claim, main: Tested, ledger: ClaimLedger) -> str:
    found = main.finding
    if found.reason:
        return f"{found.reason[0].upper()}{found.reason[1:]}."
    parts = [f"{count(found.n)} independent {_what(claim)}"]
    if isfinite(found.least_detectable):
        parts.append(
            f"would show an effect of {size_of(claim, found.least_detectable)} or more "
            f"{percent(ledger.power)} of the time; the claim is about "
            f"{size_of(claim, claim.asserted)}"
        )
    else:
        parts.append("cannot tell the asserted rate from the base rate, whatever they say")
    needed = f", and would need about {count(found.needed)}" if isfinite(found.needed) else ""
    return f"{' '.join(parts)}{needed}."
