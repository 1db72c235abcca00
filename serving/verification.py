"""How the forecasts did, once their outcomes are known: scores, skill, calibration, honestly.

Only live forecasts are evidence: those issued before the next day's bar closed. Forecasts made
later, to fill a gap or to replay the past, are shown apart, and prove nothing of the model, which
may have learned from those days. Where several versions answered a question, the first
answer counts, as that is what one could have acted on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
from pydantic import AwareDatetime, BaseModel, ConfigDict

from serving.anytime import calibration_ratios, evidence, gain_bounds
from serving.ledger import Ledger

LEVEL = 0.95
MNAT = 1000.0
BINS = 10
WAIT_DAYS = 7
"""A day waits for a close that is missing until outcomes due so much later are there."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ReliabilityBin(_Frozen):
    """Forecasts of like probability against how often it happened; bins hold equal counts.

    Attributes
    ----------
    lower, upper : the least and the greatest probability in the bin.
    band_lower, band_upper : where the frequency lies nine times in ten if the forecasts are
        calibrated, by the effective count ``n / h``.
    """

    lower: float
    upper: float
    n: int
    mean_probability: float
    observed_frequency: float
    band_lower: float
    band_upper: float


class Skill(_Frozen):
    """How the forecasts of one group did.

    Attributes
    ----------
    asset, horizon_days, threshold, version : of the group; None where it pools over all.
    n : settled forecasts, of the days on which all that was issued is settled.
    effective_n : the number of them that do not overlap: days / h, whatever the number of assets.
    frequency : how often the event happened.
    log_loss, brier : means; ``base_rate_*`` those of the base rate given with each forecast.
    brier_skill : ``1 - brier / base_rate_brier``; None where that is nought.
    gain_mnat : mean log-score gain over the base rate, thousandths of a nat.
    gain_lower, gain_upper : anytime-valid interval at ``level``; None before the first.
    skill_evidence : likelihood ratio of the forecasts against the base rate, an e-value by the
        classes of :mod:`serving.anytime`; 20 is what one chance in twenty rarely exceeds.
    calibration_evidence : the same against the forecasts being calibrated; large is bad.
    bins : of reliability.
    """

    asset: str | None
    horizon_days: int | None
    threshold: float | None
    version: int | None
    n: int
    effective_n: float
    first: date
    last: date
    frequency: float
    mean_probability: float
    log_loss: float
    base_rate_log_loss: float
    brier: float
    base_rate_brier: float
    brier_skill: float | None
    gain_mnat: float
    gain_lower: float | None
    gain_upper: float | None
    skill_evidence: float
    calibration_evidence: float
    bins: tuple[ReliabilityBin, ...]


class Verification(_Frozen):
    """Skill of what was issued: live, and apart from it what was replayed.

    Attributes
    ----------
    made_at : instant of the reading.
    level : of the intervals.
    n_forecasts, n_settled, n_live : counts of the ledger, and of what is settled and live.
    cells : live skill of each asset x horizon x threshold.
    pooled : live skill of each horizon x threshold over all assets, then of all; a group that no
        day is complete of is left out.
    replayed : skill of what was made after the fact, by cell; no evidence.
    """

    made_at: AwareDatetime
    level: float
    n_forecasts: int
    n_settled: int
    n_live: int
    cells: tuple[Skill, ...]
    pooled: tuple[Skill, ...]
    replayed: tuple[Skill, ...]


def verify_live(
    ledger: Ledger,
    version: int | None = None,
    asset: str | None = None,
    horizon: int | None = None,
    start: date | None = None,
    end: date | None = None,
    level: float = LEVEL,
) -> Verification:
    """Return how settled forecasts did.

    Parameters
    ----------
    version, asset, horizon : of the forecasts; all by default. Of several versions that answered
        one question the first answer counts.
    start, end : first and last as-of day.
    level : of the intervals, in (0, 1).
    """
    issued = ledger.issued(asset, horizon, start, end, version)
    count, issued = len(issued), each_question_once(issued)
    settled = issued[issued["outcome"].notna()]
    live = issued[issued["live"]]
    return Verification(
        made_at=datetime.now(UTC),
        level=level,
        n_forecasts=count,
        n_settled=len(settled),
        n_live=int(settled["live"].sum()),
        cells=_by(live, ["asset", "horizon_days", "threshold"], version, level),
        pooled=(
            *_by(live, ["horizon_days", "threshold"], version, level),
            *_by(live, [], version, level),
        ),
        replayed=_by(
            issued[~issued["live"]], ["asset", "horizon_days", "threshold"], version, level
        ),
    )


def each_question_once(issued: pd.DataFrame) -> pd.DataFrame:
    """Keep the first answer to each question."""
    return issued.sort_values("position").drop_duplicates(
        ["as_of", "asset", "horizon_days", "threshold"]
    )


def complete_days(issued: pd.DataFrame) -> pd.DataFrame:
    """Return the settled forecasts of a group, up to the first day that waits for an outcome.

    A day's mean is over all that was issued on it, so that it never changes once it counts. A
    question whose close is missing is passed over once outcomes due :data:`WAIT_DAYS` later
    have been written, and stays so if its close comes after all.

    Parameters
    ----------
    issued : as :meth:`Ledger.issued` gives them, each question once.
    """
    due = issued["as_of"].to_numpy("datetime64[D]") + issued["horizon_days"].to_numpy("m8[D]")
    written = issued["settled_at"].to_numpy("datetime64[us]")
    order = np.argsort(written, kind="stable")  # What is not settled, NaT, comes last.
    order = order[: int((~np.isnat(written)).sum())]
    ordered = written[order]
    latest = np.maximum.accumulate(due[order])
    # How many outcomes had been written before each; all of them before what still waits.
    before = np.searchsorted(ordered, written, side="left")
    before = np.where(np.isnat(written), len(order), before)
    passed = np.zeros(len(issued), dtype=bool)
    if len(order):
        passed = (before > 0) & (latest[before - 1] >= due + np.timedelta64(WAIT_DAYS, "D"))
    kept = issued[~passed]
    waiting = kept.loc[kept["outcome"].isna(), "as_of"]
    return kept if waiting.empty else kept[kept["as_of"] < waiting.min()]


def _by(
    rows: pd.DataFrame, names: Sequence[str], version: int | None, level: float
) -> tuple[Skill, ...]:
    """Return the skill of each group that a day is complete of; of all rows without names."""
    if rows.empty:
        return ()
    groups: Iterable[tuple[tuple[object, ...], pd.DataFrame]] = (
        rows.groupby(list(names)) if names else [((), rows)]
    )
    made = (
        skill_of(part, {**dict(zip(names, key, strict=True)), "version": version}, level)
        for key, part in groups
    )
    return tuple(skill for skill in made if skill is not None)


def skill_of(issued: pd.DataFrame, group: Mapping[str, Any], level: float = LEVEL) -> Skill | None:
    """Return how the forecasts of a group did, None before its first day is complete.

    Parameters
    ----------
    issued : as :meth:`Ledger.issued` gives them, each question once; at least one.
    group : asset, horizon_days, threshold and version of the group; what is absent is pooled over.
    level : of the interval.
    """
    from models import brier_score, log_loss  # learners come with it, and take memory

    # The longest ever issued, not the longest settled: the classes stand from the first day on.
    longest = int(issued["horizon_days"].max())
    rows = complete_days(issued)
    if rows.empty:
        return None
    outcome = rows["outcome"].to_numpy("float64")
    probability = rows["probability"].to_numpy("float64")
    base = rows["base_rate"].to_numpy("float64")
    loss, base_loss = log_loss(outcome, probability), log_loss(outcome, base)
    brier, base_brier = brier_score(outcome, probability), brier_score(outcome, base)
    grids = Grids.of(rows)
    lower, upper = gain_bounds(
        grids.mean(grids.gain), grids.mean(grids.spread), grids.count, longest, level
    )
    against_base, against_forecast = grids.evidence(longest)
    return Skill(
        asset=group.get("asset"),
        horizon_days=group.get("horizon_days"),
        threshold=group.get("threshold"),
        version=group.get("version"),
        n=len(rows),
        effective_n=float(grids.count.sum() / longest),
        first=rows["as_of"].min(),
        last=rows["as_of"].max(),
        frequency=float(outcome.mean()),
        mean_probability=float(probability.mean()),
        log_loss=float(loss.mean()),
        base_rate_log_loss=float(base_loss.mean()),
        brier=float(brier.mean()),
        base_rate_brier=float(base_brier.mean()),
        brier_skill=float(1 - brier.mean() / base_brier.mean()) if base_brier.mean() else None,
        gain_mnat=MNAT * float(grids.mean(grids.gain).sum() / grids.count.sum()),
        gain_lower=MNAT * float(lower[-1]),
        gain_upper=MNAT * float(upper[-1]),
        skill_evidence=_finite(against_base),
        calibration_evidence=_finite(against_forecast),
        bins=_bins(outcome, probability, longest),
    )


class Grids:
    """The forecasts of a group on calendar days: (s, n), a row a series, NaN where there is none.

    Attributes
    ----------
    gain : of each forecast over its base rate, nat.
    spread : ``|logit p - logit b|``.
    count : (n,) 1 on days with a forecast.
    """

    def __init__(self, outcome: np.ndarray, odds: np.ndarray, base_odds: np.ndarray) -> None:
        self.outcome, self.odds, self.base_odds = outcome, odds, base_odds
        sign = np.where(outcome == 1, 1.0, -1.0)
        # logaddexp complains of NaN, which stands where there is no forecast.
        with np.errstate(invalid="ignore"):
            self.gain = np.logaddexp(0.0, -sign * base_odds) - np.logaddexp(0.0, -sign * odds)
        self.spread = np.abs(odds - base_odds)
        self.count = (~np.isnan(outcome)).any(axis=0).astype("float64")

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Grids:
        """Lay the rows of a group out, a series an asset x horizon x threshold."""
        day = rows["as_of"].to_numpy("datetime64[D]")
        at = (day - day.min()).astype("int64")
        names = ["asset", "horizon_days", "threshold"]
        series = rows.groupby(names, sort=False).ngroup().to_numpy()
        shape = (int(series.max()) + 1, int(at.max()) + 1)

        def laid(column: np.ndarray) -> np.ndarray:
            grid = np.full(shape, np.nan)
            grid[series, at] = column
            return grid

        return cls(
            laid(rows["outcome"].to_numpy("float64")),
            laid(log_odds(rows["probability"].to_numpy("float64"))),
            laid(log_odds(rows["base_rate"].to_numpy("float64"))),
        )

    def mean(self, grid: np.ndarray) -> np.ndarray:
        """Return (n,) the mean over the series of each day, 0 where there is none."""
        known = ~np.isnan(grid)
        return np.where(known, grid, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)

    def evidence(self, horizon_days: int) -> tuple[float, float]:
        """Return the log evidence for the forecasts against base rates, and against them."""
        gains = np.where(np.isnan(self.gain), 0.0, self.gain)
        ratios = [
            calibration_ratios(*series)
            for series in zip(self.outcome, self.odds, self.base_odds, strict=True)
        ]
        return (
            float(evidence(gains, horizon_days)[-1]),
            float(evidence(np.concatenate(ratios), horizon_days)[-1]),
        )


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Return the log-odds of (n,) probabilities, cut as log losses are."""
    from models.scores import LEAST_PROBABILITY

    p = np.clip(probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    odds: np.ndarray = np.log(p) - np.log1p(-p)
    return odds


def _finite(log_evidence: float) -> float:
    """Return the evidence, cut where a float would not hold it."""
    return float(np.exp(min(log_evidence, 690.0)))


def _bins(
    outcome: np.ndarray, probability: np.ndarray, horizon_days: int
) -> tuple[ReliabilityBin, ...]:
    from models import reliability

    found = reliability(outcome, probability, horizon_days=horizon_days, bins=BINS)
    parts = np.array_split(np.sort(probability), len(found.count))
    return tuple(
        ReliabilityBin(
            lower=float(part[0]),
            upper=float(part[-1]),
            n=int(found.count[i]),
            mean_probability=float(found.forecast[i]),
            observed_frequency=float(found.observed[i]),
            band_lower=float(found.lower[i]),
            band_upper=float(found.upper[i]),
        )
        for i, part in enumerate(parts)
    )
