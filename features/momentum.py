"""Small-cap momentum: returns, trend, and strength against large caps, Nasdaq and by style."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features import windows
from features.quotes import log_price, log_returns, steps, unbroken
from features.registry import REGISTRY, Feature, Role, Tables

SMALL = Role("small", "prices", ("IWM", "RUT", "IJR", "IWN"))
LARGE = Role("large", "prices", ("SPY", "GSPC"))
SMALL_INDEX = Role("small", "prices", ("RUT",))
LARGE_INDEX = Role("large", "prices", ("GSPC",))
NASDAQ = Role("large", "prices", ("QQQ",))
VALUE = Role("value", "prices", ("IWN",))
GROWTH = Role("growth", "prices", ("IWO",))
EQUAL = Role("equal", "prices", ("RSP",))
CAP = Role("cap", "prices", ("SPY",))

RETURN_WINDOWS = (5, 20, 60, 120, 252)
MONTH, YEAR = 21, 252

MOSKOWITZ = "Moskowitz, Ooi, Pedersen (2012), Time series momentum"
JEGADEESH = "Jegadeesh, Titman (1993), Returns to buying winners and selling losers"
BROKEN = "missing until the window is full, and while it spans an unexplained jump of the price"


@REGISTRY.group(
    "small_cap_momentum",
    block="momentum",
    roles=[SMALL],
    scaling="invariant",
    missing=BROKEN,
    features=[
        *(
            Feature(
                f"small_return_{k}s",
                f"log return over {k} sessions",
                "1",
                k + 1,
                parameters={"window": k},
                reference=MOSKOWITZ,
            )
            for k in RETURN_WINDOWS
        ),
        Feature("small_volatility_20s", "deviation of daily log returns, 20 sessions", "1", 21),
        Feature(
            "small_scaled_return_60s",
            "60-session return / (volatility x root 60)",
            "1",
            61,
            reference=MOSKOWITZ,
        ),
        Feature("small_mean_distance_200s", "log price minus its 200-session mean", "1", 200),
        Feature(
            "small_return_12_1",
            "log return over 252 sessions, without the last 21",
            "1",
            YEAR + 1,
            parameters={"window": YEAR, "skip": MONTH},
            reference=JEGADEESH,
        ),
        *(
            Feature(
                f"small_scaled_return_{k}s",
                f"{k}-session return / (volatility of those sessions x root {k})",
                "1",
                k + 1,
                parameters={"window": k},
                reference=MOSKOWITZ,
            )
            for k in (20, 252)
        ),
        Feature("small_mean_distance_50s", "log price minus its 50-session mean", "1", 50),
        Feature("small_volatility_60s", "deviation of daily log returns, 60 sessions", "1", 61),
        Feature(
            "small_volatility_change", "log of 20-session over 120-session volatility", "1", 121
        ),
        *(
            Feature(
                f"small_trend_{k}s",
                f"correlation of log price with time, {k} sessions",
                "1",
                k,
                parameters={"window": k},
            )
            for k in (60, 252)
        ),
    ],
)
def small_cap_momentum(tables: Tables) -> pd.DataFrame:
    """Build trend and volatility of the small-cap fund."""
    price, step = log_price(tables["small"]), steps(tables["small"])
    returns = log_returns(price, step, (*RETURN_WINDOWS, MONTH))
    built = {f"small_return_{k}s": returns[k] for k in RETURN_WINDOWS}
    for k in (20, 60):
        built[f"small_volatility_{k}s"] = windows.spread(step, k)
    for k in (20, 60, 252):
        built[f"small_scaled_return_{k}s"] = returns[k] / (windows.deviation(step, k) * np.sqrt(k))
    for k in (50, 200):
        whole = unbroken(price, k)
        built[f"small_mean_distance_{k}s"] = (price - windows.mean(price, k)).where(whole)
    built["small_return_12_1"] = returns[YEAR] - returns[MONTH]
    short, long = windows.deviation(step, 20), windows.deviation(step, 120)
    built["small_volatility_change"] = windows.logarithm(short) - windows.logarithm(long)
    for k in (60, 252):
        built[f"small_trend_{k}s"] = windows.trend(price, k).where(unbroken(price, k))
    return windows.side_by_side(built)


def _difference(
    group: str,
    one: Role,
    other: Role,
    lengths: tuple[int, ...],
    words: str,
    reference: str = "",
) -> None:
    """Register the returns of one price minus those of another, over some windows."""

    @REGISTRY.group(
        group,
        block="momentum",
        roles=[one, other],
        scaling="invariant",
        missing=BROKEN,
        reference=reference,
        features=[
            Feature(
                f"{group}_{k}s", f"{k}-session log return, {words}", "1", k + 1,
                parameters={"window": k},
            )
            for k in lengths
        ],
    )  # fmt: skip
    def build(tables: Tables) -> pd.DataFrame:
        ratio = log_price(tables[one.name]) - log_price(tables[other.name])
        step = steps(tables[one.name]) - steps(tables[other.name])
        returns = log_returns(ratio, step, lengths)
        return windows.side_by_side({f"{group}_{k}s": returns[k] for k in lengths})


SIZE = "Banz (1981), The relationship between return and market value"
VALUE_PAPER = "Fama, French (1993), Common risk factors in the returns on stocks and bonds"

_difference("small_minus_large", SMALL, LARGE, (20, 120, 5, 60, 252), "small minus large", SIZE)
_difference("value_minus_growth", VALUE, GROWTH, (60, 20, 120), "small value minus growth",
            VALUE_PAPER)  # fmt: skip
_difference("index_small_minus_large", SMALL_INDEX, LARGE_INDEX, (20, 60, 120, 252),
            "Russell 2000 minus S&P 500, price indices", SIZE)  # fmt: skip
_difference("small_minus_nasdaq", SMALL, NASDAQ, (20, 60, 120), "small caps minus Nasdaq 100")
_difference("equal_minus_cap", EQUAL, CAP, (20, 60, 120),
            "S&P 500 of equal minus of cap weight")  # fmt: skip
