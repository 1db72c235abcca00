"""What a feature is: the list that documentation, datasets and tests are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from sources.errors import UnknownNameError

Tables = Mapping[str, pd.DataFrame]
"""Role -> frame of values, all on one ascending DatetimeIndex of event dates."""

Builder = Callable[[Tables], pd.DataFrame]
"""Causal and pure: row t of the result depends on rows up to t of the tables."""


@dataclass(frozen=True)
class Role:
    """An input of a group: a folder, and the symbols that can play the part, best first.

    The symbol ``@asset`` stands for the crypto asset the row is about.
    """

    name: str
    folder: str
    symbols: tuple[str, ...]


@dataclass(frozen=True)
class Feature:
    """One column of a dataset, described.

    Attributes
    ----------
    name : column name, unique.
    formula : how it is computed, in words or symbols.
    unit : unit of the value; ``1`` for a pure number.
    lookback : rows of its inputs that row t reads, t included; None for all history.
    """

    name: str
    formula: str
    unit: str
    lookback: int | None


@dataclass(frozen=True)
class Group:
    """Features that are built together, from the same inputs, on the same clock.

    A row exists on the dates that all inputs share, and is known once all of
    them are: the latest ``available_at`` among its rows up to that date.
    """

    name: str
    block: str
    roles: tuple[Role, ...]
    features: tuple[Feature, ...]
    build: Builder
    version: int = 1

    @property
    def per_asset(self) -> bool:
        """Whether the group is about the asset of the row, or about the market."""
        return any("@asset" in role.symbols for role in self.roles)


class Registry:
    """The groups there are, by name, in the order they were registered."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def __iter__(self) -> Iterator[Group]:
        """Iterate over the groups."""
        return iter(self._groups.values())

    def group(
        self,
        name: str,
        *,
        block: str,
        roles: Sequence[Role],
        features: Sequence[Feature],
        version: int = 1,
    ) -> Callable[[Builder], Builder]:
        """Register the decorated builder as a group."""

        def register(build: Builder) -> Builder:
            taken = {feature.name for group in self for feature in group.features}
            clash = taken & {feature.name for feature in features}
            if name in self._groups or clash:
                raise ValueError(
                    f"feature group {name!r} or names {sorted(clash)} registered twice"
                )
            self._groups[name] = Group(name, block, tuple(roles), tuple(features), build, version)
            return build

        return register

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks, in order of registration."""
        return tuple(dict.fromkeys(group.block for group in self))

    def select(self, blocks: Sequence[str]) -> tuple[Group, ...]:
        """Return the groups of some blocks.

        Raises
        ------
        UnknownNameError
            For a block that does not exist; lists those that do.
        """
        for block in blocks:
            if block not in self.blocks:
                raise UnknownNameError("feature block", block, self.blocks)
        return tuple(group for group in self if group.block in blocks)


REGISTRY = Registry()
"""The features of this project; the modules of the blocks fill it when they are imported."""
