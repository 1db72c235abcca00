"""Answers that are kept as bytes, from the first asker until what they were made of changes."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from starlette.responses import Response

from serving.daily import DailyScores

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
    """Answers to ``GET /v1/scores`` by their query, as it was sent and found valid.

    All are let go when the champion, the ledger or the market changed.
    """

    def __init__(self, service: DailyScores) -> None:
        self.service = service
        self._generation = -1
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()

    def get(self, query: bytes) -> Kept | None:
        """Return a kept answer that still holds."""
        if self._generation != self.service.generation:
            return None
        return self._kept.get(query)

    def put(self, query: bytes, kept: Kept, generation: int) -> None:
        """Keep an answer that was begun in a generation, if that still lasts."""
        if generation != self.service.generation:
            return
        if generation != self._generation:
            self._kept, self._generation = OrderedDict(), generation
        self._kept[query] = kept
        while len(self._kept) > MOST_ANSWERS:
            self._kept.popitem(last=False)


def _names(header: str, etag: str) -> bool:
    """Tell whether a header If-None-Match names a tag."""
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return etag in tags or "*" in tags
