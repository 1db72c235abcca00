"""Our estimators keep scikit-learn's contract, and forecast alike in any batch."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import EstimatorCheckFailedWarning
from sklearn.utils.estimator_checks import check_estimator

from models import PenalisedLogistic, SmallBoosting

ESTIMATORS = [
    PenalisedLogistic(prior_deviation=1.0),
    SmallBoosting(trees=20, learning_rate=0.3, least_outcomes_in_leaf=1.0, l2=0.1),
]

EXPECTED = {
    SmallBoosting: {
        # LightGBM draws its histogram's bins from counts of rows, not from weights.
        "check_sample_weight_equivalence_on_dense_data": "bins depend on counts of rows",
    }
}


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_the_estimator_passes_scikit_learns_own_suite(estimator: object) -> None:
    with warnings.catch_warnings():
        # The suite itself provokes warnings of scikit-learn; a failed check raises.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", EstimatorCheckFailedWarning)
        check_estimator(estimator, expected_failed_checks=EXPECTED.get(type(estimator)))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_a_row_gets_the_same_bits_alone_and_in_a_batch(estimator: PenalisedLogistic) -> None:
    generator = np.random.default_rng(1)
    X = generator.normal(size=(400, 37))
    y = (X[:, 0] + generator.normal(size=400) > 0).astype("float64")
    estimator.fit(X, y)
    batch = estimator.margin(X)
    alone = np.array([estimator.margin(X[i : i + 1])[0] for i in range(len(X))])
    np.testing.assert_array_equal(batch, alone)


def test_contributions_of_the_logistic_expert_add_up_to_its_margin() -> None:
    generator = np.random.default_rng(2)
    X = generator.normal(size=(300, 5))
    y = (X[:, 1] > 0).astype("float64")
    model = PenalisedLogistic(prior_deviation=1.0).fit(X, y)
    np.testing.assert_allclose(model.contributions(X).sum(axis=1), model.margin(X))


def test_contributions_of_the_trees_add_up_to_their_margin_but_for_a_constant() -> None:
    generator = np.random.default_rng(3)
    X = generator.normal(size=(300, 5))
    y = (X[:, 1] > 0).astype("float64")
    model = SmallBoosting(trees=30, learning_rate=0.2, least_outcomes_in_leaf=5.0).fit(X, y)
    rest = model.margin(X) - model.contributions(X).sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-9)


def test_one_class_is_refused_before_the_fit() -> None:
    X, y = np.ones((50, 2)), np.ones(50)
    for estimator in ESTIMATORS:
        with pytest.raises(ValueError, match="needed 2 classes; found 1"):
            estimator.fit(X, y)


def test_weights_of_one_over_h_are_worth_one_row_in_h() -> None:
    # Every row three times at weight 1/3 is the same sample as every row once.
    generator = np.random.default_rng(4)
    X = generator.normal(size=(200, 3))
    y = (X[:, 0] + generator.normal(size=200) > 0).astype("float64")
    once = PenalisedLogistic(prior_deviation=0.3).fit(X, y)
    thrice = PenalisedLogistic(prior_deviation=0.3).fit(
        np.repeat(X, 3, axis=0), np.repeat(y, 3), sample_weight=np.full(600, 1 / 3)
    )
    np.testing.assert_allclose(once.coef_, thrice.coef_, atol=1e-5)
