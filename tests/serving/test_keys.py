"""Keys as they are set, and what the image needs."""

from __future__ import annotations

import ast
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from serving.keys import KeyRing, hash_key, scoped_keys
from serving.problems import ProblemError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("key", "needed", "status"),
    [
        ("plain", "read", None), ("a:b", "read", None), ("reads", "read", None),
        ("rules", "read", None), ("rules", "admin", None), ("plain", "admin", 403),
        ("rules:admin", "read", 403), ("reads:read", "read", 403), ("", "read", 401),
        (None, "read", 401), (hash_key("plain"), "read", 403), ("PLAIN", "read", 403),
    ],
)  # fmt: skip
def test_a_key_may_what_it_was_set_to_d18(key: str | None, needed: str, status: int | None) -> None:
    ring = KeyRing(scoped_keys(("plain", "a:b", "reads:read", "rules:admin")))
    if status is None:
        ring.refuse(key, needed)  # type: ignore[arg-type]
        return
    with pytest.raises(ProblemError) as told:
        ring.refuse(key, needed)  # type: ignore[arg-type]
    assert told.value.status == status
    assert "plain" not in repr(vars(ring))


def test_without_keys_anyone_reads_and_nobody_administers_d18() -> None:
    KeyRing({}).refuse(None, "read")
    with pytest.raises(ProblemError):
        KeyRing({}).refuse(None, "admin")


def test_the_image_holds_whatever_the_service_imports() -> None:
    """The group ``serving`` names every library that its rooms import, tests of types apart."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    there = {line.split(">")[0].split("[")[0].lower() for line in groups["serving"]}
    homes = packages_distributions()
    own = {"features", "models", "riskon", "serving", "sources", "training"}
    missing = set[str]()
    wired = [
        ROOT / "riskon" / f"{n}.py" for n in ("services", "settings", "database", "wiring", "cli")
    ]
    rooms = [p for room in ("features", "models", "serving") for p in (ROOT / room).rglob("*.py")]
    store = [
        p for p in (ROOT / "sources").rglob("*.py") if not {"live", "simulated"} & set(p.parts)
    ]
    for path in (*wired, *rooms, *store):
        for name in imported(ast.parse(path.read_text())):
            found = {home.lower().replace("_", "-") for home in homes.get(name, ())}
            # MLflow and its skinny part are the same module.
            found |= {"mlflow-skinny"} if name == "mlflow" else set()
            if name not in own | COME_ALONG and found and not found & there:
                missing.add(f"{path.relative_to(ROOT)}: {name}")
    assert missing == set()


# They come with fastapi, uvicorn, mlflow-skinny and jinja2; the fused kernels are an extra.
COME_ALONG = {"starlette", "h11", "requests", "markupsafe", "numba"}


def imported(tree: ast.Module) -> set[str]:
    """Return the modules at the top of the names that a file imports, at its top or later."""
    names = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names
