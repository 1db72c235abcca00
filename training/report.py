"""What a training job has to say of itself: figures with their uncertainty, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from models import Cell, ModelConfig, Reliability
from training.coverage import RiskCoverage

if TYPE_CHECKING:
    from training.selection import Selection


@dataclass(frozen=True)
class CellEvaluation:
    """How the walk-forward forecasts of one cell did against climatology.

    Attributes
    ----------
    metrics : standard name -> value; ``_lower`` and ``_upper`` bound an interval.
    reliability : forecasts against frequencies.
    days, gain : (n,) as-of days, and the log loss of climatology minus ours, nats.
    weights : expert -> (n,) its weight in the mixture on those days.
    coverage : gain by the share of days kept, had we abstained on the least confident.
    labels : kind -> (n,) the year and the regimes of the days, empty where not known then.
    bets : (n, 2) returns of the betting rule and of buying and holding, a row a bet of h days;
        None where the rule says nothing, at a threshold other than 0.
    """

    cell: Cell
    metrics: Mapping[str, float]
    reliability: Reliability
    days: np.ndarray
    gain: np.ndarray
    weights: Mapping[str, np.ndarray]
    coverage: RiskCoverage
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    bets: np.ndarray | None = None


@dataclass(frozen=True)
class Verdict:
    """The gate's two levels, and each check in words.

    Attributes
    ----------
    fit_to_serve : no cell is worse than climatology beyond the stated tolerance.
    skill_certified : the gain over climatology is significant.
    checks : (passed, sentence) of each check made.
    """

    fit_to_serve: bool
    skill_certified: bool
    checks: tuple[tuple[bool, str], ...] = ()


@dataclass(frozen=True)
class JobReport:
    """A finished training job, before it is tracked."""

    config: ModelConfig
    evaluations: tuple[CellEvaluation, ...]
    verdict: Verdict
    market: str
    data_digest: str
    dataset_digest: str
    trained_through: np.datetime64
    seconds: float
    versions: Mapping[str, str]
    omitted: Mapping[str, str] = field(default_factory=dict)
    trials: int = 1
    selection: Selection | None = None
    """How sure the choice of the configuration is, where it was searched for."""
