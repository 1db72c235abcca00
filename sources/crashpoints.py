"""Named points at which a test can kill the process, to see that the next run finds all well.

``CRASHPOINT=before_alias:SIGKILL`` in the environment; without it nothing happens.
"""

from __future__ import annotations

import os
import signal


def crashpoint(name: str) -> None:
    """Send this process the signal that the environment names for this point, if any."""
    asked, _, how = os.environ.get("CRASHPOINT", "").partition(":")
    if asked == name:
        os.kill(os.getpid(), getattr(signal, how or "SIGKILL"))
