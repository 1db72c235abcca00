"""Skill against the known limit: simulated markets tell the true probability of every day.

Under the true probability no forecast can gain more than the truth itself, not
even one that saw the future (Gibbs' inequality): a leak shows elsewhere, in
outcomes that went the forecast's way more often than the truth allows. That is
the surplus, gain that was realised above gain that was expected.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models import Cell, expected_log_loss, log_loss
from training.evaluation import MNAT
from training.walkforward import CellRun


@dataclass(frozen=True)
class Capture:
    """How much of what could be known a forecaster knew, in expectation under the truth.

    Attributes
    ----------
    gain_mnat : expected log loss of climatology minus ours, thousandths of a nat.
    limit_mnat : the same for the true probability: nobody can gain more.
    days : as-of days averaged over.
    forecast_square, cross, truth_square : mean products of the log-odds of forecast and truth,
        each against the base rate.
    surplus_mnat : gain realised above the gain expected, over days whose outcome is known.
    surplus_error_mnat : an upper bound of its deviation, where nothing leaks.
    """

    cell: Cell
    gain_mnat: float
    limit_mnat: float
    days: int
    forecast_square: float
    cross: float
    truth_square: float
    surplus_mnat: float
    surplus_error_mnat: float

    @property
    def capture(self) -> float:
        """Share of the limit that was gained; at most 1, whatever the forecaster knew."""
        return total_capture([self])


def captures(runs: dict[Cell, CellRun], truth: pd.DataFrame) -> tuple[Capture, ...]:
    """Score the forecasts of each cell by expectation, not by luck.

    Parameters
    ----------
    truth : frame with ``date, asset, horizon, p_star`` (threshold 0) and perhaps ``threshold``.
    """
    found: list[Capture] = []
    for cell, run in runs.items():
        mine = (truth["asset"] == cell.asset) & (truth["horizon"] == cell.horizon_days)
        if "threshold" in truth:
            mine &= truth["threshold"] == cell.threshold
        p_star = truth[mine].set_index("date")["p_star"]
        at = np.searchsorted(run.rows.days, run.path.days)
        true = p_star.reindex(run.path.days.astype("datetime64[us]")).to_numpy("float64")
        known = run.rows.usable[at] & ~np.isnan(true)
        found.append(
            capture_of(
                cell,
                run.path.days[known],
                true[known],
                run.path.base_rate[known],
                run.path.probability[known],
                run.rows.outcome[at][known],
            )
        )
    return tuple(found)


def capture_of(
    cell: Cell,
    days: np.ndarray,
    true: np.ndarray,
    base: np.ndarray,
    probability: np.ndarray,
    outcome: np.ndarray,
) -> Capture:
    """Score one cell's forecasts against the truth.

    Parameters
    ----------
    days : (n,) datetime64[D], as-of days.
    true, base, probability : (n,) in (0, 1): the truth, climatology, and the forecast.
    outcome : (n,) 0 or 1, NaN where not known.

    Notes
    -----
    A day's surplus is ``(outcome - true) * w`` with ``w`` the forecast's log-odds against the
    base rate. Where ``w`` knows nothing that the truth does not, days h apart are martingale
    differences of variance ``true * (1 - true) * w**2``. The deviations of the h sums of
    such days add up at most, by Minkowski's inequality, however the sums depend on each other.
    """
    expected = expected_log_loss(true, base) - expected_log_loss(true, probability)
    best = expected_log_loss(true, base) - expected_log_loss(true, true)
    ours = _log_odds(probability) - _log_odds(base)
    theirs = _log_odds(true) - _log_odds(base)
    settled = ~np.isnan(outcome)
    count = max(int(settled.sum()), 1)
    realised = log_loss(outcome[settled], base[settled])
    realised -= log_loss(outcome[settled], probability[settled])
    variance = (true * (1 - true) * ours**2)[settled]
    turn = days[settled].astype("datetime64[D]").astype("int64") % cell.horizon_days
    sums = np.bincount(turn, variance, minlength=cell.horizon_days)
    return Capture(
        cell=cell,
        gain_mnat=MNAT * float(expected.mean()),
        limit_mnat=MNAT * float(best.mean()),
        days=len(days),
        forecast_square=float((ours**2).mean()),
        cross=float((ours * theirs).mean()),
        truth_square=float((theirs**2).mean()),
        surplus_mnat=MNAT * float((realised - expected[settled]).sum()) / count,
        surplus_error_mnat=MNAT * float(np.sqrt(sums).sum()) / count,
    )


def total_capture(found: Iterable[Capture]) -> float:
    """Return the share of the limit gained over several cells together."""
    cells = list(found)
    limit = sum(capture.limit_mnat for capture in cells)
    return sum(capture.gain_mnat for capture in cells) / limit if limit > 0 else float("nan")


def slope(found: Iterable[Capture]) -> float:
    """Return what the truth's log-odds do where the forecast's move by 1, against the base rate.

    Above 1 the forecast is too timid, below 1 too bold. The line goes through the base rate.
    """
    cells = list(found)
    square = sum(capture.forecast_square for capture in cells)
    return sum(capture.cross for capture in cells) / square if square > 0 else float("nan")


def correlation(found: Iterable[Capture]) -> float:
    """Return the correlation, about the base rate, of the log-odds of forecast and truth.

    Its square is about the capture that the forecast would have at the right slope.
    """
    cells = list(found)
    square = sum(capture.forecast_square for capture in cells)
    square *= sum(capture.truth_square for capture in cells)
    return sum(capture.cross for capture in cells) / square**0.5 if square > 0 else float("nan")


def _log_odds(probability: np.ndarray) -> np.ndarray:
    odds: np.ndarray = np.log(probability) - np.log1p(-probability)
    return odds
