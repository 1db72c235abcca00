"""What a model is: frozen, hashed, logged to the tracking server and kept in the bundle."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from features import FeatureConfig


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LogisticConfig(_Frozen):
    """Penalised logistic regression."""

    prior_deviation: Annotated[float, Field(gt=0, le=10)] = 0.02
    """Deviation of the Gaussian prior of each coefficient, in log-odds a standard deviation."""
    clip: Annotated[float, Field(gt=0)] = 3.0
    """Standardised features are cut here: one wild day must not decide a forecast."""


class BoostingConfig(_Frozen):
    """LightGBM, sized for the effective sample and not for the count of rows."""

    trees: Annotated[int, Field(ge=1, le=2000)] = 40
    leaves: Annotated[int, Field(ge=2, le=64)] = 4
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.01
    least_outcomes_in_leaf: Annotated[float, Field(gt=0)] = 15.0
    """Effective (non-overlapping) outcomes in a leaf."""
    feature_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    l2: Annotated[float, Field(ge=0)] = 10.0


class MixtureConfig(_Frozen):
    """Exponentially weighted mixture on log loss."""

    climatology_prior: Annotated[float, Field(gt=0, lt=1)] = 0.5
    rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Learning rate times the horizon: the rate is ``rate / h``."""


class ModelConfig(_Frozen):
    """Everything that decides what a forecast is, but for the data."""

    features: FeatureConfig = FeatureConfig()
    logistic: LogisticConfig | None = LogisticConfig()
    boosting: BoostingConfig | None = BoostingConfig()
    mixture: MixtureConfig = MixtureConfig()
    least_labels: Annotated[int, Field(ge=30)] = 365
    """Labels known before an expert is fitted; until then climatology speaks alone."""
    refit_months: Annotated[int, Field(ge=1, le=12)] = 3
    """Experts are refitted on the first day of every so many months of the calendar."""
    interval: Annotated[float, Field(gt=0, lt=1)] = 0.9
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 7

    @property
    def digest(self) -> str:
        """Return the sha256 of the configuration."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
