"""What a feature is: the list that documentation, datasets and tests are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pandas as pd

from sources.errors import UnknownNameError

Tables = Mapping[str, pd.DataFrame]
"""Role -> frame of values, all on one ascending DatetimeIndex of event dates."""

Builder = Callable[[Tables], pd.DataFrame]
"""Causal and pure: row t of the result depends on rows up to t of the tables."""

Scaling = Literal["invariant", "linear", "logarithmic"]
"""What a feature does when every value of its inputs is multiplied by c: it stays, is
multiplied by c, or has log(c) added."""

Clock = Literal["rows", "days"]
"""``rows``: a row on each event date that all inputs share. ``days``: a row on each calendar
day d, with every input as it was known at T(d); for inputs of different frequency."""

FULL_WINDOW = "missing until every row of the look-back is there"


@dataclass(frozen=True)
class Role:
    """An input of a group: a folder, and the symbols that can play the part, best first.

    The symbol ``@asset`` stands for the crypto asset the row is about. With
    ``combined`` all of the symbols that there are play it, summed; see
    :func:`features.flows.combine_funds`.
    """

    name: str
    folder: str
    symbols: tuple[str, ...]
    combined: bool = False


@dataclass(frozen=True)
class Feature:
    """One column of a dataset, described.

    Attributes
    ----------
    name : column name, unique.
    formula : how it is computed, in words or symbols.
    unit : unit of the value; ``1`` for a pure number.
    lookback : rows of its inputs that row t reads, t included; None for all history.
    scaling : see :data:`Scaling`; the property suite refuses a feature without it.
    parameters : the constants of the formula, by name.
    missing : when the value is NaN, or what stands in.
    reference : paper or book of the formula, where there is one.
    """

    name: str
    formula: str
    unit: str
    lookback: int | None
    scaling: Scaling | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    missing: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Group:
    """Features that are built together, from the same inputs, on the same clock.

    A row is known once all inputs of its date are: at the latest
    ``available_at`` among their rows up to that date.
    """

    name: str
    block: str
    roles: tuple[Role, ...]
    features: tuple[Feature, ...]
    build: Builder
    version: int = 1
    clock: Clock = "rows"

    @property
    def per_asset(self) -> bool:
        """Whether the group is about the asset of the row, or about the market."""
        return any("@asset" in role.symbols for role in self.roles)

    @property
    def lookback(self) -> int | None:
        """Rows that the longest of its features reads; None for all history."""
        rows = [feature.lookback for feature in self.features]
        return None if None in rows else max(row for row in rows if row is not None)

    @property
    def row_unit(self) -> str:
        """What a row is: a session, or a calendar day."""
        crypto = all(set(role.symbols) <= {"@asset", "BTC"} for role in self.roles)
        return "days" if self.clock == "days" or crypto else "sessions"


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
        clock: Clock = "rows",
        scaling: Scaling | None = None,
        missing: str = FULL_WINDOW,
        reference: str = "",
    ) -> Callable[[Builder], Builder]:
        """Register the decorated builder as a group.

        ``scaling``, ``missing`` and ``reference`` are those of each feature
        that does not state its own.

        Raises
        ------
        ValueError
            Where the name of the group, or of a feature, is taken.
        """
        described = tuple(
            replace(
                feature,
                scaling=feature.scaling or scaling,
                missing=feature.missing or missing,
                reference=feature.reference or reference,
            )
            for feature in features
        )

        def register(build: Builder) -> Builder:
            names = [feature.name for feature in described]
            taken = {feature.name for group in self for feature in group.features}
            clash = taken & set(names) | {name for name in names if names.count(name) > 1}
            if name in self._groups or clash:
                raise ValueError(
                    f"feature group {name!r} or names {sorted(clash)} registered twice"
                )
            self._groups[name] = Group(name, block, tuple(roles), described, build, version, clock)
            return build

        return register

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks, in order of registration."""
        return tuple(dict.fromkeys(group.block for group in self))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in order of registration."""
        return tuple(feature.name for group in self for feature in group.features)

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
