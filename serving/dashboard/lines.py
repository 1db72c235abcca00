"""Lines over time, as SVG that fits any width; see :mod:`serving.dashboard.charts`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from serving.dashboard.charts import Axis, nice_axis

MOST_POINTS = 720
"""Days that a line is drawn through; of longer ones the last of each bucket."""

WIDE = 1000.0


@dataclass(frozen=True)
class Line:
    """A line, or an area from nought, of one value a day.

    Attributes
    ----------
    values : (n,) float64; NaN breaks the line.
    kind : class of the style sheet: ``said``, ``base``, ``quiet`` or ``area``.
    """

    values: np.ndarray
    kind: str


@dataclass(frozen=True)
class Band:
    """What lies between two lines."""

    lower: np.ndarray
    upper: np.ndarray


def thinned(count: int, most: int = MOST_POINTS) -> np.ndarray:
    """Return the places of at most so many points of a series, the last among them.

    >>> thinned(7, 3).tolist()
    [0, 3, 6]
    """
    step = -(-count // most)
    return np.arange((count - 1) % step, count, step)


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """Return a path through the points that are there."""
    said, pen = [], "M"
    for at, value in zip(x, y, strict=True):
        if np.isfinite(value):
            said.append(f"{pen}{at:.1f} {value:.1f}")
            pen = "L"
        else:
            pen = "M"
    return "".join(said)


def _area(x: np.ndarray, y: np.ndarray, nought: np.ndarray) -> str:
    """Return closed paths between the points and a floor."""
    known = np.isfinite(y) & np.isfinite(nought)
    starts = np.flatnonzero(known & ~np.r_[False, known[:-1]])
    ends = np.flatnonzero(known & ~np.r_[known[1:], False]) + 1
    said = ""
    for a, b in zip(starts, ends, strict=True):
        there, back = _path(x[a:b], y[a:b]), _path(x[a:b][::-1], nought[a:b][::-1])
        said += f"{there}L{back[1:]}Z"
    return said


def panel(
    title: str,
    lines: Sequence[Line],
    *,
    height: int = 120,
    axis: Axis | None = None,
    labels: Sequence[str] | None = None,
    band: Band | None = None,
    marks: np.ndarray | None = None,
    high_marks: tuple[np.ndarray, np.ndarray] | None = None,
    logarithmic: bool = False,
    level: float | None = None,
    uprights: Sequence[float] = (),
) -> Markup:
    """Return lines over the same days.

    Parameters
    ----------
    axis, labels : of the values; made of them by default.
    marks : (n,) bool: days with a tick at the foot.
    high_marks : two (n,) bools: days with a dot at the top, and at the foot.
    logarithmic : draw the logarithm; the axis is of it.
    level : a value that is drawn across.
    uprights : shares of the width, in per cent, with a faint line, such as the years.
    """
    count = len(lines[0].values)
    keep = thinned(count)
    x = WIDE * (keep + 0.5) / count
    drawn = [(line.kind, line.values[keep]) for line in lines]
    if logarithmic:
        drawn = [(kind, np.log10(values)) for kind, values in drawn]
    if axis is None:
        seen = np.concatenate([values[np.isfinite(values)] for _, values in drawn])
        extra = [level] if level is not None else []
        axis = nice_axis(
            [*map(float, (seen.min(), seen.max())), *extra] if len(seen) else [0, 1], 3
        )

    def y(values: np.ndarray) -> np.ndarray:
        return height * (1 - (values - axis.low) / (axis.high - axis.low))

    curves = ""
    if band is not None:
        curves += f'<path class="band" d="{_area(x, y(band.upper[keep]), y(band.lower[keep]))}"/>'
    for kind, values in drawn:
        if kind == "area":
            floor = y(np.zeros(len(keep)))
            curves += f'<path class="rise" d="{_area(x, y(np.maximum(values, 0)), floor)}"/>'
            curves += f'<path class="fall" d="{_area(x, y(np.minimum(values, 0)), floor)}"/>'
        else:
            curves += f'<path class="{kind}" d="{_path(x, y(values))}"/>'
    words = labels if labels is not None else [f"{tick:g}" for tick in axis.ticks]
    rows, names = "", ""
    for tick, word in zip(axis.ticks, words, strict=True):
        at = f"{y(np.array(tick)):.1f}"
        rows += f'<line class="grid" x1="0" x2="100%" y1="{at}" y2="{at}"/>'
        names += f'<text class="tick" x="100%" dx="7" y="{at}" dy="4">{escape(word)}</text>'
    rows += "".join(
        f'<line class="grid" x1="{at:.2f}%" x2="{at:.2f}%" y1="0" y2="{height}"/>'
        for at in uprights
    )
    if level is not None:
        at = f"{y(np.array(level)):.1f}"
        rows += f'<line class="level" x1="0" x2="100%" y1="{at}" y2="{at}"/>'
    dots = ""
    for flags, top in zip(high_marks or (), (6, height - 6), strict=False):
        kind = "up" if top == 6 else "down"
        dots += "".join(
            f'<circle class="{kind}" cx="{100 * (i + 0.5) / count:.2f}%" cy="{top}" r="2.2"/>'
            for i in np.flatnonzero(flags)
        )
    if marks is not None:
        dots += "".join(
            f'<line class="mark" x1="{at}" x2="{at}" y1="{height - 9}" y2="{height}"/>'
            for at in (f"{100 * (i + 0.5) / count:.2f}%" for i in np.flatnonzero(marks))
        )
    said = escape(title)
    return Markup(  # noqa: S704 - words are escaped, the rest is made of numbers here
        f'<svg class="chart panel" role="img" aria-label="{said}" width="100%" height="{height}">'
        f'<title>{said}</title>{rows}<svg viewBox="0 0 {WIDE:g} {height}" width="100%" '
        f'height="{height}" preserveAspectRatio="none">{curves}</svg>{dots}{names}</svg>'
    )


def log_axis(values: np.ndarray) -> tuple[Axis, list[str]]:
    """Return an axis of logarithms with ticks at 1, 2 and 5 times powers of ten.

    >>> log_axis(np.array([90.0, 1100.0]))[1]
    ['100', '200', '500', '1,000']
    """
    seen = values[np.isfinite(values) & (values > 0)]
    if not len(seen):
        return Axis(0, 1, ()), []
    low, high = float(np.log10(seen.min())), float(np.log10(seen.max()))
    room = max(0.05 * (high - low), 0.02)
    low, high = low - room, high + room
    levels = [m * 10.0**k for k in range(int(low) - 2, int(high) + 2) for m in (1, 2, 5)]
    inside = [v for v in levels if low <= np.log10(v) <= high]
    while len(inside) > 5:
        inside = [v for v in inside if f"{v:e}"[0] == "1"] if len(inside) > 6 else inside[::2]
        if all(f"{v:e}"[0] == "1" for v in inside):
            inside = inside[:: -(-len(inside) // 5)]
            break
    if len(inside) < 2:
        made = nice_axis([10**low, 10**high], 3)
        inside = [t for t in made.ticks if t > 0 and low <= np.log10(t) <= high]
    return Axis(low, high, tuple(float(np.log10(v)) for v in inside)), [_money(v) for v in inside]


def _money(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def day_ticks(days: np.ndarray, most: int = 6) -> list[tuple[float, str]]:
    """Return where to label days, in per cent of the width, and how: years, or months.

    Parameters
    ----------
    days : (n,) datetime64[D], consecutive.

    Examples
    --------
    >>> days = np.arange("2020-12-20", "2021-03-10", dtype="datetime64[D]")
    >>> [label for _, label in day_ticks(days)]
    ['2021', 'Feb', 'Mar']
    """
    months = days.astype("datetime64[M]")
    firsts = np.flatnonzero(np.r_[False, months[1:] != months[:-1]])
    number = months.astype(int)
    for every in (1, 2, 3, 6, 12, 24, 36, 60):
        chosen = [i for i in firsts if number[i] % every == 0]
        if len(chosen) <= most:
            break
    return [
        (
            float(100 * (i + 0.5) / len(days)),
            str(1970 + number[i] // 12)
            if number[i] % 12 == 0
            else days[i].astype(object).strftime("%b"),
        )
        for i in chosen
    ]
