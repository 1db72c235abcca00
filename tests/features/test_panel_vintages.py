"""Breadth over a panel whose cells, sessions and members change after the fact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from markets import random_market
from stores import Clock, bars, make_store

from features.breadth import breadth_table
from features.panel_vintages import breadth_as_known
from sources import Panel, as_of_instant, known_at
from sources.store import CLOSES, MEMBERS, Feed


def revised_panel(root: Path) -> Panel:
    """Return a panel that came in four batches, with all that can happen to one."""
    panel = random_market(start="2021-01-04", end="2023-12-29", symbols=30).panel
    assert panel is not None
    clock = Clock("2023-11-30T22:00:00+00:00")
    store = make_store(root, None, clock)
    prices = Feed("prices", "BTC", "test", ("0" * 64,), bars(["2021-01-04"], [1.0]))

    def part(rows: np.ndarray, columns: slice, closes: np.ndarray) -> Feed:
        some = Panel(
            panel.dates[rows], panel.symbols[columns], closes[rows][:, columns].copy(),
            panel.available_at[rows],
        )  # fmt: skip
        return Feed(*CLOSES, "test", ("0" * 64,), panel=some)

    def members(ends: list[str | None]) -> Feed:
        table = pd.DataFrame(
            {
                "symbol": pd.Series(panel.symbols, dtype="str"),
                "start": pd.Timestamp("2021-01-01").as_unit("us"),
                "end": pd.to_datetime(pd.Series(ends)).dt.as_unit("us"),
            }
        )
        return Feed(*MEMBERS, "test", ("0" * 64,), table)

    rows = np.arange(len(panel.dates))
    early = rows[panel.dates < np.datetime64("2023-11-20")]
    missing = early[-40]
    closes = panel.closes.copy()
    store.ingest([prices, part(early[early != missing], slice(28), closes), members([None] * 30)])
    clock.set("2023-12-08T23:00:00+00:00")
    until = rows[panel.dates < np.datetime64("2023-12-08")]
    closes[early[-30:-20], 3] *= 1.7
    store.ingest([part(until[until != missing], slice(30), closes)])
    clock.set("2023-12-13T05:00:00+00:00")
    closes[early[-3], 4] *= 0.4
    store.ingest([part(until, slice(28), closes), members([*[None] * 29, "2023-12-01"])])
    clock.set("2023-12-29T23:00:00+00:00")
    store.ingest([part(rows, slice(30), closes)])
    found = store.read().panel
    assert found is not None
    return found


def test_B01_breadth_with_vintages_is_as_of_each_day_the_breadth_of_the_panel_of_that_day(
    tmp_path: Path,
) -> None:
    panel = revised_panel(tmp_path / "store")
    assert panel.revisions is not None
    whole = breadth_as_known(panel)
    assert whole.duplicated("date").any()
    assert not whole.duplicated(["date", "available_at"]).any()
    for day in pd.date_range("2023-11-17", "2023-12-31"):
        instant = as_of_instant(day)
        expected = breadth_table(panel.as_of(instant)).drop(columns="available_at")
        found = known_at(whole, instant).drop(columns="available_at")
        pd.testing.assert_frame_equal(found, expected, check_exact=True, obj=str(day.date()))


def test_a_panel_that_never_changed_has_the_plain_breadth() -> None:
    panel = random_market(end="2020-12-30").panel
    assert panel is not None
    pd.testing.assert_frame_equal(breadth_as_known(panel), breadth_table(panel), check_exact=True)
    assert replace(panel).revisions is None
