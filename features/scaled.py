"""The same signals in units of their own size, at several decays: for forecasters that average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from features import windows
from features.breadth import PANEL
from features.crypto import ASSET, clean_steps, daily
from features.flows import FUND
from features.highs import INDEX, LEAST_HISTORY, is_all_time_high, sessions_since
from features.momentum import LARGE, SMALL
from features.quotes import log_price, log_returns, steps, unsplit_price
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
OWN_WINDOWS = (1, 5, 20, 60, 120)


PRESSURE_DECAYS = (10, 40)


SETTLING = "missing until 60 steps give a deviation, and until the window is full"
SETTLED = "missing until 60 steps give a deviation; a jump of the price is no step"
JUMPS = f"{SETTLING}; and while it spans an unexplained jump of the price"


def scaled_changes(
    level: pd.Series, step: pd.Series, lengths: Sequence[int], names: str
) -> pd.DataFrame:
    """Return changes over several lengths, each in deviations of a change of that length.

    The deviation of a step is exponentially weighted, half-life 60 rows.

    Parameters
    ----------
    level, step : of the same rows; a NaN step is a jump that no window may span.
    names : of the columns, with ``{k}`` for the length.
    """
    spread = step.ewm(halflife=60, min_periods=60).std()
    spread = spread.where(spread > 1e-12)
    changes = log_returns(level, step, lengths)
    return windows.side_by_side(
        {names.format(k=k): changes[k] / (spread * np.sqrt(k)) for k in lengths}, level.index
    )


def pressures(step: pd.Series, names: str) -> pd.DataFrame:
    """Return decayed means of steps, each in deviations of its time; a NaN step adds nothing.

    The deviation is exponentially weighted, half-life 60 rows, and a step counts 6 at most.
    """
    spread = step.ewm(halflife=60, min_periods=60).std()
    scaled = (step / spread.where(spread > 1e-12)).clip(-6, 6)
    return pd.DataFrame(
        {names.format(k=k): scaled.ewm(alpha=1 / k).mean() for k in PRESSURE_DECAYS}, step.index
    )


@REGISTRY.group(
    "flow_pressure",
    block="flows",
    roles=[FUND],
    scaling="invariant",
    missing="missing for the first 60 sessions",
    features=[
        Feature(
            f"flow_pressure_{k}s", f"flow / assets / its own typical size, decay {k}", "1", None
        )
        for k in FLOW_DECAYS
    ],
)
def flow_pressure(tables: Tables) -> pd.DataFrame:
    """Build flows in units of their usual size, exponentially weighted."""
    fund = tables["fund"]
    share = fund["flow_usd"] / fund["aum_usd"].where(fund["aum_usd"] > 0).shift(1)
    usual = share.abs().ewm(halflife=252, min_periods=60).mean()
    pressure = (share / usual.where(usual > 0)).clip(-6, 6)
    return windows.side_by_side(
        {
            f"flow_pressure_{k}s": pressure.ewm(alpha=1 / k, min_periods=60).mean()
            for k in FLOW_DECAYS
        }
    )


@REGISTRY.group(
    "high_decay",
    block="highs",
    roles=[INDEX],
    scaling="invariant",
    missing=f"missing for the first {LEAST_HISTORY} sessions of the feed",
    features=[
        *(
            Feature(f"high_decay_{k}s", f"exp(-sessions since the last high / {k})", "1", None)
            for k in HIGH_DECAYS
        ),
        Feature("nearness_log_all_time", "log close - log running maximum", "1", None),
        Feature("nearness_log_52w", "log close - log 252-session maximum", "1", 252),
    ],
)
def high_decay(tables: Tables) -> pd.DataFrame:
    """Build the age of the last high at several decays; the first year's highs are no highs."""
    price = unsplit_price(tables["index"])
    flag = is_all_time_high(price)
    since, known = sessions_since(flag), flag.notna()
    # Before any high its age is unbounded, and the limit of the decay is zero.
    built = {
        f"high_decay_{k}s": np.exp(-since / k).where(since.notna(), 0.0).where(known)
        for k in HIGH_DECAYS
    }
    level = windows.logarithm(price)
    built["nearness_log_all_time"] = (level - level.cummax()).where(known)
    built["nearness_log_52w"] = level - windows.highest(level, 252)
    return windows.side_by_side(built)


@REGISTRY.group(
    "small_scaled",
    block="momentum",
    roles=[SMALL],
    scaling="invariant",
    missing=JUMPS,
    features=[
        Feature(f"small_scaled_{k}s", f"{k}-session log return in its deviations", "1", None)
        for k in SMALL_WINDOWS
    ],
)
def small_scaled(tables: Tables) -> pd.DataFrame:
    """Build small-cap momentum in deviations."""
    small = tables["small"]
    return scaled_changes(log_price(small), steps(small), SMALL_WINDOWS, "small_scaled_{k}s")


@REGISTRY.group(
    "small_pressure",
    block="momentum",
    roles=[SMALL],
    scaling="invariant",
    missing=SETTLED,
    features=[
        Feature(f"small_pressure_{k}s", f"session log returns in deviations, decay {k}", "1", None)
        for k in PRESSURE_DECAYS
    ],
)
def small_pressure(tables: Tables) -> pd.DataFrame:
    """Build small-cap momentum that fades evenly, and not on the day its window ends."""
    return pressures(steps(tables["small"]), "small_pressure_{k}s")


@REGISTRY.group(
    "small_cap_day",
    block="momentum",
    roles=[SMALL],
    scaling="invariant",
    missing="missing on an unexplained jump of the price",
    features=[Feature("small_return_1s", "log return of the session", "1", 2)],
)
def small_cap_day(tables: Tables) -> pd.DataFrame:
    """Build the session's own return."""
    return steps(tables["small"]).to_frame("small_return_1s")


@REGISTRY.group(
    "relative_scaled",
    block="momentum",
    roles=[SMALL, LARGE],
    scaling="invariant",
    missing=JUMPS,
    features=[
        Feature(
            f"relative_scaled_{k}s", f"small minus large, {k} sessions, in deviations", "1", None
        )
        for k in (20, 60, 120)
    ],
)
def relative_scaled(tables: Tables) -> pd.DataFrame:
    """Build small against large caps in deviations."""
    small, large = tables["small"], tables["large"]
    ratio, step = log_price(small) - log_price(large), steps(small) - steps(large)
    return scaled_changes(ratio, step, (20, 60, 120), "relative_scaled_{k}s")


@REGISTRY.group(
    "large_scaled",
    block="momentum",
    roles=[LARGE],
    scaling="invariant",
    missing=JUMPS,
    features=[
        Feature(f"large_scaled_{k}s", f"large caps, {k} sessions, in deviations", "1", None)
        for k in SMALL_WINDOWS
    ],
)
def large_scaled(tables: Tables) -> pd.DataFrame:
    """Build large-cap momentum in deviations."""
    large = tables["large"]
    return scaled_changes(log_price(large), steps(large), SMALL_WINDOWS, "large_scaled_{k}s")


@REGISTRY.group(
    "breadth_scaled",
    block="breadth",
    roles=[PANEL],
    scaling="invariant",
    missing="missing where breadth is, and until the window is full",
    version=3,
    features=[
        Feature("breadth_net_highs_10s", "highs minus lows, mean of 10 sessions", "1", 261),
        Feature("dispersion_log_1s", "log of breadth_dispersion_1s", "1", 2),
        Feature("dispersion_log", "log of 20-session dispersion", "1", 21),
        Feature("dispersion_change_60s", "log dispersion minus its 60-session mean", "1", 81),
    ],
)
def breadth_scaled(tables: Tables) -> pd.DataFrame:
    """Build slow net highs, and dispersion in logs."""
    breadth = tables["panel"]
    spread = breadth["breadth_dispersion_20s"]
    level = windows.logarithm(spread)
    return windows.side_by_side(
        {
            "breadth_net_highs_10s": windows.mean(breadth["breadth_high_minus_low"], 10),
            "dispersion_log_1s": windows.logarithm(breadth["breadth_dispersion_1s"]),
            "dispersion_log": level,
            "dispersion_change_60s": level - windows.mean(level, 60),
        }
    )


@REGISTRY.group(
    "credit_scaled",
    block="liquidity",
    roles=[HIGH_YIELD, INVESTMENT_GRADE],
    scaling="invariant",
    missing=JUMPS,
    features=[
        Feature(
            f"credit_scaled_{k}s", f"high yield minus grade, {k} sessions, in deviations", "1", None
        )
        for k in (5, 20, 60)
    ],
)
def credit_scaled(tables: Tables) -> pd.DataFrame:
    """Build the appetite for credit risk in deviations."""
    risky, safe = tables["high_yield"], tables["investment_grade"]
    ratio, step = log_price(risky) - log_price(safe), steps(risky) - steps(safe)
    return scaled_changes(ratio, step, (5, 20, 60), "credit_scaled_{k}s")


@REGISTRY.group(
    "credit_pressure",
    block="liquidity",
    roles=[HIGH_YIELD, SMALL],
    scaling="invariant",
    missing="missing until 60 steps give a slope, and 60 more a deviation; a jump is no step",
    features=[
        Feature(
            f"credit_pressure_{k}s",
            f"high yield beyond what small caps explain, in deviations, decay {k}",
            "1",
            None,
        )
        for k in PRESSURE_DECAYS
    ],
)
def credit_pressure(tables: Tables) -> pd.DataFrame:
    """Build the news of credit alone: what equities say of the same day is taken out.

    The slope is exponentially weighted, half-life 252 sessions, and of the days before.
    """
    risky, small = steps(tables["high_yield"]), steps(tables["small"])
    both = risky.notna() & small.notna()
    explaining = small.where(both).ewm(halflife=252, min_periods=60)
    cross, variance = explaining.cov(risky.where(both)), explaining.var()
    slope = (cross / variance.where(variance > 1e-24)).shift(1)
    return pressures(risky - slope * small, "credit_pressure_{k}s")


@REGISTRY.group(
    "liquidity_scaled",
    block="liquidity",
    roles=[FED_ASSETS, TREASURY],
    scaling="invariant",
    missing=SETTLING,
    features=[
        Feature(
            f"liquidity_scaled_{k}w",
            f"Fed assets less Treasury cash, {k} weeks, in deviations",
            "1",
            None,
        )
        for k in (1, 4, 13)
    ],
)
def liquidity_scaled(tables: Tables) -> pd.DataFrame:
    """Build changes of liquidity in deviations; both series are in USD million."""
    net = tables["fed_assets"]["value"] - tables["treasury"]["value"]
    level = windows.logarithm(net)
    return scaled_changes(level, level.diff(), (1, 4, 13), "liquidity_scaled_{k}w")


@REGISTRY.group(
    "rate_scaled",
    block="liquidity",
    roles=[TWO_YEAR],
    scaling="invariant",
    missing=SETTLING,
    features=[
        Feature(
            f"rate_scaled_{k}s", f"2-year yield, {k} sessions' change, in deviations", "1", None
        )
        for k in (20, 60)
    ],
)
def rate_scaled(tables: Tables) -> pd.DataFrame:
    """Build changes of the two-year yield in deviations."""
    level = tables["two_year"]["value"]
    return scaled_changes(level, level.diff(), (20, 60), "rate_scaled_{k}s")


@REGISTRY.group(
    "vix_level",
    block="liquidity",
    roles=[VIX],
    scaling="invariant",
    missing="missing until the window is full",
    features=[
        Feature("vix_level_log", "log of the VIX", "1", 1, "logarithmic"),
        Feature("vix_change_20s", "log VIX minus its 20-session mean", "1", 20),
    ],
)
def vix_level(tables: Tables) -> pd.DataFrame:
    """Build the level and the surprise of implied volatility."""
    level = windows.logarithm(tables["vix"]["value"])
    surprise = level - windows.mean(level, 20)
    return windows.side_by_side({"vix_level_log": level, "vix_change_20s": surprise})


@REGISTRY.group(
    "own_scaled",
    block="crypto",
    roles=[ASSET],
    scaling="invariant",
    missing="missing until 20 days give a deviation, and while the window spans a jump",
    features=[
        Feature(f"own_scaled_{k}d", f"{k}-day log return over volatility x root {k}", "1", None)
        for k in OWN_WINDOWS
    ],
)
def own_scaled(tables: Tables) -> pd.DataFrame:
    """Build the asset's own momentum in deviations."""
    price = daily(tables["asset"])
    step = clean_steps(price)
    spread = step.ewm(halflife=30, min_periods=20).std()
    spread = spread.where(spread > 1e-12)
    changes = log_returns(price, step, OWN_WINDOWS)
    built = {f"own_scaled_{k}d": changes[k] / spread / np.sqrt(k) for k in OWN_WINDOWS}
    return windows.side_by_side(built, price.index).loc[tables["asset"].index]
