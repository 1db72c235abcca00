"""The advance-decline line and the McClellan oscillator, a session at a time."""

from __future__ import annotations

from collections import deque
from math import isnan, nan

FAST, SLOW = 0.10, 0.05
"""Smoothing constants of McClellan's 19- and 39-session averages."""

WARM_UP = 100
"""Sessions until the first one weighs less than 1 % in the slow average: 0.95**100 = 0.006."""

WINDOWS = (20, 60)
NAMES = ("line", "line_20", "line_60", "oscillator", "summation")


class AdvanceDecline:
    """Line, oscillator and summation index of ratio-adjusted net advances.

    A net advance is (advances - declines) / (advances + declines), in [-1, 1]. The line is
    their sum since the beginning, so its level depends on where that is; its change over a
    window, divided by the window, does not. The oscillator is the difference of an average
    with weight 0.10 and one with weight 0.05. The summation index, the sum of all oscillators,
    is taken in closed form, ``20 * slow - 10 * fast + oscillator``, which forgets the beginning
    and is stationary. A session without a net advance leaves the averages as they were.

    References
    ----------
    S. and M. McClellan, Patterns for Profit (1970); J. Miekka's closed form.
    """

    def __init__(self) -> None:
        self.line = 0.0
        self._fast = self._slow = nan
        self._seen = 0
        self._recent: deque[float] = deque([nan] * max(WINDOWS), maxlen=max(WINDOWS))

    def step(self, net_advance: float) -> tuple[float, ...]:
        """Take in one session's net advance, in [-1, 1] or NaN; return the values of ``NAMES``."""
        self._recent.append(net_advance)
        if not isnan(net_advance):
            first = not self._seen
            self._seen += 1
            self.line += net_advance
            self._fast = net_advance if first else self._fast + FAST * (net_advance - self._fast)
            self._slow = net_advance if first else self._slow + SLOW * (net_advance - self._slow)
        recent = list(self._recent)
        changes = [sum(recent[-window:]) / window for window in WINDOWS]
        if isnan(net_advance):
            return (nan, *changes, nan, nan)
        if self._seen < WARM_UP:
            return (self.line, *changes, nan, nan)
        oscillator = self._fast - self._slow
        return (self.line, *changes, oscillator, 20 * self._slow - 10 * self._fast + oscillator)
