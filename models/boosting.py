"""A small, strongly regularised LightGBM classifier."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from models.binary import BinaryClassifier


class SmallBoosting(BinaryClassifier):
    """Gradient-boosted trees sized for the effective sample.

    Parameters
    ----------
    trees, leaves, learning_rate, feature_share, l2 : as in LightGBM.
    least_outcomes_in_leaf : effective outcomes (sum of weights) in a leaf.
    seed : of the feature sampling.

    Attributes
    ----------
    booster_ : LightGBM's native model.
    intercept_ : float, log-odds of the weighted training outcomes, where boosting starts.
    """

    def __init__(
        self,
        trees: int = 40,
        leaves: int = 4,
        learning_rate: float = 0.01,
        least_outcomes_in_leaf: float = 15.0,
        feature_share: float = 0.5,
        l2: float = 10.0,
        seed: int = 7,
    ) -> None:
        self.trees = trees
        self.leaves = leaves
        self.learning_rate = learning_rate
        self.least_outcomes_in_leaf = least_outcomes_in_leaf
        self.feature_share = feature_share
        self.l2 = l2
        self.seed = seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit on rows whose outcomes are known; one thread, deterministic.

        Parameters
        ----------
        X : (n, f) float, finite.
        y : (n,) two classes.
        sample_weight : (n,) effective outcomes a row; 1 by default.

        Raises
        ------
        ValueError
            For fewer or more than two classes, or values that are not finite.
        """
        import lightgbm

        X, target, weight = self._validated(X, y, sample_weight)
        settings = {
            "objective": "binary",
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            # The hessian of log loss is about a quarter of the weight.
            "min_sum_hessian_in_leaf": self.least_outcomes_in_leaf / 4,
            "min_data_in_leaf": 1,
            "feature_fraction": self.feature_share,
            "lambda_l2": self.l2,
            "max_bin": 63,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }
        binned = lightgbm.Dataset(X, target, weight=weight, params=settings, free_raw_data=True)
        average = float(np.average(target, weights=weight))
        self.intercept_ = float(np.log(average / (1 - average)))
        self.booster_ = lightgbm.train(settings, binned, num_boost_round=self.trees)
        return self

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """Return (n, f) what each feature adds to the log-odds (tree SHAP)."""
        parts = self.booster_.predict(X, pred_contrib=True, num_threads=1)
        return np.asarray(parts)[:, :-1]

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return (n,) the log-odds against where boosting started."""
        raw = self.booster_.predict(X, raw_score=True, num_threads=1)
        return np.asarray(raw) - self.intercept_
