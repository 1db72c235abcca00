"""Splits by dates and label ends: concrete calendar days, and no label that crosses a split."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import cross_val_score

from models import PenalisedLogistic
from sources.errors import InsufficientHistoryError, SchemaError
from training.splits import CombinatorialPurged, PurgedWalkForward


def panel(days: int = 12, horizon: int = 3, assets: tuple[str, ...] = ("BTC", "ETH")):
    """Return rows of each asset from 2024-01-01 on, assets one after the other."""
    date = np.datetime64("2024-01-01") + np.arange(days)
    one = pd.DataFrame({"date": date, "label_end": date + horizon})
    return pd.concat([one.assign(asset=asset) for asset in assets], ignore_index=True)


def shown(rows: pd.DataFrame, split) -> list[tuple[list[int], list[int]]]:
    """Return the days of January that train and that test, of each split."""
    return [
        tuple(sorted(set(rows["date"].iloc[at].dt.day)) for at in pair)
        for pair in split.split(rows)
    ]


def test_walk_forward_trains_on_labels_that_ended_when_a_fold_begins() -> None:
    # 12 days in 3 + 1 spans of 3: folds begin on the 4th, 7th and 10th. The label of day d ends
    # on d + 3, so the fold from the 7th may learn from days up to the 4th.
    assert shown(panel(), PurgedWalkForward(3)) == [
        ([1], [4, 5, 6]),
        ([1, 2, 3, 4], [7, 8, 9]),
        ([1, 2, 3, 4, 5, 6, 7], [10, 11, 12]),
    ]


def test_an_embargo_takes_as_many_days_more() -> None:
    # Two days more: the fold from the 7th learns from days up to the 2nd.
    split = PurgedWalkForward(2, test_days=3, embargo_days=2)
    assert shown(panel(), split) == [([1, 2], [7, 8, 9]), ([1, 2, 3, 4, 5], [10, 11, 12])]


def test_a_rolling_window_forgets_what_is_older() -> None:
    split = PurgedWalkForward(2, test_days=3, train_days=5)
    # Five days before the 7th are the 2nd to the 6th, of which the 5th and 6th are purged.
    assert shown(panel(), split) == [([2, 3, 4], [7, 8, 9]), ([5, 6, 7], [10, 11, 12])]


def test_folds_may_begin_on_days_that_are_named() -> None:
    split = PurgedWalkForward(starts=["2024-01-06", "2024-01-11"])
    assert split.get_n_splits() == 2
    assert shown(panel(), split) == [
        ([1, 2, 3], [6, 7, 8, 9, 10]),
        (list(range(1, 9)), [11, 12]),
    ]


def test_combinatorial_folds_are_purged_on_both_sides() -> None:
    # Groups 1-3, 4-6, 7-9, 10-12. Tested 4-6: before it only the 1st has a label that ended by
    # the 4th; the last tested label ends on the 9th, from which on rows look at later days alone.
    split = CombinatorialPurged(4, 1)
    assert shown(panel(), split)[1] == ([1, 9, 10, 11, 12], [4, 5, 6])
    with_embargo = CombinatorialPurged(4, 1, embargo_days=2)
    assert shown(panel(), with_embargo)[1] == ([11, 12], [4, 5, 6])
    two = CombinatorialPurged(4, 2)
    # Pairs in order: (1,2) (1,3) (1,4) (2,3) ...: the second tests 1-3 and 7-9, whose labels end
    # by the 6th and the 12th; days 6 and before with labels by the 7th: none but the purged; 12.
    assert shown(panel(), two)[1] == ([12], [1, 2, 3, 7, 8, 9])
    assert (two.get_n_splits(), two.n_paths) == (6, 3)


@settings(max_examples=60)
@given(
    days=st.integers(30, 90),
    horizons=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    embargo=st.integers(0, 3),
    combinatorial=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_no_label_crosses_a_split(
    days: int, horizons: list[int], embargo: int, combinatorial: bool, seed: int
) -> None:
    """No training label looks at a day that a test label looks at, whatever asset and horizon."""
    rows = pd.concat(
        [panel(days, h, (f"A{i}",)) for i, h in enumerate(horizons)], ignore_index=True
    ).sample(frac=0.9, random_state=seed)
    split = (
        CombinatorialPurged(5, 2, embargo_days=embargo)
        if combinatorial
        else PurgedWalkForward(3, embargo_days=embargo)
    )
    pairs = rows[["date", "label_end"]].to_numpy("datetime64[D]")
    try:
        found = list(split.split(rows))
    except InsufficientHistoryError:
        return
    for train, test in found:
        begin, end = pairs[train][:, 0, None], pairs[train][:, 1, None]
        # Windows (d, label_end] are apart when one ends by the day the other is as of.
        apart = (end <= pairs[test][:, 0]) | (begin >= pairs[test][:, 1])
        assert apart.all()
        assert not set(train) & set(test)


def test_scikit_learn_takes_them_with_dates_as_groups() -> None:
    rows = panel(60)
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(len(rows), 2)), generator.integers(0, 2, len(rows))
    pairs = rows[["date", "label_end"]].to_numpy("datetime64[D]")
    for split in (PurgedWalkForward(3), CombinatorialPurged(4, 2)):
        scores = cross_val_score(
            PenalisedLogistic(), X, y, groups=pairs, cv=split, scoring="neg_log_loss"
        )
        assert len(scores) == split.get_n_splits()
        assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda rows: pd.concat([rows, rows.iloc[:2]]), "2 twice", id="duplicated"),
        pytest.param(lambda rows: rows.assign(label_end=pd.NaT), "24 without", id="no label end"),
        pytest.param(
            lambda rows: rows.assign(label_end=rows["date"]), "24 that do not", id="ends too early"
        ),
        pytest.param(lambda rows: rows.drop(columns="label_end"), "other columns", id="no column"),
        pytest.param(lambda rows: rows.to_numpy(), "ndarray", id="no dates at all"),
    ],
)
def test_C10_rows_that_cannot_be_parted_are_refused_before_any_fit(change, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        next(PurgedWalkForward(3).split(change(panel())))


def test_C10_too_few_days_say_how_many_are_needed() -> None:
    with pytest.raises(InsufficientHistoryError, match="needed at least 6 days; found 4"):
        next(PurgedWalkForward(5).split(panel(days=4)))
    with pytest.raises(InsufficientHistoryError, match="training rows: needed at least 1 rows"):
        next(PurgedWalkForward(3).split(panel(days=12, horizon=9)))
    with pytest.raises(InsufficientHistoryError, match="6 groups of days: needed at least 6"):
        next(CombinatorialPurged(6, 2).split(panel(days=4)))
    with pytest.raises(SchemaError, match="1 <= n_test < n_groups"):
        next(CombinatorialPurged(3, 3).split(panel()))
