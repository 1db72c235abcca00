"""Breadth of one new session, from a state carried from day to day."""

from __future__ import annotations

from collections import deque
from statistics import median

import numpy as np
import pandas as pd

from features.advances import NAMES, AdvanceDecline
from features.blocks import BLOCK, older, tails
from features.breadth import named, shares
from features.cross_section import DESCRIBED
from features.participation import COUNTS, OFF_HIGH, PICKS, ROUNDING, WINDOWS, YEAR
from features.universe import GATE_SESSIONS, GATE_SHARE, spans_of
from sources.market import Panel

SLOTS = YEAR // BLOCK + 1
"""Blocks that are kept: those of a year, and the one that is being filled."""

POWERS = 5
"""Totals of 1, 2, 4, 8 and 16 blocks are kept, of which all spans are joined."""


class ParticipationState:
    """The counts of :func:`features.participation.participation`, one session at a time."""

    def __init__(self, width: int) -> None:
        self._sessions = 0
        self._x = np.full((SLOTS, BLOCK, width), np.nan)
        self._tails = {pick: np.full((SLOTS, BLOCK, width), np.nan) for pick in PICKS}
        self._heads = {pick: np.empty(width) for pick in PICKS}
        self._spans: dict[np.ufunc, dict[int, np.ndarray]] = {pick: {} for pick in PICKS}
        for pick, window in WINDOWS:
            for j in range(BLOCK):
                self._spans[pick][older(window, j)[0] - 1] = np.full(width, np.nan)
        self._powers = {pick: np.full((POWERS, SLOTS, width), np.nan) for pick in PICKS}

    def update(self, now: np.ndarray, member: np.ndarray | None = None) -> dict[str, int]:
        """Take in a session's closes, (c,), and who is a member; return its counts."""
        here = now == now  # noqa: PLR0124 - true but for NaN, and fast
        block, j = divmod(self._sessions, BLOCK)
        found = dict.fromkeys(COUNTS, 0)

        def count(name: str, held: np.ndarray) -> None:
            if member is not None:
                held &= member
            found[name] = int(np.count_nonzero(held))

        if j == 0:
            self._close_block(block)
        self._x[block % SLOTS, j] = now
        for pick, head in self._heads.items():
            pick(head, now, out=head) if j else np.copyto(head, now)
        before, year = self.back(1), self.back(YEAR)
        count("listed", here.copy())
        count("whole_2", np.logical_and(here, before == before))  # noqa: PLR0124
        count("advances", now > before)
        count("declines", now < before)
        for window in (50, 200):
            total = self._total(np.add, window, block, j)
            count(f"whole_{window}", total == total)  # noqa: PLR0124
            count(f"above_{window}", now * (window * (1 - ROUNDING)) > total)
        top = self._total(np.maximum, YEAR, block, j)
        count("whole_252", top == top)  # noqa: PLR0124
        count("high", now >= top)
        count("off_high", now < top * OFF_HIGH)
        count("low", now <= self._total(np.minimum, YEAR, block, j))
        count("ends_252", np.logical_and(here, year == year))  # noqa: PLR0124
        count("negative", now < year)
        self._sessions += 1
        return found

    def _close_block(self, block: int) -> None:
        """Store the tails of the block that is full, and the totals of whole blocks before this.

        Joined in the order of :func:`features.blocks.whole_blocks`: the same bits.
        """
        done = (block - 1) % SLOTS
        for pick, tail in self._tails.items():
            tails(pick, self._x[done], tail[done])
            powers = self._powers[pick]
            powers[0, done] = tail[done, 0]
            for i in range(1, POWERS):
                earlier = (block - 1 - 2 ** (i - 1)) % SLOTS
                pick(powers[i - 1, done], powers[i - 1, earlier], out=powers[i, done])
            for blocks, span in self._spans[pick].items():
                last = block - 1
                for i in range(POWERS):
                    if blocks >> i & 1:
                        piece = powers[i, last % SLOTS]
                        if last == block - 1:
                            span[:] = piece
                        else:
                            pick(span, piece, out=span)
                        last -= 2**i

    def _total(self, pick: np.ufunc, window: int, block: int, phase: int) -> np.ndarray:
        q, r = older(window, phase)
        total: np.ndarray = pick(self._heads[pick], self._spans[pick][q - 1])
        return pick(total, self._tails[pick][(block - q) % SLOTS, r], out=total)

    def back(self, lag: int) -> np.ndarray:
        """Return the closes of ``lag`` sessions before the next; NaN where there is none."""
        block, phase = divmod(self._sessions - lag, BLOCK)
        return self._x[block % SLOTS, phase]


class BreadthState:
    """Everything that the next session's breadth reads, and nothing older than 264 sessions.

    The same sums in the same order as :func:`features.breadth.breadth_table`, so the same
    bits. Memberships are those known when the state is made; new ones need a new state.

    Parameters
    ----------
    symbols : (m,) tickers, the order of the closes.
    members : frame ``symbol,start,end``, or None.

    Examples
    --------
    >>> state = BreadthState(("A", "B"))
    >>> day = state.update(np.datetime64("2024-01-02", "us"), np.array([10.0, 20.0]))
    >>> bool(np.isnan(day["breadth_above_50s"]))  # two symbols, and one session
    True
    """

    def __init__(self, symbols: tuple[str, ...], members: pd.DataFrame | None = None) -> None:
        self._source, self._after, self._start, self._end = spans_of(symbols, members)
        self._dated = members is not None
        self._counts = ParticipationState(len(self._source))
        self._levels: deque[float] = deque(maxlen=GATE_SESSIONS)
        self._line = AdvanceDecline()

    @classmethod
    def of(cls, panel: Panel) -> BreadthState:
        """Return the state after the last session of a panel."""
        state = cls(panel.symbols, panel.members)
        for date, closes in zip(panel.dates, panel.closes, strict=True):
            state.update(date, closes)
        return state

    def update(self, date: np.datetime64, closes: np.ndarray) -> dict[str, float]:
        """Take in one session and return its breadth.

        Parameters
        ----------
        date : the session, after all that were taken in before.
        closes : (m,) float64, USD; NaN where there is none.

        Returns
        -------
        column -> value of that row of :func:`features.breadth.breadth_table`; empty where the
        feed failed: that session has no breadth, and the state is as if it had not been.
        """
        now, member = closes, None
        if self._dated:
            readable = (self._after < date) & (date <= self._end)
            now = np.where(readable, closes[self._source], np.nan)
            member = readable & (self._start <= date)
        here = now == now  # noqa: PLR0124 - true but for NaN, and fast
        counted = here if member is None else here & member
        expected = len(now) if member is None else np.count_nonzero(member)
        if not self._passes(int(np.count_nonzero(counted)), int(expected)):
            return {}
        own = now if member is None else np.where(member, now, np.nan)
        spread: dict[str, np.ndarray] = {}
        for lag, describe in DESCRIBED.items():
            spread |= describe(own[None], self._counts.back(lag)[None])
        found = self._counts.update(now, member)
        measured = {name: np.array([value]) for name, value in found.items()} | spread
        built = {name: float(values[0]) for name, values in shares(measured).items()}
        built |= named(
            dict(zip(NAMES, self._line.step(built.pop("breadth_net_advance")), strict=True))
        )
        return built

    def _passes(self, listed: int, expected: int) -> bool:
        level = listed / max(expected, 1)
        usual = median(self._levels) if self._levels else 0.0
        self._levels.append(level)
        return not level < GATE_SHARE * usual
