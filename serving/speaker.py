"""The speaker: one loaded version beside the market it reads, here or in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from serving.champions import Champion
from serving.database import open_database
from serving.ledger import Ledger
from serving.registry import Registry
from serving.score import Score
from serving.scorer import Fallback, Scorer, scorable_days
from serving.verification import Verification, verify_live
from sources import Market, read_market
from sources.errors import DataUnavailableError

if TYPE_CHECKING:
    from models import ModelBundle


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


@dataclass(frozen=True)
class Places:
    """Where a speaker finds all it needs; passed to its process through a pipe.

    Attributes
    ----------
    database_url : our database, with its password.
    artifacts, tracking_uri, name : of the registry.
    market_dir : to score; None where only what is on record is served.
    reader : reads that directory.
    fallback : what stands in where the model abstains.
    admit : of the registry; goes to the process by its name.
    """

    database_url: str = field(repr=False)
    artifacts: Path
    tracking_uri: str = field(repr=False)
    name: str
    market_dir: Path | None
    reader: MarketReader
    fallback: Fallback
    admit: Callable[[ModelBundle], None]

    @classmethod
    def of(
        cls,
        registry: Registry,
        market_dir: Path | None,
        reader: MarketReader,
        fallback: Fallback,
    ) -> Places:
        """Return the places of a registry and a market."""
        url = registry.history.engine.url.render_as_string(hide_password=False)
        return cls(
            url, registry.artifacts, registry.tracking_uri, registry.name, market_dir, reader,
            fallback, registry.admit,
        )  # fmt: skip

    def open(self) -> Speaker:
        """Open what stands at the places."""
        engine = open_database(self.database_url)
        registry = Registry(engine, self.artifacts, self.tracking_uri, self.name, self.admit)
        return Speaker(registry, Ledger(engine), self.market_dir, self.reader, self.fallback)


class Speaking(Protocol):
    """A loaded version, wherever it runs."""

    def ask(self, what: str, *told: Any, timeout: float | None = None) -> Any:
        """Call a method of the speaker by its name."""

    def close(self) -> None:
        """Let go of it; what it is saying is finished first, if that takes seconds."""


class Speaker:
    """Loads a version, tries it, and scores days with it; one caller at a time.

    Parameters
    ----------
    registry, ledger : who speaks, and where it is written down.
    market_dir, reader : the market, and who reads it.
    fallback : what stands in where the model abstains.
    """

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        market_dir: Path | None,
        reader: MarketReader,
        fallback: Fallback = "abstain",
    ) -> None:
        self.registry, self.ledger = registry, ledger
        self.market_dir, self.reader, self.fallback = market_dir, reader, fallback
        self._scorer: Scorer | None = None
        self._market: tuple[object, Market] | None = None

    def load(self, champion: Champion) -> None:
        """Load a version, every byte checked, and try it on its golden rows.

        Raises
        ------
        IntegrityError
            If its bytes are not those that were promoted, or its numbers not those of training.
        ModelNotFoundError, TrackingUnavailableError
            If it is missing here, and cannot be fetched.
        """
        bundle = self.registry.load(champion)
        bundle.refuse_other_numbers()
        self._scorer = Scorer(bundle, champion, self.ledger, fallback=self.fallback)

    def days(self, now: datetime) -> tuple[date, date]:
        """Return the first and the last day of the market that can be scored.

        Raises
        ------
        DataUnavailableError
            If the market cannot be read, or has no such day.
        """
        return scorable_days(self._read(), now)

    def score(
        self, day: date, assets: Sequence[str], horizons: Sequence[int], now: datetime
    ) -> tuple[Score, ...]:
        """Score a day through the ledger; raises as :meth:`serving.Scorer.score`."""
        if self._scorer is None:
            raise DataUnavailableError(
                "scorer: needed a loaded version; found none", source="model"
            )
        self._scorer.clock = lambda: now
        return self._scorer.score(self._read(), day, assets, horizons)

    def verify(
        self,
        asset: str | None,
        horizon: int | None,
        start: date | None,
        end: date | None,
        version: int | None,
    ) -> Verification:
        """Return how settled forecasts did."""
        return verify_live(self.ledger, version, asset, horizon, start, end)

    def ask(self, what: str, *told: Any, timeout: float | None = None) -> Any:
        """Call a method by its name, here; nothing can be timed out."""
        del timeout
        return getattr(self, what)(*told)

    def close(self) -> None:
        """Let go of the version and the market."""
        self._scorer = self._market = None

    def _read(self) -> Market:
        """Return the market, read again when it changed."""
        if self.market_dir is None:
            raise DataUnavailableError("scorer: needed a market; found none", source="market")
        signature = self.reader.signature(self.market_dir)
        if self._market is None or self._market[0] != signature:
            self._market = (signature, self.reader.read(self.market_dir))
        return self._market[1]
