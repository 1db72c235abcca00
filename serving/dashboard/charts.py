"""Charts as SVG, made here: light, sharp at any width, and in the colours of the page.

Positions are per cent of the width, so a chart needs no script to fit a phone, and its words
keep their size. Colours are the style sheet's, by class. Nothing of a caller's text is written
without being escaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape


@dataclass(frozen=True)
class Axis:
    """A linear axis.

    Attributes
    ----------
    low, high : its ends, in units of the values.
    ticks : where it is labelled, ascending, between the ends.
    """

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Return where a value stands, in per cent of the length, kept inside."""
        return min(max(100 * (value - self.low) / (self.high - self.low), 0.0), 100.0)


def nice_axis(values: Sequence[float], most_ticks: int = 6, pad: float = 0.04) -> Axis:
    """Return an axis around some values, with ticks at 1, 2 or 5 times a power of ten.

    Examples
    --------
    >>> nice_axis([0.468, 0.586]).ticks
    (0.5, 0.55)
    >>> nice_axis([3.0]).ticks
    (2.6, 2.8, 3.0, 3.2, 3.4)
    """
    low, high = min(values), max(values)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    room = pad * (high - low)
    low, high = low - room, high + room
    raw = (high - low) / most_ticks
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(low, high, tuple(round(k * step, 10) for k in range(first, last + 1)))


def _x(share: float) -> str:
    return f"{share:.2f}%"


def titled(title: str, body: str, kind: str, height: int) -> Markup:
    """Return a picture with its title, which screen readers say."""
    return Markup(  # noqa: S704 - the title is escaped, the body is made of numbers here
        f'<svg class="chart {kind}" role="img" aria-label="{escape(title)}" width="100%" '
        f'height="{height}"><title>{escape(title)}</title>{body}</svg>'
    )


def grid(axis: Axis, height: float) -> str:
    """Return faint lines at the ticks."""
    return "".join(
        f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="{height:g}"/>'
        for x in (_x(axis.share(tick)) for tick in axis.ticks)
    )


def scale(axis: Axis, labels: Sequence[str], height: int = 20) -> Markup:
    """Return the labels of an axis; for eyes only, the numbers stand in the table."""
    words = "".join(
        f'<text class="tick" x="{_x(share)}" y="13" text-anchor="middle">{escape(label)}</text>'
        for share, label in zip((axis.share(t) for t in axis.ticks), labels, strict=True)
    )
    return Markup(  # noqa: S704 - labels are escaped
        f'<svg class="chart scale" aria-hidden="true" width="100%" height="{height}">{words}</svg>'
    )


def dot_and_interval(
    axis: Axis,
    title: str,
    base_rate: float | None,
    said: tuple[float, float, float] | None,
    height: int = 34,
) -> Markup:
    """Return a forecast as a dot on its interval, beside the base rate, a tall tick.

    Parameters
    ----------
    said : probability and the ends of its interval; None where it abstained.
    """
    mid = height / 2
    body = grid(axis, height)
    if said is not None:
        p, lower, upper = (axis.share(value) for value in said)
        body += (
            f'<line class="span" x1="{_x(lower)}" x2="{_x(upper)}" y1="{mid:g}" y2="{mid:g}"/>'
            + "".join(
                f'<line class="cap" x1="{_x(x)}" x2="{_x(x)}" y1="{mid - 4:g}" y2="{mid + 4:g}"/>'
                for x in (lower, upper)
            )
        )
    if base_rate is not None:
        x = _x(axis.share(base_rate))
        body += f'<line class="base" x1="{x}" x2="{x}" y1="{mid - 10:g}" y2="{mid + 10:g}"/>'
    if said is not None:
        body += f'<circle class="said" cx="{_x(p)}" cy="{mid:g}" r="5.5"/>'
    return titled(title, body, "dot", height)


def bar(
    axis: Axis, start: float, end: float, title: str, *, total: bool = False, height: int = 22
) -> Markup:
    """Return one step of a sum, from where the steps before it ended; or a mark at a total."""
    body = grid(axis, height)
    if total:
        x = _x(axis.share(end))
        body += f'<line class="base" x1="{x}" x2="{x}" y1="2" y2="{height - 2}"/>'
    else:
        left, right = sorted((axis.share(start), axis.share(end)))
        kind = "up" if end >= start else "down"
        body += (
            f'<rect class="{kind}" x="{_x(left)}" y="4" width="{_x(max(right - left, 0.25))}" '
            f'height="{height - 8}" rx="1"/>'
        )
    return titled(title, body, "bar", height)


def meter(share: float, title: str, *, over: bool) -> Markup:
    """Return how much of a limit is used up."""
    filled = _x(min(max(100 * share, 1.5), 100.0))
    body = (
        '<rect class="track" x="0" y="3" width="100%" height="6" rx="3"/>'
        f'<rect class="{"over" if over else "used"}" x="0" y="3" width="{filled}" height="6" '
        'rx="3"/>'
    )
    return titled(title, body, "meter", 12)
