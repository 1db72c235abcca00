"""Runs on the same outcomes are told apart by their own forecasts, and not by luck."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models import log_loss
from sources.errors import InsufficientHistoryError, SchemaError
from training.artifacts import COLUMNS, KEYS, read_predictions
from training.comparison import compare_runs, difference, on_common, outcomes_digest
from training.comparison_plots import gains_plot, pairs_plot, standings_plot

DAYS = 600


def forecasts(
    skill: float, *, days: int = DAYS, horizon: int = 1, seed: int = 0, noise: int = 1
) -> pd.DataFrame:
    """Return forecasts of two assets that see a share of the true log-odds, and noise."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(0, 0.8, 2 * days)
    outcome = (generator.random(2 * days) < 1 / (1 + np.exp(-truth))).astype("float64")
    own = np.random.default_rng(1000 + noise).normal(0, 0.1, 2 * days)
    probability = 1 / (1 + np.exp(-skill * truth - own))
    table = pd.DataFrame(
        {
            "date": np.tile(pd.date_range("2020-01-01", periods=days, unit="us"), 2),
            "asset": np.repeat(["BTC", "ETH"], days),
            "horizon": horizon,
            "threshold": 0.0,
            "probability": probability,
            "lower": probability,
            "upper": probability,
            "base_rate": 0.5,
            "outcome": outcome,
            "momentum": 0.5,
            "forward_return": np.where(outcome == 1, 0.02, -0.02),
        }
    )
    return table.set_index(list(KEYS)).sort_index()


def test_the_better_run_leads_and_its_lead_is_significant() -> None:
    found = compare_runs({"good": forecasts(1.0), "weak": forecasts(0.2, noise=2)})
    good, weak = found.standings["good"], found.standings["weak"]
    assert good.log_loss < weak.log_loss
    assert good.lower > 0
    assert good.p_corrected < 0.001
    assert found.p_pairs["good", "weak"] < 0.02
    # The pair's figure is the second's gain on the first.
    assert found.pairs["good", "weak"].mean < 0
    assert (good.best_p_value, weak.best_p_value < 0.01) == (1.0, True)
    assert found.superior_p_value < 0.01
    assert good.bet_sharpe_ratio > weak.bet_sharpe_ratio > 0


def test_runs_without_skill_are_told_from_nothing() -> None:
    tables = {f"run{i}": forecasts(0.0, noise=i) for i in range(4)}
    found = compare_runs(tables)
    assert found.superior_p_value > 0.1
    assert all(s.p_corrected > 0.1 for s in found.standings.values())
    assert min(found.p_pairs.values()) > 0.05


def test_figures_are_means_over_the_cells_of_a_day_and_then_over_days() -> None:
    table = forecasts(0.5)
    # A day on which one cell alone was scored counts as much as any other.
    held = table.drop(index=[("2020-01-01", "ETH", 1, 0.0)])
    loss = log_loss(held["outcome"].to_numpy(), held["probability"].to_numpy())
    by_day = pd.Series(loss, held.index.get_level_values("date")).groupby(level=0).mean()
    found = compare_runs({"one": held}).standings["one"]
    assert found.log_loss == pytest.approx(by_day.mean())
    # Climatology of one half loses ln 2 on every day.
    assert found.gain_mnat == pytest.approx(1000 * (np.log(2) - by_day.mean()))


def test_tests_use_the_lag_of_the_longest_horizon() -> None:
    short, long = (compare_runs({"a": forecasts(0.3, horizon=h)}) for h in (1, 10))
    assert (short.effective_n, long.effective_n) == (600, 60)


def test_more_trials_correct_more_and_never_fewer_than_the_runs() -> None:
    tables = {"a": forecasts(0.1), "b": forecasts(0.1, noise=2)}
    found = compare_runs(tables, trials=1)
    assert found.trials == 2
    many = compare_runs(tables, trials=40)
    a = many.standings["a"]
    assert a.p_corrected == pytest.approx(min(1.0, 40 * a.p_value))
    assert a.deflated_sharpe_ratio < found.standings["a"].deflated_sharpe_ratio


def test_bets_of_one_cell_are_those_by_hand() -> None:
    # Always in, each day at + or - 2 %: the mean a year, less one entry's tenth of a percent.
    table = forecasts(0.0).xs("BTC", level="asset", drop_level=False).copy()
    table["probability"] = 0.9
    found = compare_runs({"in": table})
    expected = 365 * (table["forward_return"].mean() - 0.001 / DAYS)
    assert found.standings["in"].bet_return == pytest.approx(expected)
    assert found.hold_return == pytest.approx(expected)
    assert found.standings["in"].bet_excess_return == pytest.approx(0, abs=1e-12)


def test_outcomes_that_differ_are_counted_in_words() -> None:
    first = forecasts(0.5)
    second = forecasts(0.2, noise=3)
    assert difference(first, second) == ""
    assert outcomes_digest(first) == outcomes_digest(second)
    changed = second.iloc[:-10].copy()
    changed.iloc[0, changed.columns.get_loc("outcome")] = 1 - changed["outcome"].iloc[0]
    assert difference(first, changed) == (
        "1190 outcomes in both, 10 in the first alone, 0 in the second alone, 1 that are not the "
        "same"
    )
    assert outcomes_digest(first) != outcomes_digest(changed)


def test_what_all_share_holds_the_same_outcomes_alone() -> None:
    first, second = forecasts(0.5), forecasts(0.2, noise=3).iloc[:-10].copy()
    second.iloc[0, second.columns.get_loc("outcome")] = 1 - second["outcome"].iloc[0]
    shared = on_common({"a": first, "b": second})
    assert len(shared["a"]) == len(shared["b"]) == 1189
    assert difference(shared["a"], shared["b"]) == ""
    apart = first.rename(index={"BTC": "XRP", "ETH": "SOL"})
    with pytest.raises(InsufficientHistoryError, match="found 0"):
        on_common({"a": first, "b": apart})


def test_an_artifact_that_is_none_is_refused() -> None:
    with pytest.raises(SchemaError, match="needed parquet"):
        read_predictions(b"no parquet at all", "run 1")
    held = pd.DataFrame({"date": [1]}).to_parquet()
    with pytest.raises(SchemaError, match="needed columns"):
        read_predictions(held, "run 1")


def test_an_artifact_comes_back_with_known_outcomes_alone() -> None:
    table = forecasts(0.5).reset_index()
    table.loc[0, "outcome"] = np.nan
    found = read_predictions(table.to_parquet(index=False), "run 1")
    assert (len(found), found.index.names) == (2 * DAYS - 1, list(KEYS))
    assert set(COLUMNS) == {*found.columns, *KEYS}


def test_a_comparison_can_be_drawn_the_same_twice() -> None:
    found = compare_runs({"a": forecasts(0.5), "b": forecasts(0.1, noise=2)})
    labels = {"a": "aaaa first", "b": "bbbb second"}
    for draw in (standings_plot, gains_plot, pairs_plot):
        content = draw(found, labels)
        assert content.startswith(b"\x89PNG")
        assert content == draw(found, labels)
