"""Publication: when each series is published, how old it may grow, and who says so.

The one table of lags and limits. :mod:`sources.calendars` turns a lag into an ``available_at``,
the gates and the scorer read the limits. A row named after a folder of the market directory speaks
for every series of that folder without a row of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PublicationLag:
    """How long after its event date a value is published.

    Attributes
    ----------
    sessions : XNYS sessions after the event date, or after the next session where the date is
        none (what is dated on a holiday is not published before the session after it);
        0 is the date itself.
    minutes : minutes after 00:00 UTC of that day.
    days : calendar days, added before ``minutes``.
    """

    sessions: int
    minutes: int
    days: int = 0


@dataclass(frozen=True)
class Publication:
    """What is declared of one series, or of all others of its folder.

    Attributes
    ----------
    lag : from the event date to ``available_at``; None where the exchange's close or the end of
        the day decides, as :mod:`sources.calendars` has them.
    stale_after_days : age from which a value may not speak for today any more.
    reference : who publishes it, and where the hour and day are stated.
    """

    lag: PublicationLag | None
    stale_after_days: float
    reference: str


_H15 = "Federal Reserve Board, H.15: next business day, 16:15 New York at the latest"
_H41 = "Federal Reserve Board, H.4.1: Wednesday's level, Thursday 16:30 New York"
_H10 = "Federal Reserve Board, H.10: Mondays 16:15 New York, for the week before"
_NY_FED = "Federal Reserve Bank of New York, markets and policy implementation"

PUBLICATIONS: Mapping[str, Publication] = {
    "crypto": Publication(None, 1.0, "contract: the daily bar closes at 24:00 UTC"),
    "prices": Publication(None, 7.0, "NYSE: the session's close, half days included"),
    "constituents": Publication(
        # Holdings of a day are posted with the shares outstanding of the same day.
        PublicationLag(1, 13 * 60),
        7.0,
        "issuers: holdings as of a day are posted before the next session opens",
    ),
    "flows": Publication(
        PublicationLag(1, 13 * 60),
        10.0,
        "issuers: shares outstanding and NAV are posted before the next session opens",
    ),
    # 21:30 UTC is 16:30 New York in winter, and an hour late in summer: never ahead.
    "WALCL": Publication(PublicationLag(0, 21 * 60 + 30, days=1), 14.0, _H41),
    "WTREGEN": Publication(PublicationLag(0, 21 * 60 + 30, days=1), 14.0, _H41),
    "RRPONTSYD": Publication(
        PublicationLag(0, 18 * 60 + 30), 14.0, f"{_NY_FED}: the day's operation, 13:15 New York"
    ),
    "DGS2": Publication(PublicationLag(1, 22 * 60), 14.0, _H15),
    "DGS10": Publication(PublicationLag(1, 22 * 60), 14.0, _H15),
    "T10Y2Y": Publication(PublicationLag(1, 22 * 60), 14.0, f"FRED, from {_H15}"),
    "T10YIE": Publication(PublicationLag(1, 22 * 60), 14.0, f"FRED, from {_H15}"),
    "EFFR": Publication(
        PublicationLag(1, 14 * 60), 14.0, f"{_NY_FED}: next business day, 09:00 New York"
    ),
    "VIXCLS": Publication(
        PublicationLag(0, 21 * 60 + 20), 14.0, "Cboe: the index closes at 16:15 New York"
    ),
    # Five sessions cover every weekday of the week before.
    "DTWEXBGS": Publication(PublicationLag(5, 22 * 60), 14.0, _H10),
    "macro": Publication(
        PublicationLag(1, 22 * 60),
        14.0,
        "assumed of any other daily or weekly series: the end of the next session's day",
    ),
}
"""Series, or folder of the market directory, or ``crypto`` (prices of its universe)."""


def publication(folder: str, series: str = "", *, is_crypto: bool = False) -> Publication:
    """Return what is declared of a series.

    Parameters
    ----------
    folder : ``prices``, ``flows``, ``macro`` or ``constituents``.
    series : its name; one without a row gets the row of its folder.
    is_crypto : whether it trades every day.

    Examples
    --------
    >>> publication("macro", "EFFR").stale_after_days
    14.0
    """
    if folder == "macro" and series in PUBLICATIONS:
        return PUBLICATIONS[series]
    return PUBLICATIONS["crypto" if is_crypto else folder]
