"""What our classifiers share: validation, and probabilities from log-odds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data


class BinaryClassifier(ClassifierMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """A classifier of two classes that moves log-odds.

    A subclass fits ``intercept_``, and ``margin(X)`` returns what it adds.
    """

    intercept_: float

    @abstractmethod
    def margin(self, X: np.ndarray) -> np.ndarray:
        """Return (n,) log-odds against the intercept; the same row, the same bits in any batch."""

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return (n, 2) probabilities of the classes."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype="float64", reset=False, ensure_all_finite=self._finite())
        p = 1.0 / (1.0 + np.exp(-self.margin(X) - self.intercept_))
        return np.column_stack([1.0 - p, p])

    def predict(self, X: Any) -> np.ndarray:
        """Return (n,) the likelier class."""
        likelier = (self.predict_proba(X)[:, 1] > 0.5).astype(int)
        return self.classes_[likelier]

    def _finite(self) -> bool | str:
        """Return how scikit-learn shall check X."""
        return "allow-nan" if self.__sklearn_tags__().input_tags.allow_nan else True

    def _validated(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return X, y as 0 and 1, and the weights; set ``classes_``.

        X may have holes where the tags say so.

        Raises
        ------
        ValueError
            For values that are not finite, or other than two classes that have weight.
        """
        from sklearn.utils.multiclass import check_classification_targets
        from sklearn.utils.validation import _check_sample_weight

        X, y = validate_data(self, X, y, dtype="float64", ensure_all_finite=self._finite())
        check_classification_targets(y)
        weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        self.classes_, target = np.unique(y, return_inverse=True)
        weighing = len(np.unique(target[weight > 0]))
        if len(self.classes_) != 2 or weighing != 2:
            raise ValueError(
                "Only binary classification is supported: needed 2 classes; "
                f"found {min(len(self.classes_), weighing) if weighing < 2 else len(self.classes_)}"
                " class(es)"
            )
        return X, target.astype("float64"), weight

    def __sklearn_tags__(self) -> Any:
        """Declare that this is a binary classifier."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
