"""The market in memory: every table bitemporal, and the view of it as of an instant."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from sources.revisions import PanelRevisions

CRYPTO_UNIVERSE = (
    "BTC", "ETH", "SOL", "XRP", "DOGE", "BNB", "LTC",
    "ADA", "LINK", "AVAX", "DOT", "TRX", "XLM", "ETC",
)  # fmt: skip
"""Symbols that trade every day, unless the configuration says otherwise."""


@dataclass(frozen=True)
class Panel:
    """Adjusted closes of many constituents.

    Attributes
    ----------
    dates : (n,) datetime64[us], ascending sessions.
    symbols : (m,) tickers.
    closes : (n, m) float64, USD; NaN where not listed.
    available_at : (n,) datetime64[us], UTC instants, non-decreasing.
    members : frame ``symbol,start,end`` (end NaT while a member), or None:
        a symbol then is a member while it has prices.
    revisions : what cells and memberships were before they changed, or None: they never did.
        ``closes`` and ``members`` are the last vintage; a date may then come late, too, and
        ``available_at`` go back.
    """

    dates: np.ndarray
    symbols: tuple[str, ...]
    closes: np.ndarray
    available_at: np.ndarray
    members: pd.DataFrame | None = None
    revisions: PanelRevisions | None = None

    def as_of(self, instant: pd.Timestamp) -> Panel:
        """Return the panel as it stood at an instant: its rows, cells and members of then."""
        moment = np.datetime64(instant.tz_convert("UTC").tz_localize(None), "us")
        keep = self.available_at <= moment
        closes, members, revisions = self.closes, self.members, self.revisions
        if revisions is not None:
            closes = revisions.undone(closes, moment)
            members = revisions.members_at(members, moment)
            revisions = revisions.until(moment, keep)
        count = int(keep.sum())
        # Sessions mostly come in order: a slice of them copies nothing.
        kept = slice(count) if keep[:count].all() else keep
        return Panel(
            dates=self.dates[kept],
            symbols=self.symbols,
            closes=closes[kept],
            available_at=self.available_at[kept],
            members=members,
            revisions=revisions,
        )


@dataclass(frozen=True)
class Market:
    """Everything read from a market directory or a store.

    Each table is a frame with a RangeIndex, sorted by ``date`` then
    ``available_at``: ``date`` datetime64[us] without zone (the event date),
    ``available_at`` datetime64[us, UTC], values float64 with NaN for absent.
    The same date twice with a later ``available_at`` is a revision.

    Attributes
    ----------
    prices : symbol -> ``date,open,high,low,close,adj_close,volume,available_at``
    flows : fund -> ``date,flow_usd,aum_usd,available_at``
    macro : series -> ``date,value,available_at``
    panel : constituents, or None.
    crypto : symbols of the configured crypto universe that have prices here.
    name : where it came from, for messages.
    """

    prices: Mapping[str, pd.DataFrame]
    flows: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    macro: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    panel: Panel | None = None
    crypto: tuple[str, ...] = ()
    name: str = "market"

    def tables(self) -> Iterator[tuple[str, str, pd.DataFrame]]:
        """Yield (folder, symbol, frame) of every table but the panel, in a fixed order."""
        for folder in ("flows", "macro", "prices"):
            tables: Mapping[str, pd.DataFrame] = getattr(self, folder)
            for symbol in sorted(tables):
                yield folder, symbol, tables[symbol]

    def as_of(self, instant: pd.Timestamp) -> Market:
        """Return the market as it stood at ``instant``: the rows known by then, all their vintages.

        A table that has no row yet stays, empty, so that what stands in for
        what does not depend on files that begin later.
        """
        cut = {
            (folder, symbol): table[table["available_at"] <= instant].reset_index(drop=True)
            for folder, symbol, table in self.tables()
        }
        folders: dict[str, dict[str, pd.DataFrame]] = {"prices": {}, "flows": {}, "macro": {}}
        for (folder, symbol), table in cut.items():
            folders[folder][symbol] = table
        return replace(
            self,
            prices=folders["prices"],
            flows=folders["flows"],
            macro=folders["macro"],
            panel=None if self.panel is None else self.panel.as_of(instant),
        )

    def digest(self, instant: pd.Timestamp | None = None) -> str:
        """Return the sha256 of the rows known at ``instant`` (of all rows by default).

        Rows that become known later, and symbols that list later, do not change it.
        """
        market = self if instant is None else self.as_of(instant)
        total = hashlib.sha256()
        for folder, symbol, table in market.tables():
            if table.empty:
                continue
            total.update(f"{folder}/{symbol}:{','.join(table.columns)}:{len(table)}\n".encode())
            for column in table.columns:
                total.update(np.ascontiguousarray(_plain(table[column])).data)
        if market.panel is not None and len(market.panel.dates):
            panel = market.panel
            listed = ~np.isnan(panel.closes).all(axis=0)
            order = [i for i in np.argsort(np.array(panel.symbols, dtype=object)) if listed[i]]
            total.update(f"panel:{','.join(panel.symbols[i] for i in order)}\n".encode())
            total.update(np.ascontiguousarray(panel.dates).view("i8").data)
            total.update(np.ascontiguousarray(panel.available_at).view("i8").data)
            total.update(np.ascontiguousarray(panel.closes[:, order]).data)
            if panel.revisions is not None:
                panel.revisions.update(total, panel.dates, panel.symbols)
        return total.hexdigest()


def known_at(table: pd.DataFrame, instant: pd.Timestamp) -> pd.DataFrame:
    """Return the rows of a bitemporal table known at ``instant``, latest vintage of each date."""
    known = table[table["available_at"] <= instant]
    return known[~known["date"].duplicated(keep="last")].reset_index(drop=True)


def _plain(column: pd.Series) -> np.ndarray:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_localize(None).to_numpy("datetime64[us]").view("i8")
    if column.dtype.kind == "M":
        return column.to_numpy("datetime64[us]").view("i8")
    return column.to_numpy("float64")
