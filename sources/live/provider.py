"""The one interface of live sources: ask, keep the raw answer, then read it.

:meth:`Provider.download` and :meth:`Provider.parse` are apart so that an answer is kept before
anyone tries to understand it: what cannot be parsed can still be quarantined, and what was parsed
wrongly can be parsed again. What is finished is judged by ``Payload.fetched_at``, never by the
clock of the parser, so that parsing an old payload again gives the old table.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, runtime_checkable

from sources.errors import SchemaError
from sources.strict_csv import shown

if TYPE_CHECKING:
    import pandas as pd

_DIGITS = 30
"""Of a whole number: no price, time or count comes near it."""
_HTML = (b"<!doctype", b"<html", b"<head", b"<body")


@dataclass(frozen=True)
class Payload:
    """One raw answer, as it came.

    Attributes
    ----------
    url : what was asked for; secrets are not in it.
    content : body, after undoing the transfer's compression.
    content_type : as the server called it, empty where it did not.
    fetched_at : instant at which the answer was complete, UTC.
    """

    url: str
    content: bytes
    content_type: str
    fetched_at: dt.datetime

    @property
    def sha256(self) -> str:
        """Digest of the content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Fetched:
    """A series as one provider knows it.

    Attributes
    ----------
    folder : ``prices``, ``flows``, ``macro`` or ``constituents``.
    series : its name in the market directory.
    table : the columns of :mod:`sources.schemas` for that folder; may be empty where nothing in
        the range asked for is finished yet.
    payloads : the answers it was read from.
    source : name of the provider.
    """

    folder: str
    series: str
    table: pd.DataFrame
    payloads: tuple[Payload, ...]
    source: str


@runtime_checkable
class Provider(Protocol):
    """A live source.

    Attributes
    ----------
    name : by which it is chosen.
    folder : of the market directory that its series go to.
    """

    name: str
    folder: str

    def download(self, series: str, start: dt.date, end: dt.date) -> tuple[Payload, ...]:
        """Ask for the event dates from ``start`` to ``end``, both included; parse nothing.

        Returns
        -------
        The raw answers; none where nothing in the range can be finished yet.

        Raises
        ------
        ProviderUnavailableError
            Where there is no answer.
        """
        ...

    def parse(self, series: str, payloads: tuple[Payload, ...]) -> pd.DataFrame:
        """Read raw answers into a table of the folder's schema, strictly.

        Raises
        ------
        SchemaError
            Where an answer is not of the provider's format.
        EmptyFeedError
            Where it holds no row.
        """
        ...

    def fetch(self, series: str, start: dt.date, end: dt.date) -> Fetched:
        """Download and parse."""
        ...


class Fetching:
    """The fetch that every provider inherits: download, then parse."""

    name: str
    folder: str

    def fetch(self: Provider, series: str, start: dt.date, end: dt.date) -> Fetched:
        """Download and parse; see :class:`Provider`."""
        payloads = self.download(series, start, end)
        table = self.parse(series, payloads)
        return Fetched(self.folder, series, table, payloads, self.name)


def require_text(payload: Payload, source: str, kinds: tuple[str, ...]) -> bytes:
    """Return the content of a payload that is of one of the content types, and no HTML page.

    Parameters
    ----------
    payload : to look at.
    source : its name for messages.
    kinds : parts of acceptable content types, such as ``csv``; no content type at all passes.

    Raises
    ------
    SchemaError
        Where it calls itself otherwise, or starts like a page for people.
    """
    start = payload.content[:200].lstrip().lower()
    if start.startswith(_HTML):
        raise SchemaError(
            source,
            expected=kinds[0],
            found=f"an HTML page starting {shown(start.decode('latin1'))}",
        )
    kind = payload.content_type.partition(";")[0].strip().lower()
    if kind and not any(part in kind for part in kinds):
        raise SchemaError(source, expected=f"content type {' or '.join(kinds)}", found=shown(kind))
    return payload.content


def parse_json(payload: Payload, source: str) -> Any:
    """Return the JSON of a payload, strictly: finite numbers, no name twice, no page.

    Raises
    ------
    SchemaError
        Where it is anything else, or was cut off.
    """
    content = require_text(payload, source, ("json", "javascript", "text/plain"))
    try:
        return json.loads(
            content.decode(),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_short,
            object_pairs_hook=_distinct,
        )
    except (ValueError, RecursionError) as error:
        reason = shown(" ".join(str(error).split()))
        raise SchemaError(source, expected="one whole JSON document", found=reason) from None


def _refuse_constant(name: str) -> NoReturn:
    msg = f"number {name}"
    raise ValueError(msg)


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_constant(text)


def _short(text: str) -> int:
    return int(text) if len(text) <= _DIGITS else _refuse_constant(f"of {len(text)} digits")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) < len(pairs):
        msg = "a name twice in one object"
        raise ValueError(msg)
    return held
