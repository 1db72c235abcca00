"""Creations and redemptions of small-cap funds, over their assets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from features import windows
from features.clock import first_day_known, utc
from features.highs import INDEX, YEAR
from features.quotes import quoted_price, unbroken
from features.registry import REGISTRY, Feature, Role, Tables

FUND = Role("fund", "flows", ("IWM",))
FUNDS = Role("funds", "flows", ("IWM", "IJR", "IWN", "IWO", "VB", "VTWO", "SCHA"), combined=True)

WINDOWS = (1, 5, 20, 60)
LONGEST_YEAR = 260
"""More sessions than any calendar year has."""
NEAR_HIGH = 0.98
COLUMNS = ["date", "flow_usd", "aum_usd", "available_at"]

BEN = "Ben-David, Franzoni, Moussawi (2018), Do ETFs increase volatility?"
WARTHER = "Warther (1995), Aggregate mutual fund flows and security returns"


@REGISTRY.group(
    "fund_flows",
    block="flows",
    roles=[FUND],
    scaling="invariant",
    reference=BEN,
    features=[
        *(
            Feature(
                f"flow_{k}s", f"flow of {k} sessions / assets before them", "1", k + 1,
                parameters={"window": k},
            )
            for k in WINDOWS
        ),
        Feature("flow_zscore_20s", "20-session flow against its own last 252 sessions", "1", 273),
        Feature("flow_persistence_20s", "share of the last 20 sessions with inflow", "1", 21),
        Feature(
            "flow_year_to_date", "flow since the year began / assets before it", "1",
            LONGEST_YEAR, missing="missing in the calendar year in which the feed begins",
        ),
        Feature("flow_252s", "flow of 252 sessions / assets before them", "1", YEAR + 1),
        Feature("flow_zscore_60s", "60-session flow against its own last 252 sessions", "1", 313),
        Feature("flow_persistence_60s", "share of the last 60 sessions with inflow", "1", 61),
        Feature(
            "flow_autocorrelation_60s", "correlation of daily flow / assets with the day before's",
            "1", 62, missing="missing until full, and while flows are constant", reference=WARTHER,
        ),
    ],
)  # fmt: skip
def fund_flows(tables: Tables) -> pd.DataFrame:
    """Build flows over assets, restated figures as they were known."""
    fund = tables["fund"]
    flow = fund["flow_usd"]
    assets = fund["aum_usd"].where(fund["aum_usd"] > 0)
    share = flow / assets.shift(1)
    built = {f"flow_{k}s": windows.total(flow, k) / assets.shift(k) for k in (*WINDOWS, YEAR)}
    inflow = (share > 0).astype("float64").where(share.notna())
    for k in (20, 60):
        built[f"flow_zscore_{k}s"] = windows.zscore(windows.total(share, k), YEAR)
        built[f"flow_persistence_{k}s"] = windows.share(inflow, k)
    year = pd.Series(pd.DatetimeIndex(fund.index).year, fund.index)
    before = assets.shift(1).where(year != year.shift(1)).groupby(year).transform("first")
    built["flow_year_to_date"] = flow.groupby(year).cumsum() / before
    # The feed's first row opens no year: nothing stands before it.
    built["flow_autocorrelation_60s"] = windows.correlation(share, share.shift(1), 60)
    return windows.side_by_side(built)


@REGISTRY.group(
    "fund_flow_history",
    block="flows",
    roles=[FUND],
    scaling="invariant",
    reference=BEN,
    features=[
        Feature(
            "flow_decayed_20s",
            "exponentially weighted daily flow / assets",
            "1",
            None,
            parameters={"halflife": 20},
            missing="missing for the first 60 sessions",
        ),
        Feature(
            "flow_cumulative",
            "flow since the feed began / assets now",
            "1",
            None,
            missing="missing for the first 252 sessions",
        ),
    ],
)
def fund_flow_history(tables: Tables) -> pd.DataFrame:
    """Build what reads all flows since the feed began."""
    fund = tables["fund"]
    assets = fund["aum_usd"].where(fund["aum_usd"] > 0)
    share = fund["flow_usd"] / assets.shift(1)
    cumulative = fund["flow_usd"].cumsum() / assets
    cumulative.iloc[:YEAR] = np.nan
    decayed = share.ewm(halflife=20, min_periods=60).mean()
    return windows.side_by_side({"flow_decayed_20s": decayed, "flow_cumulative": cumulative})


@REGISTRY.group(
    "flow_divergence",
    block="flows",
    roles=[FUND, INDEX],
    scaling="invariant",
    features=[
        *(
            Feature(
                f"flow_out_at_high_{k}s",
                f"outflow of {k} sessions / assets while the price is within 2 % of its "
                "252-session maximum, else 0",
                "1",
                YEAR + 1,
                parameters={"window": k, "near": NEAR_HIGH},
            )
            for k in (60, 252)
        ),
        Feature(
            "flow_price_gap_60s",
            "z-score of the 60-session return minus z-score of the 60-session flow, 252 sessions",
            "1",
            YEAR + 61,
            parameters={"window": 60, "history": YEAR},
            reference=WARTHER,
        ),
    ],
)
def flow_divergence(tables: Tables) -> pd.DataFrame:
    """Build how far price and flows disagree: a price at its high while money leaves."""
    fund, price = tables["fund"], quoted_price(tables["index"])
    log = windows.logarithm(price)
    assets = fund["aum_usd"].where(fund["aum_usd"] > 0)
    flow = {k: windows.total(fund["flow_usd"], k) / assets.shift(k) for k in (60, YEAR)}
    nearness = (price / windows.highest(price, YEAR)).where(unbroken(log, YEAR))
    near = (nearness >= NEAR_HIGH).astype("float64").where(nearness.notna())
    built = {f"flow_out_at_high_{k}s": (-flow[k]).clip(lower=0) * near for k in (60, YEAR)}
    returns = log.diff(60).where(unbroken(log, 61))
    built["flow_price_gap_60s"] = windows.zscore(returns, YEAR) - windows.zscore(flow[60], YEAR)
    return windows.side_by_side(built)


@REGISTRY.group(
    "combined_flows",
    block="flows",
    roles=[FUNDS],
    scaling="invariant",
    features=[
        *(
            Feature(
                f"funds_flow_{k}s",
                f"{k}-session sum of daily flow / assets before it, all small-cap funds together",
                "1",
                k,
                parameters={"window": k},
            )
            for k in (5, 20, 60, 252)
        ),
        Feature("funds_flow_zscore_20s", "that of 20 sessions against its last 252", "1", 271),
        Feature(
            "funds_counted", "funds in the sum of the session", "funds", 1,
            missing="missing where no fund has a figure",
        ),
    ],
)  # fmt: skip
def combined_flows(tables: Tables) -> pd.DataFrame:
    """Build the flows of several funds as if they were one."""
    funds = tables["funds"]
    before = funds["aum_usd"] - funds["flow_usd"]
    share = funds["flow_usd"] / before.where(before > 0)
    built = {f"funds_flow_{k}s": windows.total(share, k) for k in (5, 20, 60, YEAR)}
    built["funds_flow_zscore_20s"] = windows.zscore(built["funds_flow_20s"], YEAR)
    built["funds_counted"] = funds["funds"].where(funds["funds"] > 0)
    return windows.side_by_side(built)


def combine_funds(flows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Sum the flows and assets of several funds, each figure as soon as it is known.

    A date's row says what the funds that had reported by then add up to; when
    another one reports a day late, or restates, the date gets a later vintage.

    Returns
    -------
    bitemporal table ``date,flow_usd,aum_usd,funds,available_at``, one vintage a date and day.
    """
    every = pd.concat(
        [table[COLUMNS].dropna().assign(fund=name) for name, table in sorted(flows.items())],
        ignore_index=True,
    )
    every["day"] = first_day_known(utc(every["available_at"])).astype("datetime64[us]")
    # As-of days are all that anyone can ask for: within one, the last figure counts.
    every = every.sort_values(["date", "available_at"], kind="stable").drop_duplicates(
        ["date", "day", "fund"], keep="last"
    )
    key = ["date", "day"]
    wide = {
        name: every.pivot_table(name, key, "fund").groupby(level="date").ffill()
        for name in ("flow_usd", "aum_usd")
    }
    summed = pd.DataFrame({name: figures.sum(axis="columns") for name, figures in wide.items()})
    summed["funds"] = wide["flow_usd"].notna().sum(axis="columns").astype("float64")
    summed["available_at"] = every.groupby(key)["available_at"].max()
    return summed.reset_index("day", drop=True).reset_index()
