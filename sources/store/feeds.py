"""Feeds: what one source says of one series, put in order before it is compared with the store.

Rows that come twice are one (A14), rows in any order are sorted (A16), and two different values
under one key are refused: nobody could say which is right (A15).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sources.calendars import to_us
from sources.errors import SchemaError
from sources.schemas import LAYOUTS, check_table

if TYPE_CHECKING:
    from sources.market import Panel

CLOSES, MEMBERS = ("constituents", "closes"), ("constituents", "members")


@dataclass(frozen=True)
class Quarantined:
    """A row that was kept out of the store, and why.

    Attributes
    ----------
    event_date : the row's, or None where the whole feed was kept out.
    reason : why, in words, with numbers.
    found : what the row said.
    payload_sha256 : it came in; the feed's last payload by default.
    """

    reason: str
    found: str = ""
    event_date: pd.Timestamp | None = None
    payload_sha256: str = ""


@dataclass(frozen=True)
class Feed:
    """What one source says of one series.

    Attributes
    ----------
    folder, name : ``prices``, ``flows`` or ``macro`` and a symbol; or ``constituents`` and
        ``closes`` or ``members``.
    source : who says so: ``files``, or a provider's name.
    payloads : sha256 of the raw payloads it was parsed from, each kept before
        (:meth:`sources.store.store.Store.keep`).
    table : frame as :class:`sources.market.Market` describes it, its rows in any order; of
        ``members`` ``symbol,start,end``; None for ``closes``.
    panel : of ``closes``; its rows in order of date.
    stated : whether ``available_at`` is the source's own word, and not what our calendar makes
        of the event date; one for all rows, or (n,) one a row.
    detail : what the parser needs to make the same feed of the same payloads again.
    quarantined : rows that were kept out.
    checked : whether ``table`` went through :func:`sources.schemas.check_table` already.
    """

    folder: str
    name: str
    source: str
    payloads: tuple[str, ...]
    table: pd.DataFrame | None = None
    panel: Panel | None = None
    stated: bool | np.ndarray = False
    detail: str = ""
    quarantined: tuple[Quarantined, ...] = ()
    checked: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Folder and name."""
        return self.folder, self.name

    @property
    def refused(self) -> bool:
        """Whether the gates kept out all of it."""
        rows = (
            len(self.panel.dates)
            if self.panel
            else len(self.table if self.table is not None else ())
        )
        return bool(self.quarantined) and not rows

    @property
    def label(self) -> str:
        """Name for messages: ``prices/BTC``."""
        return f"{self.folder}/{self.name}"


def quarantined_rows(frame: pd.DataFrame) -> tuple[Quarantined, ...]:
    """Return the rows of a gate's quarantine, as :mod:`sources.gates` has them."""
    return tuple(
        Quarantined(f"{reason}: needed {needed}", str(found), pd.Timestamp(day))
        for day, reason, needed, found in zip(
            frame["date"], frame["reason"], frame["needed"], frame["found"], strict=True
        )
    )


def keys_of(frame: pd.DataFrame) -> list[list[str]]:
    """Return date and ``available_at`` of some rows, each once, as text."""
    keys = frame[["date", "available_at"]].drop_duplicates()
    return [[str(row.date), str(row.available_at)] for row in keys.itertuples()]


def without(table: pd.DataFrame, keys: list[list[str]]) -> pd.DataFrame:
    """Return a table without the rows of some keys, as :func:`keys_of` has them."""
    if not keys:
        return table
    out = pd.MultiIndex.from_tuples([(pd.Timestamp(d), pd.Timestamp(k)) for d, k in keys])
    found = pd.MultiIndex.from_frame(table[["date", "available_at"]]).isin(out)
    return table[~np.asarray(found)].reset_index(drop=True)


def in_order(feed: Feed) -> tuple[Feed, int]:
    """Return a feed with its rows sorted, each once, and how many came more than once.

    Raises
    ------
    SchemaError
        Where two rows of one date and ``available_at`` differ, or the table is not as its
        layout says.
    """
    table = feed.table
    if table is None or feed.folder not in LAYOUTS:
        return feed, 0
    stated = np.broadcast_to(np.asarray(feed.stated, dtype=bool), len(table))
    if feed.checked:  # so it is in order, each key once
        return replace(feed, stated=stated), 0
    marked = table.assign(
        date=to_us(table["date"]), available_at=to_us(table["available_at"]), stated=stated
    ).sort_values(["date", "available_at"], kind="stable", ignore_index=True)
    values: list[Any] = [name for name in marked if name != "stated"]
    twice = marked.duplicated(values).to_numpy()
    marked = marked[~twice].reset_index(drop=True)
    unlike = marked.duplicated(["date", "available_at"]).to_numpy()
    if unlike.any():
        row = int(unlike.argmax())
        day = marked["date"].iloc[row].date()
        raise SchemaError(
            feed.label,
            column="date",
            row=row,
            expected="one set of values for a date and its available_at",
            found=f"two for {day}",
        )
    ordered = marked.drop(columns="stated")
    check_table(ordered, feed.folder, feed.label)
    return replace(feed, table=ordered, stated=marked["stated"].to_numpy(bool)), int(twice.sum())
