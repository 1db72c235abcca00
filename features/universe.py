"""Who counts on which session: memberships, re-used symbols, and feeds that failed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sources.market import Panel

GATE_SESSIONS = 20
GATE_SHARE = 0.95
"""A session with less than this share of the usual closes is a failed feed (fault A29)."""


@dataclass(frozen=True)
class Universe:
    """The columns of a panel by membership: one for each symbol, or for each span of a symbol.

    A symbol with two spans may be two companies, so each span is a column of its own. Windows
    may read closes from before a membership began, for they were public; they never reach
    back to an earlier span of the same symbol. After the end of its span a column is empty.

    Attributes
    ----------
    closes : (n, m) float64, USD, as in the panel, not copied.
    rows : (t,) ascending rows of ``closes`` that are sessions; others are not read.
    source : (c,) column of ``closes`` that each column reads.
    readable, begin, end : (c,) sessions, counted in ``rows``: readable from, member from, and
        member until (exclusive).
    """

    closes: np.ndarray
    rows: np.ndarray
    source: np.ndarray
    readable: np.ndarray
    begin: np.ndarray
    end: np.ndarray

    def only(self, kept: np.ndarray) -> Universe:
        """Return the universe of some of its sessions, (t,) bool."""
        place = np.append(0, np.cumsum(kept))
        return replace(
            self,
            rows=self.rows[kept],
            readable=place[self.readable],
            begin=place[self.begin],
            end=place[self.end],
        )

    def expected(self) -> np.ndarray:
        """Return (t,) the number of columns that are members on each session."""
        steps = np.zeros(len(self.rows) + 1, dtype="int64")
        np.add.at(steps, self.begin, 1)
        np.add.at(steps, np.maximum(self.end, self.begin), -1)
        return np.cumsum(steps)[:-1]

    def columns(self, block: slice, room: np.ndarray) -> np.ndarray:
        """Copy some columns into ``room``, (t, >= w); return them, (t, w), NaN if unreadable."""
        source = self.source[block]
        copy = room[:, : len(source)]
        straight = source[-1] - source[0] + 1 == len(source) and bool((np.diff(source) == 1).all())
        chosen = self.closes[:, source[0] : source[-1] + 1] if straight else self.closes[:, source]
        np.copyto(copy, chosen[self.rows] if len(self.rows) < len(chosen) else chosen)
        for i in np.flatnonzero((self.readable[block] > 0) | (self.end[block] < len(copy))):
            copy[: self.readable[block][i], i] = np.nan
            copy[self.end[block][i] :, i] = np.nan
        return copy

    def members(self, block: slice) -> np.ndarray | None:
        """Return (t, w) bool, or None where every readable close is a member's."""
        if (self.begin[block] <= self.readable[block]).all():
            return None
        session = np.arange(len(self.rows))[:, None]
        mask: np.ndarray = (session >= self.begin[block]) & (session < self.end[block])
        return mask

    def sessions(self, first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return closes (s, c) of some sessions, NaN if unreadable, and who is a member (s, c)."""
        session = np.arange(first, stop)[:, None]
        closes = self.closes[self.rows[first:stop]][:, self.source]
        closes[(session < self.readable) | (session >= self.end)] = np.nan
        return closes, (session >= self.begin) & (session < self.end)


def spans_of(
    symbols: tuple[str, ...], members: pd.DataFrame | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the spans of the symbols: the column of each, and three days.

    Returns
    -------
    source : (c,) column of the symbol.
    after, start, end : (c,) datetime64[us]; closes are readable after the first, the end of
        the symbol's earlier span, and count from ``start`` to ``end``, both included.
    """
    always = np.array(["0001-01-01", "0001-01-02", "9999-12-31"], dtype="datetime64[us]")
    if members is None:
        source = np.arange(len(symbols))
        return source, *(np.full(len(source), day) for day in always)  # type: ignore[return-value]
    column = {symbol: i for i, symbol in enumerate(symbols)}
    spans = members[members["symbol"].isin(column)]
    source = np.array([column[symbol] for symbol in spans["symbol"]], dtype="int64")
    order = np.lexsort((spans["start"].to_numpy(), source))
    source, start = source[order], spans["start"].to_numpy("datetime64[us]")[order]
    end = spans["end"].to_numpy("datetime64[us]")[order]
    end = np.where(np.isnat(end), always[2], end)
    after = np.full(len(source), always[0])
    again = np.append(False, source[1:] == source[:-1])[: len(source)]
    after[again] = end[:-1][again[1:]]
    return source, after, start, end


def universe_of(panel: Panel) -> Universe:
    """Return the columns of a panel, by its memberships where they are known."""
    source, after, start, end = spans_of(panel.symbols, panel.members)
    readable = np.searchsorted(panel.dates, after, "right")
    return Universe(
        closes=panel.closes,
        rows=np.arange(len(panel.dates)),
        source=source,
        readable=readable,
        begin=np.maximum(np.searchsorted(panel.dates, start, "left"), readable),
        end=np.maximum(np.searchsorted(panel.dates, end, "right"), readable),
    )


def trusted(listed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Say which sessions have about as many closes as is usual.

    The closes, as a share of those expected, are compared with the median of that share over
    the ``GATE_SESSIONS`` sessions before. Below ``GATE_SHARE`` of it the feed failed, and the
    row is no session: it has no breadth, and no window reads it. A level that lasts becomes
    the usual one after half of ``GATE_SESSIONS``, so a real change is not shut out for ever.

    Parameters
    ----------
    listed : (n,) members with a close.
    expected : (n,) members; where memberships are not known, all the symbols of the panel.

    Returns
    -------
    (n,) bool; row t reads the rows up to t.
    """
    level = listed / np.maximum(expected, 1)
    usual = pd.Series(level).shift().rolling(GATE_SESSIONS, min_periods=1).median()
    passed: np.ndarray = ~(level < GATE_SHARE * usual.to_numpy())
    return passed
