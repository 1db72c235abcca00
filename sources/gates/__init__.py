"""Quality gates: what a feed brings is taken, put in quarantine with its reason, or refused whole.

Pure functions of the table that is stored and the table that came. :func:`screen` is the way in
for prices, flows and macro series; :func:`screen_snapshots` and :func:`screen_panel` for universes.
"""

from sources.gates.agreement import disagreements
from sources.gates.feeds import gaps, staleness
from sources.gates.screen import screen
from sources.gates.sieve import REASONS, Screened, explain
from sources.gates.universe import screen_panel, screen_snapshot, screen_snapshots

__all__ = [
    "REASONS",
    "Screened",
    "disagreements",
    "explain",
    "gaps",
    "screen",
    "screen_panel",
    "screen_snapshot",
    "screen_snapshots",
    "staleness",
]
