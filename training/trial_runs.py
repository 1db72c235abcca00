"""The trials of a search as runs: what was chosen, how each fold went, and what became of it."""

from __future__ import annotations

import json

import numpy as np
from pydantic import ValidationError

from training.durable import Tried
from training.records import LONGEST_PARAMETER, checked_texts
from training.runs import KIND, TRIAL_RUN, RunRecord, SearchRecord
from training.search import Choice
from training.space import Space

LONGEST_REASON = 500


def search_record(choice: Choice, space: Space) -> SearchRecord:
    """Return what a search leaves on record."""
    return SearchRecord(trial_runs(choice, space), search_series(choice))


def trial_runs(choice: Choice, space: Space) -> list[RunRecord]:
    """Return a record a trial, by place; the first is the configuration as it is.

    Parameters are the choices by the names of their axes. ``fold_gain_mnat`` has a step an inner
    fold, ``inner_gain_mnat`` is its mean over the folds that were run: a gain over climatology on
    days that the search saw, and so no match for the ``gain_mnat`` of a job.
    """
    return [_trial_run(tried, choice, space) for tried in choice.trials]


def search_series(choice: Choice) -> dict[str, list[float]]:
    """Return the course of a search for its job's run, a step a trial that ran through.

    Steps are not places: a trial that failed or was given up has no value to compare.
    """
    means = [tried.outcome.value for tried in choice.trials if tried.outcome.whole]
    if not means:
        return {}
    best = np.maximum.accumulate(means).tolist()
    return {"trial_inner_gain_mnat": means, "best_inner_gain_mnat": best}


def _trial_run(tried: Tried, choice: Choice, space: Space) -> RunRecord:
    outcome = tried.outcome
    state = "failed" if outcome.failure else "pruned" if outcome.pruned else "complete"
    tags = {
        KIND: TRIAL_RUN,
        "place": str(tried.place),
        "trial_state": state,
        "folds_run": str(len(outcome.gains)),
        "chosen": str(tried.place == choice.place).lower(),
    }
    if outcome.failure is not None:
        tags["failure"] = outcome.failure[:LONGEST_REASON]
    try:
        tags["config_digest"] = space.configured(tried.choices).digest
    except ValidationError:
        tags["failure"] = "settings that do not go together"
    values = {axis: space.choices[axis][at] for axis, at in tried.choices.items()}
    params = {
        axis: value if isinstance(value, str) else json.dumps(value)
        for axis, value in values.items()
    }
    gains = list(outcome.gains)
    return RunRecord(
        name=f"trial {tried.place:03d}",
        tags=tags,
        params=checked_texts("parameter", params, LONGEST_PARAMETER),
        metrics={"inner_gain_mnat": outcome.value} if gains else {},
        series={"fold_gain_mnat": gains} if gains else {},
        status="FAILED" if state == "failed" else "FINISHED",
    )
