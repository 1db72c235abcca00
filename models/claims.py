"""What the claims assert of features: the signs they state, and their rules.

Fixed before any outcome was looked at; every expert that takes a claim at its word reads it here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

SIGNS: Mapping[str, int] = {
    # C1, C4: after new highs crypto rises.
    **dict.fromkeys(("high_flag", "high_first", "high_freshness", "high_share_60s"), 1),
    # C6: past bull markets came with inflows.
    **dict.fromkeys(("flow_1s", "flow_5s", "flow_20s", "flow_60s", "flow_decayed_20s"), 1),
    **dict.fromkeys(("flow_zscore_20s", "flow_persistence_20s"), 1),
    # C7: many constituents with a negative year are a warning.
    "breadth_negative_252s": -1,
}
"""Feature -> sign of its effect on the chance of a rise. Nearness to highs is left open: to the
52-week high it is known to predict the market up, to the all-time high down."""

WEAK_BREADTH = 0.4
"""C7: a share of constituents with a negative year that counts as near a record."""


def signs_of(names: Sequence[str]) -> tuple[int, ...]:
    """Return the sign that a claim states for each feature, 0 where none does.

    Examples
    --------
    >>> signs_of(["own_return_1d", "flow_20s", "breadth_negative_252s"])
    (0, 1, -1)
    """
    return tuple(SIGNS.get(name, 0) for name in names)


def asserted(
    high: np.ndarray, flow: np.ndarray | None = None, weak: np.ndarray | None = None
) -> np.ndarray:
    """Return (n,) what the claims assert, from 0 to 1.

    C1 and C4: a decaying high counts. C6: with outflow by half. C7: with weak breadth by half.

    Parameters
    ----------
    high : (n,) freshness of the last high, 0 to 1; NaN where missing asserts nothing.
    flow : (n,) flow over assets, of either sign; None where there is none.
    weak : (n,) share of constituents with a negative year; None where there is none.

    Examples
    --------
    >>> asserted(np.array([1.0, 1.0]), np.array([-2.0, 2.0]), np.array([0.5, 0.5])).tolist()
    [0.25, 0.5]
    """
    said = np.where(np.isfinite(high), high, 0.0)
    if flow is not None:
        said = np.where(flow < 0, said / 2, said)
    if weak is not None:
        said = np.where(weak > WEAK_BREADTH, said / 2, said)
    return said
