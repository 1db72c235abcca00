"""Agreement: where two sources of one flow or macro series do not say the same.

Prices, which are adjusted for what comes later, are compared by :mod:`sources.live.crosscheck`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def disagreements(
    first: pd.DataFrame, second: pd.DataFrame, column: str, tolerance: float
) -> pd.DataFrame:
    """Return the days on which two sources differ by more than a relative tolerance.

    Parameters
    ----------
    first : table of the source that has priority, and whose rows stay.
    second : table of the other one.
    column : the value compared, where both have it; the latest vintage of each day.
    tolerance : largest ``|second / first - 1|``; where the first is 0, largest difference.

    Returns
    -------
    Frame ``date,first,second,difference``.
    """
    latest = [
        table.loc[~table["date"].duplicated(keep="last"), ["date", column]].dropna()
        for table in (first, second)
    ]
    both = latest[0].merge(latest[1], on="date", suffixes=("_first", "_second"))
    one, other = both[f"{column}_first"].to_numpy(), both[f"{column}_second"].to_numpy()
    difference = np.abs(other - one) / np.where(one == 0, 1.0, np.abs(one))
    wide = difference > tolerance
    return pd.DataFrame(
        {
            "date": both["date"].to_numpy()[wide],
            "first": one[wide],
            "second": other[wide],
            "difference": difference[wide],
        }
    )
