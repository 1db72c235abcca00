"""The asset's own past: the benchmark that any small-cap signal has to beat."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features import windows
from features.highs import DECAY_SESSIONS
from features.quotes import COIN_JUMP, quoted_price
from features.registry import REGISTRY, Feature, Role, Tables

ASSET = Role("asset", "prices", ("@asset",))

WINDOWS = (1, 5, 20, 60, 120)
LONGER = (10, 250)
YEAR_DAYS = 365

LIU = "Liu, Tsyvinski (2021), Risks and returns of cryptocurrency"
BROKEN = (
    "missing until the window is full, where the bar at either end is, and over a jump beyond "
    "sevenfold"
)
MOST_BARS = "missing until the window is full; three quarters of its bars suffice"
HALVINGS = np.array(["2012-11-28", "2016-07-09", "2020-05-11", "2024-04-20"], dtype="M8[D]")
HALVING_DAYS = 210_000 * 10 / 60 / 24
"""210,000 blocks of ten minutes: 1458.3 days."""
HALVING_OVERDUE_DAYS = 1600


def daily(prices: pd.DataFrame) -> pd.Series:
    """Return the log close on every calendar day; NaN where the bar is missing."""
    quoted = quoted_price(prices)
    price = windows.logarithm(quoted)
    if len(price) == 0:
        return price
    return price.reindex(pd.date_range(price.index[0], price.index[-1], freq="D", unit="us"))


def clean_steps(price: pd.Series) -> pd.Series:
    """Return daily log returns; NaN next to a missing bar and where a jump is no return."""
    step = price.diff()
    return windows.only(step, step.abs() <= COIN_JUMP)


def unjumped(price: pd.Series) -> pd.Series:
    """Return the number of days up to each one without a jump; a missing bar is none."""
    jump = (price.ffill().diff().abs() > COIN_JUMP).to_numpy()
    row = np.arange(len(price))
    last = np.maximum.accumulate(np.where(jump, row, -1)) if len(row) else row
    return pd.Series(row - last, price.index)


@REGISTRY.group(
    "own_momentum",
    block="crypto",
    roles=[ASSET],
    scaling="invariant",
    missing=BROKEN,
    reference=LIU,
    features=[
        *(
            Feature(f"own_return_{k}d", f"log return over {k} days", "1", k + 1,
                    parameters={"window": k})
            for k in WINDOWS
        ),
        Feature("own_volatility_20d", "deviation of daily log returns, 20 days", "1", 21,
                missing=MOST_BARS),
        Feature("own_volatility_change", "log of 20-day over 120-day volatility", "1", 121,
                missing=MOST_BARS),
        Feature("own_scaled_return_60d", "60-day return / (volatility x root 60)", "1", 61),
        Feature("own_drawdown_365d", "log close minus its 365-day maximum", "1", 365,
                missing="missing for the first 365 days; 300 bars of 365 suffice"),
        *(
            Feature(f"own_return_{k}d", f"log return over {k} days", "1", k + 1,
                    parameters={"window": k})
            for k in LONGER
        ),
        Feature("own_scaled_return_20d", "20-day return / (volatility x root 20)", "1", 21),
        *(
            Feature(f"own_volatility_{k}d", f"deviation of daily log returns, {k} days", "1",
                    k + 1, parameters={"window": k}, missing=MOST_BARS)
            for k in (60, 120)
        ),
        *(
            Feature(f"own_mean_distance_{k}d", f"log close minus its {k}-day mean", "1", k,
                    parameters={"window": k}, missing=MOST_BARS)
            for k in (50, 200)
        ),
        Feature("own_trend_60d", "correlation of log close with time, 60 days", "1", 60,
                missing="missing until all 60 bars are there"),
    ],
)  # fmt: skip
def own_momentum(tables: Tables) -> pd.DataFrame:
    """Build the asset's returns, volatility, trend and drawdown."""
    observed = tables["asset"].index
    price = daily(tables["asset"])
    step = clean_steps(price)
    calm = unjumped(price)
    built = {
        f"own_return_{k}d": windows.only(price.diff(k), calm >= k) for k in (*WINDOWS, *LONGER)
    }
    for k in (20, 60, 120):
        # A few missing bars leave a usable deviation; a window with many does not.
        volatility = windows.spread(step, k, least=k * 3 // 4)
        built[f"own_volatility_{k}d"] = volatility
        if k < 120:
            scale = windows.only(volatility, volatility > 0) * np.sqrt(k)
            built[f"own_scaled_return_{k}d"] = built[f"own_return_{k}d"] / scale
    short, long = built["own_volatility_20d"], built["own_volatility_120d"]
    built["own_volatility_change"] = windows.logarithm(short) - windows.logarithm(long)
    top = windows.highest(price, YEAR_DAYS, least=300)
    built["own_drawdown_365d"] = windows.only(price - top, calm >= YEAR_DAYS)
    for k in (50, 200):
        middle = windows.mean(price, k, least=k * 3 // 4)
        built[f"own_mean_distance_{k}d"] = windows.only(price - middle, calm >= k)
    built["own_trend_60d"] = windows.only(windows.trend(price, 60), calm >= 60)
    return windows.side_by_side(built).loc[observed]


@REGISTRY.group(
    "own_highs",
    block="crypto",
    roles=[ASSET],
    scaling="invariant",
    missing="missing for the first 365 bars of the feed",
    features=[
        Feature("own_distance_all_time", "log close minus its running maximum", "1", None),
        Feature("own_high_freshness", "exp(-bars since the last all-time high / 20); 0 before any",
                "1", None, parameters={"tau": DECAY_SESSIONS}),
    ],
)  # fmt: skip
def own_highs(tables: Tables) -> pd.DataFrame:
    """Build how far, and how long, the asset is from its highest close."""
    quoted = quoted_price(tables["asset"])
    price = windows.logarithm(quoted)
    high = price > price.cummax().shift(1).ffill()
    high.iloc[:YEAR_DAYS] = False
    row = pd.Series(np.arange(len(price), dtype="float64"), price.index)
    age = row - row.where(high).ffill()
    built = windows.side_by_side(
        {
            "own_distance_all_time": price - price.cummax(),
            "own_high_freshness": np.exp(-age.fillna(np.inf) / DECAY_SESSIONS),
        }
    )
    built.iloc[:YEAR_DAYS] = np.nan
    return built.mask(price.isna(), axis=0)


@REGISTRY.group(
    "own_volume",
    block="crypto",
    roles=[ASSET],
    scaling="invariant",
    missing="missing until the window is full, and where any volume of it is",
    reference="Gervais, Kaniel, Mingelgrin (2001), The high-volume return premium",
    features=[
        Feature("own_volume_surprise_30d", "log volume minus its 30-day mean", "1", 30),
        Feature("own_volume_zscore_90d", "log volume against its own last 90 days", "1", 90),
    ],
)
def own_volume(tables: Tables) -> pd.DataFrame:
    """Build how unusual the asset's volume is."""
    volume = tables["asset"]["volume"]
    log = windows.logarithm(volume)
    return windows.side_by_side(
        {
            "own_volume_surprise_30d": log - windows.mean(log, 30),
            "own_volume_zscore_90d": windows.zscore(log, 90),
        }
    )


@REGISTRY.group(
    "calendar",
    block="crypto",
    roles=[ASSET],
    scaling="invariant",
    missing="never missing",
    features=[
        Feature("weekday_sin", "sine of 2 pi x weekday / 7, Monday 0", "1", 1),
        Feature("weekday_cos", "cosine of 2 pi x weekday / 7, Monday 0", "1", 1),
        Feature(
            "halving_phase", "days since the last halving of Bitcoin's issue / 1458.3", "1", 1,
            missing="missing before 2012-11-28, and 1600 days after the last one that is known",
            parameters={"cycle": HALVING_DAYS},
        ),
    ],
)  # fmt: skip
def calendar(tables: Tables) -> pd.DataFrame:
    """Build what the date alone says."""
    index = pd.DatetimeIndex(tables["asset"].index)
    angle = 2 * np.pi * index.day_of_week.to_numpy() / 7
    day = index.to_numpy("datetime64[D]")
    last = np.searchsorted(HALVINGS, day, side="right") - 1
    since = (day - HALVINGS[np.maximum(last, 0)]) / np.timedelta64(1, "D")
    phase = np.where((last >= 0) & (since <= HALVING_OVERDUE_DAYS), since, np.nan) / HALVING_DAYS
    return windows.side_by_side(
        {"weekday_sin": np.sin(angle), "weekday_cos": np.cos(angle), "halving_phase": phase}, index
    )
