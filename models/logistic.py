"""Logistic regression under a Gaussian prior, on standardised and clipped features."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from models.binary import BinaryClassifier


class PenalisedLogistic(BinaryClassifier):
    """Logistic regression with a Gaussian prior on each coefficient.

    Features are standardised by the training rows and cut at ``clip``
    deviations; a constant feature counts for nothing.

    Parameters
    ----------
    prior_deviation : deviation of the prior, log-odds a standard deviation.
    clip : where standardised features are cut.

    Attributes
    ----------
    center_, scale_, coef_ : (f,) float64.
    intercept_ : float.
    """

    def __init__(self, prior_deviation: float = 0.02, clip: float = 3.0) -> None:
        self.prior_deviation = prior_deviation
        self.clip = clip

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit on rows whose outcomes are known.

        Parameters
        ----------
        X : (n, f) finite.
        y : (n,) two classes.
        sample_weight : (n,) effective outcomes a row; 1 by default.

        Raises
        ------
        ValueError
            For fewer or more than two classes, or values that are not finite.
        """
        from sklearn.linear_model import LogisticRegression

        X, target, weight = self._validated(X, y, sample_weight)
        self.center_ = np.average(X, axis=0, weights=weight)
        deviation = np.sqrt(np.average((X - self.center_) ** 2, axis=0, weights=weight))
        constant = deviation <= 1e-12 * (1 + np.abs(self.center_))
        self.scale_ = np.where(constant, np.inf, deviation)
        model = LogisticRegression(C=self.prior_deviation**2, solver="newton-cholesky", tol=1e-10)
        model.fit(self._standardised(X), target, sample_weight=weight)
        self.coef_ = model.coef_[0]
        self.intercept_ = float(model.intercept_[0])
        return self

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """Return (n, f) what each feature adds to the log-odds, against its average day."""
        parts: np.ndarray = self._standardised(X) * self.coef_
        return parts

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return (n,) the log-odds against an average day."""
        # A sum by rows and not a matrix product: the same row gives the same bits in any batch.
        odds: np.ndarray = self.contributions(X).sum(axis=1)
        return odds

    def _standardised(self, X: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = np.clip((X - self.center_) / self.scale_, -self.clip, self.clip)
        return scaled
