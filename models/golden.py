"""Golden rows: what a bundle's experts said of a few rows when they were trained.

Kept in the bundle, so that a program that loads it later, elsewhere, under other versions of
numpy or LightGBM, can try whether they still say the same before it lets them speak.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.cells import Cell, CellRows
from models.mixture import Snapshot
from models.predictive import chance_of, shift_of_odds

ROWS = 4
TOLERANCE = 1e-12
"""Another processor may add in another order and differ in the last bits; a changed model differs
by far more."""


@dataclass(frozen=True)
class GoldenRows:
    """Rows of one cell, and what the experts of its last refit say of them.

    Attributes
    ----------
    values : (n, f) float64, complete rows of the cell's features.
    probabilities : expert -> (n,) chance that it gives where the base rate is one half.
    """

    values: np.ndarray
    probabilities: Mapping[str, np.ndarray]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, exact to the bit."""
        said = {name: p.tolist() for name, p in self.probabilities.items()}
        return {"values": self.values.tolist(), "probabilities": said}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> GoldenRows:
        """Bring them back."""
        said = {name: np.array(p, dtype="float64") for name, p in kept["probabilities"].items()}
        return cls(np.array(kept["values"], dtype="float64"), said)


def golden_rows(
    rows: Iterable[CellRows], snapshots: Mapping[Cell, Sequence[Snapshot]]
) -> dict[Cell, GoldenRows]:
    """Return the last complete rows of each cell whose last refit has experts, and what they say.

    Parameters
    ----------
    rows : of each cell, as it was trained.
    """
    found: dict[Cell, GoldenRows] = {}
    for here in rows:
        snapshot = snapshots[here.cell][-1]
        at = np.flatnonzero(here.complete())[-ROWS:]
        if snapshot.experts and len(at):
            values = np.ascontiguousarray(here.features[at])
            found[here.cell] = GoldenRows(values, _said(here.cell, snapshot, values))
    return found


def golden_faults(
    golden: Mapping[Cell, GoldenRows], snapshots: Mapping[Cell, Sequence[Snapshot]]
) -> list[str]:
    """Say where the experts differ from what they said when they were trained.

    Every number that is not finite counts as a difference.
    """
    found: list[str] = []
    for cell, kept in golden.items():
        said = _said(cell, snapshots[cell][-1], kept.values)
        if set(said) != set(kept.probabilities):
            found.append(
                f"{cell}: needed experts {', '.join(sorted(kept.probabilities))}; "
                f"found {', '.join(sorted(said)) or 'none'}"
            )
            continue
        for name, expected in kept.probabilities.items():
            apart = float(np.abs(said[name] - expected).max(initial=0.0))
            if not math.isfinite(apart) or apart > TOLERANCE:
                at = int(np.argmax(np.abs(said[name] - expected)))
                found.append(
                    f"{cell}, {name}, row {at}: needed {float(expected[at])!r}; "
                    f"found {float(said[name][at])!r}"
                )
    return found


def _said(cell: Cell, snapshot: Snapshot, values: np.ndarray) -> dict[str, np.ndarray]:
    h = cell.horizon_days
    return {
        expert.name: chance_of(shift_of_odds(expert.model.margin(values), h), h)
        for expert in snapshot.experts
    }
