"""The watch: one look at inputs, coverage, calibration, skill and age, with its alarms.

============ =========================================================== =======
alarm        goes where                                                  retrain
============ =========================================================== =======
freshness    an input is older than its declared limit                   no
coverage     under nine tenths of the questions of 30 days are answered  no
drift        more than a tenth of the features, and more than two, are
             unlike any stretch of training of the same length           yes
calibration  the evidence against the champion's at some horizon x
             threshold exceeds 20 x the number of these: by chance once
             in twenty at most, ever                                     yes
skill        the whole interval of its pooled live gain lies below 0     yes
control      a twin without skill shows evidence of 20 x the twins       no
age          the champion learned from nothing in the last 92 days       yes
============ =========================================================== =======
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from features import Dataset, build_dataset
from models import ModelBundle
from serving.ledger import Ledger
from serving.monitoring_drift import drift_of, drifted
from serving.monitoring_report import (
    Alarm,
    Coverage,
    FeatureDrift,
    InputFreshness,
    TwinSkill,
    WatchReport,
)
from serving.monitoring_twins import TWINS, twins_of
from serving.scorer import Scorer
from serving.verification import Verification, each_question_once, verify_live
from sources import Market, as_of_instant
from sources.publication import publication

COVERAGE_DAYS = 30
LEAST_COVERAGE = 0.9
LIMIT_AGE_DAYS = 92
"""A quarter: the experts are refitted so often."""
LIMIT_EVIDENCE = 20.0
"""One over the chance of a false alarm, for ever."""


def watch(
    scorer: Scorer, market: Market, as_of: date, limit_age_days: int = LIMIT_AGE_DAYS
) -> WatchReport:
    """Look at the champion as of a day.

    Parameters
    ----------
    market : what became known after T(as_of) is not read.
    limit_age_days : since the last day of training, before the champion is old.
    """
    bundle, ledger = scorer.bundle, scorer.ledger
    cut = market.as_of(as_of_instant(pd.Timestamp(as_of)))
    dataset = build_dataset(cut, bundle.pool, bundle.config.features)
    trained = bundle.trained_through.astype("datetime64[D]")
    drift = drift_of(dataset, trained, np.datetime64(as_of, "D"), bundle.config.classifier_features)
    inputs = _freshness(dataset, cut, bundle)
    coverage = _coverage(bundle, ledger, as_of)
    issued = ledger.issued()
    twins = twins_of(each_question_once(issued[issued["live"]]))
    # Of the champion alone: what a version before it did is no reason to replace it.
    verification = verify_live(ledger, version=scorer.model.version)
    questions = {(cell.horizon_days, cell.threshold) for cell in bundle.cells}
    trained_through: date = trained.astype(object)
    alarms = (
        *_of_inputs(inputs, coverage),
        *_of_drift(drift),
        *_of_skill(verification, len(questions)),
        *_of_twins(twins),
        *_of_age(trained_through, as_of, limit_age_days),
    )
    return WatchReport(
        as_of=as_of,
        model_version=scorer.model.version,
        model_digest=scorer.model.digest,
        trained_through=trained_through,
        drift=drift,
        inputs=inputs,
        coverage=coverage,
        twins=twins,
        alarms=alarms,
    )


def _freshness(dataset: Dataset, market: Market, bundle: ModelBundle) -> tuple[InputFreshness, ...]:
    """Return the age of each input but the prices of assets that no question is asked of."""
    universe, found = {f"prices/{symbol}" for symbol in market.crypto}, []
    unasked = {f"prices/{asset}" for asset in bundle.pool if asset not in bundle.assets}
    for read in dataset.inputs:
        if read.name in unasked:
            continue
        folder, _, series = read.name.partition("/")
        limit = publication(folder, series, is_crypto=read.name in universe).stale_after_days
        found.append(
            InputFreshness(
                name=read.name,
                available_at=read.available_at.to_pydatetime(),
                age_days=read.age_days,
                limit_days=limit,
                fresh=read.age_days <= limit,
            )
        )
    return tuple(found)


def _coverage(bundle: ModelBundle, ledger: Ledger, as_of: date) -> Coverage:
    """Count the questions of the last days, from the first day of the ledger on."""
    first = ledger.first_day()
    start = max(as_of - timedelta(days=COVERAGE_DAYS - 1), first or as_of)
    days = max((as_of - start).days + 1, 0)
    asked = {(cell.asset, cell.horizon_days, cell.threshold) for cell in bundle.cells}
    answered, live = ledger.answered(asked, start, as_of)
    return Coverage(days=days, asked=days * len(asked), answered=answered, live=live)


def _of_inputs(inputs: tuple[InputFreshness, ...], coverage: Coverage) -> list[Alarm]:
    found = [
        Alarm(
            name="freshness",
            message=f"{one.name}: needed an age of at most {one.limit_days:g} days; "
            f"found {one.age_days:.1f}",
        )
        for one in inputs
        if not one.fresh
    ]
    if coverage.answered < LEAST_COVERAGE * coverage.asked:
        found.append(
            Alarm(
                name="coverage",
                message=f"last {coverage.days} days: needed {LEAST_COVERAGE:.0%} of "
                f"{coverage.asked} questions answered; found {coverage.answered}",
            )
        )
    return found


def _of_drift(drift: tuple[FeatureDrift, ...]) -> list[Alarm]:
    names, most = drifted(drift)
    if len(names) <= most:
        return []
    message = (
        f"features: needed at most {most} of {len(drift)} unlike all of training; "
        f"found {len(names)}: {', '.join(names[:5])}"
    )
    return [Alarm(name="drift", message=message, retrain=True)]


def _of_skill(verification: Verification, questions: int) -> list[Alarm]:
    """Look at the champion's skill; ``questions`` counts its pairs of horizon and threshold."""
    horizons = [skill for skill in verification.pooled if skill.horizon_days is not None]
    limit = LIMIT_EVIDENCE * questions
    found = [
        Alarm(
            name="calibration",
            message=f"{skill.horizon_days} days: needed evidence against calibration of at most "
            f"{limit:g}; found {skill.calibration_evidence:.3g} in {skill.n} live forecasts",
            retrain=True,
        )
        for skill in horizons
        if skill.calibration_evidence > limit
    ]
    for skill in verification.pooled:
        if skill.horizon_days is None and skill.gain_upper is not None and skill.gain_upper < 0:
            message = (
                f"live gain: needed an interval that reaches 0; found {skill.gain_lower:+.1f} to "
                f"{skill.gain_upper:+.1f} thousandths of a nat in {skill.n} forecasts"
            )
            found.append(Alarm(name="skill", message=message, retrain=True))
    return found


def _of_twins(twins: tuple[TwinSkill, ...]) -> list[Alarm]:
    limit = LIMIT_EVIDENCE * len(TWINS)
    return [
        Alarm(
            name="control",
            message=f"{twin.twin} twin: needed evidence of skill of at most {limit:g}, as it has "
            f"none; found {twin.skill_evidence:.3g}: the measure of skill is broken",
        )
        for twin in twins
        if twin.skill_evidence > limit
    ]


def _of_age(trained_through: date, as_of: date, limit: int) -> list[Alarm]:
    age = (as_of - trained_through).days
    if age <= limit:
        return []
    message = (
        f"champion: needed training within {limit} days; found it trained through "
        f"{trained_through}, {age} days before"
    )
    return [Alarm(name="age", message=message, retrain=True)]
