"""The space of a search: settings of a model, and what each may be instead.

Each axis is named by the setting's path (``signals.effect``, ``signals.discounts.1``),
by an expert that may be left out (``boosting``), or by a block of features
(``blocks.flows``). The present value is always among the choices, so that a search begins
there and stays near it: ranges are small on purpose, for evidence is little.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from features.registry import REGISTRY
from models import ModelConfig
from sources.errors import UnknownNameError

BLOCKS = "blocks."
CLASSIFIERS = ("logistic", "boosting")
OPTIONAL = ("rules", *CLASSIFIERS, "calibration")
Place = dict[str, int]
"""Name of an axis -> which of its choices."""


class Axis(BaseModel):
    """What a setting may be beside what it is: ``factors`` of it, ``values``, or ``off``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    factors: tuple[float, ...] = ()
    values: tuple[bool | float, ...] = ()
    off: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> Axis:
        kinds = [bool(self.factors), bool(self.values), self.off]
        if sum(kinds) != 1:
            raise ValueError(f"needed one of factors, values and off; found {sum(kinds)}")
        return self


def _times(*factors: float) -> Axis:
    return Axis(factors=factors)


OFF = Axis(off=True)
HALF_TO_DOUBLE = _times(0.5, 0.7, 1.0, 1.4, 2.0)

DEFAULT_SPACE: dict[str, Axis] = {
    **{f"blocks.{name}": OFF for name in ("momentum", "highs", "flows", "breadth", "liquidity")},
    "blocks.crypto": OFF,
    "signals.interactions": Axis(values=(True, False)),
    "signals.effect": HALF_TO_DOUBLE,
    "signals.own_effect": HALF_TO_DOUBLE,
    "signals.nothing": _times(0.5, 1.0, 2.0, 4.0),
    "signals.tail": _times(0.8, 1.0, 1.6),
    # Half-lives of 87 to 346 days about the 173 that 0.996 has.
    "signals.discounts.1": Axis(values=(0.992, 0.994, 0.996, 0.998)),
    "signals.gate_share": HALF_TO_DOUBLE,
    "signals.drift_weight": _times(0.25, 0.5, 1.0, 1.5),
    "signals.drift_deviation": HALF_TO_DOUBLE,
    "rules": OFF,
    "rules.effect": _times(0.5, 1.0, 1.5),
    "logistic": OFF,
    "logistic.prior_deviation": _times(0.5, 1.0, 2.0),
    "boosting": OFF,
    "boosting.trees": _times(0.5, 1.0, 2.0),
    "mixture.climatology_prior": _times(0.6, 1.0, 1.4),
    "mixture.signals_share": _times(0.8, 0.9, 1.0),
    "mixture.rate": _times(0.5, 0.75, 1.0),
    "calibration": OFF,
}
"""Small ranges about the configuration as it is."""


class Space:
    """The choices about one configuration.

    An axis of a part that the configuration does not have (``boosting.trees`` without boosting)
    offers nothing, and is left out.

    Parameters
    ----------
    base : the configuration as it is.
    axes : by name.

    Attributes
    ----------
    choices : axis -> what the setting may be, the present value among it.
    start : the place of the configuration as it is.

    Raises
    ------
    UnknownNameError
        For an axis that names no setting, expert or block.
    """

    def __init__(self, base: ModelConfig, axes: Mapping[str, Axis]) -> None:
        self.base = base
        self.choices: dict[str, tuple[Any, ...]] = {}
        self.start: Place = {}
        for name, axis in axes.items():
            if axis.off:
                if _can_be_left_out(name, base):
                    self.choices[name], self.start[name] = (True, False), 0
                continue
            now = _setting(base, name)
            if now is None:
                continue
            offered = tuple(now * f for f in axis.factors) if axis.factors else axis.values
            if isinstance(now, int) and not isinstance(now, bool):
                offered = tuple(round(value) for value in offered)
            offered = tuple(dict.fromkeys(offered))
            self.choices[name] = offered if now in offered else (now, *offered)
            self.start[name] = self.choices[name].index(now)

    def configured(self, place: Place) -> ModelConfig:
        """Return the configuration of a place; the start gives ``base`` itself.

        Raises
        ------
        ValidationError
            If the settings do not go together.
        """
        if place == self.start:
            return self.base
        plain = self.base.model_dump()
        chosen = {name: choices[place[name]] for name, choices in self.choices.items()}
        off = [name for name, value in chosen.items() if self._is_switch(name) and not value]
        for name, value in chosen.items():
            if not self._is_switch(name):
                plain = _put(plain, name.split("."), value)
        blocks = {name.removeprefix(BLOCKS) for name in off if name.startswith(BLOCKS)}
        plain |= {name: None for name in off if not name.startswith(BLOCKS)}
        if blocks:
            _leave_out(plain, blocks)
        return ModelConfig.model_validate(plain)

    def _is_switch(self, name: str) -> bool:
        return name.startswith(BLOCKS) or name in OPTIONAL


def _leave_out(plain: dict[str, Any], blocks: set[str]) -> None:
    """Leave a block's features out of signals and classifiers.

    They stay in the dataset, which all trials share, and which tells what a score has read.
    """
    block_of = {feature.name: group.block for group in REGISTRY for feature in group.features}
    if plain["signals"] is not None:
        groups = {
            group: tuple(name for name in names if block_of.get(name) not in blocks)
            for group, names in plain["signals"]["groups"].items()
        }
        plain["signals"]["groups"] = {group: names for group, names in groups.items() if names}
    chosen = plain["classifier_features"]
    kept = tuple(name for name in chosen or block_of if block_of.get(name) not in blocks)
    plain["classifier_features"] = kept
    if not kept:
        plain |= dict.fromkeys(CLASSIFIERS)


def _can_be_left_out(name: str, base: ModelConfig) -> bool:
    if name.startswith(BLOCKS):
        known = sorted({group.block for group in REGISTRY})
        if name.removeprefix(BLOCKS) not in known:
            raise UnknownNameError("block", name.removeprefix(BLOCKS), known)
        return True
    if name not in OPTIONAL:
        raise UnknownNameError("part that can be left out", name, OPTIONAL)
    return getattr(base, name) is not None


def _setting(base: ModelConfig, name: str) -> Any:
    """Return a number of the configuration, None where the part that has it is left out."""
    found: Any = base
    for part in name.split("."):
        if found is None:
            return None
        if isinstance(found, tuple) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        elif isinstance(found, BaseModel) and part in type(found).model_fields:
            found = getattr(found, part)
        else:
            known = list(type(found).model_fields) if isinstance(found, BaseModel) else []
            raise UnknownNameError("setting of the search space", name, known)
    if not isinstance(found, int | float):
        raise UnknownNameError("number of the search space", name, [])
    return found


def _put(holder: Any, parts: list[str], value: Any) -> Any:
    """Return nested dictionaries and tuples with one value replaced."""
    if not parts:
        return value
    if isinstance(holder, tuple):
        at = int(parts[0])
        return (*holder[:at], _put(holder[at], parts[1:], value), *holder[at + 1 :])
    return {**holder, parts[0]: _put(holder[parts[0]], parts[1:], value)}
