"""Prices as features read them: which column, and what a jump that is no return does.

A stock split that a feed has not adjusted for divides the price by ten in a
session. No broad index or fund has moved by a quarter in one (the worst, on
1987-10-19, was -20 %), and no large coin sevenfold (the wildest, DOGE on
2021-01-28, was x 4.4), so a step beyond ``JUMP`` (``COIN_JUMP``) is no return:

- where ``close`` jumps and ``adj_close`` does not, or the other way round, the
  calm one of the two gives the step;
- where there is no calm one, the step is unknown: returns, volatilities and
  means whose window spans it are missing, and highs are told on the price with
  the jump taken out.

The bound is fixed, not a multiple of the recent deviation: it needs no
look-back, and a calm month does not make a crash into an artefact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from features import windows

JUMP = np.log(4 / 3)
COIN_JUMP = 2.0
"""Largest daily log return, up or down, that is taken for one."""


def quoted_price(prices: pd.DataFrame) -> pd.Series:
    """Return the close, or the adjusted close where there is no quoted one."""
    return _first(prices["close"], prices["adj_close"])


def log_price(prices: pd.DataFrame) -> pd.Series:
    """Return the log of the adjusted close, or of the close where there is no adjusted one."""
    return windows.logarithm(_first(prices["adj_close"], prices["close"]))


def steps(prices: pd.DataFrame, jump: float = JUMP) -> pd.Series:
    """Return the log return of each row, adjusted where possible; NaN where it is a jump."""
    step = log_price(prices).diff()
    other = _calm(windows.logarithm(prices["close"]).diff(), jump)
    return pd.Series(np.where(np.abs(step) <= jump, step, other), step.index)


def log_returns(price: pd.Series, step: pd.Series, lengths: Sequence[int]) -> dict[int, pd.Series]:
    """Return log returns over some numbers of rows, missing over an unexplained jump.

    Over a jump that the other price explains, a return is the sum of its steps.
    """
    found: dict[int, pd.Series] = {}
    mended = bool(((price.diff() - step).abs() > JUMP).any())
    for k in lengths:
        summed = windows.total(step, k)
        found[k] = windows.only(price.diff(k), summed.notna())
        if mended:
            torn = windows.highest((price.diff() - step).abs(), k) > JUMP
            found[k] = found[k].where(~torn, summed)
    return found


def unbroken(log: pd.Series, rows: int, jump: float = JUMP) -> pd.Series:
    """Tell where a log price has no jump and no gap over some rows."""
    return windows.total(_calm(log.diff(), jump), rows - 1).notna()


def unsplit_price(prices: pd.DataFrame, jump: float = JUMP) -> pd.Series:
    """Return the quoted price in shares of the first row: jumps of the quote are taken out.

    Row t reads rows up to t.
    """
    price = quoted_price(prices)
    log = windows.logarithm(price)
    step = log.diff()
    torn = step.abs() > jump
    if not torn.any():
        return price
    calm = _calm(log_price(prices).diff(), jump)
    excess = (step - calm.where(calm.notna(), 0.0)).where(torn, 0.0)
    return price * np.exp(-excess.cumsum())


def _calm(step: pd.Series, jump: float) -> pd.Series:
    return windows.only(step, np.abs(step.to_numpy()) <= jump)


def _first(price: pd.Series, other: pd.Series) -> pd.Series:
    return pd.Series(np.where(np.isnan(price), other, price), price.index)
