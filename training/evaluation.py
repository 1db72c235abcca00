"""How forecasts did: proper scores against climatology, each with its uncertainty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from models import (
    Cell,
    brier_score,
    brier_skill_score,
    log_loss,
    reliability,
    roc_auc,
)
from sources.errors import InsufficientHistoryError
from training.bootstrap import stationary_bootstrap_means
from training.coverage import confidence, risk_coverage
from training.report import CellEvaluation
from training.walkforward import CellRun

LEAST_OUTCOMES = 30
MNAT = 1000.0
CONFIDENCE = 0.9
DETECTABLE_DEVIATIONS = 1.645 + 0.842
"""Normal quantiles of a one-sided test at 5 %, and of a power of 80 %."""


def evaluate_cell(
    run: CellRun,
    *,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
    seed: int = 0,
) -> CellEvaluation:
    """Evaluate the out-of-sample forecasts of one cell whose outcome is known.

    ``start`` and ``end`` choose as-of days, both included.

    Intervals hold 90 %, by stationary bootstrap with blocks of at least two
    horizons; ``effective_n`` counts non-overlapping outcomes.

    Raises
    ------
    InsufficientHistoryError
        With fewer than 30 outcomes.
    """
    path, rows = run.path, run.rows
    at = np.searchsorted(rows.days, path.days)
    known = rows.usable[at] & ~np.isnan(rows.outcome[at])
    if start is not None:
        known &= path.days >= start.to_datetime64()
    if end is not None:
        known &= path.days <= end.to_datetime64()
    outcome, probability = rows.outcome[at][known], path.probability[known]
    if len(outcome) < LEAST_OUTCOMES:
        raise InsufficientHistoryError(
            f"{rows.cell}: outcomes to evaluate",
            needed=LEAST_OUTCOMES,
            found=len(outcome),
            unit="outcomes",
        )
    base = path.base_rate[known]
    horizon = rows.cell.horizon_days
    gain = log_loss(outcome, base) - log_loss(outcome, probability)
    losses = log_loss(outcome, probability)
    brier = brier_score(outcome, probability)
    bins = reliability(outcome, probability, horizon_days=horizon)
    metrics = {
        "n": float(len(outcome)),
        "effective_n": len(outcome) / horizon,
        "base_rate": float(base.mean()),
        **_with_interval("log_loss", losses, horizon, seed),
        "log_loss_base_rate": float(log_loss(outcome, base).mean()),
        **_with_interval("gain_mnat", gain * MNAT, horizon, seed),
        "gain_p_value": p_value(gain, horizon, seed=seed),
        **_with_interval("brier_score", brier, horizon, seed),
        "brier_skill_score": brier_skill_score(outcome, probability, base),
        "roc_auc": roc_auc(outcome, probability),
        "expected_calibration_error": bins.expected_calibration_error,
        "sharpness": float(probability.std()),
        "accuracy": float(((probability > 0.5) == (outcome == 1)).mean()),
    }
    return CellEvaluation(
        cell=rows.cell,
        metrics=metrics,
        reliability=bins,
        days=path.days[known],
        gain=gain,
        weights={name: path.weight[known, i] for i, name in enumerate(path.names)},
        coverage=risk_coverage(
            gain,
            confidence(path)[known],
            block_length=block_length(len(gain), horizon),
            level=CONFIDENCE,
            seed=seed,
        ),
    )


def evaluate(
    runs: dict[Cell, CellRun],
    *,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
) -> tuple[tuple[CellEvaluation, ...], dict[Cell, str]]:
    """Evaluate every cell of a walk-forward; return also those with too few outcomes, and why."""
    found: list[CellEvaluation] = []
    thin: dict[Cell, str] = {}
    for cell, run in runs.items():
        try:
            found.append(evaluate_cell(run, start=start, end=end))
        except InsufficientHistoryError as error:
            thin[cell] = str(error)
    return tuple(found), thin


def block_length(n: int, horizon_days: int) -> float:
    """Return the mean block: two horizons, or the cube root of n where that is longer."""
    return float(max(2 * horizon_days, round(n ** (1 / 3))))


def p_value(gain: np.ndarray, horizon_days: int, *, seed: int = 0) -> float:
    """Return the one-sided p-value of the mean gain against no gain, by stationary bootstrap."""
    if not gain.any():
        return 1.0
    means = stationary_bootstrap_means(
        gain - gain.mean(), block_length=block_length(len(gain), horizon_days), seed=seed
    )
    return float((1 + (means >= gain.mean()).sum()) / (1 + len(means)))


def pooled_gain(evaluations: Sequence[CellEvaluation]) -> np.ndarray:
    """Return (n,) the mean gain over cells on each day that any of them was scored, nats."""
    days = np.unique(np.concatenate([evaluation.days for evaluation in evaluations]))
    total, count = np.zeros(len(days)), np.zeros(len(days))
    for evaluation in evaluations:
        at = np.searchsorted(days, evaluation.days)
        total[at] += evaluation.gain
        count[at] += 1
    mean: np.ndarray = total / count
    return mean


def pooled_figures(evaluations: Sequence[CellEvaluation]) -> dict[str, float]:
    """Return the gain of cells together, mnat, its interval, and the least it could have shown.

    The interval holds 90 %, by stationary bootstrap with blocks of at least two
    of the longest horizons. The least detectable gain is the one that a
    one-sided test at 5 % finds with power 80 %.
    """
    gain = pooled_gain(evaluations) * MNAT
    longest = max(evaluation.cell.horizon_days for evaluation in evaluations)
    means = stationary_bootstrap_means(gain, block_length=block_length(len(gain), longest))
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(means, [tail, 1 - tail])
    return {
        "days": len(gain),
        "gain_mnat": float(gain.mean()),
        "gain_mnat_lower": float(lower),
        "gain_mnat_upper": float(upper),
        "least_detectable_mnat": float(means.std()) * DETECTABLE_DEVIATIONS,
    }


def _with_interval(name: str, values: np.ndarray, horizon_days: int, seed: int) -> dict[str, float]:
    means = stationary_bootstrap_means(
        values, block_length=block_length(len(values), horizon_days), seed=seed
    )
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(means, [tail, 1 - tail])
    return {
        name: float(values.mean()),
        f"{name}_lower": float(lower),
        f"{name}_upper": float(upper),
    }
