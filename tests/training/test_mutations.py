"""Known mistakes, made in our own pipeline one at a time: the leak alarm reports each.

A mistake replaces the smallest real function, or what it is given or gives back;
the rest of the pipeline stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from suspects import CUTS, FITTED, MIDWEEK, PLAIN, WARMING, suspect_market

import features.breadth
import features.building
import features.clock
import features.dataset
import features.labels
import models.calibration
import models.experts
import models.interactions
import models.location
import models.mixture
import models.online
import models.signals
import training.leaks
import training.walkforward
from features import Dataset, FeatureConfig, build_dataset
from models import ModelConfig
from models.cells import CellRows
from models.location import LocationScores
from sources import Market
from training.leaks import check_pipeline

Wrong = Callable[..., Any]


@dataclass(frozen=True)
class Mistake:
    """A function to replace, by what, and what the alarm should say."""

    owner: Any
    name: str
    make: Callable[[Any], Wrong]
    what: str
    where: str = ""
    config: ModelConfig = PLAIN
    day: np.datetime64 = MIDWEEK


def given(**changes: Callable[[Any], Any]) -> Callable[[Any], Wrong]:
    """Change named arguments of the real function."""

    def make(real: Any) -> Wrong:
        import inspect

        signature = inspect.signature(real)

        def wrong(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            for name, change in changes.items():
                bound.arguments[name] = change(bound.arguments[name])
            return real(*bound.args, **bound.kwargs)

        return wrong

    return make


def giving(change: Callable[[Any], Any]) -> Callable[[Any], Wrong]:
    """Change what the real function returns."""
    return lambda real: lambda *args, **kwargs: change(real(*args, **kwargs))


def earlier(values: np.ndarray, rows: int = 1) -> np.ndarray:
    """Put each row where the one before it was."""
    return np.concatenate([values[rows:], values[-rows:]])


def by_date(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Call every row known on its own date."""
    return {
        role: t.assign(available_at=t["date"].dt.tz_localize("UTC")) for role, t in tables.items()
    }


def in_hindsight(table: pd.DataFrame) -> pd.DataFrame:
    """Say the last vintage of each row from the first on."""
    last = table[~table["date"].duplicated(keep="last")]
    first = table[~table["date"].duplicated(keep="first")]
    return last.assign(available_at=first["available_at"].to_numpy()).reset_index(drop=True)


def each_in_hindsight(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {role: in_hindsight(table) for role, table in tables.items()}


def known_a_day_early(labels: Any) -> Any:
    return replace(labels, known_on=labels.known_on - np.timedelta64(1, "D"))


def from_the_day_before(real: Any) -> Wrong:
    def wrong(prices: pd.DataFrame, days: pd.DatetimeIndex, h: int, threshold: float) -> Any:
        labels = real(prices, days, h, threshold)
        step = real(prices, days - pd.Timedelta(days=1), 1, 0.0).forward_return
        forward = (1 + labels.forward_return) * (1 + step) - 1
        outcome = np.where(np.isnan(forward), np.nan, (forward > threshold).astype("float64"))
        known_on = np.where(np.isnan(forward), features.labels.NEVER, labels.known_on)
        return replace(labels, outcome=outcome, forward_return=forward, known_on=known_on)

    return wrong


def purge_dropped(_: Any) -> Wrong:
    return lambda rows, as_of: rows.usable & (rows.days <= as_of) & ~np.isnan(rows.outcome)


def all_rows(_: Any) -> Wrong:
    return lambda rows, _: rows.usable & ~np.isnan(rows.outcome)


def shuffled_split(_: Any) -> Wrong:
    def wrong(rows: CellRows, _as_of: np.datetime64) -> np.ndarray:
        drawn = np.random.default_rng(0).random(len(rows.days)) < 0.8
        return rows.usable & ~np.isnan(rows.outcome) & drawn

    return wrong


def scaled_on_all_rows(real: Any) -> Wrong:
    def wrong(rows: CellRows, as_of: np.datetime64, config: ModelConfig) -> Any:
        every = rows.features[rows.complete()]
        scaled = (rows.features - every.mean(axis=0)) / every.std(axis=0)
        return real(replace(rows, features=scaled), as_of, config)

    return wrong


def standardised_on_all_rows(_: Any) -> Wrong:
    def wrong(x: np.ndarray, usable: np.ndarray) -> Any:
        have = np.isfinite(x) & usable[:, :, None]
        filled, count = np.where(have, x, 0.0), np.maximum(have.sum(axis=(0, 1)), 1)
        mean = filled.sum(axis=(0, 1)) / count
        deviation = np.sqrt(np.maximum((filled**2).sum(axis=(0, 1)) / count - mean**2, 1e-12))
        z = np.clip((x - mean) / deviation, -3, 3)
        wide = np.broadcast_to(deviation, (len(x), x.shape[2]))
        return z, wide, np.cumsum(have.any(axis=1), axis=0).astype("float64")

    return wrong


def chosen_on_all_rows(real: Any) -> Wrong:
    def wrong(log_weight: np.ndarray, nothing: float) -> Any:
        return real(np.broadcast_to(log_weight[-1], log_weight.shape), nothing)

    return wrong


def refit_a_quarter_early(real: Any) -> Wrong:
    return lambda rows, as_of, config: real(rows, as_of + np.timedelta64(92, "D"), config)


def refits_from_the_end(real: Any) -> Wrong:
    return lambda rows, config: [d for d in rows.days[::-92][::-1] if d >= real(rows, config)[0]]


def losses_at_once(real: Any) -> Wrong:
    return lambda rows, *rest: real(replace(rows, known_on=rows.days), *rest)


def gate_after_the_day(real: Any) -> Wrong:
    return lambda *args: earlier(real(*args))


def persistence_of_pairs_to_come(real: Any) -> Wrong:
    def wrong(x: np.ndarray, usable: np.ndarray, horizon_days: int) -> np.ndarray:
        return earlier(real(x, usable, horizon_days), horizon_days)

    return wrong


def todays_members(panel: Any) -> Any:
    members = panel.members
    stayed = members[members["end"].isna()].assign(start=pd.Timestamp("2000-01-01"))
    return replace(panel, members=stayed.astype({"start": "datetime64[us]"}))


def volatility_of_tomorrow(real: Any) -> Wrong:
    return lambda *args: earlier(real(*args))


def one_group_a_day_ahead(real: Any) -> Wrong:
    def wrong(group: Any, *rest: Any) -> Any:
        values, age = real(group, *rest)
        return (values.shift(-1) if group.name == "flow_pressure" else values), age

    return wrong


def index_of_the_day_after(real: Any) -> Wrong:
    return lambda scores, index_z: real(scores, earlier(index_z))


def returns_without_lag(scores: LocationScores) -> LocationScores:
    """Put each return where the one before it was, so that sums hold one too many."""
    return replace(scores, u=earlier(scores.u), known=earlier(scores.known))


def same(values: np.ndarray) -> np.ndarray:
    return values


def delayed_the_wrong_way(_: Any) -> Wrong:
    return earlier


def centred(built: pd.DataFrame) -> pd.DataFrame:
    return built.rolling(5, min_periods=1, center=True).mean()


READS = "reads the future"
MISTAKES = {
    "a feature is shifted by a day into the future": Mistake(
        features.building, "_evaluate", one_group_a_day_ahead,
        f"feature {READS}", "flow_pressure_10s",
    ),
    "rows are joined by date instead of availability": Mistake(
        features.building, "point_in_time", given(tables=by_date),
        f"feature {READS}", "flow_pressure_10s",
    ),
    "daily views are joined by date instead of availability": Mistake(
        features.building, "day_by_day", given(tables=by_date),
        f"feature {READS}", "net_liquidity",
    ),
    "the latest revision is used": Mistake(
        features.building, "point_in_time", given(tables=each_in_hindsight),
        f"feature {READS}", "vix_level_log",
    ),
    "the latest revision is used for labels": Mistake(
        features.labels, "close_as_known", given(prices=in_hindsight), f"label {READS}",
    ),
    "a score is made a day after its instant": Mistake(
        features.clock, "instants_of", giving(lambda stamps: stamps + np.timedelta64(1, "D")),
        f"feature {READS}", "own_scaled_1d",
    ),
    "what arrives after midnight counts for the day before": Mistake(
        features.building, "first_known_close",
        giving(lambda known: known - np.timedelta64(3, "D")), f"close known {READS}",
    ),
    "gaps are filled from behind": Mistake(
        features.building, "point_in_time",
        giving(lambda made: (made[0].bfill(), made[1])), f"feature {READS}", day=WARMING,
    ),
    "revisions are overlooked": Mistake(
        features.clock, "irregular_arrivals", giving(lambda stamps: stamps[:0]),
        f"feature {READS}", "vix_level_log",
    ),
    "refits hang on where the data end": Mistake(
        training.walkforward, "refit_days", refits_from_the_end, f"base_rate {READS}",
    ),
    "windows are centred": Mistake(
        features.building, "point_in_time",
        giving(lambda made: (centred(made[0]), made[1])), f"feature {READS}", "small_return_20s",
    ),
    "volatility uses the return of the next day": Mistake(
        features.building, "_volatility", volatility_of_tomorrow, f"volatility {READS}",
    ),
    "members of today are used in the past": Mistake(
        features.breadth, "universe_of", given(panel=todays_members),
        f"feature {READS}", "breadth_above_50s",
    ),
    "a label starts a day early": Mistake(
        features.dataset, "forward_labels", from_the_day_before, "label starts before its day",
    ),
    "a label is known a day early": Mistake(
        features.dataset, "forward_labels", giving(known_a_day_early), f"label {READS}",
    ),
    "features are standardised by all rows": Mistake(
        models.signals, "standardised", standardised_on_all_rows, f"signals {READS}",
    ),
    "interactions are standardised by all rows": Mistake(
        models.online, "standardised", standardised_on_all_rows, f"signals {READS}",
    ),
    "signals are chosen by the evidence of all rows": Mistake(
        models.signals, "_posterior", chosen_on_all_rows, f"signals {READS}",
    ),
    "evidence is not lagged by a day": Mistake(
        models.signals, "before", lambda _: same, f"signals {READS}",
    ),
    "the drift is not lagged by a day": Mistake(
        models.location, "before", lambda _: same, f"drift {READS}",
    ),
    "scores of returns stand a day early": Mistake(
        models.online, "location_scores", giving(returns_without_lag), f"drift {READS}",
    ),
    "the gate uses the return of the same day": Mistake(
        models.online, "gate", gate_after_the_day, f"signals {READS}",
    ),
    "persistence uses pairs to come": Mistake(
        models.online, "persistence", persistence_of_pairs_to_come, f"signals {READS}", "BTC_5d",
    ),
    "the index of the day after controls": Mistake(
        models.online, "without_index", index_of_the_day_after, f"signals {READS}",
    ),
    "a delayed driver is taken from ahead": Mistake(
        models.interactions, "delayed", delayed_the_wrong_way, f"signals {READS}",
    ),
    "weights move before the outcome is known": Mistake(
        models.mixture, "_cumulative_losses", losses_at_once, f"weight {READS}",
    ),
    "the guard sees an outcome a day early": Mistake(
        models.cells.CellRows, "settled_in_time", giving(earlier), f"weight {READS}",
    ),
    "calibration learns before the outcome is known": Mistake(
        models.calibration, "_past", giving(lambda past: replace(past, known=past.made)),
        f"probability {READS}",
    ),
    "climatology counts labels that are not known": Mistake(
        models.mixture, "_counts", losses_at_once, f"base_rate {READS}",
    ),
    "the classifier is fitted on all rows": Mistake(
        CellRows, "labelled_by", all_rows, f"fit {READS}", config=FITTED,
    ),
    "the purge is dropped": Mistake(
        CellRows, "labelled_by", purge_dropped, f"fit {READS}", config=FITTED,
    ),
    "the split is shuffled": Mistake(
        CellRows, "labelled_by", shuffled_split, f"fit {READS}", config=FITTED,
    ),
    "the scaler is fitted on all rows": Mistake(
        training.walkforward, "fit_experts", scaled_on_all_rows,
        f"expert_probability {READS}", config=FITTED,
    ),
    "experts of the next refit speak already": Mistake(
        training.walkforward, "fit_experts", refit_a_quarter_early, f"fit {READS}", config=FITTED,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def suspect() -> Market:
    return suspect_market()


class Datasets:
    """Builds each dataset once, where the mistake is not in the features."""

    def __init__(self) -> None:
        self.built: dict[tuple[str, str], Dataset] = {}

    def build(self, market: Market, assets: Sequence[str], config: FeatureConfig) -> Dataset:
        key = market.digest(), config.model_dump_json()
        if key not in self.built:
            self.built[key] = build_dataset(market, assets, config)
        return self.built[key]


@pytest.fixture(scope="module")
def datasets() -> Datasets:
    return Datasets()


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_the_alarm_reports_that(
    mistake: Mistake, suspect: Market, datasets: Datasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    if getattr(mistake.owner, "__name__", "CellRows").split(".")[0] != "features":
        monkeypatch.setattr(training.leaks, "build_dataset", datasets.build)
    real = getattr(mistake.owner, mistake.name)
    monkeypatch.setattr(mistake.owner, mistake.name, mistake.make(real))
    found = check_pipeline(suspect, mistake.config, horizons=(5,), days=(mistake.day,))
    assert any(f.what == mistake.what and mistake.where in f.where for f in found), found


@pytest.mark.parametrize("config", [PLAIN, FITTED], ids=["plain", "fitted"])
def test_the_alarm_is_silent_without_a_mistake(config: ModelConfig, suspect: Market) -> None:
    days = (WARMING, *CUTS)
    assert check_pipeline(suspect, config, thresholds=(0.0, 0.02), days=days) == ()


def test_a_finding_says_what_where_and_from_when(
    suspect: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A label of five days that is known a day early: as of Wednesday the 11th, the one
    # of the 7th, which ends on the 12th, is the first that cannot be known.
    wrong = giving(known_a_day_early)(features.dataset.forward_labels)
    monkeypatch.setattr(features.dataset, "forward_labels", wrong)
    found = check_pipeline(suspect, PLAIN, assets=("ETH",), horizons=(5,), days=(MIDWEEK,))
    label = next(finding for finding in found if finding.what.startswith("label"))
    assert str(label) == (
        "label reads the future: ETH_5d from 2015-11-07: changes as the market is cut after "
        "2015-11-11"
    )
