"""The rule of the verdict on causes, written down before the markets were looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from training.study.ties import Tie

STRICT = 0.01
"""Level, corrected within a family, at which a relation is called found."""
LOOSE = 0.05
"""Level, corrected, above which nothing is in sight."""
AGREE = 0.5
"""Correlation of what a block says alone and controlled, from which it says the same thing."""
LEAST_TIE = 0.1
LEAST_RELEVANT = 0.005
"""Share of a day's variance below which a relation is of no use: a correlation of 0.07, an
accuracy of 52.3 %."""


@dataclass(frozen=True)
class Evidence:
    """One block's test in one direction.

    Attributes
    ----------
    direction : who to whom.
    block : of the side that may lead.
    controlled : given the drivers (for drivers: given small caps) beside the target's own past.
    p_value, p_corrected : wild bootstrap; Holm's over the blocks of the same family.
    partial_r2, lower, upper : share of the target's variance, with its 90 % interval.
    agreement : correlation of what the block says here and alone; NaN where it is alone.
    statistic, df, n : of the test.
    """

    direction: str
    block: str
    controlled: bool
    p_value: float
    p_corrected: float
    partial_r2: float
    lower: float
    upper: float
    agreement: float
    statistic: float
    df: int
    n: int


def judge(
    evidence: Sequence[Evidence], ties: Iterable[Tie], *, complete: bool = True
) -> tuple[str, str]:
    """Return the verdict and what decided it.

    1. A side *leads* if a block of it foretells the other both alone and beside the common
       drivers, each at 1 % after correction, and says the same in both (agreement of at least
       0.5: a block that only cleans a noisy driver turns its sign, and leads nothing). Small
       caps lead only where drivers are there to survive. Both leading: ``undetermined``.
    2. Otherwise a *common driver*: one that foretells crypto beside small caps at 1 % after
       correction, saying what it says alone, and that moves with small caps in the same week
       (1 %, and a correlation of at least 0.1).
    3. Otherwise *none*, if nothing is in sight at 5 % in any family of single blocks and the
       interval of every one of them ends below 0.5 % of a day's variance: shown, not assumed.
    4. Otherwise ``undetermined``.

    Parameters
    ----------
    ties : of the drivers.
    complete : whether both directions, and drivers, could be tested; none is said only then.
    """
    forward, backward, drivers = (
        [one for one in evidence if one.direction == direction]
        for direction in ("small caps to crypto", "crypto to small caps", "drivers to crypto")
    )
    ours, theirs = _leads(forward), _leads(backward)
    if ours and theirs:
        return "undetermined", (
            f"each side foretells the other: {ours.block} ({_p(ours)}), "
            f"{theirs.block} ({_p(theirs)})"
        )
    if ours:
        return "small caps lead", (
            f"{ours.block} foretell crypto alone and beside the common drivers ({_p(ours)}, "
            f"{ours.partial_r2:.2%} of a day's variance)"
        )
    if theirs:
        return "crypto leads", (
            f"crypto's past foretells small caps alone and beside the common drivers "
            f"({_p(theirs)}, {theirs.partial_r2:.2%} of a session's variance)"
        )
    tied = {
        tie.driver: tie
        for tie in ties
        if tie.p_value <= STRICT and abs(tie.correlation) >= LEAST_TIE
    }
    common = [
        one
        for one in drivers
        if one.controlled
        and one.p_corrected <= STRICT
        and one.agreement >= AGREE
        and one.block in tied
    ]
    if common:
        best = min(common, key=lambda one: one.p_value)
        return "common driver", (
            f"{best.block} foretells crypto beside small caps ({_p(best)}) and moves with small "
            f"caps in the same week (correlation {tied[best.block].correlation:+.2f}); small caps "
            "add nothing that survives it"
        )
    alone = [one for one in evidence if not one.controlled]
    strongest = min(alone, key=lambda one: one.p_corrected)
    widest = max(alone, key=lambda one: one.upper)
    if not complete:
        return "undetermined", (
            "one direction, or the common drivers, could not be tested: opens of small caps, the "
            "S&P 500 or macro series are not there"
        )
    if strongest.p_corrected > LOOSE and widest.upper < LEAST_RELEVANT:
        return "none", (
            f"no block foretells the other side (least corrected p {strongest.p_corrected:.2f}), "
            f"and each is below {LEAST_RELEVANT:.1%} of a day's variance (at most "
            f"{widest.upper:.2%}, {widest.block})"
        )
    if strongest.p_corrected > LOOSE:
        return "undetermined", (
            f"nothing is found (least corrected p {strongest.p_corrected:.2f}), but up to "
            f"{widest.upper:.2%} of a day's variance ({widest.block}) cannot be excluded"
        )
    return "undetermined", (
        f"{strongest.block} foretells alone (corrected p {strongest.p_corrected:.3f}), but not "
        "clearly enough, or not beside the common drivers"
    )


def _leads(family: Sequence[Evidence]) -> Evidence | None:
    alone = {one.block: one for one in family if not one.controlled}
    kept = [
        one
        for one in family
        if one.controlled
        and one.p_corrected <= STRICT
        and alone[one.block].p_corrected <= STRICT
        and one.agreement >= AGREE
    ]
    return min(kept, key=lambda one: one.p_value) if kept else None


def _p(one: Evidence) -> str:
    return f"p {one.p_corrected:.3f}"
