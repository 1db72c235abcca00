"""From raw answers to a feed of the store: parsed, put through the gates, and told how.

What the gates kept out is written into the feed's ``detail``, so that the same payloads give the
same rows again, whatever the store holds by then.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from sources.gates import Screened
from sources.live.memberships import memberships
from sources.live.provider import Payload, Provider
from sources.schemas import LAYOUTS
from sources.store.feeds import Feed, Quarantined, keys_of, quarantined_rows, without

if TYPE_CHECKING:
    from sources.store.catalog import FeedRecord

STATED_BY_SOURCE = frozenset({"fred"})
"""Providers whose ``available_at`` is their own word; of the others it is our calendar's."""


def detail_of(asked: str, payloads: Sequence[Payload], kept_out: pd.DataFrame) -> str:
    """Return what it takes to read the same payloads again into the same rows."""
    return json.dumps(
        {
            "asked": asked,
            "answers": [
                {"url": p.url, "type": p.content_type, "at": p.fetched_at.isoformat()}
                for p in payloads
            ],
            "kept_out": keys_of(kept_out),
        }
    )


def screened_feed(
    folder: str,
    name: str,
    provider: Provider,
    asked: str,
    payloads: Sequence[Payload],
    screened: Screened,
    hashes: Sequence[str],
    after: pd.Timestamp | None = None,
) -> Feed:
    """Return the feed of a series that went through the gates.

    Parameters
    ----------
    hashes : sha256 of each payload, as the store kept it.
    after : days up to this one are left out; none by default.
    """
    table, left_out = screened.accepted, screened.quarantined[["date", "available_at"]]
    if after is not None:
        old = table["date"] <= after
        left_out = pd.concat([left_out, table.loc[old, ["date", "available_at"]]])
        table = table[~old].reset_index(drop=True)
    return Feed(
        folder,
        name,
        provider.name,
        tuple(hashes),
        table=table,
        stated=provider.name in STATED_BY_SOURCE,
        detail=detail_of(asked, payloads, left_out),
        quarantined=quarantined_rows(screened.quarantined),
    )


def refused_feed(
    folder: str, name: str, source: str, hashes: Sequence[str], refused: Sequence[Quarantined]
) -> Feed:
    """Return a feed without rows: what came is kept, and why none of it could be used.

    Parameters
    ----------
    folder : ``prices``, ``flows`` or ``macro``.
    name, source : of the series, and who was asked for it first.
    hashes : sha256 of each payload, as the store kept it.
    refused : what there is to tell.
    """
    columns = {column: pd.Series([], dtype="float64") for column in LAYOUTS[folder].columns}
    table = pd.DataFrame(columns).astype(
        {"date": "datetime64[us]", "available_at": "datetime64[us, UTC]"}
    )
    return Feed(folder, name, source, tuple(hashes), table=table, quarantined=tuple(refused))


def no_snapshots() -> pd.DataFrame:
    """Return a table of snapshots of members without a row."""
    return pd.DataFrame(
        {
            "date": pd.Series([], dtype="datetime64[us]"),
            "symbol": pd.Series([], dtype="str"),
            "weight": pd.Series([], dtype="float64"),
            "available_at": pd.Series([], dtype="datetime64[us, UTC]"),
        }
    )


def members_feed(
    provider: Provider, asked: str, payloads: Sequence[Payload], hashes: Sequence[str],
    snapshots: pd.DataFrame, kept_out: pd.DataFrame,
) -> Feed:  # fmt: skip
    """Return the feed of the members that all snapshots up to now name."""
    return Feed(
        "constituents",
        "members",
        provider.name,
        tuple(hashes),
        table=memberships(snapshots),
        detail=detail_of(asked, payloads, kept_out),
        quarantined=quarantined_rows(kept_out),
    )


def payloads_of(record: FeedRecord, contents: Sequence[bytes]) -> tuple[Payload, ...]:
    """Return the raw answers a feed was read from, as they were when they came."""
    answers: list[Mapping[str, Any]] = json.loads(record.detail)["answers"]
    return tuple(
        Payload(a["url"], content, a["type"], dt.datetime.fromisoformat(a["at"]))
        for a, content in zip(answers, contents, strict=True)
    )


def read_again(provider: Provider, record: FeedRecord, contents: Sequence[bytes]) -> Feed:
    """Parse the payloads of a feed again, without the rows that the gates kept out."""
    detail = json.loads(record.detail)
    table = provider.parse(detail["asked"], payloads_of(record, contents))
    table = without(table, detail["kept_out"])
    if record.folder == "constituents":
        table = memberships(table)
    return Feed(
        record.folder, record.name, record.source, record.payloads, table=table,
        stated=record.source in STATED_BY_SOURCE, detail=record.detail,
    )  # fmt: skip
