"""The schema of a dataset: what a stored model was fitted on, and how today's differs from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from features.registry import Group
from sources.errors import SchemaError


class Column(BaseModel):
    """One feature of a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    unit: str
    group: str
    version: int
    dtype: str = "float64"
    missing: str = ""


class DatasetSchema(BaseModel):
    """The columns of a dataset, in order; ``model_dump_json`` stores it.

    Examples
    --------
    >>> old = DatasetSchema(columns=(Column(name="a", unit="1", group="g", version=1),))
    >>> new = DatasetSchema(columns=(Column(name="a", unit="1", group="g", version=2),))
    >>> new.drift(old)
    ('feature a: version is 2, stored 1',)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    def drift(self, stored: DatasetSchema | Mapping[str, Any]) -> tuple[str, ...]:
        """Name each difference from a stored schema; empty where there is none."""
        if not isinstance(stored, DatasetSchema):
            stored = DatasetSchema.model_validate(stored)
        before = {column.name: column for column in stored.columns}
        found = [f"feature {name}: is missing" for name in before if name not in self.names]
        for column in self.columns:
            if column.name not in before:
                found.append(f"feature {column.name}: is new")
                continue
            was = before[column.name]
            found += [
                f"feature {column.name}: {part} is {getattr(column, part)}, "
                f"stored {getattr(was, part)}"
                for part in ("unit", "group", "version", "dtype")
                if getattr(column, part) != getattr(was, part)
            ]
        if not found and self.names != stored.names:
            found.append("features: the order is another")
        return tuple(found)

    def require(self, stored: DatasetSchema | Mapping[str, Any], source: str) -> None:
        """Refuse a dataset whose schema is not the stored one.

        Raises
        ------
        SchemaError
            Naming every difference.
        """
        differences = self.drift(stored)
        if differences:
            raise SchemaError(source, expected="the stored schema", found="; ".join(differences))


def schema_of(groups: tuple[Group, ...]) -> DatasetSchema:
    """Return the schema of some groups' features."""
    return DatasetSchema(
        columns=tuple(
            Column(
                name=feature.name,
                unit=feature.unit,
                group=group.name,
                version=group.version,
                missing=feature.missing,
            )
            for group in groups
            for feature in group.features
        )
    )
