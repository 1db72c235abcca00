"""Signals made of signals: the products that the claims name, and a common driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.carried import delayed

PAIRS: Mapping[str, tuple[tuple[str, str], ...]] = {
    # Momentum counts more, or less, when constituents move apart: on the day, or over a month.
    "momentum x dispersion": tuple(
        (momentum, spread)
        for spread in ("dispersion_log_1s", "dispersion_log")
        for momentum in ("small_pressure_40s", "small_scaled_20s", "small_scaled_120s")
    ),
    # C7: highs with weak breadth.
    "high x breadth": (("high_decay_20s", "breadth_negative_252s"),),
    # C8, C13: highs in loose and in tight liquidity.
    "high x liquidity": (("high_decay_20s", "liquidity_scaled_13w"),),
}
"""Group -> pairs of features whose standardised values are multiplied."""

FRESH = tuple((f"high_decay_{f}s", f"flow_pressure_{k}s") for f in (10, 20, 40) for k in (10, 40))
"""A decaying high times the flow (C6), in the group ``high x flow``: without a high the flow counts
nothing, so the high is taken as it is, from 0 to 1, and not about its mean."""

GATED = tuple((f"high_decay_{f}s", f"flow_pressure_{k}s") for f in (20, 40) for k in (10, 40))
"""A decaying high that counts only while there is inflow, and then in full, in the same group."""

DRIVERS: Mapping[str, tuple[tuple[str, ...], int]] = {
    "appetite": (("credit_pressure_40s", "small_pressure_40s"), 0),
    "appetite 7 days ago": (("credit_pressure_40s", "small_pressure_40s"), 7),
    "appetite and liquidity": (
        ("liquidity_scaled_13w", "credit_pressure_40s", "small_pressure_40s"), 0,
    ),
}  # fmt: skip
"""C11: what moves credit and small caps together, and liquidity, as of so many days ago."""


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
    for fresh, by in FRESH:
        if fresh in at and by in at:
            product = plain.values[:, :, at[fresh]] * z[:, :, at[by]]
            made.append(("high x flow", f"{fresh} with {by}", product))
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
    for name, (parts, days) in DRIVERS.items():
        if all(part in at for part in parts):
            level = _together(z, [at[part] for part in parts])
            made.append(("driver", name, delayed(level, days) if days else level))
    if not made:
        return plain
    return Signals(
        names=(*plain.names, *(name for _, name, _ in made)),
        groups=(*plain.groups, *(group for group, _, _ in made)),
        values=np.concatenate([plain.values, np.stack([v for *_, v in made], axis=2)], axis=2),
    )


def _together(z: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    return np.add.reduce([z[:, :, i] for i in columns]) / np.sqrt(len(columns))
