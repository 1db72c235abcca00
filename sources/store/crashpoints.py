"""Named points at which a test can kill the process, to see that the next run finds all well.

``CRASHPOINT=after_tmp_write:SIGKILL`` in the environment; without it nothing happens.
"""

from __future__ import annotations

import os
import signal

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


def crashpoint(name: str) -> None:
    """Send this process the signal that the environment names for this point, if any."""
    asked, _, how = os.environ.get("CRASHPOINT", "").partition(":")
    if asked == name:
        os.kill(os.getpid(), getattr(signal, how or "SIGKILL"))
