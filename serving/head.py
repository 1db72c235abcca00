"""The head of a bundle: what it answers, read without loading what answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

from features.questions import assets_of, horizons_of, select
from sources.errors import IntegrityError


class Question(NamedTuple):
    """What is asked of a day: an asset, a horizon in calendar days, a threshold."""

    asset: str
    horizon_days: int
    threshold: float


@dataclass(frozen=True)
class Head:
    """What a bundle answers, and what it was made of; cheap to hold where no model is loaded."""

    questions: tuple[Question, ...]
    trained_through: date
    data_digest: str

    @property
    def assets(self) -> tuple[str, ...]:
        """Assets, each once, in the order of the questions."""
        return assets_of(self.questions)

    @property
    def horizons(self) -> tuple[int, ...]:
        """Horizons in days, ascending."""
        return horizons_of(self.questions)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Thresholds, ascending."""
        return tuple(sorted({question.threshold for question in self.questions}))

    def select(
        self, assets: Sequence[str] | None = None, horizons: Sequence[int] | None = None
    ) -> tuple[Question, ...]:
        """Return the questions of some assets and horizons (of all by default).

        Raises
        ------
        UnknownNameError
            For an asset or horizon that the bundle does not answer; lists those it does.
        """
        return select(self.questions, assets, horizons)


def read_head(folder: Path, digest: str) -> Head:
    """Read the head of the bundle of a digest.

    Raises
    ------
    IntegrityError
        If the manifest is not the one of the digest, or the head not the manifest's.
    """
    manifest = _checked(folder / "manifest.json", digest)
    listed: dict[str, str] = json.loads(manifest)["files"]
    kept = json.loads(_checked(folder / "bundle.json", listed.get("bundle.json", "none")))
    return Head(
        questions=tuple(Question(*cell) for cell in kept["cells"]),
        trained_through=date.fromisoformat(kept["trained_through"]),
        data_digest=kept["data_digest"],
    )


def _checked(path: Path, sha: str) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise IntegrityError(str(path), expected=f"sha256 {sha}", found="no file")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha:
        raise IntegrityError(str(path), expected=f"sha256 {sha}", found=found)
    return content
