"""Which features a model sees, and which of them a market can give."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict

from features.registry import Group, Registry, Role
from sources.errors import DataUnavailableError, UnknownNameError
from sources.market import Market

CORE = (
    "small_return_5s", "small_return_20s", "small_return_60s", "small_return_120s",
    "small_return_252s", "small_volatility_20s", "small_scaled_return_60s",
    "small_mean_distance_200s", "small_minus_large_20s", "small_minus_large_120s",
    "value_minus_growth_60s",
    "high_flag", "high_first", "high_freshness", "high_share_60s", "nearness_all_time",
    "nearness_52w",
    "flow_1s", "flow_5s", "flow_20s", "flow_60s", "flow_decayed_20s", "flow_zscore_20s",
    "flow_persistence_20s",
    "breadth_above_50s", "breadth_above_200s", "breadth_high_minus_low",
    "breadth_negative_252s", "breadth_dispersion_20s", "breadth_coverage",
    "own_return_1d", "own_return_5d", "own_return_20d", "own_return_60d", "own_return_120d",
    "own_volatility_20d", "own_volatility_change", "own_scaled_return_60d", "own_drawdown_365d",
    *(f"flow_pressure_{k}s" for k in (5, 10, 20, 40)),
    *(f"high_decay_{k}s" for k in (5, 10, 20, 40)),
    "nearness_log_all_time", "nearness_log_52w", "small_return_1s",
    *(f"small_scaled_{k}s" for k in (5, 20, 60, 120)),
    *(f"small_pressure_{k}s" for k in (10, 40)),
    *(f"relative_scaled_{k}s" for k in (20, 60, 120)),
    *(f"large_scaled_{k}s" for k in (5, 20, 60, 120)),
    "breadth_net_highs_10s", "dispersion_log_1s", "dispersion_log", "dispersion_change_60s",
    *(f"credit_scaled_{k}s" for k in (5, 20, 60)),
    *(f"credit_pressure_{k}s" for k in (10, 40)),
    *(f"liquidity_scaled_{k}w" for k in (1, 4, 13)),
    "rate_scaled_20s", "rate_scaled_60s", "vix_level_log", "vix_change_20s",
    *(f"own_scaled_{k}d" for k in (1, 5, 20, 60, 120)),
)  # fmt: skip
"""The curated set that models are fitted on unless told otherwise: few days, few features.

The second part is in units of its own size at several decays, for forecasters that average.
"""


NEEDED_BLOCKS = ("momentum", "highs", "flows")
"""Blocks without which the question is not asked, where their folder is there at all."""


class FeatureConfig(BaseModel):
    """Which features a model sees (science: frozen, hashed, kept in the bundle).

    ``selection`` takes the curated core or the whole library of ``blocks``;
    ``include`` adds single features of any block, ``exclude`` takes some away.
    ``fund`` plays the single fund of the flow features.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    blocks: tuple[str, ...] = ("momentum", "highs", "flows", "breadth", "liquidity", "crypto")
    selection: Literal["core", "all"] = "core"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    fund: str = "IWM"


def select_groups(registry: Registry, config: FeatureConfig) -> tuple[Group, ...]:
    """Return the groups of the chosen features, each with these alone.

    Raises
    ------
    UnknownNameError
        For a block or a feature that does not exist; lists the blocks, or the
        names that come near.
    """
    known = registry.names
    for name in (*config.include, *config.exclude):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
            raise UnknownNameError("feature", name, near or registry.blocks)
    blocks = {group.block for group in registry.select(config.blocks)}
    core = None if config.selection == "all" else set(CORE)
    chosen: list[Group] = []
    for group in registry:
        kept = tuple(
            feature
            for feature in group.features
            if feature.name not in config.exclude
            and (
                feature.name in config.include
                or (group.block in blocks and (core is None or feature.name in core))
            )
        )
        if kept:
            chosen.append(replace(group, features=kept))
    return tuple(chosen)


def symbols_of(role: Role, market: Market, config: FeatureConfig, asset: str) -> tuple[str, ...]:
    """Return the symbols that play a role in a market: the best one, or all where combined."""
    tables: Mapping[str, object] = getattr(market, role.folder, {})
    wanted = [asset if symbol == "@asset" else symbol for symbol in wanted_symbols(role, config)]
    there = tuple(symbol for symbol in wanted if symbol in tables)
    return there if role.combined else there[:1]


def wanted_symbols(role: Role, config: FeatureConfig) -> tuple[str, ...]:
    """Return the symbols that can play a role; the fund of a single one is the configured."""
    if role.folder != "flows":
        return role.symbols
    if role.combined:
        return tuple(dict.fromkeys([config.fund, *role.symbols]))
    return (config.fund,)


def available_groups(
    groups: Sequence[Group], market: Market, config: FeatureConfig
) -> tuple[tuple[Group, ...], dict[str, str]]:
    """Keep the groups whose inputs exist; say of each other one what it lacks.

    Returns
    -------
    kept : groups, in order.
    omitted : group -> the file it lacks.

    Raises
    ------
    DataUnavailableError
        Where a folder is there without the table that a whole block needs: an
        absent folder is a choice, a missing file a fault.
    """
    omitted: dict[str, str] = {}
    for group in groups:
        for role in group.roles:
            if role.folder == "constituents":
                if market.panel is None:
                    omitted[group.name] = "constituents/closes.parquet"
            elif "@asset" not in role.symbols:
                there = symbols_of(role, market, config, "@asset")
                if len(there) < (2 if role.combined else 1):
                    lacking = [s for s in wanted_symbols(role, config) if s not in there]
                    omitted[group.name] = f"{role.folder}/{' or '.join(lacking)}.csv"
    for block in NEEDED_BLOCKS:
        members = [group.name for group in groups if group.block == block]
        if members and all(name in omitted for name in members):
            missing = omitted[members[0]]
            held = getattr(market, missing.split("/")[0])
            if held:
                raise DataUnavailableError(
                    f"{market.name}: feature block {block!r} needed {missing}; found "
                    f"{', '.join(sorted(held))}",
                    source=missing,
                )
    return tuple(group for group in groups if group.name not in omitted), omitted
