"""What the studies of lead, cause and increment say of the claims, and their figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any

from scipy import stats

from sources.errors import DataUnavailableError, InsufficientHistoryError
from sources.market import Market
from training.study import (
    availability,
    causality,
    conditional,
    incremental,
    leadlag,
    placebo,
)
from training.study.cells import Cell, Finding
from training.study.claims import Claim, ClaimLedger
from training.study.drivers import read_drivers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAD, CAUSE, ADDED, PLACEBO = "who leads", "cause or common driver", "what adds", "placebos"
CONDITION, DELAY = "conditions", "availability"
STUDIES = (LEAD, CAUSE, ADDED, PLACEBO, CONDITION, DELAY)
QUANTILE_90 = 1.645
"""Half-width of a 90 % interval, in deviations."""
SIGNIFICANT = 0.05

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Causes:
    """Results of the studies of cause.

    Attributes
    ----------
    found : name of the study -> its result.
    missing : name -> why there is none.
    """

    found: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    def figures(self, claim: Claim | None) -> list[tuple[str, Figure]]:
        """Return words and figures that speak for a claim; for none, of those left over."""
        wanted = OTHERS if claim is None else SPEAKS_FOR.get(claim.kind, ())
        return [(name, DRAW[name](self.found[name])) for name in wanted if name in self.found]


SPEAKS_FOR: Mapping[str, tuple[str, ...]] = {
    "incremental": (ADDED, PLACEBO),
    "lead_lag": (LEAD,),
    "causality": (CAUSE,),
}
OTHERS: tuple[str, ...] = (CONDITION, DELAY)
DRAW: Mapping[str, Callable[[Any], Figure]] = {
    LEAD: leadlag.figure,
    CAUSE: causality.figure,
    ADDED: incremental.figure,
    PLACEBO: placebo.figure,
    CONDITION: conditional.figure,
    DELAY: availability.figure,
}


def study_causes(
    market: Market, tell: Progress, *, wanted: Sequence[str] = STUDIES, seed: int = 0
) -> Causes:
    """Make each study of cause that is wanted and that the market has series and days for."""
    found: dict[str, Any] = {}
    missing: dict[str, str] = {}
    try:
        drivers = read_drivers(market)
    except (DataUnavailableError, InsufficientHistoryError) as error:
        for name in wanted:
            tell(name)
        return Causes(missing=dict.fromkeys(wanted, str(error)))
    studies: Mapping[str, Callable[[], Any]] = {
        LEAD: lambda: leadlag.measure_lead_lag(market, seed=seed),
        CAUSE: lambda: causality.find_cause(market, drivers=drivers, seed=seed),
        ADDED: lambda: incremental.measure_increments(market, drivers=drivers, seed=seed),
        PLACEBO: lambda: placebo.rank_placebos(market, drivers=drivers, seed=seed),
        CONDITION: lambda: conditional.compare_conditions(market, seed=seed),
        DELAY: lambda: availability.measure_availability(market, seed=seed),
    }
    for name in wanted:
        try:
            found[name] = studies[name]()
        except (DataUnavailableError, InsufficientHistoryError) as error:
            missing[name] = str(error)
        tell(name)
    return Causes(found, missing)


def testify(causes: Causes, claim: Claim, cell: Cell, ledger: ClaimLedger) -> Finding:
    """Return what the studies say of one cell of a claim about all days."""
    level = ledger.alpha * cell.weight
    name = SPEAKS_FOR[claim.kind][0]
    if name not in causes.found:
        why = causes.missing.get(name, "the studies of cause were left out")
        return Finding(reason=f"not testable here: {why}", level=level)
    asks: Mapping[str, Callable[[Any, Claim, Cell], _Told | None]] = {
        "incremental": _added,
        "lead_lag": _lead,
        "causality": _cause,
    }
    found = asks[claim.kind](causes.found[name], claim, cell)
    if found is None:
        return Finding(reason=f"not testable here: {name} has no {cell}", level=level)
    return _weighed(found, claim, level, ledger.power)


@dataclass(frozen=True)
class _Told:
    """An effect with its error, as a study tells it."""

    effect: float
    lower: float
    upper: float
    p: float
    n: float
    checks: Mapping[str, float]


def _weighed(told: _Told, claim: Claim, level: float, power: float) -> Finding:
    """Turn a 90 % interval into a 95 % one, a bound, and what could have been found."""
    error = (told.upper - told.lower) / (2 * QUANTILE_90)
    if not (isfinite(error) and error > 0):
        return Finding(
            effect=told.effect, p=told.p, n=told.n, level=level, checks=dict(told.checks)
        )
    reach = float(stats.norm.isf(level) + stats.norm.ppf(power)) * error
    return Finding(
        effect=told.effect,
        lower=told.effect - 1.96 * error,
        upper=told.effect + 1.96 * error,
        observed=told.effect,
        base=0.0,
        p=told.p,
        p_refute=float(stats.norm.cdf((told.effect - claim.asserted) / error)),
        n=told.n,
        level=level,
        least_detectable=reach,
        power=float(stats.norm.sf(stats.norm.isf(level) - claim.asserted / error)),
        needed=float(ceil(told.n * (reach / claim.asserted) ** 2)),
        checks=dict(told.checks),
    )


def _added(result: incremental.Incremental, claim: Claim, cell: Cell) -> _Told | None:
    del claim
    own, money, small = incremental.OWN, incremental.LIQUIDITY, incremental.SMALL
    asked = {
        (q.added, q.given): q
        for q in result.questions
        if (q.asset, q.horizon_days) == (cell.target, cell.horizon_days)
    }
    liquidity, caps = asked.get((money, (own, small))), asked.get((small, (own, money)))
    if liquidity is None or caps is None:
        return None
    gain = liquidity.increment
    # The claim has two halves; where small caps add something, the other half is lost.
    p = 1.0 if caps.p_corrected < SIGNIFICANT else gain.p_value
    checks = {"small_caps_r2": caps.increment.r2, "small_caps_p": caps.p_corrected}
    return _Told(gain.r2, gain.lower, gain.upper, p, gain.effective_n, checks)


def _lead(result: leadlag.LeadLag, claim: Claim, cell: Cell) -> _Told | None:
    del claim
    for profile in result.profiles:
        if profile.asset == cell.target and profile.step == "day":
            for lead in profile.leads:
                if lead.side == "crypto follows" and lead.window == cell.horizon_days:
                    half = lead.p_value / 2
                    p = half if lead.total > 0 else 1 - half
                    checks = {"p_lags": profile.p_lags, "strongest_lag": profile.strongest_lag}
                    return _Told(lead.total, lead.lower, lead.upper, p, float(profile.n), checks)
    return None


def _cause(result: causality.Causality, claim: Claim, cell: Cell) -> _Told | None:
    del claim, cell
    tests = [e for e in result.evidence if e.direction == causality.FORWARD and e.controlled]
    if not tests:
        return None
    largest = max(tests, key=lambda e: e.partial_r2)
    p = min(e.p_corrected for e in tests)
    checks = {f"p {e.block}": e.p_corrected for e in tests}
    return _Told(largest.partial_r2, largest.lower, largest.upper, p, float(largest.n), checks)


SENTENCES: Mapping[str, str] = {
    "small caps lead": "small caps help to forecast crypto even beside the common drivers",
    "crypto leads": "it is crypto that helps to forecast small caps, not the other way round",
    "common driver": "what one foretells of the other is told by drivers that both share",
    "none": "neither helps to forecast the other",
    "undetermined": "whether one leads or a common driver moves both, these data do not settle",
}


def sentence(causes: Causes) -> str:
    """Return who leads, as the end of a sentence."""
    found = causes.found.get(CAUSE)
    if found is None:
        return "who leads, or what drives both, could not be studied here"
    return SENTENCES.get(found.verdict, str(found.verdict))
