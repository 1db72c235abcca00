"""The study: claims locked, outcomes read, every test made, all corrected together, judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from features import REGISTRY, FeatureConfig, build_dataset
from sources.errors import DataUnavailableError
from sources.market import Market
from training.study.cells import Cell, Finding, plan
from training.study.claims import Claim, ClaimLedger
from training.study.daily import divergence, synchrony
from training.study.event_study import EVENT_KINDS, EventStudy
from training.study.facts import Fact, check_numbers, highs_in_data
from training.study.inference import DRAWS
from training.study.locks import Lock, lock_claims
from training.study.outcomes import Outcomes, read_outcomes, window
from training.study.table import EventRow, event_rows
from training.study.testimony import STUDIES, Causes, study_causes, testify
from training.study.verdicts import Judged, correct, judge_claim

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Study:
    """All claims, judged on one market.

    Attributes
    ----------
    market_name, data_digest, known_at : what they were tested on.
    first_day, last_day : of crypto bars, ISO.
    judged : a verdict a claim, in the ledger's order.
    events : claim -> its events by date.
    paths : claim -> (events, 201) log return from 20 days before to 180 after each event of the
        primary index, and of the median and middle half of all days under ``""``.
    facts : figures of the sources beside ours.
    highs : what the data know of the indices' last highs.
    locks, earlier : when each claim was locked; claims locked on this data before, which count.
    causes : results of the studies of lead, cause and increment.
    source : events and outcomes, for figures.
    """

    market_name: str
    data_digest: str
    known_at: str
    first_day: str
    last_day: str
    ledger: ClaimLedger
    judged: tuple[Judged, ...]
    events: Mapping[str, tuple[EventRow, ...]]
    paths: Mapping[str, np.ndarray]
    facts: tuple[Fact, ...]
    highs: tuple[str, ...]
    locks: tuple[Lock, ...]
    earlier: tuple[Lock, ...]
    causes: Causes
    seconds: float
    source: EventStudy = field(repr=False)

    def judgement(self, name: str) -> Judged:
        """Return the verdict on a claim."""
        return next(one for one in self.judged if one.claim.id == name)


def run_study(
    market: Market,
    ledger: ClaimLedger,
    *,
    locks: Path | None = None,
    causes: Sequence[str] = STUDIES,
    draws: int = DRAWS,
    done: Progress | None = None,
) -> Study:
    """Test all claims of a ledger on a market.

    Parameters
    ----------
    market : as it is known now.
    ledger : the claims.
    locks : file in which they are locked before any outcome is read; None to keep no record.
    causes : studies of lead, cause and increment to make as well; all of them take a minute.
    draws : of the randomisation.
    done : called with a name as each step is done; see :func:`steps_of`.

    Raises
    ------
    DataUnavailableError
        Where the market has no crypto prices at all.
    IntegrityError
        Where the file of locks was changed.
    """
    begun = time.monotonic()
    tell = done or (lambda _name: None)
    if not market.crypto:
        raise DataUnavailableError(
            f"{market.name}: needed prices of a coin such as BTC; found "
            f"{', '.join(sorted(market.prices)) or 'no prices'}",
            source="prices",
        )
    known_at = _last_known(market)
    digest = market.digest()
    mine, earlier = _lock(market, ledger, locks, digest, known_at)
    cells = plan(ledger, [(lock.primary_tests, lock.other_tests) for lock in earlier])
    tell("locked")

    # Nothing before this line has read an outcome.
    outcomes = read_outcomes(market)
    study = EventStudy(market, outcomes, read_states(market, outcomes, ledger), ledger, draws)
    tell("read")
    others = study_causes(market, tell, wanted=causes) if causes else Causes()
    found: list[tuple[Cell, Finding]] = []
    for claim in ledger.claims:
        own = [cell for cell in cells if cell.claim == claim.id]
        found += [(cell, find(study, claim, cell, others)) for cell in own]
        tell(claim.id)
    tested = correct(found)
    judged = tuple(
        judge_claim(claim, [t for t in tested if t.cell.claim == claim.id], ledger)
        for claim in ledger.claims
    )
    eventful = [claim for claim in ledger.claims if claim.kind in EVENT_KINDS]
    indices = dict.fromkeys(index for claim in eventful for index in claim.indices)
    return Study(
        market_name=market.name,
        data_digest=digest,
        known_at=f"{known_at:%Y-%m-%dT%H:%M:%SZ}",
        first_day=str(outcomes.day[0]),
        last_day=str(outcomes.day[-1]),
        ledger=ledger,
        judged=judged,
        events={claim.id: event_rows(study, claim) for claim in eventful},
        paths=event_paths(study, eventful),
        facts=check_numbers(study, ledger),
        highs=tuple(highs_in_data(market, index) for index in indices),
        locks=mine,
        earlier=earlier,
        causes=others,
        seconds=time.monotonic() - begun,
        source=study,
    )


def steps_of(ledger: ClaimLedger, *, causes: Sequence[str] = STUDIES) -> int:
    """Return how often :func:`run_study` will say that a step is done."""
    return 2 + len(ledger.claims) + len(causes)


def find(study: EventStudy, claim: Claim, cell: Cell, causes: Causes) -> Finding:
    """Put a cell through the study of its claim's kind."""
    if claim.kind in EVENT_KINDS:
        return study.find(claim, cell)
    if claim.kind == "synchrony":
        return synchrony(study.market, study.outcomes, claim, cell, study.ledger)
    if claim.kind == "divergence":
        return divergence(study.market, study.outcomes, claim, cell, study.ledger)
    return testify(causes, claim, cell, study.ledger)


def read_states(market: Market, outcomes: Outcomes, ledger: ClaimLedger) -> dict[str, np.ndarray]:
    """Return what claims split events by, as known at T(d) of each day of the outcomes.

    Raises
    ------
    UnknownNameError
        For a feature that does not exist.
    """
    wanted = tuple(dict.fromkeys(claim.split for claim in ledger.claims if claim.split))
    if not wanted:
        return {}
    config = FeatureConfig(blocks=(), include=wanted)
    dataset = build_dataset(market, market.crypto[:1], config, registry=REGISTRY)
    rows = dataset.days.get_indexer(pd.DatetimeIndex(outcomes.days))
    states = {}
    for place, name in enumerate(dataset.names):
        values = np.append(dataset.values[:, 0, place], np.nan)
        states[name] = values[rows]
    return states


def event_paths(study: EventStudy, claims: Sequence[Claim]) -> dict[str, np.ndarray]:
    """Return the path about each event of the primary index, and the middle of all days."""
    paths: dict[str, np.ndarray] = {}
    for claim in claims:
        level = study.level(claim.targets[0])
        if level is None:
            continue
        rows = study.rows(study.events(claim, claim.indices[0]))
        rows = rows[~np.isnan(level[rows])]
        paths[claim.id] = window(level, rows.tolist(), 20, 180)
        if f"{claim.targets[0]} all" not in paths:
            every = window(level, range(0, len(level), 3), 20, 180)
            every = every[~np.isnan(every).any(axis=1)]
            if len(every):
                paths[f"{claim.targets[0]} all"] = np.quantile(every, [0.25, 0.5, 0.75], axis=0)
    return paths


def _last_known(market: Market) -> pd.Timestamp:
    stamps = [table["available_at"].max() for _, _, table in market.tables() if len(table)]
    if market.panel is not None and len(market.panel.dates):
        stamps.append(pd.Timestamp(market.panel.available_at.max(), tz="UTC"))
    return max(stamps)


def _lock(
    market: Market, ledger: ClaimLedger, path: Path | None, digest: str, known_at: pd.Timestamp
) -> tuple[tuple[Lock, ...], tuple[Lock, ...]]:
    if path is None:
        return (), ()
    seen: dict[str, str] = {}

    def same(lock: Lock) -> bool:
        if lock.data_digest == digest:
            return True
        # Data that has grown since is the same data: its beginning has the digest of then.
        if lock.known_at not in seen:
            seen[lock.known_at] = market.digest(pd.Timestamp(lock.known_at))
        return seen[lock.known_at] == lock.data_digest

    return lock_claims(
        path,
        ledger,
        data_digest=digest,
        known_at=known_at.isoformat(),
        same_data=same,
    )
