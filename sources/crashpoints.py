"""Named points at which a test may end the process, to see that the next run finds all well.

``CRASHPOINT=before_trial_stored:SIGKILL`` in the environment; ``name@3`` ends it the third time
that the point is passed. Without it nothing happens.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

_PASSED: Counter[str] = Counter()


def crashpoint(name: str) -> None:
    """End the process here if the environment asks for it."""
    asked, _, how = os.environ.get("CRASHPOINT", "").partition(":")
    if not asked:
        return
    wanted, _, times = asked.partition("@")
    if wanted != name:
        return
    _PASSED[name] += 1
    if _PASSED[name] == int(times or 1):
        os.kill(os.getpid(), signal.Signals[how or "SIGKILL"])
