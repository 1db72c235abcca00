"""Which code a job runs: its release, its commit where there is one, and the digest of its sources.

The commit says where to look the code up. The digest says whether it is the same: a
checkout with changes has one too, and so has an installed wheel.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("sources", "features", "models", "training")
"""What decides a result. The command line, serving and the tests do not."""


@cache
def code_digest() -> str:
    """Return the sha256 of the source files that decide a result, with their names."""
    specs = {package: find_spec(package) for package in PACKAGES}
    return digest_of(
        {
            package: Path(place)
            for package, spec in specs.items()
            for place in (spec.submodule_search_locations or () if spec else ())
        }
    )


def digest_of(packages: Mapping[str, Path]) -> str:
    """Return the sha256 of all source files of packages, wherever these lie.

    Parameters
    ----------
    packages : name -> folder.
    """
    total = sha256()
    for package, root in sorted(packages.items()):
        for path in sorted(root.rglob("*.py")):
            content = sha256(path.read_bytes()).hexdigest()
            total.update(f"{package}/{path.relative_to(root).as_posix()} {content}\n".encode())
    return total.hexdigest()


def code_version() -> tuple[str, str | None]:
    """Return the package's version with its commit, and the commit, None outside a checkout.

    A ``+`` after the commit says that files differed from it.
    """
    release, checkout = version("riskon"), Path(__file__).resolve().parents[1]
    if not (checkout / ".git").exists():
        return release, None
    commit, changed = (
        _git(checkout, *arguments)
        for arguments in (("rev-parse", "--verify", "HEAD"), ("status", "--porcelain", "-uno"))
    )
    if not commit:
        return release, None
    return f"{release} {commit[:12]}{'+' if changed else ''}", commit


def _git(checkout: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", str(checkout), *arguments],  # noqa: S607 - whichever git is installed
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None  # No git on this machine is no reason to lose a job.
    return done.stdout.strip() if done.returncode == 0 else None
