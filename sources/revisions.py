"""Revisions of a panel: what its cells and memberships were before each change became known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PanelRevisions:
    """Changes of single cells, and of the table of members.

    Attributes
    ----------
    rows, columns : (k,) int64, the cell of the panel.
    before : (k,) float64, what the cell said before; NaN for nothing.
    available_at : (k,) datetime64[us], UTC, non-decreasing: since when it says something else.
    members : (instant, table before it) of each change of the members, ascending.
    """

    rows: np.ndarray
    columns: np.ndarray
    before: np.ndarray
    available_at: np.ndarray
    members: tuple[tuple[np.datetime64, pd.DataFrame | None], ...] = ()

    def undone(self, closes: np.ndarray, moment: np.datetime64) -> np.ndarray:
        """Return closes (n, m) as they were at a moment; the array itself where nothing changed."""
        first = int(np.searchsorted(self.available_at, moment, side="right"))
        if first == len(self.available_at):
            return closes
        earlier = closes.copy()
        # Of several changes of a cell the first one's value is put back; assigning them all
        # would leave it to numpy which comes last.
        cell = self.rows[first:] * closes.shape[1] + self.columns[first:]
        once = first + np.unique(cell, return_index=True)[1]
        earlier[self.rows[once], self.columns[once]] = self.before[once]
        return earlier

    def members_at(self, members: pd.DataFrame | None, moment: np.datetime64) -> Any:
        """Return the table of members as it was at a moment."""
        for instant, table in self.members:
            if instant > moment:
                return table
        return members

    def until(self, moment: np.datetime64, keep: np.ndarray) -> PanelRevisions | None:
        """Return the changes known at a moment, of the rows (n,) that are kept; None for none."""
        mine = (self.available_at <= moment) & keep[self.rows]
        members = tuple(change for change in self.members if change[0] <= moment)
        if not (mine.any() or members):
            return None
        place = np.cumsum(keep) - 1
        return PanelRevisions(
            rows=place[self.rows[mine]],
            columns=self.columns[mine],
            before=self.before[mine],
            available_at=self.available_at[mine],
            members=members,
        )

    def instants(self) -> np.ndarray:
        """Return the instants at which something changed, ascending, datetime64[us]."""
        changed = np.array([instant for instant, _ in self.members], dtype="datetime64[us]")
        return np.unique(np.concatenate([self.available_at, changed]))

    def update(self, total: Any, dates: np.ndarray, symbols: tuple[str, ...]) -> None:
        """Add the changes of cells to a hash; the order of the columns does not change it."""
        if not len(self.rows):
            return
        names = np.array(symbols, dtype=object)[self.columns]
        order = np.lexsort((names.astype(str), self.rows, self.available_at))
        total.update(f"revisions:{','.join(names[order])}\n".encode())
        total.update(np.ascontiguousarray(dates[self.rows[order]]).view("i8").data)
        total.update(np.ascontiguousarray(self.available_at[order]).view("i8").data)
        total.update(np.ascontiguousarray(self.before[order]).data)
