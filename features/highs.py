"""New highs of the equity indices, on the price as quoted, not on total return.

An all-time high is the highest close of the feed so far. A feed that begins
after an older peak cannot know it: flags are missing for the first
``LEAST_HISTORY`` rows, and ``..._history`` says how many stand behind each later
one. IWN, IWO and IJR may come without a quoted close; the adjusted close (total
return) stands in, which makes highs earlier and more frequent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from features import windows
from features.quotes import unsplit_price
from features.registry import REGISTRY, Feature, Role, Tables
from features.retests import BAND, EXPIRY_SESSIONS, resistance_turned_support

INDEX = Role("index", "prices", ("RUT", "IWM", "IJR", "IWN"))

YEAR = 252
LEAST_HISTORY = YEAR
"""Rows of a feed before its maximum may be called a high."""
QUIET_SESSIONS = 60
"""Sessions without a high after which the next one is called a first high."""
DECAY_SESSIONS = 20.0

GEORGE = "George, Hwang (2004), The 52-week high and momentum investing"
LI = "Li, Yu (2012), Investor attention, psychological anchors, and stock return predictability"
BROCK = "Brock, Lakonishok, LeBaron (1992), Simple technical trading rules"
SHORT_FEED = f"missing for the first {LEAST_HISTORY} rows of the feed, and where there is no price"


def is_all_time_high(price: pd.Series) -> pd.Series:
    """Flag closes above every earlier close, once a year of history stands behind them.

    Row t reads rows up to t. The first ``LEAST_HISTORY`` rows are NaN: the
    maximum of a short history is not an all-time high.
    """
    flag = (price > price.cummax().shift(1).ffill()).astype("float64").where(price.notna())
    flag.iloc[:LEAST_HISTORY] = np.nan
    return flag


def sessions_since(flag: pd.Series) -> pd.Series:
    """Count rows since the last row with flag 1 (0 on it); NaN before the first."""
    row = pd.Series(np.arange(len(flag), dtype="float64"), flag.index)
    return row - row.where(flag == 1).ffill()


def first_after_quiet(flag: pd.Series, sessions: int = QUIET_SESSIONS) -> pd.Series:
    """Flag the highs that come after at least some sessions without one."""
    since = sessions_since(flag).shift(1).fillna(np.inf)
    return flag.where((since >= sessions) | flag.isna(), 0.0)


def build_highs(price: pd.Series) -> pd.DataFrame:
    """Build flags, age, freshness, nearness and retests of one price's highs."""
    flag = is_all_time_high(price)
    since = sessions_since(flag)
    known = flag.notna()
    top, year_top = price.cummax(), windows.highest(price, YEAR)
    year_flag = (price >= year_top).astype("float64").where(year_top.notna())
    drawdown = price / top - 1
    return windows.side_by_side(
        {
            "high_flag": flag,
            "high_first": first_after_quiet(flag),
            # Before any high its age is unbounded, and the limit of the decay is zero.
            "high_freshness": np.exp(-since / DECAY_SESSIONS)
            .where(since.notna(), 0.0)
            .where(known),
            "high_share_60s": windows.share(flag, 60),
            "nearness_all_time": (price / top).where(known),
            "nearness_52w": price / year_top,
            "high_share_252s": windows.share(flag, YEAR),
            "high_since": since.where(known),
            "high_history": (price.notna().cumsum() - 1).where(known).astype("float64"),
            "high_52w_flag": year_flag,
            "high_52w_first": first_after_quiet(year_flag),
            "high_52w_share_60s": windows.share(year_flag, 60),
            "drawdown": drawdown.where(known),
            "drawdown_deepest_252s": -windows.highest(-drawdown, YEAR).where(known),
            **resistance_turned_support(price, first_after_quiet(flag), DECAY_SESSIONS),
        }
    )


def _described(prefix: str) -> list[Feature]:
    quiet = {"quiet": float(QUIET_SESSIONS)}
    decay = {"tau": DECAY_SESSIONS}
    retest = {"band": BAND, "expiry": float(EXPIRY_SESSIONS), **quiet}
    year = {"window": float(YEAR)}
    every: list[tuple[str, str, str, dict[str, float], str]] = [
        ("high_flag", "close above all earlier closes", "0/1", {}, LI),
        ("high_first", f"such a close after {QUIET_SESSIONS} sessions without", "0/1", quiet, LI),
        ("high_freshness", "exp(-sessions since the last high / 20); 0 before any", "1", decay, LI),
        ("high_share_60s", "share of the last 60 sessions at a high", "1", {"window": 60}, ""),
        ("nearness_all_time", "close / running maximum", "1", {}, LI),
        ("nearness_52w", "close / 252-session maximum", "1", year, GEORGE),
        ("high_share_252s", "share of the last 252 sessions at a high", "1", year, ""),
        ("high_since", "sessions since the last high", "sessions", {}, LI),
        ("high_history", "earlier closes behind the running maximum", "sessions", {}, ""),
        ("high_52w_flag", "close at its 252-session maximum", "0/1", year, GEORGE),
        ("high_52w_first", "such a close after 60 sessions without", "0/1", year | quiet, GEORGE),
        ("high_52w_share_60s", "share of 60 sessions at the 252-session maximum", "1", year, ""),
        ("drawdown", "close / running maximum - 1", "1", {}, ""),
        ("drawdown_deepest_252s", "least drawdown of the last 252 sessions", "1", year, ""),
        ("breakout_open", "1 from a first high until its retest is settled", "0/1", retest, BROCK),
        ("breakout_distance", "log(close / level broken) while open or held, else 0", "1", retest,
         BROCK),
        ("retest_held", "session on which a retest of the level held", "0/1", retest, BROCK),
        ("retest_freshness", "exp(-sessions since a retest held / 20); 0 before any", "1",
         decay, BROCK),
    ]  # fmt: skip
    windowed = {"nearness_52w": YEAR, "high_52w_flag": YEAR}
    late = {
        "high_since": "missing before the first high of the feed",
        "nearness_52w": "missing until 252 closes are there",
        "high_52w_flag": "missing until 252 closes are there",
    }
    return [
        Feature(f"{prefix}{name}", formula, unit, windowed.get(name), "invariant", parameters,
                late.get(name, SHORT_FEED), reference)
        for name, formula, unit, parameters, reference in every
    ]  # fmt: skip


def register_highs(group: str, prefix: str, symbols: Sequence[str]) -> None:
    """Register the highs of one index: the same features, with a prefix to their names."""

    @REGISTRY.group(
        group,
        block="highs",
        roles=[Role("index", "prices", tuple(symbols))],
        features=_described(prefix),
    )
    def build(tables: Tables) -> pd.DataFrame:
        return build_highs(unsplit_price(tables["index"])).add_prefix(prefix)


register_highs("small_cap_highs", "", INDEX.symbols)
register_highs("russell_2000_value_highs", "value_", ("IWN",))
register_highs("russell_2000_growth_highs", "growth_", ("IWO",))
register_highs("sp_600_highs", "sp600_", ("IJR",))
register_highs("sp_500_highs", "sp500_", ("GSPC", "SPY"))
