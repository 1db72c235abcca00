"""The sieve: rows still standing, and those taken out, each with what was needed and found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sources.errors import DataUnavailableError
from sources.schemas import Layout
from sources.strict_csv import shown

REASONS = ("reason", "needed", "found")
"""Columns that a quarantined row carries beside its own."""

_FEW_ROWS, _FEW_SHARE = 5, 0.05


@dataclass(frozen=True)
class Screened:
    """What the gates made of one series.

    Attributes
    ----------
    accepted : rows that passed, as :class:`sources.market.Market` describes its tables.
    quarantined : the other rows with ``reason``, ``needed`` and ``found``.
    duplicates : rows that said again, to the bit, what another one says; left out of both.
    gaps : days on which a value was due by now and nobody has one; datetime64[us].
    stale : why the series is too old or stands still, in one sentence; None where it is not.
    rebased : factor between history as fetched and as stored, where they are two
        adjustments; then nothing is accepted, and the whole series has to be fetched again.
    """

    accepted: pd.DataFrame
    quarantined: pd.DataFrame
    duplicates: int = 0
    gaps: pd.DatetimeIndex = field(default_factory=lambda: pd.DatetimeIndex([], dtype="M8[us]"))
    stale: str | None = None
    rebased: float | None = None


def explain(source: str, quarantined: pd.DataFrame) -> list[str]:
    """Return one line for each row in quarantine: where, which day, why, needed, found.

    Parameters
    ----------
    source : for instance ``prices/IWM``.
    quarantined : with ``date`` and :data:`REASONS`, of :class:`Screened` or of a universe's gate.
    """
    return [
        f"{source} {_text(row.date)}: {row.reason}: needed {row.needed}; found {row.found}"
        for row in quarantined.itertuples()
    ]


class Sieve:
    """Rows of one feed, of which gates take out those that fail."""

    def __init__(self, table: pd.DataFrame, layout: Layout, source: str) -> None:
        self.layout, self.source = layout, source
        self.kept = table.sort_values(["date", "available_at"], kind="stable", ignore_index=True)
        self.duplicates = 0
        self._fetched = len(table)
        self._taken: list[pd.DataFrame] = []

    def take(self, bad: np.ndarray, reason: str, needed: str, found: list[str]) -> None:
        """Take out the rows marked ``bad`` (n,), for one reason; ``found`` has a text for each."""
        if not bad.any():
            return
        rows = self.kept[bad].copy()
        rows["reason"], rows["needed"], rows["found"] = reason, needed, found
        self._taken.append(rows)
        self.kept = self.kept[~bad].reset_index(drop=True)

    def take_values(self, bad: np.ndarray, reason: str, needed: str, column: str) -> None:
        """Take out rows for what stands in one column."""
        found = [f"{column} {_text(value)}" for value in self.kept.loc[bad, column]]
        self.take(bad, reason, needed, found)

    def take_all(self, reason: str, needed: str, found: str) -> None:
        """Take out whatever still stands."""
        self.take(np.ones(len(self.kept), dtype=bool), reason, needed, [found] * len(self.kept))

    def drop_repeats(self) -> None:
        """Leave out rows that are equal to an earlier one in every column, and count them."""
        again = self.kept.duplicated().to_numpy()
        self.duplicates += int(again.sum())
        self.kept = self.kept[~again].reset_index(drop=True)

    def quarantined(self) -> pd.DataFrame:
        """Return the rows taken out so far, by date."""
        if not self._taken:
            empty = self.kept.iloc[:0].copy()
            return empty.assign(**dict.fromkeys(REASONS, pd.Series(dtype="str")))
        rows = pd.concat(self._taken)
        return rows.sort_values(["date", "available_at"], kind="stable", ignore_index=True)

    def refuse_if_many(self) -> None:
        """Refuse the whole feed where more than 5 rows, and more than 5 % of them, have failed.

        Raises
        ------
        DataUnavailableError
            With the count and the first day of each reason.
        """
        taken = self.quarantined()
        limit = max(_FEW_ROWS, int(_FEW_SHARE * self._fetched))
        if len(taken) <= limit:
            return
        listed = [
            f"{len(rows)} x {reason} (first: {_text(rows['date'].iloc[0])}, needed "
            f"{rows['needed'].iloc[0]}, found {rows['found'].iloc[0]})"
            for reason, rows in taken.groupby("reason", sort=False)
        ]
        raise DataUnavailableError(
            f"{self.source}: feed refused: needed at most {limit} of {self._fetched} rows that "
            f"fail a gate; found {len(taken)}: {'; '.join(listed)}",
            source=self.source,
        )


def _text(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return value.isoformat() if value.tzinfo else value.date().isoformat()
    return f"{value:g}" if isinstance(value, float) else shown(value)
