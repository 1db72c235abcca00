"""How old an input may be before a score has to abstain."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import numpy as np

from features import REGISTRY, Dataset, Input
from serving.score import Score
from sources.publication import PUBLICATIONS, publication

STALE_AFTER_DAYS = {
    name: PUBLICATIONS[name].stale_after_days
    for name in ("crypto", "prices", "constituents", "flows", "macro")
}
"""Days, by folder of the market directory; ``crypto`` are prices of the crypto universe."""


def stale_inputs(inputs: Iterable[Input], crypto: Iterable[str]) -> tuple[str, ...]:
    """Say which inputs became known too long before T(d), each with age and limit."""
    universe = {f"prices/{symbol}" for symbol in crypto}
    found: list[str] = []
    for read in inputs:
        folder, _, series = read.name.partition("/")
        declared = publication(folder, series, is_crypto=read.name in universe)
        limit = declared.stale_after_days
        if read.age_days > limit:
            found.append(f"{read.name} is {read.age_days:.1f} days old, limit {limit:g}")
    return tuple(found)


def stale_by(scores: Iterable[Score], day: date) -> tuple[str, ...]:
    """Name the inputs of scores that are too old to speak for a later day, unless read again."""
    scores = tuple(scores)
    universe = {f"prices/{score.asset}" for score in scores}
    found: dict[str, None] = {}
    for score in scores:
        for read in score.data.inputs:
            folder, _, series = read.name.partition("/")
            declared = publication(folder, series, is_crypto=read.name in universe)
            if read.age_days + (day - score.as_of).days > declared.stale_after_days:
                found[read.name] = None
    return tuple(sorted(found))


def stale_groups(dataset: Dataset, row: int, asset: str) -> tuple[str, ...]:
    """Say which feature groups end too long before a day, each with age and limit.

    An old row that is published again looks fresh by its ``available_at``;
    its event date does not. A group is as old as its slowest input may be.
    """
    at, found = dataset.assets.index(asset), []
    for group in REGISTRY:
        if group.name not in dataset.groups:
            continue
        age = float(dataset.ages[row, at, dataset.groups.index(group.name)])
        limit = max(
            STALE_AFTER_DAYS["crypto" if "@asset" in role.symbols else role.folder]
            for role in group.roles
        )
        if np.isfinite(age) and age > limit:
            found.append(f"{group.name} ends {age:g} days before, limit {limit:g}")
    return tuple(found)
