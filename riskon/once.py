"""Warnings on a person's stderr: each once a command, however often the market is read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class Once(logging.Filter):
    """Lets a message pass the first time, and no more."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[tuple[str, str]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether this is new."""
        message = (record.name, record.getMessage())
        new = message not in self._said
        self._said.add(message)
        return new


@contextmanager
def warned_once() -> Iterator[None]:
    """Say a warning once while this lasts.

    Only where nobody configured logs, so that Python writes warnings to stderr by itself: the log
    of a service keeps each with its time.
    """
    last, once = logging.lastResort, Once()
    if last is None:
        yield
        return
    last.addFilter(once)
    try:
        yield
    finally:
        last.removeFilter(once)
