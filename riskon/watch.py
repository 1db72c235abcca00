"""What a search says while it runs, on stderr: what runs, the best so far, the time left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from riskon.output import note

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from training.durable import Tried
    from training.search import Choice


class Watch:
    """Follows a search; a bar on a terminal, a line a trial elsewhere."""

    def __init__(self, total: int, done: int, bar: Progress, task: TaskID) -> None:
        self._total, self._done = total, done
        self._bar, self._task = bar, task
        self._running: dict[int, float] = {}
        self._began, self._here = time.monotonic(), 0
        self._best = "none yet"

    def begun(self, place: int) -> None:
        """Note that a trial runs."""
        self._running[place] = time.monotonic()
        self._show()

    def finished(self, tried: Tried, so_far: Choice) -> None:
        """Note how a trial did, and the best so far."""
        self._running.pop(tried.place, None)
        self._done, self._here = self._done + 1, self._here + 1
        best = next((t for t in so_far.trials if t.place == so_far.best), None)
        if best is not None and best.outcome.gains:
            self._best = f"{best.outcome.value:+.2f} mnat by trial {best.place}"
        outcome = tried.outcome
        if outcome.failure is not None:
            how = f"failed, {outcome.failure}"
        else:
            how = f"{outcome.value:+.2f} mnat"
            how += f", given up after {len(outcome.gains)} folds" if outcome.pruned else ""
        self._bar.update(self._task, completed=self._done)
        self._show()
        if self._bar.disable:
            # The first is no trial of the search, but what its trials have to beat.
            as_is = "" if tried.place else ", the configuration as it is"
            note(
                f"trial {tried.place}{as_is}: {how} ({self._done} of {self._total}; best "
                f"{self._best}; {clock(self.seconds_left)} left)"
            )

    @property
    def seconds_left(self) -> float:
        """Return the time that the rest takes at the pace so far."""
        spent = time.monotonic() - self._began
        return spent / max(self._here, 1) * (self._total - self._done)

    def _show(self) -> None:
        running = ", ".join(str(place) for place in sorted(self._running)) or "none"
        self._bar.update(self._task, description=f"running trial {running}; best {self._best}")


def clock(seconds: float) -> str:
    """Return a span of time as h:mm:ss.

    >>> clock(3671.6)
    '1:01:12'
    """
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"


@contextmanager
def watching(total: int, done: int) -> Iterator[Watch]:
    """Follow a search of so many trials, of which some are done."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("searching", total=total, completed=done)
        yield Watch(total, done, bar, task)
