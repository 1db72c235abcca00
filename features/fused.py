"""The counts of :mod:`features.participation` by one compiled kernel (extra ``fast``: numba).

One pass keeps every running quantity of a column in the cache and reads each close about
once, where numpy makes a pass for each quantity. The sums add the same numbers in the same
order, so the counts are the same integers. Importing numba and the kernel takes a process
about a second, more than a panel of thousands costs without it: worth it where many panels
are counted, and therefore asked for, never the default.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from features.blocks import BLOCK
from features.participation import COUNTS, OFF_HIGH, ROUNDING, WORKERS, YEAR
from features.universe import Universe

WIDTH = 1024
"""Columns worked on at once: rows long enough to stream, all that is kept small enough for L2."""

POWERS = 5
"""Totals of 1, 2, 4, 8 and 16 whole blocks."""
RING = 32
TAILS = 18
"""Blocks whose tails a window of 200 can begin in, and the one that is being closed."""

MARGIN = 1 - ROUNDING
_kernel = njit(nogil=True, cache=True, error_model="numpy")


def participation(universe: Universe) -> dict[str, np.ndarray]:
    """Count as :func:`features.participation.participation` does, to the last one.

    Returns
    -------
    name -> (t,) int64, for each name of ``COUNTS``. Row t reads sessions up to t.
    """
    columns, sessions = len(universe.source), len(universe.rows)
    if not sessions:
        return {name: np.zeros(0, dtype="int64") for name in COUNTS}
    width = max(min(WIDTH, -(-columns // WORKERS)), 1)
    blocks = [slice(i, min(i + width, columns)) for i in range(0, columns, width)]

    def count(part: list[slice]) -> np.ndarray:
        tally = np.zeros((sessions, len(COUNTS)), dtype="int64")
        room = np.empty((0, 0)) if _as_it_is(universe) else np.empty((sessions, width))
        for block in part:
            closes, first = universe.closes, block.start
            if room.size:
                closes, first = np.ascontiguousarray(universe.columns(block, room)), 0
            begin, end = universe.begin[block], universe.end[block]
            everyone = universe.members(block) is None
            _count(closes, first, len(begin), *((None, None) if everyone else (begin, end)), tally)
        return tally

    with ThreadPoolExecutor(WORKERS) as pool:
        parts = list(pool.map(count, [blocks[i::WORKERS] for i in range(WORKERS)]))
    return dict(zip(COUNTS, np.sum(parts, axis=0).T, strict=True))


def _as_it_is(universe: Universe) -> bool:
    """Say whether the panel itself can be read: all rows, all columns in order, all readable."""
    rows, columns = universe.closes.shape
    return bool(
        universe.closes.flags.c_contiguous
        and len(universe.rows) == rows
        and np.array_equal(universe.source, np.arange(columns))
        and (universe.readable == 0).all()
        and (universe.end == rows).all()
    )


@_kernel
def _count(closes, first, width, begin, end, tally):  # type: ignore[no-untyped-def]
    """Add the counts of some columns of ``closes`` to ``tally``, (t, len(COUNTS))."""
    missing = np.full(width, np.nan)
    run, head = np.zeros(width), np.zeros(width)
    top, low = np.full(width, -np.inf), np.full(width, np.inf)
    sums = np.full((POWERS, RING, width), np.nan)
    tops = np.full((POWERS, RING, width), -np.inf)
    lows = np.full((POWERS, RING, width), np.inf)
    span_3, span_15 = np.full(width, np.nan), np.full(width, np.nan)
    tops_from = np.full((BLOCK + 1, width), -np.inf)
    lows_from = np.full((BLOCK + 1, width), np.inf)
    tails = np.full((TAILS, BLOCK, width), np.nan)
    for t in range(len(closes)):
        k, j = t // BLOCK, t % BLOCK
        if j == 0:
            if k > 0:
                _close_block(closes, first, k - 1, top, low, tails, sums, tops, lows)
            _open_block(closes, first, k, sums, tops, lows, span_3, span_15, tops_from, lows_from)
        done = (k - 1) % RING
        # Where a window begins follows from features.blocks.older: (50, 0) is (5, 11), and so on.
        span_50 = sums[2, done] if j == 0 else span_3
        tail_50 = tails[(k - 5) % TAILS, 11] if j == 0 else tails[(k - 4) % TAILS, j - 1]
        span_200 = sums[4, done] if j < 7 else span_15
        tail_200 = tails[(k - 17) % TAILS, j + 5] if j < 7 else tails[(k - 16) % TAILS, j - 7]
        _row(
            closes[t, first : first + width],
            closes[t - 1, first : first + width] if t else missing,
            closes[t - YEAR, first : first + width] if t >= YEAR else missing,
            t, begin, end, j == 0, run, head, top, low,
            span_50, tail_50, span_200, tail_200, tops_from[j + 1], lows_from[j + 1], tally[t],
        )  # fmt: skip


@_kernel
def _close_block(closes, first, block, top, low, tails, sums, tops, lows):  # type: ignore[no-untyped-def]
    """Store the tails of a block that is full, and the totals of 1 to 16 blocks up to it."""
    width, at, begins = len(top), block % RING, block * BLOCK
    tail = tails[block % TAILS]
    tail[BLOCK - 1] = closes[begins + BLOCK - 1, first : first + width]
    for i in range(BLOCK - 2, -1, -1):
        now = closes[begins + i, first : first + width]
        for c in range(width):
            tail[i, c] = tail[i + 1, c] + now[c]
    for c in range(width):
        sums[0, at, c] = tail[0, c]
        tops[0, at, c] = top[c]
        lows[0, at, c] = low[c]
    for power in range(1, POWERS):
        before = (block - (1 << (power - 1))) % RING
        for c in range(width):
            sums[power, at, c] = sums[power - 1, at, c] + sums[power - 1, before, c]
            one, other = tops[power - 1, at, c], tops[power - 1, before, c]
            tops[power, at, c] = other if other > one else one
            one, other = lows[power - 1, at, c], lows[power - 1, before, c]
            lows[power, at, c] = other if other < one else one


@_kernel
def _open_block(  # type: ignore[no-untyped-def]
    closes, first, block, sums, tops, lows, span_3, span_15, tops_from, lows_from
):  # fmt: skip
    """Prepare what all windows that end in a block share: whole blocks, and extremes before it.

    ``tops_from[i]`` becomes the maximum from phase i of the block 21 back up to this block;
    ``i == BLOCK`` leaves that block out.
    """
    width = len(span_3)
    a, b, d = (block - 1) % RING, (block - 2) % RING, (block - 4) % RING
    e, q = (block - 8) % RING, (block - 17) % RING
    for c in range(width):
        three = sums[0, a, c] + sums[1, b, c]
        span_3[c] = three
        span_15[c] = (three + sums[2, d, c]) + sums[3, e, c]
        one, other = tops[4, a, c], tops[2, q, c]
        tops_from[BLOCK, c] = other if other > one else one
        one, other = lows[4, a, c], lows[2, q, c]
        lows_from[BLOCK, c] = other if other < one else one
    if block < YEAR // BLOCK:
        return
    begins = (block - YEAR // BLOCK) * BLOCK
    for i in range(BLOCK - 1, 0, -1):
        now = closes[begins + i, first : first + width]
        for c in range(width):
            one, close = tops_from[i + 1, c], now[c]
            tops_from[i, c] = close if close > one else one
            one = lows_from[i + 1, c]
            lows_from[i, c] = close if close < one else one


@_kernel
def _row(  # type: ignore[no-untyped-def]
    now, before, year, t, begin, end, starts, run, head, top, low,
    span_50, tail_50, span_200, tail_200, tops, lows, tally,
):  # fmt: skip
    """Count one session. A missing close spoils the sums that hold it, and breaks the run."""
    listed = whole_2 = whole_50 = whole_200 = whole_252 = ends_252 = 0
    advances = declines = above_50 = above_200 = high = lowest = off_high = negative = 0
    for c in range(len(now)):
        close, last, ago = now[c], before[c], year[c]
        on = True if begin is None else (begin[c] <= t) & (t < end[c])
        total = close if starts else head[c] + close
        head[c] = total
        sum_50 = (total + span_50[c]) + tail_50[c]
        sum_200 = (total + span_200[c]) + tail_200[c]
        here = close == close
        listed += here & on
        whole_2 += here & (last == last) & on
        whole_50 += (sum_50 == sum_50) & on
        whole_200 += (sum_200 == sum_200) & on
        ends_252 += here & (ago == ago) & on
        advances += (close > last) & on
        declines += (close < last) & on
        above_50 += (close * (50 * MARGIN) > sum_50) & on
        above_200 += (close * (200 * MARGIN) > sum_200) & on
        negative += (close < ago) & on
    for c in range(len(now)):
        close = now[c]
        on = True if begin is None else (begin[c] <= t) & (t < end[c])
        length = run[c] + 1.0 if close == close else 0.0
        run[c] = length
        most = -np.inf if starts else top[c]
        most = close if close > most else most
        top[c] = most
        least = np.inf if starts else low[c]
        least = close if close < least else least
        low[c] = least
        most = tops[c] if tops[c] > most else most
        least = lows[c] if lows[c] < least else least
        full = (length >= YEAR) & on
        whole_252 += full
        high += (close >= most) & full
        lowest += (close <= least) & full
        off_high += (close < most * OFF_HIGH) & full
    tally[0] += listed
    tally[1] += whole_2
    tally[2] += whole_50
    tally[3] += whole_200
    tally[4] += whole_252
    tally[5] += ends_252
    tally[6] += advances
    tally[7] += declines
    tally[8] += above_50
    tally[9] += above_200
    tally[10] += high
    tally[11] += lowest
    tally[12] += off_high
    tally[13] += negative
