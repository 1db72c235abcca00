"""What there is to tell of an ingest of live series: a row a series, and what needs a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from riskon import output as out
from sources.live import Agreement
from sources.live.series import LiveSeries
from sources.store import Change, Store

_NAMED = 3
"""Series that one note names; of more it says how many."""


@dataclass
class Told:
    """What there is to tell of one series at the end.

    Attributes
    ----------
    series : what was asked for.
    source : provider whose answer stands.
    failures : of the providers that were asked before it, or of all of them.
    failed : whether none had an answer that can be used.
    notes : what else a person should know.
    change : what the answer changed in the store.
    gaps : days that should be there by now, and are not.
    stale : why the newest row is too old, or None.
    agreement : with the second source, where there is one.
    """

    series: LiveSeries
    source: str = ""
    failures: list[str] = field(default_factory=list)
    failed: bool = False
    notes: list[str] = field(default_factory=list)
    change: Change | None = None
    gaps: int = 0
    stale: str | None = None
    agreement: Agreement | None = None

    def row(self) -> dict[str, Any]:
        """Return the row of the summary."""
        change = self.change
        return {
            "series": self.series.label,
            "source": self.source,
            "new": change.new if change else 0,
            "revised": change.revised if change else 0,
            "quarantined": len(change.feed.quarantined) if change else 0,
            "gaps": self.gaps,
            "stale": self.stale or "",
            "differs": 0 if self.agreement is None else len(self.agreement.disagreements),
            "error": "; ".join(self.failures) if self.failed else "",
        }


def summarise(store: Store, every: Sequence[Told], form: str) -> None:
    """Print a row a series: new rows, revisions, quarantine, gaps, staleness, disagreement.

    Parameters
    ----------
    store : they went to.
    every : series that was asked for.
    form : ``table``, ``json`` or ``csv``, on stdout; what needs a person goes to stderr.
    """
    rows = [told.row() for told in every]
    if form != "table":
        out.print_rows(rows, form)
    else:
        columns = ["series", "source", "new", "revised", "quarantined", "gaps", "differs"]
        texts = [[str(row[name]) for name in columns] for row in rows]
        totals = (str(sum(int(row[name]) for row in rows)) for name in columns[2:])
        out.print_table(f"Into {store.root}", columns, [*texts, ["total", "", *totals]])
    said: dict[str, list[str]] = {}
    for told in every:
        notes = [*told.notes, *([] if told.failed else told.failures)]
        if told.stale:
            notes.append(f"stale: {told.stale}")
        for note in notes:
            said.setdefault(note, []).append(told.series.label)
        if told.agreement is not None and not told.agreement.agrees:
            out.note(f"differs: {told.agreement}")
    for note, labels in said.items():
        more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
        out.note(f"{', '.join(labels[:_NAMED])}{more}: {note}")
