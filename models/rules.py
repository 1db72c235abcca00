"""The rules of the claims as a classifier: at their word, whatever the outcomes say."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from models.claims import asserted
from models.climatology import Climatology
from models.predictive import centre_of, chance_of, spread_of


class ClaimRules(Climatology):
    """Move the centre of the predictive law from the base rate by what the claims assert.

    The batch face of the expert ``rules``: fitted on the rows whose outcomes are known
    at T(d), it says of the features of day d what the walk-forward's expert says.
    Only the base rate is learned.

    Parameters
    ----------
    effect : daily drift that a rule asserts while it holds, in volatilities.
    horizon_days : h, of the outcomes.
    high, flow, weak : columns of the freshness of highs, of the flow over assets, and of the
        share of constituents with a negative year; a column that X does not have says nothing.

    Attributes
    ----------
    intercept_ : float, log-odds of the base rate.
    """

    def __init__(
        self,
        effect: float = 0.05,
        horizon_days: int = 1,
        high: int = 0,
        flow: int = 1,
        weak: int = 2,
    ) -> None:
        self.effect = effect
        self.horizon_days = horizon_days
        self.high = high
        self.flow = flow
        self.weak = weak

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Count the outcomes, as climatology does; see there."""
        return super().fit(X, y, sample_weight)

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return (n,) log-odds against the base rate."""
        h = self.horizon_days
        columns = (X[:, i] if i < X.shape[1] else None for i in (self.high, self.flow, self.weak))
        high, flow, weak = columns
        said = np.zeros(len(X)) if high is None else asserted(high, flow, weak)
        base = centre_of(np.array([1 / (1 + np.exp(-self.intercept_))]), h)
        p = chance_of(base + spread_of(h) * self.effect * np.sqrt(h) * said, h)
        odds: np.ndarray = np.log(p / (1 - p)) - self.intercept_
        return odds
