"""Cause or common driver (claims C8, C11, C13): who foretells whom, alone and beside the drivers.

What is tested is Granger's cause: whether the past of one side improves the forecast of the
other. It is no proof of a mechanism. A driver that no series here shows would pass for a lead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sources.market import Market
from training.significance import holm
from training.study.drivers import SMALL_RETURNS, Drivers, read_drivers
from training.study.granger import RESAMPLES, BlockTest, agreement, block_tests
from training.study.plain import plain
from training.study.projections import Response, project
from training.study.sessions import Sessions, deviations, read_sessions
from training.study.ties import Tie, ties
from training.study.verdict import Evidence, judge

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORWARD, BACKWARD = "small caps to crypto", "crypto to small caps"
DRIVERS = "drivers to crypto"
CRYPTO = "crypto's past"
STEPS = (1, 2, 3, 5, 10, 20, 40, 60)
PER_CENT = 100.0


@dataclass(frozen=True)
class Causality:
    """Who foretells whom.

    Attributes
    ----------
    verdict : ``small caps lead``, ``crypto leads``, ``common driver``, ``none`` or
        ``undetermined``; the rule is :func:`training.study.verdict.judge`.
    reason : what decided, in one sentence with numbers.
    evidence : every test, with p-values corrected by Holm within its family.
    ties : how small caps move with each driver in the same week.
    responses : local projections, both directions, alone and controlled.
    lacking : blocks that the market cannot give, and the file each needs.
    assets : of the basket of crypto, equally weighted in deviations.
    first, last : days between which crypto's returns were foretold.
    """

    verdict: str
    reason: str
    evidence: tuple[Evidence, ...]
    ties: tuple[Tie, ...]
    responses: tuple[Response, ...]
    lacking: Mapping[str, str]
    assets: tuple[str, ...]
    first: pd.Timestamp
    last: pd.Timestamp

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; NaN is null."""
        return dict(plain(self))


def find_cause(
    market: Market,
    assets: Sequence[str] = ("BTC", "ETH"),
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    drivers: Drivers | None = None,
) -> Causality:
    """Test both directions, with and without the common drivers, and judge.

    *Forward*: the basket's return from T(d) to T(d + 1) on blocks of small caps (their returns,
    highs, fund flows, breadth) known at T(d), over crypto's own momentum; and again over the
    S&P 500, credit (high yield), VIX, net liquidity, the dollar and rates, known at T(d) by
    ``available_at``. *Backward*: the return of small caps from the open to the close of session
    d on crypto's past as of T(d - 1), over small caps' own; and again over the drivers. No hour
    is shared between the two sides of a test (see :mod:`training.study.sessions`).

    Parameters
    ----------
    market : as of its end.
    assets : those that it has not are left out.
    drivers : :func:`training.study.drivers.read_drivers` of the market, where it is at hand.

    Raises
    ------
    DataUnavailableError
        Where none of the assets, or no small-cap price, is there.
    InsufficientHistoryError
        For fewer than 250 days on which all is known.
    """
    read = read_drivers(market, assets) if drivers is None else drivers
    sessions = read_sessions(market, read.assets)
    shared = _beside(read.controls, len(read.days))
    evidence = [*_forward(read, shared, resamples, seed)]
    backward = _backward(read, sessions, shared, resamples, seed)
    evidence += backward
    tied = ties(market, read.controls)
    verdict, reason = judge(evidence, tied, complete=bool(backward and read.controls))
    known = np.isfinite(read.target) & np.isfinite(read.small[SMALL_RETURNS]).all(axis=1)
    span = read.days[known]
    return Causality(
        verdict=verdict,
        reason=reason,
        evidence=tuple(evidence),
        ties=tied,
        responses=_responses(read, sessions, shared),
        lacking=read.lacking,
        assets=read.assets,
        first=span[0],
        last=span[-1],
    )


def _forward(read: Drivers, shared: np.ndarray, resamples: int, seed: int) -> list[Evidence]:
    alone = block_tests(read.target, read.small, read.own, resamples=resamples, seed=seed)
    found = _family(FORWARD, alone, controlled=False)
    if not read.controls:
        return found
    beside = np.column_stack([read.own, shared])
    held = block_tests(read.target, read.small, beside, resamples=resamples, seed=seed)
    agree = {n: agreement(read.small[n], alone[n].coefficients, held[n].coefficients) for n in held}
    found += _family(FORWARD, held, controlled=True, agree=agree)
    drive = block_tests(read.target, read.controls, read.own, resamples=resamples, seed=seed)
    found += _family(DRIVERS, drive, controlled=False)
    beside = np.column_stack([read.own, _beside(read.small, len(read.days))])
    kept = block_tests(read.target, read.controls, beside, resamples=resamples, seed=seed)
    agree = {
        n: agreement(read.controls[n], drive[n].coefficients, kept[n].coefficients) for n in kept
    }
    return found + _family(DRIVERS, kept, controlled=True, agree=agree)


def _backward(
    read: Drivers, sessions: Sessions, shared: np.ndarray, resamples: int, seed: int
) -> list[Evidence]:
    target = deviations(sessions.open_to_close)
    if not np.isfinite(target).any():
        return []
    eve = _eves(read, sessions)
    target = np.where(eve >= 0, target, np.nan)
    past, own = {CRYPTO: read.own[eve]}, read.small[SMALL_RETURNS][eve]
    alone = block_tests(target, past, own, resamples=resamples, seed=seed)
    found = _family(BACKWARD, alone, controlled=False)
    if not read.controls:
        return found
    beside = np.column_stack([own, shared[eve]])
    held = block_tests(target, past, beside, resamples=resamples, seed=seed)
    agree = {n: agreement(past[n], alone[n].coefficients, held[n].coefficients) for n in held}
    return found + _family(BACKWARD, held, controlled=True, agree=agree)


def _family(
    direction: str,
    tests: Mapping[str, BlockTest],
    *,
    controlled: bool,
    agree: Mapping[str, float] | None = None,
) -> list[Evidence]:
    corrected = holm([test.p_value for test in tests.values()])
    return [
        Evidence(
            direction=direction,
            block=name,
            controlled=controlled,
            p_value=test.p_value,
            p_corrected=float(p),
            partial_r2=test.partial_r2,
            lower=test.lower,
            upper=test.upper,
            agreement=float("nan") if agree is None else agree[name],
            statistic=test.statistic,
            df=test.df,
            n=test.n,
        )
        for (name, test), p in zip(tests.items(), corrected, strict=True)
    ]


def _responses(read: Drivers, sessions: Sessions, shared: np.ndarray) -> tuple[Response, ...]:
    """Project both sides, alone and with the drivers held (shock and drivers of the same time)."""
    eve, own_day = _eves(read, sessions), _eves(read, sessions, lag_days=0)
    small = read.small[SMALL_RETURNS]
    usual = PER_CENT * float(np.nanmedian(read.volatility))
    bars = np.nancumsum(np.append(0.0, read.target)) * usual
    ahead = np.stack([_ahead(bars, own_day, step, read.target) for step in STEPS], axis=1)
    forward_given = np.column_stack([read.own[own_day], small[eve][:, 1:]])
    found = [
        project(FORWARD, _rows(small[:, 0], own_day), ahead, given, STEPS, controlled=held)
        for held, given in (
            (False, forward_given),
            (True, np.column_stack([forward_given, shared[own_day]])),
        )
        if read.controls or not held
    ]
    if not np.isfinite(sessions.open_to_close).any():
        return tuple(found)
    scale = PER_CENT * float(np.nanstd(sessions.close_to_close))
    first, whole = (deviations(x) for x in (sessions.open_to_close, sessions.close_to_close))
    total = np.nancumsum(np.append(0.0, whole))
    back = np.full((len(first), len(STEPS)), np.nan)
    for place, step in enumerate(STEPS):
        rows = np.arange(len(first) - step + 1)
        back[rows, place] = (first[rows] + total[rows + step] - total[rows + 1]) * scale
    back_given = np.column_stack([small[eve], read.own[eve][:, 1:]])
    found += [
        project(BACKWARD, _rows(read.own[:, 0], eve), back, given, STEPS, controlled=held)
        for held, given in (
            (False, back_given),
            (True, np.column_stack([back_given, shared[eve]])),
        )
        if read.controls or not held
    ]
    return tuple(found)


def _eves(read: Drivers, sessions: Sessions, *, lag_days: int = -1) -> np.ndarray:
    """Return (m,) rows of the days before sessions (or of their own); -1 where there is none."""
    first = read.days[0].to_datetime64().astype("datetime64[D]")
    place = (sessions.dates - first).astype("int64") + lag_days
    rows: np.ndarray = np.where((place >= 0) & (place < len(read.days)), place, -1)
    return rows


def _rows(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    taken: np.ndarray = np.where(place >= 0, values[place], np.nan)
    return taken


def _ahead(total: np.ndarray, place: np.ndarray, step: int, target: np.ndarray) -> np.ndarray:
    """Return (m,) sums of the next ``step`` days from each place; NaN beyond the last or first."""
    known = np.flatnonzero(np.isfinite(target))
    inside = (place >= known[0]) & (place + step <= known[-1] + 1)
    at = np.where(inside, place, 0)
    summed: np.ndarray = np.where(inside, total[at + step * inside] - total[at], np.nan)
    return summed


def _beside(blocks: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
    return np.column_stack([np.empty((rows, 0)), *blocks.values()])


def figure(result: Causality) -> Figure:
    """Draw every test's share of variance with its interval, and the local projections."""
    from training.study.causality_figure import draw

    return draw(result)
