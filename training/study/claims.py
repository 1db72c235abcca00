"""The ledger of claims: what was said, and what would count for and against it, fixed beforehand.

A claim is a table of one TOML file. Everything that its verdict depends on stands in it: the
event, the series and their variants, the horizons, the statistic, its null, the size that it
asserts. Its hash is over all of that, so a claim that is changed is another claim.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sources.errors import RefusedError, SchemaError, UnknownNameError

Kind = Literal[
    "event_return",
    "largest_rise",
    "rose_each_time",
    "split",
    "synchrony",
    "incremental",
    "lead_lag",
    "causality",
    "divergence",
]
"""Which study a claim is put through; see ``docs/study.md``."""

Text = Annotated[str, Field(min_length=1)]
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,12}$")]
Target = Annotated[str, Field(pattern=r"^(ALTS|[A-Z0-9]{1,12})(-(beta)?BTC)?$")]
"""What is held after an event: ``BTC``, ``ETH``, ``ALTS`` (all other coins, equally weighted);
``-BTC`` less Bitcoin's return, ``-betaBTC`` less Bitcoin's return times the beta known before."""
Days = Annotated[int, Field(ge=1, le=730)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(_Frozen):
    """What counts as an event.

    Attributes
    ----------
    kind : ``first_high``, the first all-time closing high after some sessions without one;
        ``retest``, the session on which a retest of the level so broken held.
    quiet_sessions : those sessions: 60 by default; 252 begin a new cluster of highs.
    """

    kind: Literal["first_high", "retest"] = "first_high"
    quiet_sessions: int = Field(default=60, ge=1, le=2520)


class Number(_Frozen):
    """A figure that a source gives, to stand beside ours."""

    said: Text
    what: Text


class Claim(_Frozen):
    """One claim, and how it is tested.

    Attributes
    ----------
    id, title, source, date : what is claimed, by whom and when (ISO, a month will do).
    paraphrase : the claim in words of our own.
    reading : the formal event and quantity, in words.
    kind : the study it is put through.
    event : what counts as an event.
    indices : small-cap series; the first is the primary one, the others are variants.
    targets : what is held; the first is the primary one.
    horizons_days : calendar days from the event's close on.
    primary_days : the horizon that the verdict rests on; one of ``horizons_days``.
    split : feature by which events are told apart, known on the day; ``split_at`` its bound.
    threshold : of the statistic, where the claim needs one: a rise, a correlation.
    null, test : in words.
    expected_sign : of the effect, as the claim has it.
    asserted : the size of effect that the claim asserts, or the least worth the name; a bound
        below it refutes the claim. In ``unit``.
    asserted_by : who gave that size: the source, or this ledger where the source gives none.
    least_sample : events (or years) below which nothing is concluded.
    falsifiable : False where no outcome could speak against the claim as it is worded.
    why_not : why, then.
    rule : the forecasters' expert that takes this claim at its word, where there is one.
    numbers : the source's figures.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,23}$")]
    title: Text
    source: Text
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}(-\d{2})?$")]
    paraphrase: Text
    reading: Text
    kind: Kind
    event: Event = Event()
    indices: tuple[Symbol, ...] = Field(min_length=1)
    targets: tuple[Target, ...] = Field(min_length=1)
    horizons_days: tuple[Days, ...] = Field(min_length=1)
    primary_days: Days
    split: str = ""
    split_at: float = 0.0
    threshold: float | None = None
    null: Text
    test: Text
    expected_sign: Literal[-1, 0, 1]
    asserted: float
    asserted_by: Literal["source", "ledger"] = "ledger"
    unit: Text
    least_sample: int = Field(ge=1)
    falsifiable: bool = True
    why_not: str = ""
    rule: str = ""
    numbers: tuple[Number, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.primary_days not in self.horizons_days:
            raise ValueError(
                f"claim {self.id}: needed primary_days among {list(self.horizons_days)}; "
                f"found {self.primary_days}"
            )
        for name, values in (("indices", self.indices), ("targets", self.targets)):
            if len(set(values)) < len(values):
                raise ValueError(f"claim {self.id}: needed {name} without repeats; found {values}")
        if (self.kind == "split") != bool(self.split):
            raise ValueError(
                f"claim {self.id}: needed a split for kind 'split' alone; "
                f"found kind {self.kind!r} and split {self.split!r}"
            )
        if not self.falsifiable and not self.why_not:
            raise ValueError(f"claim {self.id}: needed why_not, as it is not falsifiable")
        return self

    @property
    def digest(self) -> str:
        """Return the sha256 of everything that the claim says; any change makes another claim."""
        plain = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(plain.encode()).hexdigest()


class ClaimLedger(_Frozen):
    """All claims that are tested together.

    Attributes
    ----------
    alpha : chance of any false "supported", over all claims, horizons and variants.
    power : chance of finding an effect, for the least detectable one.
    primary_share : of alpha, shared by the primary tests; the variants share the rest.
    claims : by unique id.
    """

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    power: float = Field(default=0.8, gt=0.5, lt=1)
    primary_share: float = Field(default=0.5, gt=0, lt=1)
    claims: tuple[Claim, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        ids = [claim.id for claim in self.claims]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"claims: needed unique ids; found twice {', '.join(twice)}")
        return self

    def claim(self, name: str) -> Claim:
        """Return a claim by its id.

        Raises
        ------
        UnknownNameError
            Where there is none; lists those there are.
        """
        for claim in self.claims:
            if claim.id == name:
                return claim
        raise UnknownNameError("claim", name, [claim.id for claim in self.claims])


def read_claims(path: Path | None = None) -> ClaimLedger:
    """Read a ledger of claims from TOML, the built-in C1 to C13 by default.

    Raises
    ------
    RefusedError
        Where there is no such file.
    SchemaError
        If it is not TOML.
    ValidationError
        If a claim lacks something, or says what is not known.
    """
    if path is None:
        text, name = files("training.study").joinpath("claims.toml").read_text("utf-8"), "built in"
    elif path.is_file():
        text, name = path.read_text(encoding="utf-8"), str(path)
    else:
        raise RefusedError(f"--claims {path}: needed a TOML file; found none")
    try:
        content: Mapping[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(name, expected="TOML", found=str(error)) from error
    return ClaimLedger.model_validate(content)
