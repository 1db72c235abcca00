"""Liquidity and policy: what the central bank adds, what money costs, what credit asks.

Series come weekly and daily, on their own days; each day takes every one as it
was known at that day's end (``clock="days"``).
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from features import windows
from features.momentum import BROKEN
from features.quotes import log_price, log_returns, steps
from features.registry import REGISTRY, Feature, Role, Tables

MILLION_PER_TRILLION = 1e6
BILLION_PER_TRILLION = 1e3
QUARTER, HALF, YEAR = 91, 182, 364
"""Days, whole weeks each, so that a weekly series is compared on the same weekday."""

TOO_OLD = "missing until the window is full, and where a figure is more than 14 days old"
NET = "Federal Reserve H.4.1 (WALCL, WTREGEN) and New York Fed (RRPONTSYD)"


def _macro(name: str, *series: str) -> Role:
    return Role(name, "macro", series)


@REGISTRY.group(
    "net_liquidity",
    block="liquidity",
    clock="days",
    roles=[_macro("assets", "WALCL"), _macro("treasury", "WTREGEN"), _macro("repo", "RRPONTSYD")],
    missing=TOO_OLD,
    reference=NET,
    features=[
        Feature(
            "net_liquidity",
            "WALCL/1e6 - WTREGEN/1e6 - RRPONTSYD/1e3 (USD million, million, billion)",
            "USD trillion",
            1,
            "linear",
        ),
        *(
            Feature(
                f"net_liquidity_change_{k}d", f"log change of net liquidity over {k} days", "1",
                k + 1, "invariant", {"window": k},
            )
            for k in (28, QUARTER, HALF, YEAR)
        ),
        Feature(
            "net_liquidity_zscore_364d", "91-day change against its own last 364 days", "1",
            QUARTER + YEAR, "invariant", {"window": QUARTER, "history": YEAR},
        ),
        Feature(
            "fed_assets_change_91d", "log change of WALCL over 91 days", "1", QUARTER + 1,
            "invariant", {"window": QUARTER},
        ),
    ],
)  # fmt: skip
def net_liquidity(tables: Tables) -> pd.DataFrame:
    """Build net liquidity and its changes, in trillions of dollars throughout."""
    assets = tables["assets"]["value"] / MILLION_PER_TRILLION
    treasury = tables["treasury"]["value"] / MILLION_PER_TRILLION
    repo = tables["repo"]["value"] / BILLION_PER_TRILLION
    net = assets - treasury - repo
    log = windows.logarithm(net)
    built = {"net_liquidity": net}
    built |= {f"net_liquidity_change_{k}d": log.diff(k) for k in (28, QUARTER, HALF, YEAR)}
    built["net_liquidity_zscore_364d"] = windows.zscore(log.diff(QUARTER), YEAR)
    built["fed_assets_change_91d"] = windows.logarithm(assets).diff(QUARTER)
    return windows.side_by_side(built)


def _rate(group: str, series: Sequence[str], words: str, lengths: Sequence[int]) -> None:
    """Register the level of a rate in percent, and its changes in percentage points."""

    @REGISTRY.group(
        group,
        block="liquidity",
        clock="days",
        roles=[_macro("rate", *series)],
        scaling="linear",
        missing=TOO_OLD,
        features=[
            Feature(f"{group}_level", words, "%", 1),
            *(
                Feature(
                    f"{group}_change_{k}d", f"change of the {words}, {k} days",
                    "percentage points", k + 1, parameters={"window": k},
                )
                for k in lengths
            ),
        ],
    )  # fmt: skip
    def build(tables: Tables) -> pd.DataFrame:
        rate = tables["rate"]["value"]
        built = {f"{group}_level": rate}
        return windows.side_by_side(built | {f"{group}_change_{k}d": rate.diff(k) for k in lengths})


_rate("rate_10y", ["DGS10"], "10-year Treasury yield", (28, QUARTER))
_rate("rate_2y", ["DGS2"], "2-year Treasury yield", (28, QUARTER))
_rate("curve", ["T10Y2Y"], "10-year minus 2-year yield", (28, QUARTER))
_rate("breakeven", ["T10YIE"], "10-year breakeven inflation", (28, QUARTER))
_rate("policy_rate", ["EFFR", "DFF", "FEDFUNDS"], "effective federal funds rate", (QUARTER, HALF))


@REGISTRY.group(
    "policy_direction",
    block="liquidity",
    clock="days",
    roles=[_macro("policy", "EFFR", "DFF"), _macro("two_year", "DGS2")],
    missing=TOO_OLD,
    features=[
        Feature(
            "policy_direction", "(rate now - rate 91 days ago) / (sum of both), in [-1, 1]",
            "1", QUARTER + 1, "invariant", {"window": QUARTER},
        ),
        Feature("policy_expected", "2-year yield minus the policy rate", "percentage points", 1,
                "linear"),
    ],
)  # fmt: skip
def policy_direction(tables: Tables) -> pd.DataFrame:
    """Build where policy went, and where the two-year yield says it goes."""
    policy = tables["policy"]["value"]
    size = policy.abs() + policy.abs().shift(QUARTER)
    direction = policy.diff(QUARTER) / size.where(size > 0)
    expected = tables["two_year"]["value"] - policy
    return windows.side_by_side({"policy_direction": direction, "policy_expected": expected})


@REGISTRY.group(
    "dollar",
    block="liquidity",
    clock="days",
    roles=[_macro("dollar", "DTWEXBGS")],
    scaling="invariant",
    missing=TOO_OLD,
    features=[
        Feature(f"dollar_change_{k}d", f"log change of the broad dollar index, {k} days", "1",
                k + 1, parameters={"window": k})
        for k in (28, QUARTER, HALF)
    ],
)  # fmt: skip
def dollar(tables: Tables) -> pd.DataFrame:
    """Build the changes of the broad dollar index."""
    value = tables["dollar"]["value"]
    log = windows.logarithm(value)
    return windows.side_by_side({f"dollar_change_{k}d": log.diff(k) for k in (28, QUARTER, HALF)})


@REGISTRY.group(
    "volatility_index",
    block="liquidity",
    clock="days",
    roles=[_macro("vix", "VIXCLS")],
    missing=TOO_OLD,
    reference="Whaley (2009), Understanding the VIX",
    features=[
        Feature("vix_log", "log of the VIX", "log of % a year", 1, "logarithmic"),
        *(
            Feature(f"vix_change_{k}d", f"log change of the VIX, {k} days", "1", k + 1,
                    "invariant", {"window": k})
            for k in (7, 28)
        ),
        Feature("vix_zscore_364d", "log VIX against its own last 364 days", "1", YEAR,
                "invariant", {"window": YEAR}),
    ],
)  # fmt: skip
def volatility_index(tables: Tables) -> pd.DataFrame:
    """Build level, changes and z-score of the VIX."""
    log = windows.logarithm(tables["vix"]["value"])
    built = {"vix_log": log, "vix_zscore_364d": windows.zscore(log, YEAR)}
    return windows.side_by_side(built | {f"vix_change_{k}d": log.diff(k) for k in (7, 28)})


@REGISTRY.group(
    "volatility_term",
    block="liquidity",
    clock="days",
    roles=[_macro("vix", "VIXCLS"), _macro("three_month", "VXVCLS")],
    missing=TOO_OLD,
    features=[
        Feature("vix_term", "log of the VIX over the 3-month VIX; above 0 under stress", "1", 1,
                "invariant")
    ],
)  # fmt: skip
def volatility_term(tables: Tables) -> pd.DataFrame:
    """Build the slope of the volatility term structure."""
    slope = windows.logarithm(tables["vix"]["value"]) - windows.logarithm(
        tables["three_month"]["value"]
    )
    return windows.side_by_side({"vix_term": slope})


@REGISTRY.group(
    "credit",
    block="liquidity",
    roles=[Role("high_yield", "prices", ("HYG", "JNK")), Role("grade", "prices", ("LQD",))],
    scaling="invariant",
    missing=BROKEN,
    reference="Gilchrist, Zakrajsek (2012), Credit spreads and business cycle fluctuations",
    features=[
        *(
            Feature(f"credit_{k}s", f"{k}-session log return, high yield minus investment grade",
                    "1", k + 1, parameters={"window": k})
            for k in (5, 20, 60, 120)
        ),
        Feature("credit_drawdown_252s", "log ratio of the two minus its 252-session maximum", "1",
                252),
    ],
)  # fmt: skip
def credit(tables: Tables) -> pd.DataFrame:
    """Build the strength of risky against safe credit."""
    ratio = log_price(tables["high_yield"]) - log_price(tables["grade"])
    step = steps(tables["high_yield"]) - steps(tables["grade"])
    returns = log_returns(ratio, step, (5, 20, 60, 120))
    built = {f"credit_{k}s": found for k, found in returns.items()}
    built["credit_drawdown_252s"] = (ratio - windows.highest(ratio, 252)).where(
        windows.total(step, 251).notna()
    )
    return windows.side_by_side(built)
