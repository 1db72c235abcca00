"""Skill against the known limit: simulated markets tell the true probability of every day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models import Cell, expected_log_loss
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
    """

    cell: Cell
    gain_mnat: float
    limit_mnat: float
    days: int

    @property
    def capture(self) -> float:
        """Share of the limit that was gained; above 1 beyond chance is proof of a leak."""
        return self.gain_mnat / self.limit_mnat if self.limit_mnat > 0 else float("nan")


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
        true = true[known]
        base = expected_log_loss(true, run.path.base_rate[known])
        ours = expected_log_loss(true, run.path.probability[known])
        best = expected_log_loss(true, true)
        found.append(
            Capture(
                cell,
                MNAT * float((base - ours).mean()),
                MNAT * float((base - best).mean()),
                int(known.sum()),
            )
        )
    return tuple(found)


def total_capture(found: Iterable[Capture]) -> float:
    """Return the share of the limit gained over several cells together."""
    cells = list(found)
    limit = sum(capture.limit_mnat for capture in cells)
    return sum(capture.gain_mnat for capture in cells) / limit if limit > 0 else float("nan")
