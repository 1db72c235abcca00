"""Processes that run trials side by side on this machine: spawned, of one thread each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models import ModelConfig
from training.durable import INTERRUPTED, Tried, prune_rule
from training.jobfile import SearchConfig
from training.trial import Arena, Evaluator, Outcome

Task = tuple[ModelConfig, Sequence[Tried], SearchConfig, int]
"""A configuration, the trials of earlier generations, and the place of this one."""

Begin = Callable[[int], Task | None]
"""Told a place, records that its trial runs, and says which; None where it cannot be."""

Run = Callable[[Sequence[int], Begin], Iterator[tuple[int, Outcome]]]
"""Runs the trials of some places, and yields how each did as it is done."""

IMPOSSIBLE = Outcome((), failure="settings that do not go together")
LOST = Outcome((), failure=INTERRUPTED)

_EVALUATOR: list[Evaluator] = []
"""Of a worker process, which scores on one arena all its life."""


def run_task(evaluator: Evaluator, task: Task) -> Outcome:
    """Score a trial on one thread."""
    chosen, history, config, place = task
    # All else is measured against the first: it runs through.
    prune = None if place == 0 else prune_rule(history, config)
    # Sums of several threads differ in their last bit from those of one.
    with threadpool_limits(1):
        return evaluator.evaluate(chosen, prune)


@contextmanager
def side_by_side(arena: Arena, workers: int) -> Iterator[Run]:
    """Yield what runs trials: in this process, or side by side in spawned ones."""
    if workers <= 1:
        evaluator = Evaluator(arena)

        def one_by_one(places: Sequence[int], begin: Begin) -> Iterator[tuple[int, Outcome]]:
            for place in places:
                task = begin(place)
                yield place, IMPOSSIBLE if task is None else run_task(evaluator, task)

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
                    outcome = LOST
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
    return run_task(_EVALUATOR[0], task)
