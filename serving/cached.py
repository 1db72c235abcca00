"""Answers that are kept as bytes, from the first asker until what they were made of changes."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from starlette.responses import Response

MOST_ANSWERS = 512

PRIVATE = "private, no-cache"
"""May be kept by who asked, and has to be asked for again, which costs a 304."""


@dataclass(frozen=True)
class Kept:
    """An encoded answer and its tag."""

    body: bytes
    etag: str

    @classmethod
    def of(cls, body: bytes) -> Kept:
        """Return a body with the tag that its bytes give."""
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    def response(self, if_none_match: str | None) -> Response:
        """Return the answer, or 304 where the asker has it."""
        headers = {"etag": self.etag, "cache-control": PRIVATE}
        if if_none_match is not None and _names(if_none_match, self.etag):
            return Response(status_code=304, headers=headers)
        return Response(self.body, media_type="application/json", headers=headers)


class Answers:
    """Answers by their query, as it was sent and found valid.

    Parameters
    ----------
    stamp : returns another value when none of the answers before holds any more.
    """

    def __init__(self, stamp: Callable[[], object]) -> None:
        self.stamp = stamp
        self._stamped: object = None
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._putting = Lock()

    def get(self, query: bytes) -> Kept | None:
        """Return a kept answer that still holds."""
        if self._stamped != self.stamp():
            return None
        return self._kept.get(query)

    def put(self, query: bytes, kept: Kept, stamp: object) -> None:
        """Keep an answer that was begun under a stamp, if that is still the one."""
        # One at a time: an answer must not land among those of a stamp that came meanwhile.
        with self._putting:
            if stamp != self.stamp():
                return
            if stamp != self._stamped:
                self._kept, self._stamped = OrderedDict(), stamp
            self._kept[query] = kept
            while len(self._kept) > MOST_ANSWERS:
                self._kept.popitem(last=False)


def _names(header: str, etag: str) -> bool:
    """Tell whether a header If-None-Match names a tag."""
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return etag in tags or "*" in tags
