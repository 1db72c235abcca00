"""Our estimators keep scikit-learn's contract, and forecast alike in any batch."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import EstimatorCheckFailedWarning
from sklearn.utils.estimator_checks import check_estimator

from features import REGISTRY
from models import ClaimRules, Climatology, PenalisedLogistic, SignalRegression, SmallBoosting
from models.claims import SIGNS
from models.config import CLASSIFIER_FEATURES

CLASSIFIERS = [
    PenalisedLogistic(prior_deviation=1.0),
    SmallBoosting(trees=20, learning_rate=0.3, least_outcomes_in_leaf=1.0, l2=0.1),
]

ESTIMATORS = [*CLASSIFIERS, Climatology(), ClaimRules(), SignalRegression()]

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


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=lambda e: type(e).__name__)
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
    for estimator in (*CLASSIFIERS, Climatology(), ClaimRules()):
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


def test_trees_keep_to_the_signs_that_claims_state() -> None:
    # The data say the opposite of the sign, so that the most a tree may do is nothing.
    generator = np.random.default_rng(5)
    X = generator.normal(size=(800, 3))
    y = (-2 * X[:, 0] + X[:, 1] + generator.normal(size=800) > 0).astype("float64")
    eager = {"trees": 50, "learning_rate": 0.2, "least_outcomes_in_leaf": 5.0, "l2": 0.1}
    told = SmallBoosting(**eager, signs=(1, 0, 0)).fit(X, y)
    free = SmallBoosting(**eager).fit(X, y)
    ladder = np.zeros((50, 3))
    ladder[:, 0] = np.linspace(-3, 3, 50)
    assert free.margin(ladder)[0] > free.margin(ladder)[-1] + 1
    assert (np.diff(told.margin(ladder)) >= 0).all()
    assert told.margin(np.array([[0.0, 3.0, 0.0]])) > told.margin(np.array([[0.0, -3.0, 0.0]]))


def test_the_signs_are_those_of_features_that_exist_and_that_classifiers_read() -> None:
    assert set(SIGNS) <= set(CLASSIFIER_FEATURES) & set(REGISTRY.names)
    assert set(SIGNS.values()) == {1, -1}


def test_signs_of_another_number_of_features_are_refused() -> None:
    X, y = np.random.default_rng(6).normal(size=(50, 3)), np.arange(50) % 2
    with pytest.raises(ValueError, match="needed one a feature, 3; found 2"):
        SmallBoosting(signs=(1, 0)).fit(X, y)


def test_seeds_are_averaged_on_log_odds() -> None:
    generator = np.random.default_rng(7)
    X = generator.normal(size=(400, 6))
    y = (X[:, 0] + generator.normal(size=400) > 0).astype("float64")
    eager = {"trees": 20, "learning_rate": 0.2, "least_outcomes_in_leaf": 5.0}
    three = SmallBoosting(**eager, seed=3, seeds=3).fit(X, y)
    alone = [SmallBoosting(**eager, seed=3 + i, seeds=1).fit(X, y).margin(X) for i in range(3)]
    assert np.abs(alone[0] - alone[1]).max() > 0.01
    np.testing.assert_allclose(three.margin(X), np.mean(alone, axis=0), atol=1e-12)
