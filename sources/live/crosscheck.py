"""Cross-check: two providers of one series, compared day by day; the first one's values stand.

Levels of two providers differ by what they adjust for, and a whole history moves with the next
dividend; so what is compared of equities is the day's return, of crypto, which nobody adjusts,
the level too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Tolerance:
    """How far two providers may differ on a day.

    Attributes
    ----------
    return_1d : largest difference of the day's log returns.
    level : largest absolute log ratio of the closes; None where levels say nothing.
    """

    return_1d: float
    level: float | None = None


TOLERANCES: Mapping[str, Tolerance] = {
    # One tick of a fund at 20 dollars is 0.05 %; a dividend that one provider leaves out, 0.3 %.
    "equity": Tolerance(return_1d=0.002),
    # Exchanges trade apart, in stablecoins more so: within 2 % they are the same market.
    "crypto": Tolerance(return_1d=0.02, level=0.02),
}
"""Class of asset -> how far two providers may differ."""


_LEAP = 0.2
"""Daily log return that a second provider has to confirm before a gate takes it for real."""


@dataclass(frozen=True)
class Agreement:
    """What two providers of one series say of each other.

    Attributes
    ----------
    series : compared.
    first, second : names of the providers, in order of priority.
    compared : days on which both have the close of the day and of the row before.
    disagreements : (n,) frame of ``date, first, second, difference``: the day's closes, and the
        larger breach, as a log ratio.
    only_first, only_second : days that only one of them has, within the days of both.
    """

    series: str
    first: str
    second: str
    compared: int
    disagreements: pd.DataFrame
    only_first: tuple[pd.Timestamp, ...]
    only_second: tuple[pd.Timestamp, ...]

    @property
    def agrees(self) -> bool:
        """Whether no day is beyond the tolerance; days that one lacks are not held against it."""
        return self.disagreements.empty

    def __str__(self) -> str:
        """Return one line: who, how many days, the first that differs."""
        line = f"{self.series}: {self.first} and {self.second} agree on {self.compared} day(s)"
        if self.agrees:
            return line
        worst = self.disagreements.iloc[0]
        return (
            f"{self.series}: {self.first} and {self.second} differ on "
            f"{len(self.disagreements)} of {self.compared} day(s), first {worst['date'].date()}: "
            f"{worst['first']:g} and {worst['second']:g}; {self.first} stands"
        )


def cross_check(series: str, tables: Mapping[str, pd.DataFrame], tolerance: Tolerance) -> Agreement:
    """Compare the closes of two providers.

    Parameters
    ----------
    series : name of both tables.
    tables : provider -> table of prices, two of them, the one whose values stand first.
    tolerance : of the class of the series, from :data:`TOLERANCES`.

    Returns
    -------
    What they agree on. A day is compared where both have it and the row before it is the same
    day for both: across a gap that only one of them has, a return is another one.
    """
    (first, mine), (second, theirs) = tables.items()
    left, right = _closes(mine), _closes(theirs)
    days = left.index.union(right.index)
    start = days.max() if left.empty or right.empty else max(left.index[0], right.index[0])
    stop = days.min() if left.empty or right.empty else min(left.index[-1], right.index[-1])
    left, right = left.loc[start:stop], right.loc[start:stop]
    both = pd.DataFrame(
        {
            "first": left,
            "second": right,
            "return": np.log(left).diff() - np.log(right).diff(),
            "before_first": left.index.to_series().shift(),
            "before_second": right.index.to_series().shift(),
        }
    ).dropna(subset=["first", "second"])
    same_step: np.ndarray = (both["before_first"] == both["before_second"]).to_numpy()
    breach = np.where(same_step, both["return"].abs() / tolerance.return_1d, 0.0)
    difference: np.ndarray = both["return"].to_numpy()
    if tolerance.level is not None:
        level = np.log(both["first"].to_numpy() / both["second"].to_numpy())
        wide = np.abs(level) / tolerance.level
        difference = np.where(wide > breach, level, difference)
        breach, same_step = np.maximum(breach, wide), np.full(len(both), True)
    wrong = both.assign(difference=difference)[breach > 1]
    return Agreement(
        series=series,
        first=first,
        second=second,
        compared=int(same_step.sum()),
        disagreements=wrong.rename_axis("date").reset_index()[
            ["date", "first", "second", "difference"]
        ],
        only_first=tuple(left.index.difference(right.index)),
        only_second=tuple(right.index.difference(left.index)),
    )


def confirmed_leaps(table: pd.DataFrame, agreement: Agreement) -> list[np.datetime64]:
    """Return the days on which a price leaps and the second provider has the same leap.

    Parameters
    ----------
    table : prices of the first provider.
    agreement : of the two.
    """
    steps = np.log(_closes(table).where(lambda price: price > 0)).diff()
    apart = {*agreement.disagreements["date"], *agreement.only_first}
    return [
        np.datetime64(day, "us") for day in steps.index[steps.abs() > _LEAP] if day not in apart
    ]


def _closes(table: pd.DataFrame) -> pd.Series:
    """Return the latest known adjusted close of each day, the close where there is none."""
    latest = table.drop_duplicates("date", keep="last").set_index("date")
    return latest["adj_close"].fillna(latest["close"])
