"""Feature code that gives other values needs another version."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from library import ASSETS, EVERYTHING, full_market

from features import REGISTRY, Dataset, build_dataset

GOLDEN = Path(__file__).parent / "golden.json"
ACCEPT = "RISKON_ACCEPT_GOLDEN"


@pytest.fixture(scope="module")
def built() -> Dataset:
    return build_dataset(full_market(end="2021-12-31"), ASSETS, EVERYTHING)


def _digest(built: Dataset, group: str) -> str:
    """Digest a group's names, and its values on every 40th day to eight digits.

    A library's logarithm may differ in the last bits from one machine to the next.
    """
    names = [f.name for g in REGISTRY if g.name == group for f in g.features]
    at = [built.names.index(name) for name in names]
    rows = [f"{value:.7e}" for value in (built.values[::40, :, at] + 0.0).ravel()]
    return hashlib.sha256(json.dumps([names, rows]).encode()).hexdigest()[:16]


def test_B12_no_group_changes_its_values_without_a_new_version(built: Dataset) -> None:
    now = {g.name: {"version": g.version, "digest": _digest(built, g.name)} for g in REGISTRY}
    stored = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get(ACCEPT):
        frozen = [
            name
            for name, was in stored.items()
            if name in now and was["version"] == now[name]["version"] and was != now[name]
        ]
        assert not frozen, f"values changed and the version did not: raise that of {frozen}"
        GOLDEN.write_text(json.dumps(now, indent=1) + "\n")
    changed = [name for name in now.keys() | stored.keys() if now.get(name) != stored.get(name)]
    assert not changed or os.environ.get(ACCEPT), (
        f"groups {sorted(changed)} differ from {GOLDEN.name}: if that is meant, raise their "
        f"version where they are registered, then run pytest with {ACCEPT}=1 and commit the file"
    )


def test_the_digest_sees_a_small_change(built: Dataset) -> None:
    before = _digest(built, "own_momentum")
    values = built.values.copy()
    values[-1 - (len(values) - 1) % 40, 0, built.names.index("own_return_5d")] *= 1 + 1e-5
    changed = Dataset(**{**vars(built), "values": values})
    assert _digest(changed, "own_momentum") != before
    assert np.isfinite(built.values[-1]).all()
