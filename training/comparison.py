"""Runs against each other on the same outcomes: who gained, and how much of it is luck.

All figures come from each run's own forecasts, paired day by day; cells are averaged on each
day. The lag of every test and the blocks of every resample are those of the longest horizon.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models import Cell, brier_score, log_loss
from sources.errors import InsufficientHistoryError
from training.betting import (
    DAYS_A_YEAR,
    PARTS,
    backtest_overfitting,
    bet_returns,
    deflated_sharpe_ratio,
    sharpe_ratio,
)
from training.bootstrap import StationaryBootstrap
from training.figures import CONFIDENCE, MNAT
from training.significance import (
    RESAMPLES,
    DieboldMariano,
    corrected_p_value,
    diebold_mariano,
    holm,
    model_confidence_set,
    pairwise,
    superior_ability,
)


@dataclass(frozen=True)
class Standing:
    """How one run did on the outcomes that all share.

    Attributes
    ----------
    log_loss, brier_score : means over days and cells.
    gain_mnat, lower, upper, least_detectable_mnat : over climatology, with its 90 % interval.
    p_value, p_corrected : that it gains nothing on climatology, one-sided (Diebold-Mariano);
        and corrected for all trials counted.
    momentum_gain_mnat, momentum_p_value : likewise over crypto's own momentum.
    best_p_value : of belonging to the model confidence set.
    bet_return, bet_excess_return, bet_sharpe_ratio, deflated_sharpe_ratio : of the stated rule
        (:mod:`training.betting`), a year; NaN where no cell has threshold 0. What is deflated,
        by all trials counted, is the excess over buying and holding.
    """

    log_loss: float
    brier_score: float
    gain_mnat: float
    lower: float
    upper: float
    least_detectable_mnat: float
    p_value: float
    p_corrected: float
    momentum_gain_mnat: float
    momentum_p_value: float
    best_p_value: float
    bet_return: float
    bet_excess_return: float
    bet_sharpe_ratio: float
    deflated_sharpe_ratio: float


@dataclass(frozen=True)
class Comparison:
    """Runs on the same outcomes.

    Attributes
    ----------
    days : (n,) as-of days on which any cell was scored.
    outcomes, effective_n : forecasts a run, and days over the longest horizon.
    cells : their names.
    trials : counted, for the corrections.
    standings : run -> how it did.
    pairs, p_pairs : each pair, the second's gain on the first; p-values corrected by Holm.
    superior_p_value, superior_momentum_p_value : that no run beats climatology, or own
        momentum, all runs here counted (Hansen's test of superior predictive ability).
    overfitting : probability of backtest overfitting of choosing among the runs; NaN for one
        run or too few days.
    hold_return, hold_sharpe_ratio : of buying and holding, a year.
    gains : run -> (n,) gain over climatology of each day, nats.
    """

    days: np.ndarray
    outcomes: int
    effective_n: float
    cells: tuple[str, ...]
    trials: int
    standings: Mapping[str, Standing]
    pairs: Mapping[tuple[str, str], DieboldMariano]
    p_pairs: Mapping[tuple[str, str], float]
    superior_p_value: float
    superior_momentum_p_value: float
    overfitting: float
    hold_return: float
    hold_sharpe_ratio: float
    gains: Mapping[str, np.ndarray]


def outcomes_digest(table: pd.DataFrame) -> str:
    """Return the sha256 of which questions a run answered, and what happened."""
    keys = table.index.to_frame(index=False)
    keys["outcome"] = table["outcome"].to_numpy()
    return hashlib.sha256(keys.to_csv(index=False).encode()).hexdigest()


def difference(first: pd.DataFrame, second: pd.DataFrame) -> str:
    """Say how the outcomes of two runs differ, in one clause; empty where they do not."""
    both = first.index.intersection(second.index)
    changed = int((first.loc[both, "outcome"] != second.loc[both, "outcome"]).sum())
    alone = [len(first) - len(both), len(second) - len(both)]
    if not changed and not any(alone):
        return ""
    return (
        f"{len(both)} outcomes in both, {alone[0]} in the first alone, {alone[1]} in the second "
        f"alone, {changed} that are not the same"
    )


def on_common(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the forecasts of all runs on the outcomes that all share.

    Raises
    ------
    InsufficientHistoryError
        If there are none.
    """
    names = list(tables)
    index = tables[names[0]].index
    for name in names[1:]:
        index = index.intersection(tables[name].index)
    outcome = tables[names[0]].loc[index, "outcome"]
    same = np.ones(len(index), dtype=bool)
    for name in names[1:]:
        same &= (tables[name].loc[index, "outcome"] == outcome).to_numpy()
    index = index[same]
    if index.empty:
        raise InsufficientHistoryError(
            f"runs {', '.join(names)}: outcomes in common", needed=1, found=0, unit="outcomes"
        )
    return {name: table.loc[index] for name, table in tables.items()}


def compare_runs(
    tables: Mapping[str, pd.DataFrame], *, trials: int | None = None, seed: int = 0
) -> Comparison:
    """Compare runs on the same outcomes.

    Climatology, own momentum and holding are those of the first run.

    Parameters
    ----------
    tables : run -> forecasts by date, asset, horizon and threshold, of the same outcomes; see
        :func:`training.artifacts.read_predictions`.
    trials : counted on the data, pruned and failed ones too; never fewer than the runs here.

    Raises
    ------
    InsufficientHistoryError
        On too few days for Diebold and Mariano's test.
    """
    names = list(tables)
    counted = max(trials or 1, len(names))
    table = tables[names[0]]
    outcome = table["outcome"].to_numpy()
    by_day = _Days(table)
    h = int(table.index.get_level_values("horizon").max())
    said = {name: one["probability"].to_numpy() for name, one in tables.items()}
    losses = {name: by_day.mean(log_loss(outcome, p)) for name, p in said.items()}
    climatology = by_day.mean(log_loss(outcome, table["base_rate"].to_numpy()))
    momentum = by_day.mean(log_loss(outcome, table["momentum"].to_numpy()))
    n = len(climatology)
    block = float(min(max(2 * h, round(n ** (1 / 3))), n / 2))
    matrix = np.column_stack([losses[name] for name in names])
    means = StationaryBootstrap(n, block_length=block, resamples=RESAMPLES, seed=seed).means(
        (climatology[:, None] - matrix) * MNAT
    )
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(means, [tail, 1 - tail], axis=0)
    best = model_confidence_set(matrix, block_length=block, seed=seed)
    pairs = pairwise(losses, horizon_days=h)
    earned, hold = _bets(tables, by_day, h)
    standings: dict[str, Standing] = {}
    for i, name in enumerate(names):
        over = diebold_mariano(climatology, losses[name], horizon_days=h)
        beside = diebold_mariano(momentum, losses[name], horizon_days=h)
        standings[name] = Standing(
            log_loss=float(losses[name].mean()),
            brier_score=float(by_day.mean(brier_score(outcome, said[name])).mean()),
            gain_mnat=over.mean * MNAT,
            lower=float(lower[i]),
            upper=float(upper[i]),
            least_detectable_mnat=over.least_detectable * MNAT,
            p_value=over.p_better,
            p_corrected=corrected_p_value(over.p_better, counted),
            momentum_gain_mnat=beside.mean * MNAT,
            momentum_p_value=beside.p_better,
            best_p_value=float(best[i]),
            **_worth(earned[:, i], hold, h, counted),
        )
    corrected = holm([found.p_value for found in pairs.values()])
    can_split = len(names) > 1 and len(hold) >= 2 * PARTS
    return Comparison(
        days=by_day.days,
        outcomes=len(table),
        effective_n=n / h,
        cells=_cells(table),
        trials=counted,
        standings=standings,
        pairs=pairs,
        p_pairs=dict(zip(pairs, corrected.tolist(), strict=True)),
        superior_p_value=superior_ability(
            climatology, matrix, block_length=block, seed=seed
        ).p_value,
        superior_momentum_p_value=superior_ability(
            momentum, matrix, block_length=block, seed=seed
        ).p_value,
        overfitting=backtest_overfitting(earned).probability if can_split else float("nan"),
        hold_return=_annual(hold, h),
        hold_sharpe_ratio=_ratio(hold, h),
        gains={name: climatology - losses[name] for name in names},
    )


class _Days:
    """Averages over the cells of each day."""

    def __init__(self, table: pd.DataFrame) -> None:
        dates = table.index.get_level_values("date").to_numpy("datetime64[D]")
        self.days, self._at = np.unique(dates, return_inverse=True)
        self._count = np.bincount(self._at)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return (days,) means of the cells that were scored."""
        total: np.ndarray = np.bincount(self._at, weights=values) / self._count
        return total


def _cells(table: pd.DataFrame) -> tuple[str, ...]:
    return tuple(str(cell) for cell in _rows_of_cells(table))


def _rows_of_cells(table: pd.DataFrame) -> dict[Cell, np.ndarray]:
    """Return cell -> the places of its rows, in the order of days."""
    asset, horizon, threshold = (
        table.index.get_level_values(name) for name in ("asset", "horizon", "threshold")
    )
    cells = [
        Cell(str(a), int(h), float(t)) for a, h, t in zip(asset, horizon, threshold, strict=True)
    ]
    places: dict[Cell, list[int]] = {}
    for place, cell in enumerate(cells):
        places.setdefault(cell, []).append(place)
    return {cell: np.array(places[cell]) for cell in sorted(places)}


def _bets(
    tables: Mapping[str, pd.DataFrame], by_day: _Days, longest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (b, k) and (b,) what the rule and holding earned in spans of the longest horizon.

    Each cell of threshold 0 has the same share of the capital, and a bet opened on a day is
    booked on it, by one h-th. Spans do not overlap; the last one, if cut short, is left out.
    """
    names = list(tables)
    first = tables[names[0]]
    said = np.column_stack([tables[name]["probability"].to_numpy() for name in names])
    said = np.column_stack([said, np.ones(len(said))])
    dates = first.index.get_level_values("date").to_numpy("datetime64[D]")
    booked = np.zeros((len(by_day.days), said.shape[1]))
    cells = {c: rows for c, rows in _rows_of_cells(first).items() if c.threshold == 0}
    for cell, rows in cells.items():
        h = cell.horizon_days
        earned = bet_returns(said[rows], first["forward_return"].to_numpy()[rows], horizon_days=h)
        booked[np.searchsorted(by_day.days, dates[rows])] += earned / h / len(cells)
    count = len(booked) // longest
    spans = booked[: count * longest].reshape(count, longest, -1).sum(axis=1)
    if not cells:
        spans[:] = np.nan
    return spans[:, :-1], spans[:, -1]


def _annual(spans: np.ndarray, longest: int) -> float:
    return float(spans.mean()) * DAYS_A_YEAR / longest


def _ratio(spans: np.ndarray, longest: int) -> float:
    return sharpe_ratio(spans, periods_a_year=DAYS_A_YEAR / longest)


def _worth(earned: np.ndarray, hold: np.ndarray, longest: int, trials: int) -> dict[str, float]:
    if np.isnan(earned).any():
        names = ("bet_return", "bet_excess_return", "bet_sharpe_ratio", "deflated_sharpe_ratio")
        return dict.fromkeys(names, float("nan"))
    return {
        "bet_return": _annual(earned, longest),
        "bet_excess_return": _annual(earned - hold, longest),
        "bet_sharpe_ratio": _ratio(earned, longest),
        "deflated_sharpe_ratio": deflated_sharpe_ratio(earned - hold, trials=trials),
    }
