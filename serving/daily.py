"""The scores of a day for many askers: from the ledger, else scored once, by one whole version."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from threading import Event, Lock, RLock, Thread

from sqlalchemy import func, select

from serving.champions import Champion
from serving.database import reading
from serving.freshness import stale_by
from serving.head import Head, Question, read_head
from serving.known_good import keep_known_good, known_good
from serving.ledger import FORECASTS, Ledger
from serving.outcomes import OUTCOMES
from serving.probe import CLOSE_SECONDS, SpeakerProcess
from serving.registry import Registry
from serving.score import Score, ScoringModel
from serving.scorer import Fallback, latest_finished_day, recorded, scoring_model, utc_now
from serving.speaker import DirectoryReader, MarketReader, Places, Speaker, Speaking
from serving.verification import Verification
from sources.errors import (
    DataUnavailableError,
    IntegrityError,
    ModelNotFoundError,
    RiskonError,
)

logger = logging.getLogger(__name__)

IDLE_SECONDS = 300.0
"""After so long without a score to make, the scoring process gives its memory back."""

MOST_BACKOFF_SECONDS = 60.0


@dataclass(frozen=True)
class Served:
    """The version that speaks here, whole: no answer mixes two."""

    champion: Champion
    head: Head
    model: ScoringModel


class DailyScores:
    """Answers for a day with the champion of the moment; safe to share between threads.

    The champion is asked for every ``poll_seconds`` once :meth:`watch` runs. A new one is loaded
    and tried first, and takes over in one step; the one before speaks on where that fails, and
    ``stale`` says so.

    Parameters
    ----------
    registry, ledger : who speaks, and what was said.
    market_dir : market directory to score what the ledger lacks; None to read the ledger only.
    clock : the current instant.
    reader : reads that directory, and says when to read it again.
    isolated : load and score in a process of its own, which a bad bundle cannot take us down with.
    fallback : what stands in where the model abstains.
    prepare : brings the database to its newest schema; tried until it succeeds once.
    """

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        market_dir: Path | None = None,
        clock: Callable[[], datetime] = utc_now,
        reader: MarketReader | None = None,
        *,
        isolated: bool = False,
        fallback: Fallback = "abstain",
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.registry, self.ledger = registry, ledger
        self.reader = reader or DirectoryReader()
        self.market_dir, self.clock = market_dir, clock
        self.isolated, self.fallback = isolated, fallback
        self.trouble: RiskonError | None = None
        self.generation = 0
        """Counts up when another version or another day is the answer; a day on record stands."""
        self.record_end: object = None
        """The last forecast and the last outcome on record."""
        self.latest_issued: tuple[Score, ...] = ()
        """The forecasts of the latest day on record."""
        self._prepare = prepare
        self._served: Served | None = None
        self._speaking: tuple[Champion, Speaking] | None = None
        self._spoke = time.monotonic()
        self._latest: tuple[object, date] | None = None
        self._failed: tuple[Champion, RiskonError, float, float] | None = None
        self._loading, self._scoring = RLock(), Lock()
        self._watched = False
        self._stop = Event()

    @property
    def speaks(self) -> Served | None:
        """The version that speaks at present; None before the first."""
        return self._served

    @property
    def reads_market(self) -> bool:
        """Whether there is a market to score; else what is on record is all there is."""
        return self.market_dir is not None and self.market_dir.is_dir()

    @property
    def stale(self) -> bool:
        """Whether who speaks here may not be the champion: it was not found out, or not loaded."""
        return self.trouble is not None

    def stale_inputs(self) -> tuple[str, ...]:
        """Name the inputs of the latest scores that are too old for the last finished day."""
        return stale_by(self.latest_issued, latest_finished_day(self.clock()))

    def served(self) -> Served:
        """Return the version that speaks, found out first where nobody spoke yet.

        Raises
        ------
        ModelNotFoundError, IntegrityError, TrackingUnavailableError, DataUnavailableError
            If there is no champion, or it cannot be loaded.
        """
        if self._served is None:
            self.refresh()
        if self._served is None:
            raise self.trouble or ModelNotFoundError(self.registry.name, alias="champion", hint="")
        return self._served

    def refresh(self, *, at_once: bool = False) -> None:
        """Find out who speaks, and let a new champion take over; on failure the last one stays.

        Parameters
        ----------
        at_once : try a version again that could not be loaded a moment ago.
        """
        with self._loading:
            try:
                if self._prepare is not None:
                    self._prepare()
                    self._prepare = None
                self._read_record()  # first: it goes on while a new champion is refused
                self._take_over(self.registry.champion(), at_once=at_once)
            except RiskonError as error:
                if str(error) != str(self.trouble):
                    stays = self._served and f"version {self._served.champion.version}"
                    logger.warning("%s speaks: %s", stays or "nobody", error)
                self.trouble = error
                if self._served is None and (kept := known_good(self.registry.artifacts)):
                    with contextlib.suppress(IntegrityError):
                        self._speak_as(kept)
                return
            self.trouble = None

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
        served = self.served()
        asked = served.head.select(assets, horizons)
        if not self.reads_market:
            issued = self.ledger.find(as_of, assets, horizons, served.model.version)
            order = {question: place for place, question in enumerate(served.head.questions)}
            return tuple(sorted(issued, key=lambda score: order[_question(score)]))
        day = as_of or self._newest(served)
        found = recorded(self.ledger, served.model, asked, day)
        if found is not None:
            return found
        with self._scoring:
            # Another asker may have made it, and another version taken over, while we waited.
            served = self.served()
            asked = served.head.select(assets, horizons)
            found = recorded(self.ledger, served.model, asked, day)
            if found is None:
                # A day is scored whole: its features cost far more than one question or all.
                made = self._speaker(served.champion).ask("score", day, (), (), self.clock())
                by_question = {_question(score): score for score in made}
                return tuple(by_question[question] for question in asked)
        return found

    def verification(
        self,
        asset: str | None = None,
        horizon: int | None = None,
        start: date | None = None,
        end: date | None = None,
        version: int | None = None,
    ) -> Verification:
        """Return how settled forecasts did; reckoned where the learners are, not here."""
        served = self.served()
        with self._scoring:
            speaking = self._speaker(served.champion)
            found: Verification = speaking.ask("verify", asset, horizon, start, end, version)
        return found

    def latest_day(self) -> date:
        """Return the last day of the market that can be scored.

        Raises
        ------
        DataUnavailableError
            If there is no market, or it has no such day.
        """
        if self.market_dir is None:
            raise DataUnavailableError("needed a market; found none", source="market")
        now, served = self.clock(), self.served()
        key = (self.reader.signature(self.market_dir), latest_finished_day(now))
        if self._latest is None or self._latest[0] != key:
            with self._scoring:
                _, last = self._speaker(served.champion).ask("days", now)
            if self._latest is None or self._latest[1] != last:
                self.generation += 1
            self._latest = (key, last)
        return self._latest[1]

    def _newest(self, served: Served) -> date:
        """Return the latest day; the market, which takes seconds, is read if one may be later."""
        if self._latest is None and self._watched:
            issued = self.ledger.find(version=served.model.version)
            if issued and issued[0].as_of >= latest_finished_day(self.clock()):
                return issued[0].as_of
        return self.latest_day()

    def watch(self, poll_seconds: float, *, precompute: bool = False) -> Thread:
        """Start a thread that keeps up with the champion, until :meth:`close`.

        Parameters
        ----------
        precompute : score the latest day before anyone asks.
        """

        def follow() -> None:
            while True:
                try:
                    self._follow(precompute=precompute)
                except Exception:  # without this thread no champion takes over; the log says why
                    logger.exception("the champion could not be followed; it is tried again")
                if self._stop.wait(poll_seconds):
                    return

        self._watched = precompute
        thread = Thread(target=follow, name="champion", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Stop watching, and end the scoring process; what it works on has seconds to finish."""
        self._stop.set()
        idle = self._scoring.acquire(timeout=CLOSE_SECONDS)
        try:
            self._let_go()
        finally:
            if idle:
                self._scoring.release()

    def _follow(self, *, precompute: bool) -> None:
        self.refresh()
        if self._served is None or self.market_dir is None or self.stale:
            return
        try:
            day = self.latest_day()
            if precompute:
                self.scores(day)
        except (RiskonError, OSError) as error:
            logger.warning("the latest day is not scored: %s", error)
        idle = time.monotonic() - self._spoke > IDLE_SECONDS
        if idle and self.isolated and self._scoring.acquire(blocking=False):
            try:
                self._let_go()
            finally:
                self._scoring.release()

    def _take_over(self, champion: Champion, *, at_once: bool) -> None:
        """Load and try a new champion; then let it speak in one step."""
        if self._served is not None and self._served.champion == champion:
            self._failed = None
            return
        if self._failed is not None and self._failed[0] == champion and not at_once:
            _, error, until, _ = self._failed
            if time.monotonic() < until:
                raise error
        if self._found_good_before(champion):
            self._speak_as(champion)
            return
        speaking = self._open()
        try:
            speaking.ask("load", champion)
            head = read_head(self.registry.folder(champion.digest), champion.digest)
        except RiskonError as error:
            speaking.close()
            same = self._failed is not None and self._failed[0] == champion
            wait = min(MOST_BACKOFF_SECONDS, self._failed[3] * 2) if same and self._failed else 1.0
            self._failed = (champion, error, time.monotonic() + wait, wait)
            raise
        with self._scoring:
            self._let_go()
            self._speaking = (champion, speaking)
            self._set(champion, head)
        self._failed = None
        keep_known_good(self.registry.artifacts, champion)

    def _found_good_before(self, champion: Champion) -> bool:
        """Tell whether these very bytes were tried here before, under the same libraries."""
        kept = known_good(self.registry.artifacts)
        folder = self.registry.folder(champion.digest)
        return kept is not None and kept.digest == champion.digest and folder.is_dir()

    def _speak_as(self, champion: Champion) -> None:
        """Let a version speak that was tried before; loaded when there is something to score."""
        head = read_head(self.registry.folder(champion.digest), champion.digest)
        with self._scoring:
            self._set(champion, head)

    def _set(self, champion: Champion, head: Head) -> None:
        self._served = Served(champion, head, scoring_model(champion))
        self.generation += 1
        logger.info("version %d speaks", champion.version)

    def _speaker(self, champion: Champion) -> Speaking:
        """Return who scores as a champion, loaded; the caller holds ``_scoring``."""
        self._spoke = time.monotonic()
        if self._speaking is not None:
            loaded, speaking = self._speaking
            lost = isinstance(speaking, SpeakerProcess) and not speaking.alive
            if loaded == champion and not lost:
                return speaking
            self._let_go()
        speaking = self._open()
        try:
            speaking.ask("load", champion)
        except RiskonError:
            speaking.close()
            raise
        self._speaking = (champion, speaking)
        return speaking

    def _open(self) -> Speaking:
        places = (self.market_dir, self.reader, self.fallback)
        if self.isolated:
            return SpeakerProcess(Places.of(self.registry, *places))
        return Speaker(self.registry, self.ledger, *places)

    def _let_go(self) -> None:
        if self._speaking is not None:
            self._speaking[1].close()
            self._speaking = None

    def _read_record(self) -> None:
        end = self._record_end()
        if end != self.record_end and not self.reads_market:
            self.generation += 1  # what is the latest day, and all of it, is the record's word
        if end != self.record_end:
            self.latest_issued = self.ledger.find()
        self.record_end = end

    def _record_end(self) -> tuple[int | None, int | None]:
        with reading(self.ledger.engine) as connection:
            said, came = (
                connection.execute(select(func.max(table.c.position))).scalar_one()
                for table in (FORECASTS, OUTCOMES)
            )
        return said, came


def _question(score: Score) -> Question:
    return Question(score.asset, score.horizon_days, score.threshold)
