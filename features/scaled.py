"""The same signals in units of their own size, at several decays: for forecasters that average."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.breadth import PANEL
from features.crypto import ASSET, daily
from features.flows import FUND
from features.highs import INDEX, quoted_price
from features.momentum import LARGE, SMALL, log_price
from features.registry import REGISTRY, Feature, Role, Tables

HIGH_YIELD = Role("high_yield", "prices", ("HYG",))
INVESTMENT_GRADE = Role("investment_grade", "prices", ("LQD",))
FED_ASSETS = Role("fed_assets", "macro", ("WALCL",))
TREASURY = Role("treasury", "macro", ("WTREGEN",))
TWO_YEAR = Role("two_year", "macro", ("DGS2",))
VIX = Role("vix", "macro", ("VIXCLS",))

FLOW_DECAYS = (5, 10, 20, 40)
HIGH_DECAYS = (5, 10, 20, 40)
SMALL_WINDOWS = (5, 20, 60, 120)
LEAST_HIGH_HISTORY = 252


def scaled_change(level: pd.Series, window: int) -> pd.Series:
    """Return the change over a window, in deviations of a change of that length.

    The deviation of a step is exponentially weighted, half-life 60 rows.
    """
    step = level.diff().ewm(halflife=60, min_periods=60).std()
    return level.diff(window) / (step.where(step > 0) * np.sqrt(window))


@REGISTRY.group(
    "flow_pressure", block="flows", roles=[FUND],
    features=[
        Feature(f"flow_pressure_{k}s", f"flow / assets / its own typical size, decay {k}", "1", None)
        for k in FLOW_DECAYS
    ],
)  # fmt: skip
def flow_pressure(tables: Tables) -> pd.DataFrame:
    """Build flows in units of their usual size, exponentially weighted."""
    fund = tables["fund"]
    share = fund["flow_usd"] / fund["aum_usd"].where(fund["aum_usd"] > 0).shift(1)
    usual = share.abs().ewm(halflife=252, min_periods=60).mean()
    pressure = (share / usual.where(usual > 0)).clip(-6, 6)
    return pd.DataFrame(
        {
            f"flow_pressure_{k}s": pressure.ewm(alpha=1 / k, min_periods=60).mean()
            for k in FLOW_DECAYS
        }
    )


@REGISTRY.group(
    "high_decay", block="highs", roles=[INDEX],
    features=[
        *(Feature(f"high_decay_{k}s", f"exp(-sessions since the last high / {k})", "1", None)
          for k in HIGH_DECAYS),
        Feature("nearness_log_all_time", "log close - log running maximum", "1", None),
        Feature("nearness_log_52w", "log close - log 252-session maximum", "1", 252),
    ],
)  # fmt: skip
def high_decay(tables: Tables) -> pd.DataFrame:
    """Build the age of the last high at several decays; the first year's highs are no highs."""
    price = quoted_price(tables["index"])
    row = pd.Series(np.arange(len(price), dtype="float64"), price.index)
    high = (price > price.cummax().shift(1)) & (row >= LEAST_HIGH_HISTORY)
    since = row - row.where(high).ffill()
    known = row >= LEAST_HIGH_HISTORY
    built = {
        f"high_decay_{k}s": np.exp(-since / k).where(since.notna(), 0.0).where(known)
        for k in HIGH_DECAYS
    }
    built["nearness_log_all_time"] = np.log(price / price.cummax()).where(known)
    built["nearness_log_52w"] = np.log(price / price.rolling(252).max())
    return pd.DataFrame(built)


@REGISTRY.group(
    "small_scaled", block="momentum", roles=[SMALL],
    features=[
        Feature(f"small_scaled_{k}s", f"{k}-session log return in its deviations", "1", None)
        for k in SMALL_WINDOWS
    ],
)  # fmt: skip
def small_scaled(tables: Tables) -> pd.DataFrame:
    """Build small-cap momentum in deviations."""
    price = log_price(tables["small"])
    return pd.DataFrame({f"small_scaled_{k}s": scaled_change(price, k) for k in SMALL_WINDOWS})


@REGISTRY.group(
    "small_cap_day", block="momentum", roles=[SMALL],
    features=[Feature("small_return_1s", "log return of the session", "1", 2)],
)  # fmt: skip
def small_cap_day(tables: Tables) -> pd.DataFrame:
    """Build the session's own return."""
    return log_price(tables["small"]).diff().to_frame("small_return_1s")


@REGISTRY.group(
    "relative_scaled", block="momentum", roles=[SMALL, LARGE],
    features=[
        Feature(f"relative_scaled_{k}s", f"small minus large, {k} sessions, in deviations", "1", None)
        for k in (20, 60, 120)
    ],
)  # fmt: skip
def relative_scaled(tables: Tables) -> pd.DataFrame:
    """Build small against large caps in deviations."""
    ratio = log_price(tables["small"]) - log_price(tables["large"])
    return pd.DataFrame({f"relative_scaled_{k}s": scaled_change(ratio, k) for k in (20, 60, 120)})


@REGISTRY.group(
    "large_scaled", block="momentum", roles=[LARGE],
    features=[
        Feature(f"large_scaled_{k}s", f"large caps, {k} sessions, in deviations", "1", None)
        for k in SMALL_WINDOWS
    ],
)  # fmt: skip
def large_scaled(tables: Tables) -> pd.DataFrame:
    """Build large-cap momentum in deviations."""
    price = log_price(tables["large"])
    return pd.DataFrame({f"large_scaled_{k}s": scaled_change(price, k) for k in SMALL_WINDOWS})


@REGISTRY.group(
    "breadth_scaled", block="breadth", roles=[PANEL],
    features=[
        Feature("breadth_net_highs_10s", "highs minus lows, exponentially weighted, span 10", "1", None),
        Feature("dispersion_log", "log of 20-session dispersion", "1", 21),
        Feature("dispersion_change_60s", "log dispersion minus its 60-session mean", "1", 81),
    ],
)  # fmt: skip
def breadth_scaled(tables: Tables) -> pd.DataFrame:
    """Build slow net highs, and dispersion in logs."""
    breadth = tables["panel"]
    spread = breadth["breadth_dispersion_20s"]
    level = np.log(spread.where(spread > 0))
    return pd.DataFrame(
        {
            "breadth_net_highs_10s": breadth["breadth_high_minus_low"].ewm(span=10).mean(),
            "dispersion_log": level,
            "dispersion_change_60s": level - level.rolling(60).mean(),
        }
    )


@REGISTRY.group(
    "credit_scaled", block="liquidity", roles=[HIGH_YIELD, INVESTMENT_GRADE],
    features=[
        Feature(f"credit_scaled_{k}s", f"high yield minus grade, {k} sessions, in deviations", "1", None)
        for k in (5, 20, 60)
    ],
)  # fmt: skip
def credit_scaled(tables: Tables) -> pd.DataFrame:
    """Build the appetite for credit risk in deviations."""
    ratio = log_price(tables["high_yield"]) - log_price(tables["investment_grade"])
    return pd.DataFrame({f"credit_scaled_{k}s": scaled_change(ratio, k) for k in (5, 20, 60)})


@REGISTRY.group(
    "liquidity_scaled", block="liquidity", roles=[FED_ASSETS, TREASURY],
    features=[
        Feature(f"liquidity_scaled_{k}w", f"Fed assets less Treasury cash, {k} weeks, in deviations",
                "1", None)
        for k in (1, 4, 13)
    ],
)  # fmt: skip
def liquidity_scaled(tables: Tables) -> pd.DataFrame:
    """Build changes of liquidity in deviations; both series are in USD million."""
    net = tables["fed_assets"]["value"] - tables["treasury"]["value"]
    level = np.log(net.where(net > 0))
    return pd.DataFrame({f"liquidity_scaled_{k}w": scaled_change(level, k) for k in (1, 4, 13)})


@REGISTRY.group(
    "rate_scaled", block="liquidity", roles=[TWO_YEAR],
    features=[
        Feature(f"rate_scaled_{k}d", f"2-year yield, {k} days' change, in deviations", "1", None)
        for k in (20, 60)
    ],
)  # fmt: skip
def rate_scaled(tables: Tables) -> pd.DataFrame:
    """Build changes of the two-year yield in deviations."""
    level = tables["two_year"]["value"]
    return pd.DataFrame({f"rate_scaled_{k}d": scaled_change(level, k) for k in (20, 60)})


@REGISTRY.group(
    "vix_level", block="liquidity", roles=[VIX],
    features=[
        Feature("vix_level_log", "log of the VIX", "1", 1),
        Feature("vix_change_20s", "log VIX minus its 20-session mean", "1", 20),
    ],
)  # fmt: skip
def vix_level(tables: Tables) -> pd.DataFrame:
    """Build the level and the surprise of implied volatility."""
    value = tables["vix"]["value"]
    level = np.log(value.where(value > 0))
    return pd.DataFrame(
        {"vix_level_log": level, "vix_change_20s": level - level.rolling(20).mean()}
    )


@REGISTRY.group(
    "own_scaled", block="crypto", roles=[ASSET],
    features=[
        Feature(f"own_scaled_{k}d", f"{k}-day log return over volatility x root {k}", "1", None)
        for k in (1, 5, 20, 60, 120)
    ],
)  # fmt: skip
def own_scaled(tables: Tables) -> pd.DataFrame:
    """Build the asset's own momentum in deviations."""
    price = daily(tables["asset"])
    spread = price.diff().ewm(halflife=30, min_periods=20).std()
    spread = spread.where(spread > 0)
    built = {f"own_scaled_{k}d": price.diff(k) / spread / np.sqrt(k) for k in (1, 5, 20, 60, 120)}
    return pd.DataFrame(built).loc[tables["asset"].index]
