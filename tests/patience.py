"""A clock for clients of live sources, on which waiting takes no time but is remembered."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace

from sources.live import Clock

NOW = dt.datetime(2024, 11, 29, 12, 0, tzinfo=dt.UTC)
"""A half day before its open: the last finished session is the 27th, the last bar the 28th."""


class Patience:
    """A clock on which waiting takes no time but is remembered."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    @property
    def clock(self) -> Clock:
        """Return the clock: waits add to the stopwatch, jitter is half a mean."""
        return Clock(
            now=lambda: NOW,
            monotonic=lambda: time.monotonic() + sum(self.waits),
            sleep=self.waits.append,
            jitter=lambda: 0.5,
        )

    def at(self, now: dt.datetime) -> Clock:
        """Return the clock at another instant."""
        return replace(self.clock, now=lambda: now)
