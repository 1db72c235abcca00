"""The tests of a ledger: what will be tested, with what share of alpha, and what was found.

The plan is made from the ledger alone, before any outcome is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, nan

import numpy as np

from training.study.claims import Claim, ClaimLedger


@dataclass(frozen=True)
class Cell:
    """One test: a claim on one index, one target and one horizon.

    Attributes
    ----------
    weight : share of alpha; over all cells, and those of claims locked earlier, they sum to 1.
    primary : whether the claim's verdict rests on it.
    """

    claim: str
    index: str
    target: str
    horizon_days: int
    primary: bool
    weight: float

    def __str__(self) -> str:
        """Return the name, for people."""
        return f"{self.target} after {self.index}, {self.horizon_days} days"


@dataclass(frozen=True)
class Finding:
    """What one test found.

    Attributes
    ----------
    effect, lower, upper : in the claim's unit, with its 95 % interval.
    observed, base : what followed the events, and what follows days like them.
    p, p_refute : one-sided, of no effect, and of an effect as large as asserted; as they are,
        before any correction.
    n : independent events (or effective outcomes) behind it.
    level : of the test, alpha times the cell's weight.
    least_detectable : effect that would be found at that level with the ledger's power.
    power : chance that the asserted effect would have been found.
    needed : events (or outcomes) that would find the asserted effect.
    reason : why there is no result, where there is none.
    checks : other views of the same question, by name.
    """

    effect: float = nan
    lower: float = nan
    upper: float = nan
    observed: float = nan
    base: float = nan
    p: float = 1.0
    p_refute: float = 1.0
    n: float = 0
    level: float = nan
    least_detectable: float = nan
    power: float = 0.0
    needed: float = inf
    reason: str = ""
    checks: Mapping[str, float] = field(default_factory=dict)


def plan(ledger: ClaimLedger, earlier: Sequence[tuple[int, int]] = ()) -> tuple[Cell, ...]:
    """Deal alpha to the tests of a ledger.

    The primary tests share one part of alpha, all others the rest; claims that were locked on
    this data before, and are not in the ledger any more, keep their shares.

    Parameters
    ----------
    earlier : for each such claim, its (primary tests, other tests).
    """
    cells = [cell for claim in ledger.claims for cell in _cells(claim)]
    primary = sum(cell.primary for cell in cells) + sum(count for count, _ in earlier)
    other = sum(not cell.primary for cell in cells) + sum(count for _, count in earlier)
    share = ledger.primary_share if other else 1.0
    weight = {True: share / primary, False: (1 - share) / other if other else 0.0}
    return tuple(
        Cell(c.claim, c.index, c.target, c.horizon_days, c.primary, weight[c.primary])
        for c in cells
    )


def count_tests(claim: Claim) -> tuple[int, int]:
    """Return how many primary tests and how many others a claim makes."""
    cells = _cells(claim)
    return 1, len(cells) - 1


def _cells(claim: Claim) -> list[Cell]:
    main = (claim.indices[0], claim.targets[0], claim.primary_days)
    return [
        Cell(claim.id, index, target, horizon, (index, target, horizon) == main, 0.0)
        for index in claim.indices
        for target in claim.targets
        for horizon in claim.horizons_days
    ]


def weighted_holm(p_values: Sequence[float], weights: Sequence[float]) -> np.ndarray:
    """Correct p-values for all tests of a family, each with its share of alpha.

    The chance that any true null is rejected is at most alpha, however the tests depend on
    each other.

    Parameters
    ----------
    p_values : (n,) in [0, 1].
    weights : (n,) positive; what the family does not use of 1 stays with tests made earlier.

    Returns
    -------
    (n,) adjusted p-values, to be held against alpha itself.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure.

    Examples
    --------
    With equal weights it is Holm's: the least p three times, the next twice, the last once.

    >>> weighted_holm([0.01, 0.02, 0.5], [1 / 3, 1 / 3, 1 / 3]).round(3).tolist()
    [0.03, 0.04, 0.5]
    """
    p, w = np.asarray(p_values, dtype="float64"), np.asarray(weights, dtype="float64")
    order = np.argsort(p / w, kind="stable")
    before = np.append(0.0, np.cumsum(w[order])[:-1])
    # Tests of earlier claims are never rejected here: their share stays in the sum.
    left = np.maximum(1.0, w.sum()) - before
    stepped = np.maximum.accumulate(p[order] / w[order] * left)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
