"""A small search that tests run here and in processes of their own, where they are killed.

``python searches.py FOLDER WORKERS [URL]`` runs it on the journal of a folder, or on the database
of a URL, and prints what it chose.
"""

from __future__ import annotations

import sys
from pathlib import Path

from markets import random_market
from optuna.storages import RDBStorage

from models import ModelConfig
from models.config import BoostingConfig
from training.durable import DurableStudy, open_storage
from training.jobfile import FoldConfig, JobConfig, SearchConfig
from training.search import Choice, search
from training.space import Axis, Space
from training.tuning import Tuning, prepare

JOB = JobConfig(
    assets=("BTC",),
    horizons=(5,),
    model=ModelConfig(least_labels=200, boosting=BoostingConfig(trees=4)),
    folds=FoldConfig(inner=3, outer=1),
    search=SearchConfig(
        trials=9,
        startup=4,
        side_by_side=3,
        prune_after_trials=2,
        prune_after_folds=1,
        space={
            "mixture.rate": Axis(factors=(0.25, 0.5, 1.0)),
            "logistic.prior_deviation": Axis(factors=(0.5, 1.0, 4.0)),
            "boosting": Axis(off=True),
            "rules": Axis(off=True),
            "calibration": Axis(off=True),
            "signals.drift_weight": Axis(factors=(0.5, 1.0, 1.4)),
        },
    ),
)


def sizes_of(space: Space) -> dict[str, int]:
    """Return how many choices each axis has."""
    return {name: len(choices) for name, choices in space.choices.items()}


def run_search(
    folder: Path, tuning: Tuning, *, workers: int = 1, crew=None, job: JobConfig = JOB,
    url: str | None = None, begun=lambda _place, _config: None,
    finished=lambda _tried, _choice: None,
) -> Choice:  # fmt: skip
    """Run the search on the record of a folder."""
    space = Space(job.base, job.search.space)
    storage = open_storage(folder, url)
    try:
        study = DurableStudy(storage, "small", sizes_of(space))
        return search(
            tuning.arena,
            space,
            job.search,
            study,
            workers=workers,
            crew=crew,
            begun=begun,
            finished=finished,
        )
    finally:
        if isinstance(storage, RDBStorage):
            storage.remove_session()
            storage.engine.dispose()


if __name__ == "__main__":
    made = prepare(random_market(), JOB)
    chosen = run_search(
        Path(sys.argv[1]), made, workers=int(sys.argv[2]), url=dict(enumerate(sys.argv)).get(3),
        begun=lambda place, _config: sys.stderr.write(f"begun {place}\n"),
    )  # fmt: skip
    sys.stdout.write(chosen.to_json())
