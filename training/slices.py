"""Skill by asset, horizon, year and regime: where a gain came from, each part with its uncertainty.

Regimes are known when the forecast is made: whether the asset rose over the last 120 days,
and whether its volatility is above the median of its past.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models import CellRows
from training.bootstrap import stationary_bootstrap_means
from training.figures import MNAT
from training.momentum import own_returns
from training.report import CellEvaluation
from training.significance import DETECTABLE_DEVIATIONS

KINDS = ("asset", "horizon", "year", "trend", "volatility")
LEAST_EFFECTIVE_N = 5


@dataclass(frozen=True)
class Slice:
    """The gain over climatology on a part of the forecasts.

    Attributes
    ----------
    kind, name : what the part is, such as ``year`` and ``2022``.
    n, effective_n : days in it, and those whose outcomes do not overlap.
    gain_mnat, lower, upper : mean gain, mnat, and its 90 % interval.
    least_detectable_mnat : found by a one-sided test at 5 % four times in five.
    """

    kind: str
    name: str
    n: int
    effective_n: float
    gain_mnat: float
    lower: float
    upper: float
    least_detectable_mnat: float


def regimes(rows: CellRows, days: np.ndarray) -> dict[str, np.ndarray]:
    """Return kind -> (m,) the year and the regime of days, as they were known on each.

    A day whose regime was not known is in none, and has an empty name.
    """
    at = np.searchsorted(rows.days, days)
    rose = own_returns(rows)[at, -1]
    past = pd.Series(rows.volatility).expanding().median().to_numpy()[at]
    now = rows.volatility[at]
    return {
        "year": days.astype("datetime64[Y]").astype("str"),
        "trend": _named(rose, rose > 0, "rising", "falling"),
        "volatility": _named(now - past, now > past, "turbulent", "calm"),
    }


def _named(known: np.ndarray, first: np.ndarray, yes: str, no: str) -> np.ndarray:
    return np.where(np.isnan(known), "", np.where(first, yes, no))


def skill_by(
    evaluations: Sequence[CellEvaluation], kind: str, *, seed: int = 0
) -> tuple[Slice, ...]:
    """Return the gain on each part of a kind, cells averaged day by day, in the order of names.

    A part with fewer than 5 outcomes that do not overlap is left out.
    """
    names = sorted({str(x) for e in evaluations for x in np.unique(_labels(e, kind)) if x})
    if kind == "horizon":
        names.sort(key=lambda name: int(name.removesuffix("d")))
    found = (_slice(evaluations, kind, name, seed) for name in names)
    return tuple(part for part in found if part is not None)


def _labels(evaluation: CellEvaluation, kind: str) -> np.ndarray:
    if kind in {"asset", "horizon"}:
        cell = evaluation.cell
        name = cell.asset if kind == "asset" else f"{cell.horizon_days}d"
        return np.full(len(evaluation.days), name)
    return evaluation.labels.get(kind, np.full(len(evaluation.days), ""))


def _slice(evaluations: Sequence[CellEvaluation], kind: str, name: str, seed: int) -> Slice | None:
    masks = [_labels(e, kind) == name for e in evaluations]
    mine = [(e, mask) for e, mask in zip(evaluations, masks, strict=True) if mask.any()]
    longest = max(e.cell.horizon_days for e, _ in mine)
    gain = pd.concat([pd.Series(e.gain[mask], e.days[mask]) for e, mask in mine])
    daily = gain.groupby(level=0).mean().to_numpy() * MNAT
    n = len(daily)
    if n / longest < LEAST_EFFECTIVE_N:
        return None
    block = float(max(2 * longest, round(n ** (1 / 3))))
    means = stationary_bootstrap_means(daily, block_length=min(block, n / 2), seed=seed)
    lower, upper = np.quantile(means, [0.05, 0.95])
    return Slice(
        kind=kind,
        name=name,
        n=n,
        effective_n=n / longest,
        gain_mnat=float(daily.mean()),
        lower=float(lower),
        upper=float(upper),
        least_detectable_mnat=DETECTABLE_DEVIATIONS * float(means.std()),
    )
