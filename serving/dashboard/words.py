"""Numbers and names as people read them: one place, so that every page says them alike."""

from __future__ import annotations

import math
import re
from datetime import date, datetime

from features import REGISTRY

MINUS, DASH, THIN = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{NO-BREAK SPACE}"
NOTHING = "\N{EM DASH}"

PARTS = {
    "(drift)": ("Drift", "what the law of returns says without any signal, against the base rate"),
    "(calibration)": ("Calibration", "what calibration on past outcomes moved"),
    "(mixture)": ("Mixing", "what mixing several laws leaves over, their curvature"),
    "(rules)": ("Rules of the claims", "the expert that takes the claims at their word"),
}
"""Drivers that are no input: name and meaning."""

EXPERTS = {
    "climatology": "Climatology",
    "signals": "Signals",
    "logistic": "Logistic regression",
    "boosting": "Boosted trees",
    "rules": "Rules of the claims",
}

_WINDOW = re.compile(r"_(\d+)([sdw])(?=$|\s)")
_UNITS = {"s": "sessions", "d": "days", "w": "weeks"}
_FORMULAS = {feature.name: feature.formula for group in REGISTRY for feature in group.features}


def percent(value: float | None, digits: int = 1) -> str:
    r"""Return a probability in per cent.

    >>> percent(0.51451)
    '51.5\xa0%'
    """
    return NOTHING if value is None else f"{100 * value:.{digits}f}{THIN}%"


def signed(value: float | None, digits: int = 3) -> str:
    """Return a number with its sign, and none where it rounds to zero.

    >>> signed(0.0471), signed(-0.0001), signed(0.04, 1)
    ('+0.047', '0.000', '0.0')
    """
    if value is None:
        return NOTHING
    said = f"{abs(value):.{digits}f}"
    if not float(said):
        return said
    return f"{MINUS if value < 0 else '+'}{said}"


def points(value: float | None) -> str:
    r"""Return a difference of probabilities in percentage points.

    >>> points(0.0123)
    '+1.2\xa0pts'
    """
    return NOTHING if value is None else f"{signed(100 * value, 1)}{THIN}pts"


def interval(lower: float | None, upper: float | None) -> str:
    """Return an interval of probabilities in per cent."""
    if lower is None or upper is None:
        return NOTHING
    return f"{100 * lower:.1f}{THIN}{DASH}{THIN}{100 * upper:.1f}{THIN}%"


def number(value: float | None) -> str:
    """Return a value of a feature in three figures that count.

    >>> number(1234.5), number(-0.05488).replace(MINUS, "-"), number(12.0)
    ('1,234', '-0.0549', '12')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    said = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return said.replace("-", MINUS)


def long_day(day: date) -> str:
    """Return a day in words.

    >>> long_day(date(2024, 12, 31))
    '31 December 2024'
    """
    return f"{day.day} {day:%B %Y}"


def short_day(day: date) -> str:
    """Return a day in few letters.

    >>> short_day(date(2024, 12, 1))
    '1 Dec 2024'
    """
    return f"{day.day} {day:%b %Y}"


def instant(at: datetime) -> str:
    """Return an instant, which is UTC, to the minute."""
    return f"{short_day(at.date())}, {at:%H:%M} UTC"


def days(count: float) -> str:
    """Return an age or a horizon.

    >>> days(1), days(5.1), days(20)
    ('1 day', '5.1 days', '20 days')
    """
    said = f"{count:.1f}".removesuffix(".0")
    return f"{said} day" if said == "1" else f"{said} days"


def age(count: float) -> str:
    """Return an age in the unit that fits it.

    >>> age(0.0), age(0.125), age(5.104)
    ('just in', '3 hours', '5.1 days')
    """
    if count < 1 / 24:
        return "just in"
    hours = round(24 * count)
    return days(count) if count >= 1 else f"{hours} hour{'s' * (hours != 1)}"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "input"), plural(1200, "outcome")
    ('1 input', '1,200 outcomes')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def feature_label(name: str) -> str:
    """Return the name of a driver in words.

    >>> feature_label("flow_pressure_20s"), feature_label("(drift)")
    ('Flow pressure, 20 sessions', 'Drift')
    """
    if name in PARTS:
        return PARTS[name][0]
    said = _WINDOW.sub(lambda found: f", {found[1]} {_UNITS[found[2]]}", name).replace("_", " ")
    return said[:1].upper() + said[1:]


def feature_meaning(name: str) -> str:
    """Return what a driver is: its formula where it is one feature."""
    return PARTS[name][1] if name in PARTS else _FORMULAS.get(name, "")


def expert_label(name: str) -> str:
    """Return the name of an expert in words."""
    return EXPERTS.get(name, name)


def question(horizon_days: int, threshold: float) -> str:
    """Return what is asked of an asset.

    >>> question(5, 0.0), question(1, 0.02)
    ('5 days', '1 day, by more than 2 %')
    """
    said = days(horizon_days)
    return said if not threshold else f"{said}, by more than {threshold * 100:g} %"
