"""Files written whole or not at all, and there after a power cut: temporary file, fsync, rename."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from sources.crashpoints import crashpoint

CRASHPOINTS = (
    "raw_after_tmp_write",
    "raw_after_fsync",
    "raw_after_replace",
    "after_tmp_write",
    "after_fsync",
    "after_replace",
    "before_manifest",
    "in_manifest",
    "after_manifest",
    "after_unlink",
)
"""Every step of an ingest or a compaction after which a process may die."""

TEMPORARY = ".tmp"
"""Suffix of a file that is being written; one that is left over is swept away."""

ABANDONED_SECONDS = 3600
"""No write takes so long: a temporary file that is older was left by a process that died."""


def write_durably(path: Path, content: bytes | memoryview, stage: str = "") -> None:
    """Write a file of the store at once, and force it and its name to the disk.

    Parameters
    ----------
    path : to write; its folder is made where absent.
    content : all of it.
    stage : what stands before the names of the crash points.

    Raises
    ------
    OSError
        Where it cannot be written; what was there before is still there.
    """
    make_folder(path.parent)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            crashpoint(f"{stage}after_tmp_write")
            os.fsync(file.fileno())
        crashpoint(f"{stage}after_fsync")
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        # A failed write knows no name: the message would not say which disk is full.
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    crashpoint(f"{stage}after_replace")
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it where absent, and force the new names to the disk.

    Raises
    ------
    OSError
        Where it cannot be made.
    """
    absent = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in absent:
        sync_folder(place.parent)


def sweep(root: Path) -> None:
    """Take away the temporary files in a store that an interrupted write left.

    Another process may be keeping a payload, which takes no lock: what is young may be its own.
    """
    oldest = time.time() - ABANDONED_SECONDS
    for pattern in (f".*{TEMPORARY}", f"*/.*{TEMPORARY}"):
        for path in root.glob(pattern):
            # It may be renamed, or swept by another, between the two steps.
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
