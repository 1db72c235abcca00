"""How figures are said: names of what is held, signs, intervals, small p-values."""

from __future__ import annotations

from collections.abc import Mapping
from math import expm1, isfinite

from training.study.cells import Finding
from training.study.claims import Claim

TARGETS: Mapping[str, str] = {
    "BTC": "Bitcoin",
    "ETH": "Ethereum",
    "ETH-BTC": "Ethereum less Bitcoin",
    "ALTS": "the altcoins",
    "ALTS-BTC": "the altcoins less Bitcoin",
    "ALTS-betaBTC": "the altcoins less beta times Bitcoin",
}
ABOVE: Mapping[str, str] = {
    "ETH-BTC": "Ethereum had beaten Bitcoin",
    "ALTS-BTC": "Altcoins had beaten Bitcoin",
    "ALTS-betaBTC": "Altcoins had beaten what Bitcoin explains of them",
}


def above(target: str) -> str:
    """Return that a target stood above where it began, as a sentence begins.

    Examples
    --------
    >>> above("BTC"), above("ALTS-BTC")
    ('Bitcoin was higher', 'Altcoins had beaten Bitcoin')
    """
    name = TARGETS.get(target, target)
    return ABOVE.get(target, f"{name[0].upper()}{name[1:]} was higher")


NONE = "\u2013"
MINUS = "\u2212"
LARGEST = 2.4
"""Log size beyond which percent say nothing to anybody."""


def signed(fraction: float) -> str:
    """Return a fraction as percent with its sign.

    Examples
    --------
    >>> signed(0.254), signed(-0.001)
    ('+25 %', '0 %')
    >>> signed(-0.3) == MINUS + "30 %"
    True
    """
    if not isfinite(fraction):
        return NONE
    rounded = round(100 * fraction)
    sign = "+" if rounded > 0 else MINUS if rounded < 0 else ""
    return f"{sign}{abs(rounded):,} %"


def percent(fraction: float, digits: int = 0) -> str:
    """Return a share as percent.

    Examples
    --------
    >>> percent(0.761), percent(0.0003, 2)
    ('76 %', '0.03 %')
    """
    return f"{100 * fraction:.{digits}f} %" if isfinite(fraction) else NONE


def number(value: float, digits: int = 2) -> str:
    """Return a number with its sign, a dash where there is none.

    Examples
    --------
    >>> number(0.074), number(float("nan")) == NONE
    ('+0.07', True)
    """
    if not isfinite(value):
        return NONE
    text = f"{value:+.{digits}f}"
    return text.replace("-", MINUS)


def p_value(p: float) -> str:
    """Return a p-value to three digits.

    Examples
    --------
    >>> p_value(0.02613), p_value(1e-7), p_value(1.0)
    ('0.026', '<0.001', '1')
    """
    if not isfinite(p):
        return NONE
    return "<0.001" if p < 0.001 else "1" if p > 0.9995 else f"{p:.3f}"


def count(value: float) -> str:
    """Return a count, a dash where there is none to give."""
    return f"{value:,.0f}" if isfinite(value) else NONE


def effect_of(claim: Claim, found: Finding) -> tuple[str, str]:
    """Return the effect and its interval, in the units that people read.

    Log returns become simple returns, shares become counts of events.
    """
    if not isfinite(found.effect):
        return NONE, ""
    if claim.kind == "rose_each_time":
        rises = found.checks.get("rises", 0.0)
        return f"{rises:.0f} of {found.n:.0f}", f"{percent(found.lower)} to {percent(found.upper)}"
    if claim.unit.startswith("log"):
        return signed(expm1(found.effect)), (
            f"{signed(expm1(found.lower))} to {signed(expm1(found.upper))}"
        )
    digits = 4 if claim.unit.endswith("R2") else 2
    return number(found.effect, digits), (
        f"{number(found.lower, digits)} to {number(found.upper, digits)}"
    )


def size_of(claim: Claim, value: float) -> str:
    """Return a size of effect as :func:`effect_of` would."""
    if not isfinite(value):
        return "not even all" if claim.kind == "rose_each_time" else NONE
    if claim.kind == "rose_each_time":
        return percent(value)
    if claim.unit.startswith("log"):
        return signed(expm1(value)) if value < LARGEST else "over +1,000 %"
    return f"{value:.4f}" if claim.unit.endswith("R2") else f"{value:.2f}"
