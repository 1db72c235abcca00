"""How forecasts did: proper scores against climatology, each with its uncertainty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from models import Cell, log_loss, reliability
from sources.errors import InsufficientHistoryError
from training.betting import (
    DAYS_A_YEAR,
    PARTS,
    backtest_overfitting,
    bet_returns,
    deflated_sharpe_ratio,
    sharpe_ratio,
)
from training.bootstrap import StationaryBootstrap, stationary_bootstrap_means
from training.coverage import confidence, risk_coverage
from training.figures import CONFIDENCE, figures
from training.momentum import momentum_forecast
from training.report import CellEvaluation
from training.significance import DETECTABLE_DEVIATIONS, diebold_mariano
from training.slices import regimes
from training.walkforward import CellRun

LEAST_OUTCOMES = 30
MNAT = 1000.0


def evaluate_cell(
    run: CellRun,
    *,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
    trials: int = 1,
    seed: int = 0,
) -> CellEvaluation:
    """Evaluate the out-of-sample forecasts of one cell whose outcome is known.

    Intervals hold 90 %, by stationary bootstrap with blocks of at least two horizons;
    ``effective_n`` counts non-overlapping outcomes. Gains are tested against climatology and
    against crypto's own momentum (:mod:`training.momentum`) by Diebold and Mariano's test.

    Parameters
    ----------
    start, end : choose as-of days, both included.
    trials : counted on the same data until now; they deflate the Sharpe ratio of the bets.

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
    base, momentum = path.base_rate[known], momentum_forecast(run)[known]
    n, horizon = len(outcome), rows.cell.horizon_days
    block = block_length(n, horizon)
    draws = StationaryBootstrap(n, block_length=block, seed=seed)
    gain = log_loss(outcome, base) - log_loss(outcome, probability)
    bins = reliability(outcome, probability, horizon_days=horizon)
    metrics = {
        "n": float(n),
        "effective_n": n / horizon,
        "base_rate": float(base.mean()),
        **figures(outcome, probability, base, momentum, draws=draws),
        "gain_p_value": p_value(gain, horizon, seed=seed),
        **_tested("gain", outcome, base, probability, horizon),
        **_tested("momentum_gain", outcome, momentum, probability, horizon),
    }
    bets = None
    if rows.cell.threshold == 0:
        experts = path.expert_probability[known]
        earned = bet_returns(
            np.column_stack([probability, np.ones(n), experts]),
            rows.forward_return[at][known],
            horizon_days=horizon,
        )
        bets = earned[:, :2]
        metrics |= _worth(earned, horizon, trials, draws)
    return CellEvaluation(
        cell=rows.cell,
        metrics=metrics,
        reliability=bins,
        days=path.days[known],
        gain=gain,
        weights={name: path.weight[known, i] for i, name in enumerate(path.names)},
        coverage=risk_coverage(
            gain, confidence(path)[known], block_length=block, level=CONFIDENCE, seed=seed
        ),
        labels=regimes(rows, path.days[known]),
        bets=bets,
    )


def _tested(
    name: str, outcome: np.ndarray, other: np.ndarray, ours: np.ndarray, horizon_days: int
) -> dict[str, float]:
    """Test ours against another, by Diebold and Mariano; undefined on too few days."""
    names = (f"{name}_diebold_mariano", f"{name}_diebold_mariano_p_value", f"{name}_effective_n")
    if len(outcome) <= 2 * horizon_days:
        return dict.fromkeys(names, float("nan"))
    found = diebold_mariano(
        log_loss(outcome, other), log_loss(outcome, ours), horizon_days=horizon_days
    )
    return dict(zip(names, (found.statistic, found.p_better, found.effective_n), strict=True))


def _worth(
    earned: np.ndarray, horizon_days: int, trials: int, draws: StationaryBootstrap
) -> dict[str, float]:
    """Return what the bets of :mod:`training.betting` earned, a year, against holding.

    Columns of ``earned`` are ours, holding, and each expert alone. Overfitting is that of the
    choice among ours and the experts.
    """
    periods = DAYS_A_YEAR / horizon_days
    ours, hold = earned[:, 0], earned[:, 1]
    means = draws.means(np.column_stack([ours, ours - hold, ours**2])) * periods
    tail = (1 - CONFIDENCE) / 2
    levels = [tail, 1 - tail]
    deviation = np.sqrt(np.maximum(means[:, 2] / periods - (means[:, 0] / periods) ** 2, 0.0))
    ratios = np.divide(
        means[:, 0] / np.sqrt(periods), deviation, out=np.zeros(len(means)), where=deviation > 0
    )
    lower, upper = np.quantile(means[:, 1], levels)
    least, most = np.quantile(ratios, levels)
    candidates = np.delete(earned, 1, axis=1)
    enough = candidates.shape[1] > 1 and len(earned) >= 2 * PARTS * horizon_days
    return {
        "bet_return": float(ours.mean()) * periods,
        "bet_excess_return": float((ours - hold).mean()) * periods,
        "bet_excess_return_lower": float(lower),
        "bet_excess_return_upper": float(upper),
        "bet_sharpe_ratio": sharpe_ratio(ours, periods_a_year=periods),
        "bet_sharpe_ratio_lower": float(least),
        "bet_sharpe_ratio_upper": float(most),
        "hold_return": float(hold.mean()) * periods,
        "hold_sharpe_ratio": sharpe_ratio(hold, periods_a_year=periods),
        "deflated_sharpe_ratio": deflated_sharpe_ratio(
            ours - hold, trials=trials, horizon_days=horizon_days
        ),
        "probability_of_backtest_overfitting": (
            backtest_overfitting(candidates).probability if enough else float("nan")
        ),
    }


def evaluate(
    runs: dict[Cell, CellRun],
    *,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
    trials: int = 1,
) -> tuple[tuple[CellEvaluation, ...], dict[Cell, str]]:
    """Evaluate every cell of a walk-forward; return also those with too few outcomes, and why."""
    found: list[CellEvaluation] = []
    thin: dict[Cell, str] = {}
    for cell, run in runs.items():
        try:
            found.append(evaluate_cell(run, start=start, end=end, trials=trials))
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
