"""The scores of a day for many askers: from the ledger, else scored once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from threading import Lock
from typing import Protocol

from models import Cell
from serving.ledger import Ledger
from serving.registry import Registry
from serving.score import Score
from serving.scorer import Scorer, scorable_days, utc_now
from sources import Market, read_market


class MarketReader(Protocol):
    """Reads the market that is to be scored."""

    def signature(self, directory: Path) -> object:
        """Return what differs when the market has to be read again."""

    def read(self, directory: Path) -> Market:
        """Return the market."""


class DirectoryReader:
    """Reads a market directory, again when one of its files changed."""

    def signature(self, directory: Path) -> object:
        """Return name, time and size of every file."""
        files = sorted(path for path in directory.rglob("*") if path.is_file())
        return [(str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in files]

    def read(self, directory: Path) -> Market:
        """Return the market of the directory."""
        return read_market(directory)


class DailyScores:
    """Answers for a day with the champion of the moment; safe to share between threads.

    Parameters
    ----------
    registry, ledger : who speaks, and what was said.
    market_dir : market directory to score what the ledger lacks; None to read the ledger only.
    clock : the current instant.
    reader : reads that directory, and says when to read it again.
    """

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        market_dir: Path | None = None,
        clock: Callable[[], datetime] = utc_now,
        reader: MarketReader | None = None,
    ) -> None:
        self.registry = registry
        self.reader = reader or DirectoryReader()
        self.ledger = ledger
        self.market_dir = market_dir
        self.clock = clock
        self._scorer: Scorer | None = None
        self._market: tuple[object, Market] | None = None
        self._loading, self._reading, self._scoring = Lock(), Lock(), Lock()

    def scorer(self) -> Scorer:
        """Return the champion's scorer, loaded when the champion changed.

        Raises
        ------
        ModelNotFoundError, IntegrityError, TrackingUnavailableError, DataUnavailableError
            If there is no champion, or it cannot be loaded.
        """
        champion = self.registry.champion()
        with self._loading:
            if self._scorer is None or self._scorer.champion != champion:
                bundle = self.registry.load(champion)
                self._scorer = Scorer(bundle, champion, self.ledger, self.clock)
            return self._scorer

    def scores(
        self,
        as_of: date | None = None,
        assets: Sequence[str] | None = None,
        horizons: Sequence[int] | None = None,
    ) -> tuple[Score, ...]:
        """Return the scores of a day, the latest by default; none where nobody can make them.

        With a market directory the latest day is the market's, else the ledger's.
        A day is scored by one asker at a time.

        Raises
        ------
        UnknownNameError
            For an asset or horizon that the champion does not answer.
        DataUnavailableError
            If the day is outside the market or before the model's first.
        """
        scorer = self.scorer()
        scorer.bundle.select(assets, horizons)
        if self.market_dir is None or not self.market_dir.is_dir():
            issued = self.ledger.find(as_of, assets, horizons, scorer.model.version)
            order = {cell: place for place, cell in enumerate(scorer.bundle.cells)}
            return tuple(
                sorted(issued, key=lambda s: order[Cell(s.asset, s.horizon_days, s.threshold)])
            )
        day = as_of or scorable_days(self._read(self.market_dir), self.clock())[1]
        found = scorer.recorded(day, assets, horizons)
        if found is None:
            with self._scoring:
                found = scorer.recorded(day, assets, horizons)
                if found is None:
                    market = self._read(self.market_dir)
                    found = scorer.score(market, day, assets, horizons)
        return found

    def _read(self, directory: Path) -> Market:
        """Return the market, read again when it changed."""
        signature = self.reader.signature(directory)
        with self._reading:
            if self._market is None or self._market[0] != signature:
                self._market = (signature, self.reader.read(directory))
            return self._market[1]
