"""How sure the choice of a search is, by hand and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from models import ModelConfig
from training.durable import Tried
from training.search import Choice
from training.selection import confidence_set_p_values, none_better, selection_of
from training.trial import Outcome


def choice_of(*outcomes: Outcome) -> Choice:
    tried = tuple(Tried(place, {}, outcome) for place, outcome in enumerate(outcomes))
    return Choice(ModelConfig(), 0, 0, 0.0, 0.0, 1.0, tried)


def test_a_choice_is_told_with_what_became_of_all_trials_and_with_its_uncertainty() -> None:
    found = selection_of(
        choice_of(
            Outcome((0.0, 0.0, 0.0)),
            Outcome((1.0, 2.0, 3.0)),
            Outcome((-9.0,), pruned=True),
            Outcome((), failure="no"),
            Outcome((0.0, 0.0, 0.0)),
        )
    )
    assert (found.trials, found.whole, found.pruned, found.failed, found.folds) == (5, 3, 1, 1, 3)
    # Mean 2, deviation 1, so the error is 1 / sqrt(3), and Student's 95 % point for 2 is 2.920.
    assert (found.best, found.gain_mnat) == (1, 2.0)
    assert found.lower == pytest.approx(2 - 2.919986 / 3**0.5, abs=1e-5)
    assert found.upper == pytest.approx(2 + 2.919986 / 3**0.5, abs=1e-5)
    # One of eight flips wins all folds; a trial that is the benchmark itself cannot win.
    assert found.p_value == 0.125
    assert found.metrics["search_trials"] == 5
    assert "p = 0.125 that none is better" in found.sentence


def test_what_is_better_by_one_and_worse_by_one_is_no_better() -> None:
    # Ratios 0 with signs ++ and --..., so of the four flips three are as good as none: sum 0, 0, 2.
    assert none_better(np.array([[1.0], [-1.0]])) == 0.75
    assert none_better(np.zeros((3, 2))) == 1.0


def test_one_that_loses_every_fold_is_not_among_the_best_and_equals_are() -> None:
    folds = np.arange(6.0)
    # The same but for a fold, in which each of the two is once ahead.
    first, second = folds.copy(), folds.copy()
    first[0] += 0.5
    second[1] += 0.5
    p = confidence_set_p_values(np.column_stack([first, folds - 3 - 0.1 * folds, second]))
    # Only one of the 64 flips makes it lose as much.
    assert p[1] == pytest.approx(1 / 64)
    assert min(p[0], p[2]) > 0.5
    assert selection_of(choice_of(*(Outcome(tuple(c)) for c in (first, folds - 3, second)))
                        ).confidence_set == (0, 2)  # fmt: skip


@pytest.mark.parametrize("folds", [6, 14])
def test_of_searches_with_nothing_to_find_few_claim_to_have_found_it(folds: int) -> None:
    generator = np.random.default_rng(5)
    p = np.array(
        [
            # Trials that are alike, as those of a search are: half of the variance is shared.
            none_better(
                generator.standard_normal((folds, 1)) + generator.standard_normal((folds, 20))
            )
            for _ in range(400)
        ]
    )
    # 5 % of 400 is 20, give or take 1.1 points: at most 3 deviations above.
    assert (p <= 0.05).mean() <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
    # A search that did find something: a gain of two deviations in each fold.
    real = none_better(generator.standard_normal((folds, 20)) + np.eye(1, 20) * 4)
    assert real <= 0.05
