"""Breadth: how many constituents take part in what the index does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd

from features.advances import NAMES, AdvanceDecline
from features.cross_section import CUT, YEAR, cross_sections
from features.participation import OFF_HIGH, participation
from features.registry import REGISTRY, Feature, Role, Tables
from features.universe import Universe, trusted, universe_of
from sources.errors import DataUnavailableError
from sources.market import Panel

T = TypeVar("T")

PANEL = Role("panel", "constituents", ("closes",))

LEAST_SYMBOLS = 20
"""Below this many counted constituents a share says nothing, and is missing."""

LEAST_COVERAGE = 0.5
"""Likewise where fewer than this share of the listed members can be counted."""

MISSING = (
    "a member counts with a close in each session of a mean or extreme, or at both ends of a "
    "return; missing below 20 counted, below half of the listed members, and on a session with "
    "less than 95 % of the usual closes, which no window reads"
)
SURVIVORSHIP = "without members.csv the names that left are missing, and past levels biased up"
MCCLELLAN = "S. and M. McClellan, Patterns for Profit (1970)"


@REGISTRY.group(
    "constituent_breadth",
    block="breadth",
    roles=[PANEL],
    scaling="invariant",
    missing=MISSING,
    version=4,
    features=[
        Feature("breadth_above_50s", "share above their 50-session mean", "1", 50),
        Feature("breadth_above_200s", "share above their 200-session mean", "1", 200),
        Feature("breadth_high_minus_low", "share at a 252-session high minus low", "1", YEAR),
        Feature(
            "breadth_off_high_252s",
            "share more than 20 % below their 252-session high",
            "1",
            YEAR,
            parameters={"below": 1 - OFF_HIGH},
        ),
        Feature("breadth_negative_252s", "share with a negative 252-session return", "1", YEAR + 1),
        Feature("breadth_median_return_252s", "median 252-session return", "1", YEAR + 1),
        Feature(
            "breadth_dispersion_1s",
            "deviation across names of 1-session log returns, outliers cut at 5 robust deviations",
            "1",
            2,
            parameters={"cut": CUT},
        ),
        Feature(
            "breadth_dispersion_20s", "deviation across names of 20-session log returns", "1", 21
        ),
        Feature(
            "breadth_skew_20s",
            "(q90 + q10 - 2 q50) / (q90 - q10) of 20-session log returns across names",
            "1",
            21,
            reference="Kelly's measure of skewness, in Bowley's form",
        ),
        Feature("breadth_advance_line_20s", "mean net advance of 20 sessions", "1", 21),
        Feature("breadth_advance_line_60s", "mean net advance of 60 sessions", "1", 61),
        Feature(
            "breadth_mcclellan",
            "mean net advance, exponentially weighted by 0.10, minus that by 0.05",
            "1",
            None,
            parameters={"fast": 0.10, "slow": 0.05},
            reference=MCCLELLAN,
        ),
        Feature(
            "breadth_mcclellan_summation",
            "sum of the McClellan oscillators: 20 slow - 10 fast + oscillator",
            "1",
            None,
            parameters={"fast": 0.10, "slow": 0.05},
            reference=MCCLELLAN,
        ),
        Feature("breadth_coverage", "share of listed members with a full 252 sessions", "1", YEAR),
    ],
)
def constituent_breadth(tables: Tables) -> pd.DataFrame:
    """Pass on the daily breadth that :func:`breadth_table` computed from the panel."""
    group = next(group for group in REGISTRY if group.name == "constituent_breadth")
    return tables["panel"][[feature.name for feature in group.features]]


Counting = Callable[[Universe], dict[str, np.ndarray]]
"""Counts of the members by session, as :func:`features.participation.participation`."""


def breadth_table(panel: Panel, count: Counting = participation) -> pd.DataFrame:
    """Compute breadth by session from the constituents' closes.

    Row t reads closes up to t. Members count by date; see
    :class:`features.universe.Universe` for re-used symbols and for history from before a
    membership, :func:`features.universe.trusted` for sessions on which the feed failed.

    Parameters
    ----------
    count : :func:`features.fused.participation` counts the same with a compiled kernel, which
        pays where many panels are read in one process.

    Returns
    -------
    frame with ``date``, ``available_at``, a column a feature, and beside them
    ``breadth_coverage_*``, the share of the listed members that each window can count, and
    ``breadth_advance_line``, the line itself, whose level depends on where the panel begins.
    """
    return _table(panel, universe_of(panel), count)


def _table(panel: Panel, universe: Universe, count: Counting = participation) -> pd.DataFrame:
    counts = count(universe)
    kept = trusted(counts["listed"], universe.expected())
    if not kept.all():
        universe = universe.only(kept)
        counts = count(universe)
    measured = {**counts, **cross_sections(universe)}
    built = shares(measured)
    line = AdvanceDecline()
    steps = [line.step(float(net)) for net in built.pop("breadth_net_advance")]
    built |= named(dict(zip(NAMES, np.array(steps).reshape(-1, len(NAMES)).T, strict=True)))
    table = pd.DataFrame(built, index=np.flatnonzero(kept)).reindex(range(len(kept)))
    stamps = pd.Series(panel.available_at.astype("datetime64[us]")).dt.tz_localize("UTC")
    table.insert(0, "date", panel.dates.astype("datetime64[us]"))
    return table.assign(available_at=stamps)


_SHARES = {
    "above_50s": ("above_50", "whole_50"),
    "above_200s": ("above_200", "whole_200"),
    "high": ("high", "whole_252"),
    "low": ("low", "whole_252"),
    "off_high_252s": ("off_high", "whole_252"),
    "negative_252s": ("negative", "ends_252"),
}
_SPREADS = {
    "median_return_252s": ("median", "returned_252"),
    "dispersion_1s": ("dispersion_1", "whole_2"),
    "dispersion_20s": ("dispersion_20", "returned_20"),
    "skew_20s": ("skew", "returned_20"),
    "net_advance": ("net_advance", "whole_2"),
}
_COVERAGES = {
    "coverage": "whole_252",
    "coverage_1s": "whole_2",
    "coverage_20s": "returned_20",
    "coverage_50s": "whole_50",
    "coverage_200s": "whole_200",
    "coverage_return_252s": "ends_252",
}


def shares(measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Turn the counts and spreads of t sessions into (t,) values; NaN where too few count."""
    advances, declines = measured["advances"], measured["declines"]
    net = (advances - declines) / np.maximum(advances + declines, 1)
    measured = {**measured, "net_advance": net}
    counted = np.array([measured[of] for _, of in (*_SHARES.values(), *_SPREADS.values())])
    values = np.array([measured[name] for name, _ in (*_SHARES.values(), *_SPREADS.values())])
    values[: len(_SHARES)] /= np.maximum(counted[: len(_SHARES)], 1)
    listed = measured["listed"]
    values[(counted < LEAST_SYMBOLS) | (counted < LEAST_COVERAGE * listed)] = np.nan
    covered = np.array([measured[of] for of in _COVERAGES.values()]) / np.maximum(listed, 1)
    covered[:, listed < LEAST_SYMBOLS] = np.nan
    names = (f"breadth_{name}" for name in (*_SHARES, *_SPREADS, *_COVERAGES))
    built = dict(zip(names, (*values, *covered), strict=True))
    built["breadth_high_minus_low"] = built.pop("breadth_high") - built.pop("breadth_low")
    return built


def named(line: Mapping[str, T]) -> dict[str, T]:
    """Give the values of the advance-decline line their names in the table."""
    return {
        "breadth_advance_line": line["line"],
        "breadth_advance_line_20s": line["line_20"],
        "breadth_advance_line_60s": line["line_60"],
        "breadth_mcclellan": line["oscillator"],
        "breadth_mcclellan_summation": line["summation"],
    }


def survivorship_meter(panel: Panel) -> pd.DataFrame:
    """Measure what a panel of today's members would have claimed about the past.

    A diagnostic of the panel and no feature: it reads the memberships of the last row, so it
    stands outside the registry, and no dataset holds it.

    Returns
    -------
    frame with ``date`` and, for each column of :func:`breadth_table`, breadth by the members
    then minus breadth by those of the last row; NaN where either is missing.

    Raises
    ------
    DataUnavailableError
        Where the memberships are not known: all the panel's symbols are today's then.
    """
    if panel.members is None or not len(panel.dates):
        raise DataUnavailableError(
            "survivorship meter: needed constituents/members.csv; found none",
            source="constituents/members.csv",
        )
    universe = universe_of(panel)
    stayed = (universe.begin < universe.end) & (universe.end == len(panel.dates))
    survivors = replace(
        universe,
        source=universe.source[stayed],
        readable=universe.readable[stayed],
        begin=universe.readable[stayed],
        end=universe.end[stayed],
    )
    then, now = _table(panel, universe), _table(panel, survivors)
    values = then.columns.drop(["date", "available_at"])
    difference = then[values] - now[values]
    difference.insert(0, "date", then["date"])
    return difference
