"""Small, strongly regularised LightGBM classifiers, averaged over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from models.binary import BinaryClassifier


class SmallBoosting(BinaryClassifier):
    """Gradient-boosted trees sized for the effective sample.

    Parameters
    ----------
    trees, leaves, learning_rate, feature_share, l2 : as in LightGBM.
    least_outcomes_in_leaf : effective outcomes (sum of weights) in a leaf.
    seed : of the first model's feature sampling; the others count on from it.
    seeds : models whose log-odds are averaged: which features a tree was shown is luck.
    signs : of the effect of each feature, where one is stated: 1, -1, or 0 for either; None for
        0 throughout. Trees keep to them (LightGBM's monotone constraints).

    Attributes
    ----------
    boosters_ : LightGBM's native models, one a seed.
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
        seeds: int = 3,
        signs: Sequence[int] | None = None,
    ) -> None:
        self.trees = trees
        self.leaves = leaves
        self.learning_rate = learning_rate
        self.least_outcomes_in_leaf = least_outcomes_in_leaf
        self.feature_share = feature_share
        self.l2 = l2
        self.seed = seed
        self.seeds = seeds
        self.signs = signs

    def fit(self, X: Any, y: Any, sample_weight: Any = None, binned: Any = None) -> Self:
        """Fit on rows whose outcomes are known; one thread, deterministic.

        Parameters
        ----------
        X : (n, f) float, finite.
        y : (n,) two classes.
        sample_weight : (n,) effective outcomes a row; 1 by default.
        binned : the same rows by :meth:`binned` of a model with the same seed and signs: the
            same trees, sooner.

        Raises
        ------
        ValueError
            For fewer or more than two classes, values that are not finite, or signs of another
            number of features.
        """
        import lightgbm

        X, target, weight = self._validated(X, y, sample_weight)
        if self.signs is not None and len(self.signs) != X.shape[1]:
            raise ValueError(f"signs: needed one a feature, {X.shape[1]}; found {len(self.signs)}")
        if binned is None:
            binned = self.binned(X, target, weight)
        average = float(np.average(target, weights=weight))
        self.intercept_ = float(np.log(average / (1 - average)))
        self.boosters_ = [
            lightgbm.train(
                {**self._settings(), "feature_fraction_seed": self.seed + i},
                binned,
                num_boost_round=self.trees,
            )
            for i in range(self.seeds)
        ]
        return self

    def binned(self, X: np.ndarray, target: np.ndarray, weight: np.ndarray) -> Any:
        """Return rows as LightGBM learns from them, which depends on seed and signs alone.

        Parameters
        ----------
        X : (n, f) float64, finite.
        target : (n,) of 0 and 1.
        weight : (n,) effective outcomes a row.
        """
        import lightgbm

        rows = lightgbm.Dataset(
            X, target, weight=weight, params=self._settings(), free_raw_data=True
        )
        return rows.construct()

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
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
        if self.signs is not None and any(self.signs):
            settings["monotone_constraints"] = list(self.signs)
        return settings

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """Return (n, f) what each feature adds to the log-odds (tree SHAP, seeds averaged)."""
        parts = [b.predict(X, pred_contrib=True, num_threads=1) for b in self.boosters_]
        return np.asarray(np.mean(parts, axis=0))[:, :-1]

    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return (n,) the log-odds against where boosting started, seeds averaged."""
        raw = [b.predict(X, raw_score=True, num_threads=1) for b in self.boosters_]
        return np.asarray(np.mean(raw, axis=0)) - self.intercept_
