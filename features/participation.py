"""Counts by session of the constituents that take part: the passes over the panel that cost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from features.blocks import BLOCK, older, tails, whole_blocks
from features.universe import Universe

YEAR = 252
OFF_HIGH = 0.8
ROUNDING = 1e-12
"""Relative margin by which a price must exceed a mean: more than a sum of 200 can be off."""

WIDTH = 32
"""Columns worked on at once: few enough for the cache, many enough for the vector unit."""

WORKERS = 2
"""Threads; numpy lets go of the interpreter's lock inside each pass."""

NEEDS = {
    "listed": 1, "whole_2": 2, "whole_50": 50, "whole_200": 200, "whole_252": YEAR,
    "ends_252": YEAR + 1,
}  # fmt: skip
"""Who can be counted: members with a close in each of so many sessions; ``ends_252`` needs one
now and one 252 sessions ago, and may lack some between."""

HITS = (
    "advances", "declines", "above_50", "above_200", "high", "low", "off_high", "negative",
)  # fmt: skip
COUNTS = (*NEEDS, *HITS)

_AT = {name: i for i, name in enumerate(COUNTS)}
PICKS: tuple[np.ufunc, ...] = (np.add, np.maximum, np.minimum)
WINDOWS: tuple[tuple[np.ufunc, int], ...] = (
    (np.add, 50),
    (np.add, 200),
    (np.maximum, YEAR),
    (np.minimum, YEAR),
)
_Tell = Callable[[str, int, np.ufunc, np.ndarray, np.ndarray], None]


def participation(universe: Universe) -> dict[str, np.ndarray]:
    """Count, by session, the members that meet each condition and those it can be said of.

    Returns
    -------
    name -> (t,) int64, for each name of ``COUNTS``. Row t reads sessions up to t.
    """
    if not len(universe.rows):
        return {name: np.zeros(0, dtype="int64") for name in COUNTS}
    blocks = [slice(i, i + WIDTH) for i in range(0, len(universe.source), WIDTH)]
    work = [blocks[i::WORKERS] for i in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        parts = list(pool.map(lambda part: _Counter(universe).count(part), work))
    return dict(zip(COUNTS, np.sum(parts, axis=0), strict=True))


class _Counter:
    """The arrays of one thread, reused for each of its column blocks."""

    def __init__(self, universe: Universe) -> None:
        self.universe, self.rows = universe, len(universe.rows)
        shape = (BLOCK, -(-self.rows // BLOCK), WIDTH)
        self.x = np.full(shape, np.nan)
        self.tails = {pick: np.empty(shape) for pick in PICKS}
        self.heads = {pick: np.empty(shape[1:]) for pick in self.tails}
        self.spans: dict[np.ufunc, dict[int, np.ndarray]] = {pick: {} for pick in self.tails}
        for pick, window in WINDOWS:
            for j in range(BLOCK):
                self.spans[pick].setdefault(older(window, j)[0] - 1, np.empty(shape[1:]))
        self.room, self.copy = np.full((2, *shape[1:]), np.nan), np.empty((self.rows, WIDTH))
        self.window, self.scaled = np.empty(shape[1:]), np.empty(shape[1:])
        self.hit = np.empty(shape[1:], dtype=bool)
        self.tally = np.zeros((len(COUNTS), *shape), dtype="uint8")
        self.steps = np.zeros((len(COUNTS), self.rows + 1), dtype="int64")

    def count(self, blocks: list[slice]) -> np.ndarray:
        """Add up the counts of some column blocks: (len(COUNTS), t)."""
        total = np.zeros((len(COUNTS), self.rows), dtype="int64")
        for i, block in enumerate(blocks, start=1):
            closes = self.universe.columns(block, self.copy)
            unbroken = self._count_unbroken(closes, block)
            self._by_phase(closes, self.x)
            members = self.universe.members(block)
            mask = None
            if members is not None:
                mask = np.zeros(self.x.shape, dtype=bool)
                self._by_phase(members, mask)
            self._count_hits(mask, unbroken)
            if i % 255 == 0 or i == len(blocks):  # before the bytes overflow
                by_row = self.tally.sum(axis=3, dtype="int64").transpose(0, 2, 1)
                total += by_row.reshape(len(COUNTS), -1)[:, : self.rows]
                self.tally[:] = 0
        return total + np.cumsum(self.steps, axis=1)[:, :-1]

    def _by_phase(self, columns: np.ndarray, into: np.ndarray) -> None:
        """Lay (t, w) out as (phase, block, column)."""
        depth, left = divmod(len(columns), BLOCK)
        w = columns.shape[1]
        cut = depth * BLOCK
        into[:, :depth, :w] = columns[:cut].reshape(depth, BLOCK, w).transpose(1, 0, 2)
        into[:left, depth:, :w] = columns[cut:, None]
        into[:, :, w:] = np.nan if into.dtype.kind == "f" else False

    def _count_unbroken(self, closes: np.ndarray, block: slice) -> bool:
        """Count who can be counted where no column has a hole; return False where one has.

        A column with one run of closes meets a need from so many sessions after its start to
        its end, which takes no pass over the panel.
        """
        here = closes == closes  # noqa: PLR0124 - true but for NaN, and fast
        row, column = np.divmod(np.flatnonzero(here[1:] != here[:-1]), here.shape[1])
        turns = np.bincount(column, minlength=here.shape[1]) + here[0] + here[-1]
        if (turns > 2).any():
            return False
        some = turns == 2
        first, last = np.zeros(len(turns), dtype="int64"), np.full(len(turns), self.rows)
        starts = here[row + 1, column]
        first[column[starts]], last[column[~starts]] = row[starts] + 1, row[~starts] + 1
        for name, need in NEEDS.items():
            begin = np.maximum(first + need - 1, self.universe.begin[block])
            able = some & (begin < last)
            np.add.at(self.steps[_AT[name]], begin[able], 1)
            np.add.at(self.steps[_AT[name]], last[able], -1)
        return True

    def _count_hits(self, mask: np.ndarray | None, unbroken: bool) -> None:
        """Add the column block in ``x`` to the tally."""
        x, depth = self.x, self.x.shape[1]
        for pick, tail in self.tails.items():
            tails(pick, x, tail)
            whole_blocks(pick, tail[0], self.spans[pick], self.room)
        for j in range(BLOCK):
            now = x[j]
            for pick, head in self.heads.items():
                pick(head, now, out=head) if j else np.copyto(head, now)
            tell = self._teller(j, mask, unbroken)
            tell("listed", 0, np.equal, now, now)
            before = x[j - 1] if j else x[-1, :-1]
            lag = 0 if j else 1
            tell("advances", lag, np.greater, now[lag:], before)
            tell("declines", lag, np.less, now[lag:], before)
            if not unbroken:
                held = np.logical_and(before == before, now[lag:] == now[lag:])  # noqa: PLR0124
                tell("whole_2", lag, np.logical_and, held, held)
            for window in (50, 200):
                q = self._end(np.add, window, j)
                if q < depth:
                    total, scaled = self.window[q:], self.scaled[q:]
                    tell(f"whole_{window}", q, np.equal, total, total)
                    np.multiply(now[q:], window * (1 - ROUNDING), out=scaled)
                    tell(f"above_{window}", q, np.greater, scaled, total)
            q, lag = self._end(np.maximum, YEAR, j), YEAR // BLOCK
            if q < depth:
                top = self.window[q:]
                tell("whole_252", q, np.equal, top, top)
                tell("high", q, np.greater_equal, now[q:], top)
                np.multiply(top, OFF_HIGH, out=top)
                tell("off_high", q, np.less, now[q:], top)
                self._end(np.minimum, YEAR, j)
                tell("low", q, np.less_equal, now[q:], self.window[q:])
            if lag < depth:
                tell("negative", lag, np.less, now[lag:], now[:-lag])
                if not unbroken:
                    held = np.logical_and(now[lag:] == now[lag:], now[:-lag] == now[:-lag])
                    tell("ends_252", lag, np.logical_and, held, held)

    def _end(self, pick: np.ufunc, window: int, phase: int) -> int:
        """Put the windows that end at a phase into ``window``; return the first block with one."""
        q, r = older(window, phase)
        if q < len(self.window):
            out = self.window[q:]
            pick(self.heads[pick][q:], self.spans[pick][q - 1][q:], out=out)
            pick(out, self.tails[pick][r, :-q], out=out)
        return q

    def _teller(self, phase: int, mask: np.ndarray | None, unbroken: bool) -> _Tell:
        """Return what compares two arrays of a phase and counts where it holds."""

        def tell(name: str, first: int, test: np.ufunc, one: np.ndarray, other: np.ndarray) -> None:
            if unbroken and name in NEEDS:
                return
            held, into = self.hit[first:], self.tally[_AT[name], phase, first:]
            test(one, other, out=held)
            if mask is not None:
                np.logical_and(held, mask[phase, first:], out=held)
            np.add(into, held.view("uint8"), out=into)

        return tell
