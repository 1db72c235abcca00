"""A search: generations of trials side by side, recorded one by one, and an honest choice.

The result is a function of the job and the data. Workers are spawned processes of
one thread each; a kill loses at most the trials that ran.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError
from scipy.special import ndtri
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models import ModelConfig
from sources.crashpoints import crashpoint
from sources.errors import InsufficientHistoryError
from training.durable import INTERRUPTED, DurableStudy, Tried, propose, prune_rule
from training.jobfile import SearchConfig
from training.space import Place, Space
from training.trial import Arena, Evaluator, Outcome

Begun = Callable[[int, ModelConfig], None]
Finished = Callable[[Tried, "Choice"], None]
Task = tuple[ModelConfig, Sequence[Tried], SearchConfig, int]
Begin = Callable[[int], Task | None]
Run = Callable[[Sequence[int], Begin], Iterator[tuple[int, Outcome]]]
IMPOSSIBLE = Outcome((), failure="settings that do not go together")

_EVALUATOR: list[Evaluator] = []
"""Of a worker process, which scores on one arena all its life."""


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
    begun: Begun,
    finished: Finished,
) -> Choice:
    """Try what is not tried yet, and choose.

    Parameters
    ----------
    workers : processes side by side; they change nothing but the time.
    begun : called before each trial runs, for the count.
    finished : called after each trial is stored, for the progress.

    Raises
    ------
    InsufficientHistoryError
        If the configuration as it is cannot be scored.
    """
    sizes = {name: len(choices) for name, choices in space.choices.items()}
    study.release_stale()
    with _runner(arena, workers) as run:
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
    found: dict[int, Place] = {}
    for place in generation:
        found[place] = start if place == 0 else propose(place, before, taken, sizes, config)
        taken.append(found[place])
    return found


def _configured(space: Space, choices: Place) -> ModelConfig | None:
    try:
        return space.configured(choices)
    except ValidationError:
        return None


def _run(evaluator: Evaluator, task: Task) -> Outcome:
    chosen, history, config, place = task
    # All else is measured against the first: it runs through.
    prune = None if place == 0 else prune_rule(history, config)
    # Sums of several threads differ in their last bit from those of one.
    with threadpool_limits(1):
        return evaluator.evaluate(chosen, prune)


@contextmanager
def _runner(arena: Arena, workers: int) -> Iterator[Run]:
    """Yield what runs trials: in this process, or side by side in spawned ones."""
    if workers <= 1:
        evaluator = Evaluator(arena)

        def one_by_one(places: Sequence[int], begin: Begin) -> Iterator[tuple[int, Outcome]]:
            for place in places:
                task = begin(place)
                yield place, IMPOSSIBLE if task is None else _run(evaluator, task)

        yield one_by_one
        return
    pool = _Pool(arena, workers)
    try:
        yield pool.run
    except BaseException:
        # On Ctrl-C nobody waits for the trials that run.
        pool.end()
        raise
    pool.close()


class _Pool:
    """Spawned processes of one thread each; made anew where one of them dies."""

    def __init__(self, arena: Arena, workers: int) -> None:
        self._arena, self._workers = arena, workers
        self._others = set(multiprocessing.active_children())
        self._pool = self._make()

    def run(self, places: Sequence[int], begin: Begin) -> Iterator[tuple[int, Outcome]]:
        """Yield outcomes as they come; a trial begins when a worker is free for it."""
        queue = iter(places)
        waiting: dict[Future[Outcome], int] = {}
        while True:
            while len(waiting) < self._workers and (place := next(queue, None)) is not None:
                task = begin(place)
                if task is None:
                    yield place, IMPOSSIBLE
                else:
                    waiting[self._submit(task)] = place
            if not waiting:
                return
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda one: waiting[one]):
                place = waiting.pop(future)
                try:
                    outcome = future.result()
                except BrokenProcessPool:
                    outcome = Outcome((), failure=INTERRUPTED)
                yield place, outcome

    def end(self) -> None:
        """End the workers at once."""
        for child in set(multiprocessing.active_children()) - self._others:
            child.terminate()
        self.close()

    def close(self) -> None:
        """Let the workers go."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, task: Task) -> Future[Outcome]:
        try:
            return self._pool.submit(_work, task)
        except BrokenProcessPool:
            self._pool.shutdown(wait=False)
            self._pool = self._make()
            return self._pool.submit(_work, task)

    def _make(self) -> ProcessPoolExecutor:
        # LightGBM hangs in a forked child: always spawn.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(
            self._workers, mp_context=context, initializer=_begin_worker, initargs=(self._arena,)
        )


def _begin_worker(arena: Arena) -> None:
    """Prepare a worker: Ctrl-C is its parent's to hear, and it does not outlive its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def leave_with_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()
    _EVALUATOR.append(Evaluator(arena))


def _work(task: Task) -> Outcome:
    return _run(_EVALUATOR[0], task)
