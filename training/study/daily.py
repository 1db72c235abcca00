"""Claims about all days rather than events: how close together, and what a gap foretells."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from features.clock import as_known
from features.quotes import unsplit_price
from sources.market import Market, known_at
from training.bootstrap import StationaryBootstrap
from training.study.cells import Cell, Finding
from training.study.claims import Claim, ClaimLedger
from training.study.outcomes import Outcomes, forward
from training.study.power import events_needed

RESAMPLES = 2000
GAP_DAYS = 87
"""60 sessions."""
YEAR_DAYS = 365


def synchrony(
    market: Market, outcomes: Outcomes, claim: Claim, cell: Cell, ledger: ClaimLedger
) -> Finding:
    """Correlate the returns of an index and a target over the same sessions.

    The index closes three or four hours before the coin's day does. Returns over more than a
    session overlap; blocks of the bootstrap are four such spans long, and at least 20 sessions.
    """
    test_level = ledger.alpha * cell.weight
    pair = session_returns(market, outcomes, cell.index, cell.target, cell.horizon_days)
    if pair is None or len(pair[0]) < claim.least_sample:
        reason = f"not testable here: needs {claim.least_sample} sessions of both series"
        return Finding(reason=reason, level=test_level, n=0 if pair is None else len(pair[0]))
    x, y, _ = pair
    seen, draws = bootstrap_correlation(x, y, block=max(4.0 * cell.horizon_days, 20.0))
    # On Fisher's scale the resamples are close to normal, so their deviation is enough.
    error = float(np.arctanh(draws).std())
    centre, bound = float(np.arctanh(seen)), float(np.arctanh(claim.asserted))
    low, high = np.tanh([centre - 1.96 * error, centre + 1.96 * error])
    reach = stats.norm.isf(test_level) + stats.norm.ppf(ledger.power)
    return Finding(
        effect=seen,
        lower=float(low),
        upper=float(high),
        observed=seen,
        base=claim.asserted,
        p=float(stats.norm.sf((centre - bound) / error)),
        p_refute=float(stats.norm.cdf((centre - bound) / error)),
        n=float(min(len(x), 1 / error**2 + 3)),
        level=test_level,
        least_detectable=float(np.tanh(bound + reach * error)),
        power=float("nan"),
        needed=float("nan"),
        checks={"sessions": float(len(x))},
    )


def session_returns(
    market: Market, outcomes: Outcomes, index: str, target: str, sessions: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return log returns of index and target over the same sessions, and the days they end on.

    Returns
    -------
    Three (n,) arrays, or None where a series is missing.
    """
    table, level = market.prices.get(index), outcomes.level(target)
    if table is None or level is None or table.empty:
        return None
    known = known_at(table, table["available_at"].max()).set_index("date")
    price = np.log(unsplit_price(known))
    coin = pd.Series(level, outcomes.days).reindex(pd.DatetimeIndex(price.index))
    both = pd.DataFrame({"index": price, "coin": coin}).diff(sessions).dropna()
    days = pd.DatetimeIndex(both.index).to_numpy("datetime64[D]")
    return both["index"].to_numpy(), both["coin"].to_numpy(), days


def bootstrap_correlation(
    x: np.ndarray, y: np.ndarray, *, block: float, seed: int = 0
) -> tuple[float, np.ndarray]:
    """Return the correlation of two series, and that of stationary-bootstrap resamples."""
    columns = np.column_stack([x, y, x * x, y * y, x * y])
    means = StationaryBootstrap(
        len(x), block_length=min(block, len(x) / 4), resamples=RESAMPLES, seed=seed
    ).means(columns)
    draws = _correlation(means)
    return float(_correlation(columns.mean(axis=0)[None, :])[0]), draws


def _correlation(m: np.ndarray) -> np.ndarray:
    spread = (m[:, 2] - m[:, 0] ** 2) * (m[:, 3] - m[:, 1] ** 2)
    found: np.ndarray = (m[:, 4] - m[:, 0] * m[:, 1]) / np.sqrt(spread)
    return found


def gap(market: Market, outcomes: Outcomes, index: str, target: str) -> np.ndarray | None:
    """Return (n,) how far the index is ahead of the target, in deviations, known at T(d).

    The return of each over 60 sessions (87 days), less its mean of the last year and over its
    deviation then; the index's less the target's.
    """
    table, level = market.prices.get(index), outcomes.level(target)
    if table is None or level is None or table.empty:
        return None
    known, _ = as_known(table, outcomes.days)
    sides = []
    for price in (np.log(unsplit_price(known)), pd.Series(level, outcomes.days)):
        change = price.diff(GAP_DAYS)
        past = change.rolling(YEAR_DAYS, min_periods=YEAR_DAYS - 30)
        sides.append((change - past.mean()) / past.std())
    return (sides[0] - sides[1]).to_numpy()


def divergence(
    market: Market, outcomes: Outcomes, claim: Claim, cell: Cell, ledger: ClaimLedger
) -> Finding:
    """Compare what follows days on which the index is far ahead and far behind."""
    test_level = ledger.alpha * cell.weight
    apart = gap(market, outcomes, cell.index, cell.target)
    level = outcomes.level(cell.target)
    bound = claim.threshold or 0.0
    if apart is None or level is None:
        return Finding(
            reason=f"not testable here: needs prices/{cell.index} and prices/{cell.target}",
            level=test_level,
        )
    ahead = forward(level, cell.horizon_days)
    known = ~np.isnan(ahead) & ~np.isnan(apart)
    outcome, side = ahead[known], apart[known]
    above, below = side > bound, side < -bound
    spells = _spells(above) + _spells(below)
    if min(above.sum(), below.sum()) < claim.least_sample:
        found = f"{above.sum()} and {below.sum()}"
        return Finding(
            reason=f"needs {claim.least_sample} days on either side; found {found}",
            level=test_level, n=float(spells),
        )  # fmt: skip
    # A side is known before the days that follow it, so outcomes that do not overlap are
    # independent of each other given the sides: each counts for a horizon of days. Blocks
    # resampled from spells that last for months would make the error a fifth too small.
    effect = float(outcome[above].mean() - outcome[below].mean())
    counts = np.array([above.sum(), below.sum()]) / cell.horizon_days
    error = float(np.sqrt(outcome[above].var() / counts[0] + outcome[below].var() / counts[1]))
    law = stats.t(max(float(counts.sum()) - 2, 1))
    wide = float(law.isf(0.025)) * error
    sign = claim.expected_sign or 1
    reach = float(law.isf(test_level) + law.ppf(ledger.power))
    effective = float(counts.sum())
    return Finding(
        effect=effect,
        lower=effect - wide,
        upper=effect + wide,
        observed=float(outcome[above].mean()),
        base=float(outcome[below].mean()),
        p=float(law.sf(sign * effect / error)),
        p_refute=float(law.cdf((sign * effect - claim.asserted) / error)),
        n=effective,
        level=test_level,
        least_detectable=reach * error,
        power=float(law.sf(law.isf(test_level) - claim.asserted / error)),
        needed=events_needed(
            error * np.sqrt(effective), claim.asserted, test_level, ledger.power
        ),
        checks={"days_ahead": float(above.sum()), "days_behind": float(below.sum()),
                "spells": float(spells)},
    )  # fmt: skip


def _spells(flag: np.ndarray) -> int:
    return int((flag[1:] & ~flag[:-1]).sum() + (flag[0] if len(flag) else 0))
