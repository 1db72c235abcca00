"""A search: generations of trials side by side, recorded one by one, and an honest choice.

The result is a function of the job and the data, whoever runs the trials: this process, others
beside it (:mod:`training.workers`) or a cluster (:mod:`training.cluster`). A kill loses at most
the trials that ran.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError
from scipy.special import ndtri

from models import ModelConfig
from sources.crashpoints import crashpoint
from sources.errors import InsufficientHistoryError
from training.durable import DurableStudy, Proposer, Tried
from training.jobfile import SearchConfig
from training.space import Place, Space
from training.trial import Arena
from training.workers import Run, Task, side_by_side

Begun = Callable[[int, ModelConfig], None]
Finished = Callable[[Tried, "Choice"], None]
Crew = Callable[[Arena], AbstractContextManager[Run]]
"""Told what trials are scored on, gives what runs them."""


@dataclass(frozen=True)
class Choice:
    """What a search chose, and why.

    Attributes
    ----------
    config : the best trial's, or the one as it is.
    place : of the trial chosen.
    best : place of the best trial that ran through all folds.
    gain_mnat, standard_error : of the best against the one as it is, mean of the folds.
    margin : standard errors by which it had to be better.
    trials : all of them, by place.
    """

    config: ModelConfig
    place: int
    best: int
    gain_mnat: float
    standard_error: float
    margin: float
    trials: tuple[Tried, ...]

    @property
    def sentence(self) -> str:
        """What was chosen, in words."""
        if self.best == 0:
            return f"Kept the configuration as it is: none of {len(self.trials) - 1} did better."
        beat = (
            f"needed {self.margin:.2f} standard errors of {self.standard_error:.2f} mnat a day; "
            f"found {self.gain_mnat:+.2f} mnat"
        )
        if self.place == 0:
            return f"Kept the configuration as it is: trial {self.best} is no surer gain: {beat}."
        return f"Chose trial {self.place} over the configuration as it is: {beat}."

    def to_json(self) -> str:
        """Return the choice and each trial as JSON."""
        content = {
            "chosen": self.place,
            "sentence": self.sentence,
            "config": self.config.model_dump(mode="json"),
            "trials": [
                {
                    "place": tried.place,
                    "choices": tried.choices,
                    "fold_gains_mnat": tried.outcome.gains,
                    "pruned": tried.outcome.pruned,
                    "failure": tried.outcome.failure,
                }
                for tried in self.trials
            ],
        }
        return json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"


def search(
    arena: Arena,
    space: Space,
    config: SearchConfig,
    study: DurableStudy,
    *,
    workers: int = 1,
    crew: Crew | None = None,
    begun: Begun,
    finished: Finished,
) -> Choice:
    """Try what is not tried yet, and choose.

    Parameters
    ----------
    workers : processes side by side; they change nothing but the time.
    crew : runs the trials in their place, such as :meth:`training.cluster.Cluster.trials`.
    begun : called before each trial runs, for the count.
    finished : called after each trial is stored, for the progress.

    Raises
    ------
    InsufficientHistoryError
        If the configuration as it is cannot be scored.
    """
    sizes = {name: len(choices) for name, choices in space.choices.items()}
    study.release_stale()
    with side_by_side(arena, workers) if crew is None else crew(arena) as run:
        for generation in _generations(config):
            known = study.finished(config.retries + 1)
            before = [tried for place, tried in known.items() if place < generation[0]]
            proposed = _proposals(generation, before, sizes, space.start, config)
            numbers: dict[int, int] = {}

            def begin(place: int) -> Task | None:
                chosen = _configured(space, proposed[place])  # noqa: B023 - called in this turn
                begun(place, chosen or space.base)
                numbers[place] = study.begin(place, proposed[place])  # noqa: B023 - likewise
                if chosen is None:
                    return None
                return chosen, before, config, place  # noqa: B023 - likewise

            while missing := [place for place in generation if place not in known]:
                for place, outcome in run(missing, begin):
                    crashpoint("before_trial_stored")
                    study.finish(numbers[place], outcome)
                    crashpoint("after_trial_stored")
                    known = study.finished(config.retries + 1)
                    if place in known:
                        so_far = choose(space, known, config)
                        finished(Tried(place, proposed[place], outcome), so_far)
    return choose(space, study.finished(config.retries + 1), config)


def choose(space: Space, known: Mapping[int, Tried], config: SearchConfig) -> Choice:
    """Return the best trial if it beats the one as it is by more than chance, else that one.

    The standard error is that of the mean over folds of the paired differences, so what moves
    both alike does not count. The best of n trials that are all as good as the one as it is
    beats it by some ``ndtri(n / (n + 1))`` errors, so the margin is counted from there: 0 for
    one trial, 2.05 for fifty.
    """
    whole = {place: tried for place, tried in known.items() if tried.outcome.whole}
    if 0 not in whole:
        if 0 in known:
            raise InsufficientHistoryError(
                f"the configuration as it is, in the inner folds ({known[0].outcome.failure}): "
                "values",
                needed=1,
                found=0,
                unit="values",
            )
        return Choice(space.base, 0, 0, 0.0, 0.0, config.margin, tuple(known.values()))
    # Of equals the first.
    best = max(whole, key=lambda place: (whole[place].outcome.value, -place))
    apart = np.array(whole[best].outcome.gains) - np.array(whole[0].outcome.gains)
    gain = float(apart.mean())
    error = float(apart.std(ddof=1) / np.sqrt(len(apart)))
    tries = max(len(known) - 1, 1)
    luck = float(ndtri(tries / (tries + 1)))
    place = best if gain > (config.margin + luck) * error and gain > 0 else 0
    found = space.configured(whole[place].choices)
    return Choice(found, place, best, gain, error, config.margin + luck, tuple(known.values()))


def _generations(config: SearchConfig) -> Iterator[range]:
    """Yield the places of each generation; the configuration as it is goes with the first."""
    for begin in range(0, config.trials + 1, config.side_by_side):
        yield range(begin, min(begin + config.side_by_side, config.trials + 1))


def _proposals(
    generation: range,
    before: Sequence[Tried],
    sizes: Mapping[str, int],
    start: Place,
    config: SearchConfig,
) -> dict[int, Place]:
    taken = [tried.choices for tried in before]
    proposer = Proposer(before, sizes, config)
    found: dict[int, Place] = {}
    for place in generation:
        found[place] = start if place == 0 else proposer.propose(place, taken)
        taken.append(found[place])
    return found


def _configured(space: Space, choices: Place) -> ModelConfig | None:
    try:
        return space.configured(choices)
    except ValidationError:
        return None
