"""Signals made of signals: the products that the claims name, and a common driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.carried import delayed

PAIRS: Mapping[str, tuple[tuple[str, str], ...]] = {
    # C6: highs with inflows.
    "high x flow": tuple(("high_decay_20s", f"flow_pressure_{k}s") for k in (10, 40)),
    # Momentum counts more, or less, when constituents move apart.
    "momentum x dispersion": tuple((f"small_scaled_{k}s", "dispersion_log") for k in (20, 60, 120)),
    # C7: highs with weak breadth.
    "high x breadth": (("high_decay_20s", "breadth_negative_252s"),),
    # C8, C13: highs in loose and in tight liquidity.
    "high x liquidity": (("high_decay_20s", "liquidity_scaled_13w"),),
}  # fmt: skip
"""Group -> pairs of features whose standardised values are multiplied."""

GATED = tuple(
    (f"high_decay_{f}s", f"flow_pressure_{k}s") for f in (10, 20, 40) for k in (10, 20, 40)
)
"""A decaying high that counts only while there is inflow (C6), in the group ``high x flow``."""

DRIVERS = (
    ("liquidity_scaled_4w", "credit_scaled_20s", "relative_scaled_20s"),
    ("liquidity_scaled_13w", "credit_scaled_60s", "relative_scaled_60s"),
)
"""C11: liquidity, credit and small caps together show what moves both, at two speeds."""


@dataclass(frozen=True)
class Signals:
    """Features that compete for belief: their names, groups and values (t, a, k)."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    values: np.ndarray


def with_interactions(plain: Signals, z: np.ndarray) -> Signals:
    """Add products and drivers whose parts are all there.

    Parameters
    ----------
    plain : the signals by themselves.
    z : (t, a, k) their values standardised by their past.
    """
    at = {name: i for i, name in enumerate(plain.names)}
    made: list[tuple[str, str, np.ndarray]] = []
    for gated, by in GATED:
        if gated in at and by in at:
            flow = plain.values[:, :, at[by]]
            inflow = np.where(np.isfinite(flow), flow > 0, np.nan)
            made.append(("high x flow", f"{gated} if {by}", plain.values[:, :, at[gated]] * inflow))
    for group, pairs in PAIRS.items():
        for one, other in pairs:
            if one in at and other in at:
                product = z[:, :, at[one]] * z[:, :, at[other]]
                made.append((group, f"{one} x {other}", product))
    drivers = [parts for parts in DRIVERS if all(part in at for part in parts)]
    levels = [_together(z, [at[part] for part in parts]) for parts in drivers]
    for parts, level in zip(drivers, levels, strict=True):
        speed = parts[0].removeprefix("liquidity_scaled_")
        made.append(("driver", f"driver_{speed}", level))
        made.append(("driver", f"driver_{speed} 14 days ago", delayed(level, 14)))
    if levels:
        slow = levels[-1]
        made.append(("driver", "driver over 91 days", (slow + delayed(slow, 91)) / 2))
        month = (slow + delayed(slow, 14) + delayed(slow, 28)) / 3
        made.append(("driver", "driver over 28 days", month))
    if not made:
        return plain
    return Signals(
        names=(*plain.names, *(name for _, name, _ in made)),
        groups=(*plain.groups, *(group for group, _, _ in made)),
        values=np.concatenate([plain.values, np.stack([v for *_, v in made], axis=2)], axis=2),
    )


def _together(z: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    return np.add.reduce([z[:, :, i] for i in columns]) / np.sqrt(len(columns))
