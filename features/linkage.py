"""The asset beside others: Bitcoin, and the small caps it is said to follow."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features import windows
from features.crypto import ASSET, clean_steps, daily, unjumped
from features.highs import INDEX
from features.momentum import SMALL
from features.quotes import (
    COIN_JUMP,
    JUMP,
    log_price,
    log_returns,
    quoted_price,
    steps,
    unbroken,
)
from features.registry import REGISTRY, Feature, Role, Tables

BITCOIN = Role("bitcoin", "prices", ("BTC",))
YEAR = 252

SHARED = "missing until the window is full of sessions that both have, and over a jump"


@REGISTRY.group(
    "relative_to_bitcoin",
    block="crypto",
    roles=[ASSET, BITCOIN],
    scaling="invariant",
    missing="missing until the window is full of days that both have; 0, or 1, for BTC itself",
    features=[
        *(
            Feature(f"relative_return_{k}d", f"{k}-day log return minus that of BTC", "1", k + 1,
                    parameters={"window": k})
            for k in (5, 20, 60, 120)
        ),
        Feature("bitcoin_correlation_60d", "correlation of daily returns with BTC's, 60 days",
                "1", 61),
        Feature("bitcoin_beta_60d", "slope of daily returns on BTC's, 60 days", "1", 61),
    ],
)  # fmt: skip
def relative_to_bitcoin(tables: Tables) -> pd.DataFrame:
    """Build the strength of an altcoin against Bitcoin, and how it moves with it."""
    observed = tables["asset"].index
    asset, bitcoin = daily(tables["asset"]), daily(tables["bitcoin"])
    ratio = asset - bitcoin
    calm = np.minimum(unjumped(asset), unjumped(bitcoin).reindex(asset.index, fill_value=0))
    built = {
        f"relative_return_{k}d": windows.only(ratio.diff(k), calm >= k) for k in (5, 20, 60, 120)
    }
    pair = clean_steps(asset), clean_steps(bitcoin)
    built["bitcoin_correlation_60d"], built["bitcoin_beta_60d"] = windows.linked(*pair, 60)
    return windows.side_by_side(built).loc[observed]


@REGISTRY.group(
    "linked_to_small_caps",
    block="crypto",
    roles=[ASSET, SMALL],
    scaling="invariant",
    missing=SHARED,
    features=[
        *(
            Feature(f"small_correlation_{k}s",
                    f"correlation of session returns with small caps', {k} sessions", "1", k + 1,
                    parameters={"window": k})
            for k in (60, 120)
        ),
        *(
            Feature(f"small_beta_{k}s",
                    f"slope of session returns on small caps', {k} sessions", "1", k + 1,
                    parameters={"window": k})
            for k in (60, 120)
        ),
        *(
            Feature(
                f"divergence_{k}s",
                f"{k}-session return of small caps minus the asset's, each over its 120-session "
                f"volatility x root {k}",
                "1",
                121,
                parameters={"window": k},
            )
            for k in (20, 60)
        ),
    ],
)  # fmt: skip
def linked_to_small_caps(tables: Tables) -> pd.DataFrame:
    """Build how the asset moves with small caps, and how far it has lagged them."""
    quoted = quoted_price(tables["asset"])
    own = windows.logarithm(quoted)
    small, small_step = log_price(tables["small"]), steps(tables["small"])
    # From session to session, weekends included, so that both cover the same time.
    own_step = clean_steps(own)
    built: dict[str, pd.Series] = {}
    for k in (60, 120):
        together = windows.linked(own_step, small_step, k)
        built[f"small_correlation_{k}s"], built[f"small_beta_{k}s"] = together
    ours, theirs = windows.deviation(own_step, 120), windows.deviation(small_step, 120)
    returns = log_returns(small, small_step, (20, 60))
    calm = unjumped(own)
    for k in (20, 60):
        gap = returns[k] / theirs - windows.only(own.diff(k), calm >= k) / ours
        built[f"divergence_{k}s"] = gap / np.sqrt(k)
    return windows.side_by_side(built)


@REGISTRY.group(
    "divergence_at_highs",
    block="crypto",
    roles=[ASSET, INDEX],
    scaling="invariant",
    missing=SHARED,
    features=[
        Feature("high_gap_252s", "small caps' close / 252-session maximum minus the asset's", "1",
                YEAR),
        Feature("high_alone_252s", "1 where small caps are within 2 % of their 252-session maximum "
                "and the asset is more than 10 % below its own", "0/1", YEAR,
                parameters={"near": 0.98, "far": 0.9}),
    ],
)  # fmt: skip
def divergence_at_highs(tables: Tables) -> pd.DataFrame:
    """Build whether small caps stand at their high while the asset does not."""
    nearness: list[pd.Series] = []
    for role, jump in (("index", JUMP), ("asset", COIN_JUMP)):
        price = quoted_price(tables[role])
        log = windows.logarithm(price)
        intact = unbroken(log, YEAR, jump)
        nearness.append(windows.only(price / windows.highest(price, YEAR), intact))
    small, own = nearness
    alone = ((small >= 0.98) & (own < 0.9)).astype("float64")
    return windows.side_by_side(
        {
            "high_gap_252s": small - own,
            "high_alone_252s": alone.where(small.notna() & own.notna()),
        }
    )
