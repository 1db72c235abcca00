"""What the pages show, fetched: the only part of the dashboard that asks the service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Protocol, TypeVar

from serving.dashboard.card import BundleFacts, ModelCard, card_view, read_facts
from serving.dashboard.history import Cell, one_a_day
from serving.dashboard.record import Record, record_view
from serving.dashboard.signals import Signals, SignalsOfTheDay
from serving.ledger import Ledger
from serving.registry import Registry
from serving.score import Score
from serving.speaker import MarketReader
from serving.verification import Verification
from sources.errors import ModelNotFoundError

T = TypeVar("T")

HISTORY_DAYS = 200
MOST_KEPT = 64
"""Views that are kept, the oldest of which goes first."""


class Scores(Protocol):
    """Who answers for a day; :class:`serving.daily.DailyScores` does."""

    registry: Registry
    ledger: Ledger
    reader: MarketReader
    market_dir: Path | None
    clock: Callable[[], datetime]

    def scores(
        self,
        as_of: date | None = None,
        assets: Sequence[str] | None = None,
        horizons: Sequence[int] | None = None,
    ) -> tuple[Score, ...]:
        """Return the scores of a day, the latest by default."""

    def verification(self) -> Verification:
        """Return how settled forecasts did, all of them."""

    @property
    def stale(self) -> bool:
        """Whether who speaks may not be the champion."""


@dataclass
class Views:
    """Fetches what pages show, and keeps what takes long until something changed.

    Parameters
    ----------
    service : who answers for a day.
    """

    service: Scores
    _kept: dict[object, object] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def once(self, asked: object, make: Callable[[], T]) -> T:
        """Return what was made for the same champion and ledger before, else make it."""
        key = (asked, self._mark())
        with self._lock:
            if key in self._kept:
                return self._kept[key]  # type: ignore[return-value]
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
        return made

    def _mark(self) -> object:
        reigns = self.service.registry.history.records()
        speaks = reigns[-1]["position"] if reigns else 0
        return speaks, self.service.ledger.counts(), self.service.clock().date()

    def card(self) -> ModelCard:
        """Return the champion's card.

        Raises
        ------
        ModelNotFoundError
            Before the first promotion.
        IntegrityError
            If its files are not those that were promoted.
        """
        return self.once("card", self._card)

    def _card(self) -> ModelCard:
        reigns = self.service.registry.history.records()
        if not reigns:
            raise ModelNotFoundError(
                self.service.registry.name, alias="champion", hint="riskon train, riskon promote"
            )
        return card_view(reigns, self._facts(reigns[-1]["digest"]), self.service.clock())

    def _facts(self, digest: str) -> BundleFacts:
        return read_facts(self.service.registry.artifacts / "bundles" / digest, digest)

    def record(self, asked: Cell | None) -> Record:
        """Return the record, with the history of one cell, the first by default."""
        return self.once(("record", asked), lambda: self._record(asked))

    def _record(self, asked: Cell | None) -> Record:
        ledger = self.service.ledger
        latest = ledger.find()
        cells = list(dict.fromkeys(Cell(s.asset, s.horizon_days) for s in latest))
        cells.sort(key=lambda cell: (cell.asset, cell.horizon_days))
        chosen = asked if asked in cells else (cells[0] if cells else None)
        history = []
        if chosen is not None:
            since = latest[0].as_of - timedelta(days=HISTORY_DAYS)
            found = ledger.history(chosen.asset, chosen.horizon_days, start=since)
            level = latest[0].threshold
            history = one_a_day([one for one in found if one.score.threshold == level])
        return record_view(self.service.verification(), cells, chosen, history)

    def signals(self) -> Signals | None:
        """Return the signals; None while they are being made, or where there is no market.

        Raises
        ------
        RiskonError
            Where the market cannot be read, or lacks what they are made of.
        """
        return None if self.of_the_day is None else self.of_the_day.get()

    @cached_property
    def of_the_day(self) -> SignalsOfTheDay | None:
        """The signals' holder; None without a market."""
        directory = self.service.market_dir
        if directory is None or not directory.is_dir():
            return None
        folder = self.service.registry.artifacts / "signals"
        return SignalsOfTheDay(self.service.reader, directory, folder, self.service.clock)
