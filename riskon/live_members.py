"""Members of the universe by their snapshots: those of earlier runs, and what came now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from riskon.live_providers import Providers
from riskon.live_summary import Told
from sources.errors import EmptyFeedError, SchemaError
from sources.gates import screen_snapshots
from sources.gates.feeds import staleness
from sources.live import Payload, Provider
from sources.live.reading import members_feed, no_snapshots, payloads_of
from sources.store import MEMBERS, Feed, FeedRecord, Quarantined, Store
from sources.store.feeds import quarantined_rows
from sources.store.payloads import read_payload

_Snapshot = tuple[Payload, pd.DataFrame]


def ask_members(
    store: Store,
    providers: Providers,
    provider: Provider,
    asked: str,
    days: tuple[dt.date, dt.date],
    told: Told,
) -> Feed:
    """Return the members by all snapshots that changed them, those of earlier runs included.

    A snapshot that cannot be read, or cannot follow the one before it, is told and left out; the
    others stand. Of a day's snapshots the first that could be used stands: it was acted upon.

    Parameters
    ----------
    store : keeps the answers, and has those of earlier runs.
    providers, provider : asked, for the fund that it calls ``asked``.
    days : first and last to ask for.
    told : of the series; fails where the newest snapshot is none.

    Raises
    ------
    ProviderUnavailableError
        Where there is no answer.
    """
    before = _last_record(store)
    if before is not None and before.source != provider.name:
        told.notes.append(
            f"members in the store came from {before.source}; snapshots of {provider.name} do not "
            "replace them"
        )
        return Feed(*MEMBERS, provider.name, ())
    snapshots: dict[pd.Timestamp, _Snapshot] = {}
    if before is not None:
        contents = [read_payload(store.root, sha256) for sha256 in before.payloads]
        snapshots, _ = _readable(provider, asked, payloads_of(before, contents))
    came = providers.ask(provider.name, asked, *days)
    hashes = [store.keep(payload.content) for payload in came]
    fresh, refused = _readable(provider, asked, came)
    # What was accepted stays so, though what it was judged by is no longer asked for.
    stored = _together(snapshots.values())
    accepted, kept_out = screen_snapshots(
        _together(found for day, found in fresh.items() if day not in snapshots), stored
    )
    accepted = pd.concat([stored, accepted], ignore_index=True)
    snapshots = {**fresh, **snapshots}
    payloads = _changing(snapshots, accepted)
    feed = members_feed(
        provider, asked, payloads, [payload.sha256 for payload in payloads] or hashes[-1:],
        accepted, kept_out.iloc[:0],
    )  # fmt: skip
    for day, what in zip(kept_out["date"], quarantined_rows(kept_out), strict=True):
        refused.append(replace(what, payload_sha256=snapshots[day][0].sha256))
    newest = came[-1].sha256 if came else ""
    for found in refused:
        if found.payload_sha256 == newest:
            told.failed = True
            told.failures.append(f"{provider.name} {asked}: {found.reason}; found {found.found}")
    if not told.failed:
        told.stale = staleness(
            "constituents", "members", accepted, np.datetime64(days[1], "us"), is_crypto=False
        )
    return replace(feed, quarantined=tuple(refused))


def _readable(
    provider: Provider, asked: str, payloads: Sequence[Payload]
) -> tuple[dict[pd.Timestamp, _Snapshot], list[Quarantined]]:
    """Return day -> payload and snapshot, the first of each day, and what cannot be read."""
    found: dict[pd.Timestamp, _Snapshot] = {}
    refused: list[Quarantined] = []
    for payload in payloads:
        try:
            table = provider.parse(asked, (payload,))
        except EmptyFeedError:
            continue  # the issuer has none for that day
        except SchemaError as error:
            refused.append(Quarantined(str(error), payload_sha256=payload.sha256))
        else:
            found.setdefault(table["date"].iloc[0], (payload, table))
    return found, refused


def _together(snapshots: Iterable[_Snapshot]) -> pd.DataFrame:
    tables = [table for _, table in snapshots]
    return pd.concat(tables, ignore_index=True) if tables else no_snapshots()


def _changing(
    snapshots: Mapping[pd.Timestamp, _Snapshot], accepted: pd.DataFrame
) -> tuple[Payload, ...]:
    """Return the payloads of accepted snapshots that name others than the one before them."""
    kept: list[Payload] = []
    before: frozenset[str] = frozenset()
    for day in sorted(set(accepted["date"])):
        names = frozenset(accepted.loc[accepted["date"] == day, "symbol"])
        if names != before:
            kept.append(snapshots[day][0])
        before = names
    return tuple(kept)


def _last_record(store: Store) -> FeedRecord | None:
    """Return what the members held last were read from."""
    for batch in reversed(store.catalog.batches()):
        for record in store.catalog.feeds(batch.sequence):
            if (record.folder, record.name) == MEMBERS:
                return record
    return None
