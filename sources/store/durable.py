"""Files written whole or not at all, and there after a power cut: temporary file, fsync, rename."""

from __future__ import annotations

import os
import tempfile
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
    path.parent.mkdir(parents=True, exist_ok=True)
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


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
