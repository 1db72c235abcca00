"""Cells as American issuers write them: ``Jun 30, 2025`` and ``285,100,000.00``."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np

from sources.errors import SchemaError
from sources.strict_csv import shown

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY = re.compile(r"([A-Z][a-z]{2}) ([0-9]{1,2}), ([0-9]{4})")
_NUMBER = re.compile(r"-?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
_ABSENT = ("", "-", "--")


def us_day(text: str, source: str, column: str, row: int | None = None) -> np.datetime64:
    """Return a day written ``Jun 30, 2025``, datetime64[us].

    Raises
    ------
    SchemaError
        Where it is written otherwise, or is no day of the calendar.

    Examples
    --------
    >>> us_day("Jun 30, 2025", "IWM", "As Of")
    np.datetime64('2025-06-30T00:00:00.000000')
    """
    found = _DAY.fullmatch(text)
    if found is not None and found[1] in _MONTHS:
        try:
            day = dt.date(int(found[3]), _MONTHS.index(found[1]) + 1, int(found[2]))
        except ValueError:
            pass
        else:
            return np.datetime64(day, "us")
    raise SchemaError(
        source, column=column, row=row, expected="a day such as Jun 30, 2025", found=shown(text)
    )


def us_number(text: str, source: str, column: str, row: int | None = None) -> float:
    """Return a number, with or without commas between thousands; NaN for a dash or nothing.

    Raises
    ------
    SchemaError
        Where it is anything else: a decimal comma, a percent sign, a formula.

    Examples
    --------
    >>> us_number("285,100,000.00", "IWM", "Shares Outstanding")
    285100000.0
    """
    if text in _ABSENT:
        return float("nan")
    number = float(text.replace(",", "")) if _NUMBER.fullmatch(text) else float("inf")
    if np.isinf(number):
        raise SchemaError(
            source, column=column, row=row, expected="a number such as 1,234.5", found=shown(text)
        )
    return number
