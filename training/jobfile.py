"""A training job as one file: what is asked, what is tried, and what the search may see.

Frozen, hashed, and nothing in it that has no meaning is accepted. Flags of the
command line override what the file says.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models import ModelConfig
from training.space import DEFAULT_SPACE, Axis


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FoldConfig(_Frozen):
    """Where the search looks, and where it never does.

    The outer folds are the last ``outer`` times ``outer_months`` months, and begin with
    a quarter; all before is cut into ``inner`` folds of whole quarters.
    """

    inner: Annotated[int, Field(ge=2, le=50)] = 6
    outer: Annotated[int, Field(ge=1, le=20)] = 3
    outer_months: Annotated[int, Field(ge=3, le=60, multiple_of=3)] = 12
    embargo_days: Annotated[int, Field(ge=0, le=365)] = 20
    """Days before the outer folds that no trial sees, neither their features nor their labels."""


class SearchConfig(_Frozen):
    """A seeded search by TPE, pruned over folds."""

    trials: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Beside the configuration as it is, which is always tried first."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 7
    startup: Annotated[int, Field(ge=1)] = 10
    """Trials by chance before TPE proposes."""
    side_by_side: Annotated[int, Field(ge=1, le=1024)] = 4
    """Trials of a generation: they are proposed from earlier generations alone, so that the
    result does not depend on how many workers there are, nor on which is done first."""
    prune_after_trials: Annotated[int, Field(ge=1)] = 5
    prune_after_folds: Annotated[int, Field(ge=1)] = 2
    """From then on a trial whose mean so far is below the median of others is given up."""
    margin: Annotated[float, Field(ge=0)] = 1.0
    """Standard errors by which the best trial must beat the configuration as it is, beyond what
    the best of as many does by chance."""
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    """Times that a trial is begun again whose process died."""
    space: dict[str, Axis] = DEFAULT_SPACE


class JobConfig(_Frozen):
    """Everything that decides what a job does, but for the data."""

    assets: tuple[str, ...] = ()
    """All of the market by default."""
    horizons: tuple[int, ...] = ()
    """1, 5 and 20 days by default."""
    thresholds: tuple[float, ...] = (0.0,)
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (7,)
    """A trial is scored by its mean over them; the first is the registered model's."""
    model: ModelConfig = ModelConfig()
    search: SearchConfig = SearchConfig()
    folds: FoldConfig = FoldConfig()

    @model_validator(mode="after")
    def _boundaries_are_refits(self) -> JobConfig:
        months = self.model.refit_months
        if self.search.trials and 3 % months:
            raise ValueError(
                f"needed model.refit_months of 1 or 3, as folds begin with quarters; found {months}"
            )
        return self

    @property
    def digest(self) -> str:
        """Return the sha256 of the job."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def base(self) -> ModelConfig:
        """The configuration as it is, with the first seed."""
        return self.model.model_copy(update={"seed": self.seeds[0]})
