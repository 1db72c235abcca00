"""A score from what was known on the day is the backtest's number, whatever came later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from markets import random_market

from features import build_dataset
from models import ModelBundle, ModelConfig, cells_of
from sources import Market, as_of_instant
from training.walkforward import CellRun, bundle_of, walk_forward

CONFIG = ModelConfig(least_labels=200)


def _restated(
    table: pd.DataFrame, date: str, known: str, column: str, factor: float
) -> pd.DataFrame:
    row = table[table["date"] == date].copy()
    row[column] *= factor
    row["available_at"] = pd.Timestamp(known, tz="UTC").as_unit("us")
    both = pd.concat([table, row.astype(table.dtypes)], ignore_index=True)
    return both.sort_values(["date", "available_at"], ignore_index=True)


def _late(table: pd.DataFrame, date: str, known: str) -> pd.DataFrame:
    changed = table.copy()
    stamp = pd.Timestamp(known, tz="UTC").as_unit("us")
    changed.loc[changed["date"] == date, "available_at"] = stamp
    return changed


@pytest.fixture(scope="module")
def troubled() -> Market:
    """Return a market with restatements, late rows, and a fund that begins in the middle."""
    market = random_market()
    btc = _restated(market.prices["BTC"], "2021-02-03", "2021-02-20T09:00", "close", 1.02)
    btc = _late(btc, "2021-02-10", "2021-02-13T12:00")
    flow = _restated(market.flows["IWM"], "2021-01-20", "2021-02-17T15:00", "flow_usd", -3)
    iwm = market.prices["IWM"]
    iwm = iwm[iwm["date"] >= "2021-06-01"].reset_index(drop=True)
    prices = {**market.prices, "BTC": btc, "IWM": iwm}
    return replace(market, prices=prices, flows={"IWM": flow})


@pytest.fixture(scope="module")
def run(troubled: Market) -> tuple[ModelBundle, dict[object, CellRun]]:
    dataset = build_dataset(troubled, ("BTC", "ETH"))
    runs = walk_forward(dataset, cells_of(("BTC", "ETH"), (1, 5)), CONFIG)
    return bundle_of(runs, dataset, CONFIG, "digest"), runs  # type: ignore[return-value]


@pytest.mark.parametrize(
    "day",
    ["2021-01-31", "2021-02-10", "2021-02-12", "2021-02-16", "2021-02-17", "2021-02-20",
     "2021-02-25", "2021-03-30", "2021-06-15", "2022-02-01"],
)  # fmt: skip
def test_A26_a_replayed_score_equals_the_backtest_to_the_bit_through_restatements(
    troubled: Market, run: tuple[ModelBundle, dict[object, CellRun]], day: str
) -> None:
    bundle, runs = run
    cut = troubled.as_of(as_of_instant(day))
    dataset = build_dataset(cut, ("BTC", "ETH"))
    for cell, walked in runs.items():
        at = int(np.searchsorted(walked.path.days, np.datetime64(day)))
        made = bundle.forecast(dataset, [cell], np.datetime64(day))[cell]  # type: ignore[list-item]
        assert made is not None
        assert made.base_rate == walked.path.base_rate[at]
        if not made.abstained:
            assert made.probability == walked.path.probability[at]
            assert (made.lower, made.upper) == (walked.path.lower[at], walked.path.upper[at])


def test_a_file_that_begins_later_changes_neither_source_nor_digest_before(
    troubled: Market,
) -> None:
    instant = as_of_instant("2021-03-15")
    without = replace(troubled, prices={s: t for s, t in troubled.prices.items() if s != "IWM"})
    assert troubled.digest(instant) == without.digest(instant)
