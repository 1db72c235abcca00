"""The registry as a page: docs/features.md is what :func:`markdown` says."""

from __future__ import annotations

from features.registry import Feature, Group, Registry, Role
from features.selection import CORE

AVAILABILITY = {
    "prices": "session close",
    "@asset": "00:00 UTC after the day",
    "flows": "13:00 UTC of the next session",
    "macro": "release of the series",
    "constituents": "session close",
}
"""When an input becomes known, by folder; ``@asset`` are prices of crypto symbols."""

TITLES = {
    "momentum": "Small-cap momentum",
    "highs": "New highs",
    "flows": "ETF flows",
    "breadth": "Breadth",
    "liquidity": "Liquidity and macro",
    "crypto": "Crypto's own",
}

HEAD = """# Features

Generated from the registry by `features.markdown(REGISTRY)`; a test compares the two.

Every value of day `d` reads what was available at the midnight that ends `d`
(UTC), and nothing else. Between sessions a feature of sessions keeps its last
value, and the dataset says its age in days. Look-backs count rows of the inputs,
the row itself included: sessions, or calendar days where it says `days`.
**Bold** names are the curated core that models see by default; the rest is
chosen by `selection = "all"`, `include` and `exclude` under `[features]`.
Scaling says what a feature does when its inputs are multiplied by a constant.
"""


def markdown(registry: Registry) -> str:
    """Return the page of all features, by block and group."""
    lines = [HEAD]
    for block in sorted(registry.blocks, key=lambda name: _rank(name, registry)):
        lines += [f"## {TITLES.get(block, block)} (`{block}`)", ""]
        for group in registry:
            if group.block == block:
                lines += _group(group)
    return "\n".join(lines).rstrip() + "\n"


def _rank(block: str, registry: Registry) -> tuple[int, int]:
    titled = list(TITLES)
    place = titled.index(block) if block in titled else len(titled)
    return place, registry.blocks.index(block)


def _group(group: Group) -> list[str]:
    inputs = "; ".join(_inputs(role) for role in group.roles)
    clock = (
        "each calendar day, inputs as known then"
        if group.clock == "days"
        else "each date that all inputs have"
    )
    return [
        f"### {group.name} (version {group.version})",
        "",
        f"Inputs: {inputs}. Rows: {clock}. Available: {available(group)}.",
        "",
        "| name | formula | unit | look-back | parameters | scaling | missing | reference |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(feature, group) for feature in group.features),
        "",
    ]


def _inputs(role: Role) -> str:
    names = ["the asset" if symbol == "@asset" else symbol for symbol in role.symbols]
    return f"{role.name} = {role.folder}/{(' + ' if role.combined else ' or ').join(names)}"


def available(group: Group) -> str:
    """Say when a row of a group becomes known: with the last of its inputs."""
    when: list[str] = []
    for role in group.roles:
        crypto = set(role.symbols) <= {"@asset", "BTC"}
        when.append(AVAILABILITY["@asset" if crypto else role.folder])
    return ", and ".join(dict.fromkeys(when))


def _row(feature: Feature, group: Group) -> str:
    back = "all history" if feature.lookback is None else f"{feature.lookback} {group.row_unit}"
    parameters = ", ".join(f"{name} {value:g}" for name, value in feature.parameters.items())
    name = f"**`{feature.name}`**" if feature.name in CORE else f"`{feature.name}`"
    cells = [name, feature.formula, feature.unit, back, parameters, feature.scaling or "",
             feature.missing, feature.reference]  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
