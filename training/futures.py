"""Other futures of a market, and other pasts of a price: what honest work must not notice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from models import CellRows
from sources.calendars import as_of_instant
from sources.market import Market, Panel

NOISE = 0.3
"""Deviation of the log factors: enough to turn signs, highs and ranks."""


def cut_after(market: Market, day: np.datetime64) -> Market:
    """Return the market as it stood at T(day), memberships included."""
    found = market.as_of(as_of_instant(pd.Timestamp(day)))
    if found.panel is None or found.panel.members is None:
        return found
    members = found.panel.members
    members = members[members["start"].to_numpy("datetime64[D]") <= day].reset_index(drop=True)
    later = members["end"].to_numpy("datetime64[D]") > day
    members = members.assign(end=members["end"].mask(pd.Series(later, members.index)))
    return replace(found, panel=replace(found.panel, members=members))


def scrambled_after(market: Market, day: np.datetime64, seed: int = 0) -> Market:
    """Multiply each row that became known after T(day) by a random factor of its own.

    A twentieth of the factors is negative where the sign is free, in flows. Dates and
    arrivals stay as they are.
    """
    generator = np.random.default_rng(seed)
    instant = as_of_instant(pd.Timestamp(day))
    found: dict[str, dict[str, pd.DataFrame]] = {"prices": {}, "flows": {}, "macro": {}}
    for folder, symbol, table in market.tables():
        late = (table["available_at"] > instant).to_numpy()
        turned = np.where(generator.random(len(table)) < 0.05, -1.0, 1.0)
        factor = np.exp(NOISE * generator.standard_normal(len(table)))
        signed = {"flow_usd": factor * turned}
        found[folder][symbol] = table.assign(
            **{
                name: table[name].to_numpy() * np.where(late, signed.get(name, factor), 1.0)
                for name in table.columns.drop(["date", "available_at"])
            }
        )
    return replace(
        market,
        prices=found["prices"],
        flows=found["flows"],
        macro=found["macro"],
        panel=None if market.panel is None else _panel(market.panel, instant, generator),
    )


def scrambled_before(prices: pd.DataFrame, day: np.datetime64, seed: int = 0) -> pd.DataFrame:
    """Multiply the closes of all dates before a day by random factors."""
    early = (prices["date"] < pd.Timestamp(day)).to_numpy()
    noise = np.random.default_rng(seed).standard_normal(len(prices))
    factor = np.where(early, np.exp(NOISE * noise), 1.0)
    return prices.assign(**{c: prices[c].to_numpy() * factor for c in ("close", "adj_close")})


def without_later(rows: CellRows, as_of: np.datetime64, generator: np.random.Generator) -> CellRows:
    """Return rows of which nothing that was not known at T(as_of) is left as it was."""
    open_ = (
        np.maximum(rows.known_on, rows.days + rows.cell.horizon_days * np.timedelta64(1, "D"))
        > as_of
    )
    noise = generator.standard_normal(rows.features.shape)
    return replace(
        rows,
        features=np.where((rows.days > as_of)[:, None], noise, rows.features),
        outcome=np.where(open_, 1 - rows.outcome, rows.outcome),
        reference=None
        if rows.reference is None
        else without_later(rows.reference, as_of, generator),
    )


def _panel(panel: Panel, instant: pd.Timestamp, generator: np.random.Generator) -> Panel:
    late = panel.available_at > np.datetime64(instant.tz_convert("UTC").tz_localize(None))
    factor = np.exp(NOISE * generator.standard_normal(panel.closes.shape))
    return replace(panel, closes=panel.closes * np.where(late[:, None], factor, 1.0))
