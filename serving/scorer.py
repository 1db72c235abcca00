"""The scorer: a day of a market in, one score for each question out, none of them made twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import pandas as pd

from features import Dataset, Input, build_dataset
from serving.champions import Champion
from serving.freshness import stale_groups, stale_inputs
from serving.ledger import Ledger
from serving.score import (
    DataRead,
    InputAge,
    Score,
    ScoreDriver,
    ScoreExpert,
    ScoringModel,
    forecast_id,
)
from sources import Market, as_of_instant
from sources.crashpoints import crashpoint
from sources.errors import DataUnavailableError, LookAheadError

if TYPE_CHECKING:
    from models import Cell, Forecast, ModelBundle

logger = logging.getLogger(__name__)

Fallback = Literal["abstain", "climatology"]

INSTEAD = "the base rate, in place of the model"


def utc_now() -> datetime:
    """Return the current instant."""
    return datetime.now(UTC)


def latest_finished_day(now: datetime) -> date:
    """Return the last day d whose T(d), the midnight after it, has come.

    Examples
    --------
    >>> latest_finished_day(datetime(2025, 6, 21, 0, 0, tzinfo=UTC))
    datetime.date(2025, 6, 20)
    """
    return now.astimezone(UTC).date() - timedelta(days=1)


def scorable_days(market: Market, now: datetime) -> tuple[date, date]:
    """Return the first and the last finished day of a market's crypto bars.

    Raises
    ------
    DataUnavailableError
        If the market has no such bar.
    """
    end = pd.Timestamp(latest_finished_day(now))
    dates = [market.prices[symbol]["date"] for symbol in market.crypto]
    finished = [days[days <= end] for days in dates]
    finished = [days for days in finished if len(days)]
    if not finished:
        raise DataUnavailableError(
            f"{market.name}: needed daily bars of a crypto asset; found none", source="prices"
        )
    first, last = min(d.min() for d in finished), max(d.max() for d in finished)
    return first.date(), last.date()


class Asked(Protocol):
    """A question: an asset, a horizon in calendar days, a threshold."""

    @property
    def asset(self) -> str:
        """The asset."""

    @property
    def horizon_days(self) -> int:
        """The horizon."""

    @property
    def threshold(self) -> float:
        """The threshold."""


def scoring_model(champion: Champion) -> ScoringModel:
    """Return the champion as its scores name it."""
    return ScoringModel(
        name=champion.name,
        version=champion.version,
        digest=champion.digest,
        skill_certified=champion.skill_certified,
    )


def recorded(
    ledger: Ledger, model: ScoringModel, asked: Sequence[Asked], as_of: date
) -> tuple[Score, ...] | None:
    """Return what the ledger holds of some questions, in their order; None unless all are there."""
    found = {score.forecast_id: score for score in ledger.find(as_of, version=model.version)}
    ids = [forecast_id(model, as_of, q.asset, q.horizon_days, q.threshold) for q in asked]
    return tuple(found[i] for i in ids) if all(i in found for i in ids) else None


class Scorer:
    """Scores days with the champion's bundle, through the ledger.

    Parameters
    ----------
    bundle : the champion's, loaded and checked.
    champion : who speaks; its digest is the bundle's.
    ledger : where scores are kept; what it holds is not computed again.
    clock : the current instant.
    fallback : where the model has to abstain: no number, or the base rate with its own interval
        and the reason. A day without even a base rate gets no number either way.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        champion: Champion,
        ledger: Ledger,
        clock: Callable[[], datetime] = utc_now,
        fallback: Fallback = "abstain",
    ) -> None:
        self.bundle = bundle
        self.fallback = fallback
        self.champion = champion
        self.ledger = ledger
        self.clock = clock
        self.model = scoring_model(champion)

    def recorded(
        self,
        as_of: date,
        assets: Sequence[str] | None = None,
        horizons: Sequence[int] | None = None,
    ) -> tuple[Score, ...] | None:
        """Return a day's scores from the ledger, in the bundle's order; None unless all are there.

        Raises
        ------
        UnknownNameError
            For an asset or horizon that the bundle does not answer.
        """
        return recorded(self.ledger, self.model, self.bundle.select(assets, horizons), as_of)

    def score(
        self,
        market: Market,
        as_of: date | None = None,
        assets: Sequence[str] | None = None,
        horizons: Sequence[int] | None = None,
    ) -> tuple[Score, ...]:
        """Score a day (the latest with crypto bars by default), and record it, all or nothing.

        Reads what was known at T(d) and nothing later. What the ledger holds
        stands; a warning says so where the market now reads differently.

        Raises
        ------
        UnknownNameError
            For an asset or horizon that the bundle does not answer.
        DataUnavailableError
            If the day is not over, outside the market's bars, or before the model's first.
        LookAheadError
            If a table holds a row that became known later.
        SchemaError
            If the market lacks an input that the model was trained with.
        """
        cells = self.bundle.select(assets, horizons)
        day, cut = self._cut(market, as_of)
        digest = cut.digest()
        answers = self.recorded(day, assets, horizons)
        if answers is None:
            answers = self._recorded(self._scores(cut, day, cells, digest))
        if any(score.data.digest != digest for score in answers):
            logger.warning(
                "as of %s: the forecasts issued before stand, though the market now reads "
                "differently: needed data %s; found %s", day, answers[0].data.digest, digest,
            )  # fmt: skip
        return answers

    def recreate(
        self,
        market: Market,
        as_of: date | None = None,
        assets: Sequence[str] | None = None,
        horizons: Sequence[int] | None = None,
    ) -> tuple[Score, ...]:
        """Score a day again, and record nothing.

        A score that equals the ledger's in all but the instant of its making is the ledger's.
        Raises as :meth:`score`.
        """
        cells = self.bundle.select(assets, horizons)
        day, cut = self._cut(market, as_of)
        made = self._scores(cut, day, cells, cut.digest())
        held = {s.forecast_id: s for s in self.ledger.find(day, version=self.model.version)}
        answers = []
        for score in made:
            issued = held.get(score.forecast_id)
            same = issued is not None and score == issued.model_copy(
                update={"issued_at": score.issued_at}
            )
            if issued is not None and not same:
                logger.warning(
                    "%s, %s days, as of %s: needed the forecast issued before, of data %s; found "
                    "another one, of data %s", score.asset, score.horizon_days, day,
                    issued.data.digest, score.data.digest,
                )  # fmt: skip
            answers.append(issued if issued is not None and same else score)
        return tuple(answers)

    def _cut(self, market: Market, as_of: date | None) -> tuple[date, Market]:
        """Return the day to score, and the market as it stood at its end."""
        first, last = scorable_days(market, self.clock())
        day = last if as_of is None else as_of
        if not first <= day <= last:
            raise DataUnavailableError(
                f"as of {day}: needed a finished day from {first} to {last}; found none",
                source="prices",
                as_of=day.isoformat(),
            )
        instant = as_of_instant(pd.Timestamp(day))
        cut = market.as_of(instant)
        _refuse_look_ahead(cut, instant)
        return day, cut

    def _recorded(self, scores: Sequence[Score]) -> tuple[Score, ...]:
        """Record what was said; an abstention is no forecast, and leaves the day open."""
        crashpoint("before_ledger_commit")
        held = self.ledger.record([score for score in scores if not score.abstained])
        crashpoint("after_ledger_commit")
        by_id = {score.forecast_id: score for score in held}
        return tuple(by_id.get(score.forecast_id, score) for score in scores)

    def _scores(
        self, cut: Market, day: date, cells: Sequence[Cell], digest: str
    ) -> tuple[Score, ...]:
        speaks = [self.bundle.snapshots[cell][0].fit_as_of for cell in cells]
        if np.datetime64(day, "D") < min(speaks):
            raise DataUnavailableError(
                f"as of {day}: needed a day from {min(speaks)}, the model's first, on; "
                "found an earlier one",
                source="model",
                as_of=day.isoformat(),
            )
        as_of = pd.Timestamp(day)
        needed = dict.fromkeys(cell.asset for cell in cells)
        lacking = [asset for asset in self.bundle.pool if asset not in cut.crypto]
        if lacking:
            raise DataUnavailableError(
                f"{cut.name}, as of {day}: needed prices of {', '.join(lacking)}, which the model "
                f"pools its evidence over; found those of {', '.join(cut.crypto) or 'no asset'}",
                source=f"prices/{lacking[0]}",  # no as_of: no other day would help who asked
            )
        present = [a for a in needed if (cut.prices[a]["date"] == as_of).any()]
        dataset = build_dataset(cut, self.bundle.pool, self.bundle.config.features)
        asked = [cell for cell in cells if cell.asset in present]
        forecasts = self.bundle.forecast(dataset, asked, np.datetime64(day, "D"))
        issued_at = self.clock().astimezone(UTC)
        scores: list[Score] = []
        for cell in cells:
            inputs: tuple[Input, ...] = ()
            reason = f"no bar of {cell.asset} on the day"
            made = forecasts.get(cell)
            if cell.asset in present:
                inputs = _inputs_of(dataset, cell.asset)
                reason = f"the model first speaks on {self.bundle.snapshots[cell][0].fit_as_of}"
            if made is not None:
                reason = made.reason or _stale(dataset, dataset.position(as_of), cell, inputs, cut)
            scores.append(self._score(cell, day, issued_at, made, reason, digest, inputs))
        return tuple(scores)

    def _score(
        self,
        cell: Cell,
        day: date,
        issued_at: datetime,
        made: Forecast | None,
        reason: str,
        digest: str,
        inputs: Sequence[Input],
    ) -> Score:
        said = made if made is not None and not reason else None
        if self.fallback == "climatology" and reason and made is not None:
            said = _climatology(made)
            reason = f"{INSTEAD}: {reason}" if said else reason
        return Score(
            forecast_id=self._id(cell, day),
            as_of=day,
            issued_at=issued_at,
            asset=cell.asset,
            horizon_days=cell.horizon_days,
            threshold=cell.threshold,
            probability=said.probability if said else None,
            lower=said.lower if said else None,
            upper=said.upper if said else None,
            base_rate=made.base_rate if made else None,
            abstained=said is None,
            reason=reason or None,
            model=self.model,
            data=DataRead(
                digest=digest,
                inputs=tuple(
                    InputAge(
                        name=read.name,
                        available_at=read.available_at.to_pydatetime(),
                        age_days=read.age_days,
                    )
                    for read in inputs
                ),
            ),
            drivers=tuple(
                ScoreDriver(feature=d.feature, value=d.value, contribution=d.contribution)
                for d in (said.drivers if said else ())
            ),
            experts=tuple(
                ScoreExpert(
                    name=e.name,
                    weight=e.weight,
                    probability=e.probability,
                    contribution=e.contribution,
                )
                for e in (said.experts if said else ())
            ),
        )

    def _id(self, cell: Cell, day: date) -> str:
        return forecast_id(self.model, day, cell.asset, cell.horizon_days, cell.threshold)


def _climatology(made: Forecast) -> Forecast | None:
    """Return the base rate as the forecast, with the interval of a base rate; None without one."""
    if made.base_lower is None or made.base_upper is None:
        return None
    return replace(
        made,
        probability=made.base_rate,
        lower=made.base_lower,
        upper=made.base_upper,
        drivers=(),
        experts=(),
    )


def _inputs_of(dataset: Dataset, asset: str) -> tuple[Input, ...]:
    """Return the inputs of one asset: its score must not depend on which others were asked for."""
    others = {f"prices/{other}" for other in dataset.assets if other != asset}
    return tuple(read for read in dataset.inputs if read.name not in others)


def _stale(dataset: Dataset, row: int, cell: Cell, inputs: Iterable[Input], cut: Market) -> str:
    found = (*stale_inputs(inputs, cut.crypto), *stale_groups(dataset, row, cell.asset))
    return f"stale: {'; '.join(found)}" if found else ""


def _refuse_look_ahead(cut: Market, instant: pd.Timestamp) -> None:
    """Check that no table holds a row that became known after T(d)."""
    latest = {
        f"{folder}/{name}": table["available_at"].max() for folder, name, table in cut.tables()
    }
    if cut.panel is not None and len(cut.panel.available_at):
        latest["constituents/closes"] = pd.Timestamp(cut.panel.available_at.max(), tz="UTC")
    for name, known in latest.items():
        if known > instant:
            raise LookAheadError(name, available_at=known.isoformat(), as_of=instant.isoformat())
