"""Climatology: the base rate so far, the forecast that all others have to beat."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from models.binary import BinaryClassifier

PRIOR_OUTCOMES = 2.0
"""Effective outcomes of the prior, half of them 1."""


def base_rate(hits: np.ndarray, total: np.ndarray, horizon_days: int) -> np.ndarray:
    """Return the regularised frequency of 1.

    Outcomes of overlapping windows count 1/h each, against a prior of two
    outcomes, one of each kind (Laplace's rule of succession).

    Parameters
    ----------
    hits, total : (n,) labels known so far that are 1, and all of them.

    Returns
    -------
    (n,) float64 in (0, 1); one half where nothing is known.
    """
    rate: np.ndarray = (hits / horizon_days + PRIOR_OUTCOMES / 2) / (
        total / horizon_days + PRIOR_OUTCOMES
    )
    return rate


class Climatology(BinaryClassifier):
    """Say the regularised base rate of the outcomes so far, whatever the features.

    The batch face of :func:`base_rate`: fitted on the rows whose outcomes are known at T(d), each
    weighing 1/h, it says what the walk-forward's ``base_rate`` of day d says.

    Attributes
    ----------
    intercept_ : float, log-odds of the base rate.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Count the outcomes.

        Parameters
        ----------
        X : (n, f) anything; holes do not matter.
        y : (n,) two classes.
        sample_weight : (n,) effective outcomes a row; 1 by default, 1/h for windows of h days.

        Raises
        ------
        ValueError
            For fewer or more than two classes.

        Examples
        --------
        Three hits in four outcomes, by Laplace's rule (3 + 1) / (4 + 2):

        >>> model = Climatology().fit(np.zeros((4, 1)), [1, 1, 1, 0])
        >>> model.predict_proba([[0.0]]).round(3).tolist()
        [[0.333, 0.667]]
        """
        _, target, weight = self._validated(X, y, sample_weight)
        hits, total = (weight * target).sum(), weight.sum()
        rate = base_rate(np.array([hits]), np.array([total]), horizon_days=1)[0]
        self.intercept_ = float(np.log(rate / (1 - rate)))
        return self

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return (n,) zeros: nothing moves climatology."""
        return np.zeros(len(X))

    def __sklearn_tags__(self) -> Any:
        """Declare that holes are welcome, and that features are not read."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.poor_score = True
        return tags
