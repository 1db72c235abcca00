"""The card says what a version is, with every caveat and an interval on every figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from models import ModelConfig
from training.card import model_card, summary
from training.report import CellEvaluation, JobReport
from training.selection import Selection

MakeEvaluation = Callable[..., CellEvaluation]
MakeReport = Callable[..., JobReport]


def test_each_cell_has_a_row_with_its_gain_its_interval_and_its_effective_n(
    make_report: MakeReport,
) -> None:
    card = model_card(make_report())
    # The interval is 3.2 mnat wide: a standard error of 3.2 / 3.29 = 0.9726, of which a
    # one-sided test at 5 % with power 80 % needs 2.487.
    for cell in ("BTC_5d", "ETH_20d"):
        assert f"| {cell} | 1000 | 200 | +1.00 [-0.60, +2.60] | 2.42 |" in card


def test_every_row_of_the_table_has_as_many_columns_as_its_head(make_report: MakeReport) -> None:
    tables = [part for part in model_card(make_report()).split("\n\n") if part.startswith("|")]
    # A head, a rule and a row for each of the two cells.
    assert len(tables[0].splitlines()) == 2 + 2
    for table in tables:
        assert len({row.count("|") for row in table.splitlines()}) == 1


def test_the_card_says_where_the_gain_came_from_part_by_part(make_report: MakeReport) -> None:
    card = model_card(make_report())
    for part in ("| asset | BTC | 1000 | 200 |", "| horizon | 20d | 1000 | 50 |"):
        assert part in card


def test_the_card_states_the_rule_of_the_bets_and_its_costs(
    make_report: MakeReport, make_evaluation: MakeEvaluation
) -> None:
    worth = {
        "bet_return": 0.2, "hold_return": 0.1, "bet_excess_return": 0.1,
        "bet_excess_return_lower": -0.1, "bet_excess_return_upper": 0.3, "bet_sharpe_ratio": 0.8,
        "bet_sharpe_ratio_lower": 0.1, "bet_sharpe_ratio_upper": 1.5, "hold_sharpe_ratio": 0.4,
        "deflated_sharpe_ratio": 0.9, "probability_of_backtest_overfitting": 0.2,
    }  # fmt: skip
    card = model_card(make_report(make_evaluation(**worth)))
    assert "| BTC_5d | +20.0% | +10.0% | +10.0% [-10.0%, +30.0%] | +0.80 [+0.10, +1.50] |" in card
    assert "0.10% of what changes hands" in card


def test_an_undefined_figure_is_called_undefined(
    make_report: MakeReport, make_evaluation: MakeEvaluation
) -> None:
    card = model_card(make_report(make_evaluation(roc_auc=float("nan"))))
    assert "| undefined |" in card
    assert "nan" not in card.lower().split()


def test_the_card_tells_of_survivorship_of_overlap_and_of_what_was_left_out(
    make_report: MakeReport,
) -> None:
    card = model_card(make_report())
    for caveat in (
        "Survivorship",
        "overlap",
        "**Left out**: flows: no flows/IWM.csv",
        "Not advice",
    ):
        assert caveat in card


def test_the_card_names_data_configuration_and_verdict(make_report: MakeReport) -> None:
    report = make_report()
    card = model_card(report)
    for text in ("d" * 64, "e" * 64, report.config.digest, "lightgbm 4.7.0", "2025-06-30"):
        assert text in card
    for passed, sentence in report.verdict.checks:
        assert f"- {'passed' if passed else '**failed**'}: {sentence}" in card


def test_the_summary_says_both_levels_of_the_gate(
    make_report: MakeReport, make_evaluation: MakeEvaluation
) -> None:
    assert "fit to serve, no certified skill" in summary(make_report())
    harmful = make_report(make_evaluation(gain_mnat=-9.0))
    assert "NOT fit to serve, no certified skill" in summary(harmful)


def test_experts_that_are_switched_off_are_not_described(make_report: MakeReport) -> None:
    card = model_card(make_report(config=ModelConfig(boosting=None)))
    assert "LightGBM" not in card
    assert "logistic regression" in card


def test_the_card_says_how_the_configuration_was_chosen_and_of_how_many(
    make_report: MakeReport,
) -> None:
    assert "How it was chosen" not in model_card(make_report())
    found = Selection(51, 32, 18, 1, 6, 17, 0.41, -0.2, 1.02, 0.3125, (0, 17))
    card = model_card(replace(make_report(), selection=found, trials=80))
    assert "Of 50 trials and the configuration as it is, 32 ran through 6 inner" in card
    assert "+0.41 mnat a day over the configuration as it is [-0.20, +1.02]; p = 0.312" in card
    assert "80 configurations were tried until now" in card
