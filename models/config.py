"""What a model is: frozen, hashed, logged to the tracking server and kept in the bundle."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from features import FeatureConfig

CLASSIFIER_FEATURES = (
    *(f"small_return_{k}s" for k in (5, 20, 60, 120, 252)),
    "small_volatility_20s", "small_scaled_return_60s", "small_mean_distance_200s",
    "small_minus_large_20s", "small_minus_large_120s", "value_minus_growth_60s",
    "high_flag", "high_first", "high_freshness", "high_share_60s", "nearness_all_time",
    "nearness_52w",
    *(f"flow_{k}s" for k in (1, 5, 20, 60)), "flow_decayed_20s", "flow_zscore_20s",
    "flow_persistence_20s",
    "breadth_above_50s", "breadth_above_200s", "breadth_high_minus_low", "breadth_negative_252s",
    "breadth_dispersion_20s",
    *(f"own_return_{k}d" for k in (1, 5, 20, 60, 120)), "own_volatility_20d",
    "own_volatility_change", "own_scaled_return_60d", "own_drawdown_365d",
)  # fmt: skip


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


GROUPS: dict[str, tuple[str, ...]] = {
    "flow": tuple(f"flow_pressure_{k}s" for k in (5, 10, 20, 40)),
    "highs": tuple(f"high_decay_{k}s" for k in (5, 10, 20, 40)),
    "nearness": ("nearness_log_all_time", "nearness_log_52w"),
    "small": (
        *(f"small_scaled_{k}s" for k in (5, 20, 60, 120)),
        *(f"small_pressure_{k}s" for k in (10, 40)),
    ),
    "relative": tuple(f"relative_scaled_{k}s" for k in (20, 60, 120)),
    "credit": (
        *(f"credit_scaled_{k}s" for k in (5, 20, 60)),
        *(f"credit_pressure_{k}s" for k in (10, 40)),
    ),
    "large": tuple(f"large_scaled_{k}s" for k in (5, 20, 60, 120)),
    "breadth": (
        "breadth_above_50s", "breadth_above_200s", "breadth_net_highs_10s",
        "breadth_negative_252s",
    ),
    "dispersion": ("dispersion_log_1s", "dispersion_log", "dispersion_change_60s"),
    "liquidity": tuple(f"liquidity_scaled_{k}w" for k in (1, 4, 13)),
    "rates": tuple(f"rate_scaled_{k}s" for k in (20, 60)),
    "vix": ("vix_level_log", "vix_change_20s"),
    "own": tuple(f"own_scaled_{k}d" for k in (1, 5, 20, 60, 120)),
}  # fmt: skip
"""Signals that compete for belief, each at alternative scales, by the name of a group."""

WEIGHTS = {
    # The claims that the project is about: highs (C1 to C5), flows (C6), a common driver (C11).
    "highs": 4.0,
    "driver": 4.0,
    "flow": 2.5,
    # Breadth is doubted (C7): momentum may count by how far constituents lie apart.
    "momentum x dispersion": 2.0,
    # Groups that no claim names, and other interactions, have to work harder to be believed.
    **dict.fromkeys(("own", "dispersion", "high x flow"), 0.5),
    **dict.fromkeys(("nearness", "relative", "large", "rates", "vix", "credit"), 0.33),
    **dict.fromkeys(("high x breadth", "high x liquidity"), 0.25),
}


class SignalConfig(_Frozen):
    """Bayesian averaging of one-signal regressions of daily returns."""

    groups: dict[str, tuple[str, ...]] = GROUPS
    interactions: bool = True
    """Also the products that the claims name, and the common driver."""
    group_weights: dict[str, float] = WEIGHTS
    """Prior share of a group against the others, 1 by default."""
    tail: Annotated[float, Field(gt=2, le=100)] = 5.0
    """Degrees of freedom of a day's return."""
    effect: Annotated[float, Field(gt=0, le=1)] = 0.035
    """Scale of the moment prior: the likeliest effect is 0.05 deviations of a day a deviation."""
    own_effect: Annotated[float, Field(gt=0, le=1)] = 0.015
    """Deviation of an asset's coefficient from the one that all share."""
    nothing: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Prior of no signal at all, within one average; the gate and the mixture doubt besides."""
    evidence_power: Annotated[float, Field(gt=0, le=1)] = 0.85
    """Power of the likelihood that chooses among signals. Days are no independent draws of the law
    assumed, so that a chance relation would be believed too soon at full power."""
    discounts: tuple[float, float] = (1.0, 0.996)
    """Daily fading of evidence, slow and fast; the gate weighs both. The fast half-life, 173 days,
    is far from the slow one, so that the gate can tell them apart soon after a relation turns."""
    gate_prior: tuple[float, float, float] = (0.06, 0.75, 0.19)
    gate_redeal: tuple[float, float, float] = (0.5, 0.26, 0.24)
    gate_share: Annotated[float, Field(ge=0, lt=1)] = 1 / 3650
    """Share of the gate's weight dealt out again each day: a relation ends once in ten years."""
    drift_deviation: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Deviation of the daily drift in volatilities: a Sharpe ratio of 0.4 a year."""
    drift_shared: Annotated[float, Field(ge=0, lt=1)] = 0.5
    drift_discount: Annotated[float, Field(gt=0.9, le=1)] = 0.9998
    """Half-life of a drift, 9.5 years."""
    drift_weight: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Of the centre without signals; the rest is climatology, which harms less where there is
    no drift to find."""
    least_days: Annotated[int, Field(ge=60)] = 250
    """Days a feature has been there before it may speak."""


class RuleConfig(_Frozen):
    """The rules of the claims, taken at their word: a high, with inflow or without."""

    effect: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Daily drift a rule asserts while it holds, in volatilities."""


class MixtureConfig(_Frozen):
    """Exponentially weighted mixture on log loss."""

    climatology_prior: Annotated[float, Field(gt=0, lt=1)] = 0.5
    signals_share: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Of what climatology leaves, where there are other experts beside the signals."""
    rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Learning rate times the horizon: the rate is ``rate / h``."""


class CalibrationConfig(_Frozen):
    """Calibrators of the mixture; what their priors leave is belief in the mixture as it is."""

    factors: tuple[Annotated[float, Field(gt=0, le=4)], ...] = (0.5, 0.7, 1.25, 2.0)
    """Of the log-odds against the base rate: temperatures 2, 1.43, 0.8 and 0.5."""
    factor_priors: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.005, 0.05, 0.2, 0.005)
    isotonic_prior: Annotated[float, Field(gt=0, lt=1)] = 0.002
    venn_abers_prior: Annotated[float, Field(gt=0, lt=1)] = 0.002
    tally_prior: Annotated[float, Field(gt=0)] = 1.0
    """Outcomes' worth of belief, at each tenth of log-odds, that the frequency is the forecast."""

    @model_validator(mode="after")
    def _as_it_is_has_most(self) -> CalibrationConfig:
        if len(self.factors) != len(self.factor_priors):
            raise ValueError(
                f"needed a prior for each of {len(self.factors)} factors; "
                f"found {len(self.factor_priors)}"
            )
        others = sum(self.factor_priors) + self.isotonic_prior + self.venn_abers_prior
        if others > 0.5:
            raise ValueError(f"needed priors of calibrators up to 0.5 in all; found {others:g}")
        return self


class AbstentionConfig(_Frozen):
    """Limits beyond which a forecast is withheld; see :mod:`models.abstention`."""

    widths: Annotated[float, Field(gt=0)] = 0.25
    """An input may lie so much of its past range beyond it."""
    least_days: Annotated[int, Field(ge=1)] = 365
    """Days that an input must have been there before its range says anything."""
    opposite_pulls: Annotated[float, Field(gt=0)] = 0.05
    """Experts may pull both ways from the base rate by so much log-odds, under their weights."""


class ModelConfig(_Frozen):
    """Everything that decides what a forecast is, but for the data."""

    features: FeatureConfig = FeatureConfig()
    signals: SignalConfig | None = SignalConfig()
    rules: RuleConfig | None = RuleConfig()
    logistic: LogisticConfig | None = LogisticConfig()
    boosting: BoostingConfig | None = BoostingConfig()
    classifier_features: tuple[str, ...] | None = CLASSIFIER_FEATURES
    """Features the classifiers are fitted on, of those the dataset has; all if None."""
    mixture: MixtureConfig = MixtureConfig()
    calibration: CalibrationConfig | None = CalibrationConfig()
    abstention: AbstentionConfig | None = AbstentionConfig()
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
