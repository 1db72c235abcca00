"""The leak alarm: find what reads, learns or starts from what was not known yet.

:func:`check_pipeline` runs the pipeline on a market and on the same market without
its future, or with another one: whatever differs up to the cut has read past it.
:mod:`training.plausibility` tells a leak by the skill it gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from features import Dataset, build_dataset
from models import Cell, ModelConfig, cells_of
from models.experts import fit_experts
from sources.market import Market
from training.futures import cut_after, scrambled_after, scrambled_before, without_later
from training.walkforward import CellRun, refit_days, walk_forward

DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Finding:
    """A leak, or the suspicion of one: what is wrong, where, from which as-of day, and how."""

    what: str
    where: str
    since: np.datetime64
    found: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.what}: {self.where} from {self.since.astype('datetime64[D]')}: {self.found}"


@dataclass(frozen=True)
class _Walk:
    dataset: Dataset
    runs: dict[Cell, CellRun]


def check_pipeline(
    market: Market,
    config: ModelConfig,
    *,
    assets: Sequence[str] = (),
    horizons: Sequence[int] = (1, 5),
    thresholds: Sequence[float] = (0.0,),
    days: Sequence[np.datetime64] = (),
    seed: int = 0,
) -> tuple[Finding, ...]:
    """Look for anything in the pipeline that reads what was not known yet.

    1. The whole walk-forward is run on the market as it stood at T(d), and on the
       market whose rows known later are scrambled. Features, labels known by d, signals,
       base rates, experts, weights and forecasts up to d must not change by a bit.
    2. Every fit as of R is made again with all that was not known at T(R) replaced: the
       features of later days, and the outcomes of windows that end later.
    3. Labels of day d and later must not change with closes of days before d: a label
       that starts early shares its return with the features.

    Parameters
    ----------
    assets : all crypto assets of the market by default; they are the pool of evidence.
    days : as-of days d to cut at; by default an early one, while features are still
        missing, a refit day, on which a label too new is nearest, and two later ones.
    seed : of the scrambled futures and pasts.

    Returns
    -------
    One finding for each place that leaks, with the first day that shows it.
    """
    cells = cells_of(tuple(assets) or market.crypto, horizons, thresholds)
    whole = _walk(market, cells, config)
    found: list[Finding] = []
    for day in days or _default_days(whole, config):
        others = {"cut": cut_after(market, day), "scrambled": scrambled_after(market, day, seed)}
        begun = {cell: run for cell, run in whole.runs.items() if run.path.days[0] <= day}
        for how, other in others.items():
            again = _walk(other, tuple(begun), config)
            text = f"changes as the market is {how} after {day}"
            found += _changes(replace(whole, runs=begun), again, day, text)
        found += _backward_labels(whole.dataset, cells, day, seed)
    for run in whole.runs.values():
        found += _greedy_fits(run, config, seed)
    first: dict[tuple[str, str], Finding] = {}
    for finding in sorted(found, key=lambda finding: finding.since):
        first.setdefault((finding.what, finding.where), finding)
    return tuple(first.values())


def _walk(market: Market, cells: Sequence[Cell], config: ModelConfig) -> _Walk:
    dataset = build_dataset(market, market.crypto, config.features)
    return _Walk(dataset, walk_forward(dataset, cells, config))


def _default_days(whole: _Walk, config: ModelConfig) -> list[np.datetime64]:
    rows = next(iter(whole.runs.values())).rows
    refits = refit_days(rows, config)
    chosen = [rows.days[0] + 100 * DAY, refits[len(refits) // 2], refits[-1] - 12 * DAY,
              refits[-1] + 5 * DAY]  # fmt: skip
    return [day for day in chosen if day < rows.days[-1]]


def _tables(walk: _Walk, day: np.datetime64) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Yield (what, where, days, values) of all that was said up to a day, a row a day."""
    dataset = walk.dataset
    days = dataset.days.to_numpy("datetime64[D]")
    early = days <= day
    for i, name in enumerate(dataset.names):
        yield "feature", name, days[early], dataset.values[early, :, i]
    for i, name in enumerate(dataset.groups):
        yield "age", name, days[early], dataset.ages[early, :, i]
    yield "volatility", "all assets", days[early], dataset.volatility[early]
    yield "close known", "all assets", days[early], dataset.has_close[early]
    for cell, run in walk.runs.items():
        rows, path, where = run.rows, run.path, str(cell)
        known = early & (rows.known_on <= day)
        for what, values in (("label", rows.outcome), ("return of a label", rows.forward_return)):
            yield what, where, days[early], np.where(known, values, np.nan)[early]
        if rows.online is not None:
            yield "drift", where, days[early], rows.online.drift[early]
            yield "signals", where, days[early], rows.online.parts[early]
            yield "rule", where, days[early], rows.online.rule[early]
        said = path.days <= day
        for what in ("base_rate", "expert_probability", "weight", "probability", "lower", "upper"):
            yield what, where, path.days[said], getattr(path, what)[said]


def _changes(whole: _Walk, other: _Walk, day: np.datetime64, found: str) -> Iterator[Finding]:
    """Compare two walks up to a day, bit for bit."""
    pairs = zip(_tables(whole, day), _tables(other, day), strict=True)
    for (what, where, days, one), (_, _, other_days, two) in pairs:
        if not np.array_equal(days, other_days) or one.shape != two.shape:
            yield Finding(f"{what} reads the future", where, day, f"{found}: other days or columns")
            continue
        same = (one == two) | (np.isnan(one) & np.isnan(two))
        wrong = ~same.reshape(len(days), -1).all(axis=1)
        if wrong.any():
            yield Finding(f"{what} reads the future", where, days[wrong][0], found)


def _backward_labels(
    dataset: Dataset, cells: Sequence[Cell], day: np.datetime64, seed: int
) -> Iterator[Finding]:
    """Compare the labels from a day on with those after another past."""
    prices = {a: scrambled_before(table, day, seed) for a, table in dataset.prices.items()}
    other = replace(dataset, prices=prices)
    days = dataset.days.to_numpy("datetime64[D]")
    for cell in cells:
        asked = (cell.asset, cell.horizon_days, cell.threshold)
        one, two = dataset.labels(*asked), other.labels(*asked)
        known = (one.known_on <= days[-1]) & (days >= day)
        wrong = known & (one.forward_return != two.forward_return)
        if wrong.any():
            text = f"changes with closes before {day}"
            yield Finding("label starts before its day", str(cell), days[wrong][0], text)


def _greedy_fits(run: CellRun, config: ModelConfig, seed: int) -> Iterator[Finding]:
    """Fit again as of each refit, with all that was not known then replaced."""
    generator = np.random.default_rng(seed)
    for snapshot in run.snapshots:
        if not snapshot.experts:
            continue
        unknowing = without_later(run.rows, snapshot.fit_as_of, generator)
        again = fit_experts(unknowing, snapshot.fit_as_of, config)
        if [e.state() for e in again] != [e.state() for e in snapshot.experts]:
            names = ", ".join(expert.name for expert in snapshot.experts)
            text = f"{names}: changes with what was not known as of the fit"
            yield Finding("fit reads the future", str(run.rows.cell), snapshot.fit_as_of, text)
