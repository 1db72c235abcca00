"""The last version that was tried and found good, kept on disk for when nobody can be asked."""

from __future__ import annotations

import json
import logging
import os
import platform
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from serving.champions import Champion

logger = logging.getLogger(__name__)

FILE = "known_good.json"
TRIED_WITH = ("lightgbm", "numpy", "pandas", "scikit-learn", "scipy")


def surroundings() -> dict[str, str]:
    """Return what a trial of golden rows depends on beside the bundle."""
    here = {"python": platform.python_version(), "machine": platform.machine()}
    return here | {name: version(name) for name in TRIED_WITH}


def keep_known_good(artifacts: Path, champion: Champion) -> None:
    """Write down that a version was tried here and found good."""
    content: dict[str, Any] = {"champion": asdict(champion), "tried_with": surroundings()}
    content["champion"]["promoted_at"] = champion.promoted_at.isoformat()
    held = artifacts / f".{FILE}.{os.getpid()}"
    try:
        artifacts.mkdir(parents=True, exist_ok=True)
        with held.open("w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        held.replace(artifacts / FILE)
    except OSError as error:
        # It is a help at the next start, and no condition of this one.
        logger.warning("%s: not kept: %s", artifacts / FILE, error.strerror)


def known_good(artifacts: Path) -> Champion | None:
    """Return the last version that was found good, under the libraries that are here now."""
    try:
        content = json.loads((artifacts / FILE).read_text(encoding="utf-8"))
        if content["tried_with"] != surroundings():
            return None
        kept = content["champion"]
        return Champion(**{**kept, "promoted_at": datetime.fromisoformat(kept["promoted_at"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None  # None yet, or another program's: the version is tried again.
