"""A score: what was said of one asset and horizon as of one day, on what ground, by which model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

Probability = Annotated[float, Field(ge=0, le=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ScoringModel(_Frozen):
    """The version that spoke."""

    name: str
    version: int
    digest: str
    skill_certified: bool


class InputAge(_Frozen):
    """A table that was read: when its last row became known, and how long before T(as_of)."""

    name: str
    available_at: AwareDatetime
    age_days: float


class DataRead(_Frozen):
    """What the market was when the score was made: the sha256 of the rows known at T(as_of)."""

    digest: str
    inputs: tuple[InputAge, ...]


class ScoreDriver(_Frozen):
    """What one input added to the log-odds against the base rate."""

    feature: str
    value: float | None
    contribution: float


class ScoreExpert(_Frozen):
    """What one expert said, its weight in the mixture that day, and the log-odds it moved."""

    name: str
    weight: Probability
    probability: Probability
    contribution: float


class Explanation(_Frozen):
    """What moved a score: its inputs, and the experts that spoke."""

    drivers: tuple[ScoreDriver, ...]
    experts: tuple[ScoreExpert, ...]


class Score(_Frozen):
    """A probability that the asset rises by more than the threshold, or the reason for none.

    Attributes
    ----------
    forecast_id : 32 hex digits, decided by the model and the question alone.
    as_of : the day whose close was the last that could be read.
    issued_at : instant, UTC.
    horizon_days, threshold : the question; calendar days, and fractional return.
    probability, lower, upper : in [0, 1]; None exactly when ``abstained``.
    base_rate : climatology from labels known at T(as_of); None where the model knows none.
    reason : why it abstained or, where the deployment says so, why the base rate stands in.
    experts : who spoke, the heaviest first; none where it abstained, nor in rows of the
        ledger that were written before experts were kept.
    """

    forecast_id: str
    as_of: date
    issued_at: AwareDatetime
    asset: str
    horizon_days: int
    threshold: float
    probability: Probability | None
    lower: Probability | None
    upper: Probability | None
    base_rate: Probability | None
    abstained: bool
    reason: str | None
    model: ScoringModel
    data: DataRead
    drivers: tuple[ScoreDriver, ...]
    experts: tuple[ScoreExpert, ...] = ()

    @field_validator("issued_at")
    @classmethod
    def _in_utc(cls, value: datetime) -> datetime:
        return value.astimezone(UTC)

    @field_validator("threshold")
    @classmethod
    def _one_zero(cls, value: float) -> float:
        return value + 0.0  # SQLite keeps no sign on zero, and the ledger's hash would miss it.

    @model_validator(mode="after")
    def _speaks_or_says_why_not(self) -> Self:
        numbers = (self.probability, self.lower, self.upper)
        if self.abstained:
            if any(number is not None for number in numbers) or not self.reason:
                raise ValueError("an abstention has a reason, and no probability")
        elif any(number is None for number in (*numbers, self.base_rate)):
            raise ValueError("a probability has an interval and a base rate")
        elif self.reason and (self.probability != self.base_rate or self.drivers or self.experts):
            raise ValueError("a reason stands beside the base rate alone, in the model's place")
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the score as plain JSON values, with the fields of the contract."""
        return self.model_dump(mode="json")

    def to_row(self) -> dict[str, Any]:
        """Return the score as one flat row, for CSV: of its parts, what identifies them."""
        row = self.model_dump(mode="json", exclude={"model", "data", "drivers", "experts"})
        return {
            **row,
            "model_name": self.model.name,
            "model_version": self.model.version,
            "skill_certified": self.model.skill_certified,
            "data_digest": self.data.digest,
        }


def scores_table(scores: Sequence[Score]) -> tuple[str, list[str], list[list[str]]]:
    """Return title, columns and rows of a table for people.

    A probability never stands without its base rate and its interval.
    """
    columns = [
        "asset",
        "days",
        "probability",
        "interval",
        "base rate",
        "moved most by (log-odds), or why not",
    ]
    rows: list[list[str]] = []
    for score in scores:
        if score.probability is None:
            said, interval, why = "none", "", score.reason or ""
        else:
            said, interval = f"{score.probability:.3f}", f"{score.lower:.3f} to {score.upper:.3f}"
            named = [d for d in score.drivers if d.feature != "(mixture)"][:2]
            why = ", ".join(f"{d.feature} {d.contribution:+.3f}" for d in named)
        base = "" if score.base_rate is None else f"{score.base_rate:.3f}"
        days = str(score.horizon_days)
        if score.threshold:
            days += f" by more than {score.threshold:.1%}"
        rows.append([score.asset, days, said, interval, base, why])
    title = "no scores"
    if scores:
        model = scores[0].model
        skill = "certified" if model.skill_certified else "not certified"
        title = (
            f"Probability of a rise, as of {scores[0].as_of} "
            f"(model {model.name} {model.version}, skill {skill})"
        )
    return title, columns, rows


def forecast_id(
    model: ScoringModel, as_of: date, asset: str, horizon_days: int, threshold: float
) -> str:
    """Return the identity of a forecast: 32 hex digits that anyone can derive again.

    Examples
    --------
    >>> model = ScoringModel(name="riskon", version=1, digest="ab", skill_certified=False)
    >>> forecast_id(model, date(2025, 6, 20), "BTC", 5, 0.0)
    'a96fbe4b5bf5f37cedb6da23003d542c'
    """
    parts = (model.version, model.digest, as_of.isoformat(), asset, horizon_days, repr(threshold))
    return hashlib.sha256("|".join(str(part) for part in parts).encode()).hexdigest()[:32]
