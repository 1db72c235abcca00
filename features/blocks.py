"""Rolling sums and extremes from blocks of sessions, with nothing subtracted.

Session ``BLOCK * k + j`` has phase j in block k. The window of ``w`` sessions that ends there
is the head of block k up to phase j, some whole blocks, and the tail of an older block: one
running head, one stored tail and one rolling total of whole blocks serve windows of all
lengths in a few passes (van Herk 1992; Gil and Werman 1993). Since nothing is subtracted, a
price that falls ten thousand million-fold, as adjusted prices do, leaves no rounding error
behind, and a missing close makes exactly the windows missing that hold it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

BLOCK = 12
"""Sessions in a block; a year of 252 is a whole number of them."""


def older(window: int, phase: int) -> tuple[int, int]:
    """Return how many blocks back a window that ends at a phase begins, and at which phase.

    >>> older(50, 0)  # one session of this block, 48 of the four before, one of the fifth
    (5, 11)
    """
    blocks, begin = divmod(phase - window + 1, BLOCK)
    return -blocks, begin


def tails(pick: np.ufunc, x: np.ndarray, out: np.ndarray) -> None:
    """Put into ``out[j]`` the total of phases j and later of ``x``, (BLOCK, ...)."""
    out[-1] = x[-1]
    for j in range(BLOCK - 2, -1, -1):
        pick(out[j + 1], x[j], out=out[j])


def whole_blocks(
    pick: np.ufunc, total: np.ndarray, spans: Mapping[int, np.ndarray], room: np.ndarray
) -> None:
    """Join the totals of so many blocks before each one.

    Parameters
    ----------
    total : (depth, ...) one total a block.
    spans : number of blocks -> (depth, ...) to be filled from that row on; the rows before
        have fewer blocks, and are without meaning.
    room : (2, depth, ...) to work in.
    """
    power, size, filled = total, 1, dict.fromkeys(spans, 0)
    while True:
        for blocks, span in spans.items():
            done = filled[blocks]
            if blocks & size:
                first = done + size
                piece = power[size - 1 : len(power) - done - 1]
                if done:
                    pick(span[first:], piece, out=span[first:])
                else:
                    span[first:] = piece
                filled[blocks] = first
        if 2 * size > max(spans):
            return
        doubled = room[size.bit_length() % 2]
        pick(power[size:], power[:-size], out=doubled[size:])
        power, size = doubled, 2 * size
