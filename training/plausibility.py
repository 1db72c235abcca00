"""Skill that cannot be honest: above what a known truth allows, or above all experience."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from models import Cell, expected_log_loss, log_loss
from training.evaluation import MNAT
from training.leaks import Finding
from training.report import CellEvaluation
from training.walkforward import CellRun

MARGIN_ERRORS = 4.0
"""Standard errors by which a gain may exceed what the truth allows: 1 in 30,000 by chance."""
HIGHEST_AUC = 0.60
HIGHEST_GAIN_MNAT = 16.0
"""What log-odds that deviate by 0.36, so that the area is 0.60, gain: 0.36^2 / 8 nats."""
ONE_SIDED = 1.645
CERTIFYING_ERRORS = 2.486
"""1.645 for a level of 5 % and 0.842 for a power of 80 %."""
CERTIFYING_DAYS = 3650.0


def check_honest(
    runs: Mapping[Cell, CellRun],
    evaluations: Sequence[CellEvaluation],
    truth: pd.DataFrame | None,
) -> tuple[Finding, ...]:
    """Look for skill that cannot be honest: by the truth where it is known, else by experience.

    A strong signal of a simulated market gives more skill than any real one would, and honestly
    so; there the truth says how much. A cell that the truth does not speak of is held
    against experience.

    Parameters
    ----------
    truth : as for :func:`check_skill`; None where nobody knows it.
    """
    if truth is None:
        return check_plausible(evaluations)
    told = truth if "threshold" in truth else truth.assign(threshold=0.0)
    spoken_of = set(zip(told["asset"], told["horizon"], told["threshold"], strict=True))
    known = {
        cell: run
        for cell, run in runs.items()
        if (cell.asset, cell.horizon_days, cell.threshold) in spoken_of
    }
    others = [evaluation for evaluation in evaluations if evaluation.cell not in known]
    return (*check_skill(known, told), *check_plausible(others))


def check_skill(
    runs: Mapping[Cell, CellRun], truth: pd.DataFrame, errors: float = MARGIN_ERRORS
) -> tuple[Finding, ...]:
    """Look for cells that gained more than the true probabilities allow.

    In expectation under ``p_star`` no forecast, honest or not, gains more than the
    limit (Gibbs); a leak shows in what was gained in fact. Given everything knowable,
    the realised gain differs from the expected one by ``(y - p_star) x_t``, where
    ``x_t`` is the forecast's log-odds minus the base rate's. Windows that do not overlap add
    up as a martingale, so the variance of the sum is at most
    ``h sum(x_t^2 p_star (1 - p_star))``.

    Parameters
    ----------
    truth : ``date, asset, horizon, p_star`` and perhaps ``threshold``, as of the simulator.
    errors : standard errors beyond which it is no chance.
    """
    found: list[Finding] = []
    for cell, run in runs.items():
        mine = (truth["asset"] == cell.asset) & (truth["horizon"] == cell.horizon_days)
        if "threshold" in truth:
            mine &= truth["threshold"] == cell.threshold
        p_star = truth[mine].set_index("date")["p_star"]
        path, rows = run.path, run.rows
        at = np.searchsorted(rows.days, path.days)
        true = p_star.reindex(path.days.astype("datetime64[us]")).to_numpy("float64")
        known = rows.usable[at] & ~np.isnan(true) & ~np.isnan(rows.outcome[at])
        true, ours, base = true[known], path.probability[known], path.base_rate[known]
        outcome = rows.outcome[at][known]
        realised = log_loss(outcome, base) - log_loss(outcome, ours)
        expected = expected_log_loss(true, base) - expected_log_loss(true, ours)
        moved = np.log(ours / (1 - ours)) - np.log(base / (1 - base))
        error = np.sqrt(cell.horizon_days * (moved**2 * true * (1 - true)).sum())
        excess = float((realised - expected).sum())
        if known.any() and excess > errors * error:
            text = (
                f"gained {MNAT * realised.mean():.2f} mnat where the truth allows "
                f"{MNAT * expected.mean():.2f}, {excess / error:.1f} standard errors above"
            )
            found.append(Finding("skill above the limit", str(cell), path.days[known][0], text))
    return tuple(found)


def check_plausible(evaluations: Sequence[CellEvaluation]) -> tuple[Finding, ...]:
    """Suspect cells whose skill, one-sided at 5 %, is above what honest forecasts have.

    Three ceilings: an area under the curve of 0.60; an accuracy above that of the
    more frequent outcome by what ten years can just certify, 2.1 points at 1 day and
    9.2 at 20; and a gain over climatology of 16 mnat. Lower bounds are compared, for twenty-day
    outcomes of a few years reach an area of 0.60 by chance. Errors of the area and of
    the accuracy are those of independent, balanced outcomes: ``1 / (3 n)`` and
    ``1 / (4 n)``, n counting outcomes that do not overlap.

    References
    ----------
    Mann and Whitney (1947), On a test of whether one of two random variables is
    stochastically larger than the other.
    """
    found: list[Finding] = []
    for evaluation in evaluations:
        metrics, count = evaluation.metrics, evaluation.reliability.count
        horizon = evaluation.cell.horizon_days
        rate = float((evaluation.reliability.observed * count).sum() / count.sum())
        n = metrics["effective_n"]
        edge = CERTIFYING_ERRORS * np.sqrt(horizon / CERTIFYING_DAYS) / 2
        figures = {
            "area under the curve": (
                metrics["roc_auc"] - ONE_SIDED / np.sqrt(3 * n), HIGHEST_AUC
            ),
            "accuracy above the more frequent outcome": (
                metrics["accuracy"] - max(rate, 1 - rate) - ONE_SIDED / np.sqrt(4 * n), edge
            ),
            "gain in mnat": (metrics["gain_mnat_lower"], HIGHEST_GAIN_MNAT),
        }  # fmt: skip
        for name, (lower, ceiling) in figures.items():
            if lower > ceiling:
                text = f"{name} at least {lower:.3f}, honest at most {ceiling:.3f}"
                where, since = str(evaluation.cell), evaluation.days[0]
                found.append(Finding("implausible skill", where, since, text))
    return tuple(found)
