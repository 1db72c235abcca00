"""Past scores from a store, recreated to the bit after backfills, restatements and new days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markets import random_market
from stores import Clock, make_store

from features import build_dataset
from models import Forecast, ModelBundle, ModelConfig, cells_of
from sources import Market, as_of_instant, write_market
from sources.store import Store, directory_feeds
from training.walkforward import bundle_of, walk_forward

ASSETS, HORIZONS = ("BTC", "ETH"), (1, 5, 20)
CELLS = cells_of(ASSETS, HORIZONS)
CONFIG = ModelConfig(least_labels=200)
HELD_THROUGH = pd.Timestamp("2022-03-01")


def _changed(market: Market, generator: np.random.Generator) -> Iterator[Market]:
    """Yield what a careless provider sends next: holes filled, days added, values restated."""
    steps = generator.permutation(["fill", "restate", "restate", "flows", "restate"])
    for step in steps:
        prices, flows = dict(market.prices), dict(market.flows)
        symbol = str(generator.choice(list(market.prices)))
        table = prices[symbol]
        if step == "restate":
            rows = generator.random(len(table)) < 0.05
            factor = np.where(rows, generator.uniform(0.5, 2.0, len(table)), 1.0)
            columns = ["open", "high", "low", "close", "adj_close"]
            prices[symbol] = table.assign(**{c: table[c] * factor for c in columns})
        elif step == "flows":
            table = flows["IWM"]
            flows["IWM"] = table.assign(flow_usd=-table["flow_usd"])
        yield replace(market, prices=prices, flows=flows)


def _with_holes(market: Market, generator: np.random.Generator) -> Market:
    """Return the market up to a day, with some of its last rows of each price missing.

    Early holes would silence every forecast, and what is silent is easily the same.
    """

    def some(table: pd.DataFrame) -> pd.DataFrame:
        late = table["date"] > HELD_THROUGH - pd.Timedelta(days=90)
        keep = (table["date"] <= HELD_THROUGH) & ~(late & (generator.random(len(table)) < 0.1))
        return table[keep].reset_index(drop=True)

    panel = market.panel
    assert panel is not None
    rows = panel.dates <= np.datetime64(HELD_THROUGH)
    return replace(
        market,
        prices={name: some(table) for name, table in market.prices.items()},
        flows={
            fund: table[table["date"] <= HELD_THROUGH].reset_index(drop=True)
            for fund, table in market.flows.items()
        },
        panel=replace(
            panel, dates=panel.dates[rows], closes=panel.closes[rows],
            available_at=panel.available_at[rows],
        ),
    )  # fmt: skip


def _bring(store: Store, market: Market, folder: Path) -> None:
    # Without the column: a file that does not say when it was known is the hard case.
    write_market(market, folder)
    for path in (folder / "prices").glob("*.csv"):
        pd.read_csv(path, dtype=str).drop(columns="available_at", errors="ignore").to_csv(
            path, index=False
        )
    store.ingest(list(directory_feeds(store, folder)))


def _scores(store: Store, bundle: ModelBundle, days: list[str]) -> dict[str, list[Forecast | None]]:
    made: dict[str, list[Forecast | None]] = {}
    for day in days:
        dataset = build_dataset(store.read(as_of=as_of_instant(day)), ASSETS)
        found = bundle.forecast(dataset, CELLS, np.datetime64(day))
        made[day] = [found[cell] for cell in CELLS]
    return made


@pytest.mark.parametrize("count", [5, pytest.param(167, marks=pytest.mark.slow)])
def test_past_scores_are_the_same_to_the_bit_after_backfills_in_random_order(
    count: int, tmp_path: Path
) -> None:
    """With 167 days times 6 cells, a thousand scores."""
    generator = np.random.default_rng(count)
    market = random_market()
    held = _with_holes(market, generator)
    clock = Clock("2022-03-02T01:00:00+00:00")
    store = make_store(tmp_path / "store", None, clock)
    _bring(store, held, tmp_path / "first")
    dataset = build_dataset(store.read(), ASSETS)
    bundle = bundle_of(walk_forward(dataset, CELLS, CONFIG), dataset, CONFIG, "digest")
    first = int(np.searchsorted(dataset.days, pd.Timestamp("2020-09-01")))
    chosen = generator.choice(np.arange(first, len(dataset.days)), count, replace=False)
    days = [str(dataset.days[i].date()) for i in sorted(chosen)]
    before = _scores(store, bundle, days)
    said = [made is not None and not made.abstained for day in days for made in before[day]]
    assert np.mean(said) > 0.5
    for i, sent in enumerate(_changed(market, generator)):
        clock.set(f"2023-0{i + 1}-01T09:00:00+00:00")
        _bring(store, sent, tmp_path / f"later{i}")
    assert store.read().digest() != held.digest()
    assert _scores(store, bundle, days) == before
