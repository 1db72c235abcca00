"""What goes into each page: a template and its values, or why there is none."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.dashboard.anatomy import anatomy_view
from serving.dashboard.history import Cell
from serving.dashboard.signals_view import DEFAULT_RANGE, RANGES, signals_view
from serving.dashboard.today import today_view
from serving.dashboard.views import Scores, Views
from serving.problems import UNAVAILABLE
from sources.errors import ModelNotFoundError, RiskonError

logger = logging.getLogger(__name__)

Content = tuple[str, dict[str, Any]]
"""A template, and what fills it in."""

FORECAST_ID = re.compile(r"[0-9a-f]{32}")
HORIZON = re.compile(r"[1-9][0-9]{0,2}")

FIRST_STEPS = (
    "riskon train --market DIR --asset BTC --horizon 5",
    "riskon promote 1 --reason TEXT",
)


@dataclass(frozen=True)
class Refusal(Exception):  # noqa: N818 - it is an answer
    """A page that is not there, in the words that a person is to read.

    Attributes
    ----------
    steps : commands that help.
    again : whether it will be there in a moment.
    """

    status: int
    heading: str
    said: str
    steps: tuple[str, ...] = ()
    again: bool = False


class Contents:
    """Makes what goes into each page.

    Parameters
    ----------
    service : who answers for a day.
    """

    def __init__(self, service: Scores) -> None:
        self.service = service
        self.views = Views(service)

    def today(self) -> Content:
        """Return the page of the latest day."""
        scores = self.service.scores()
        if not scores:
            said = "The champion has not scored a day."
            raise Refusal(404, "No scores yet", said, ("riskon score --market DIR",))
        issued, outcomes = self.service.ledger.counts()
        return "today.html", {
            "view": today_view(scores, self.service.clock()),
            "card": self.views.card(),
            "issued": issued,
            "outcomes": outcomes,
            "stale": self.service.stale,
        }

    def score(self, forecast_id: str) -> Content:
        """Return the page of one score."""
        found = None
        if FORECAST_ID.fullmatch(forecast_id):
            found = self.service.ledger.get(forecast_id)
            if found is None:
                # An abstention is in no ledger, but the day's page links to it.
                of_today = {score.forecast_id: score for score in self.service.scores()}
                found = of_today.get(forecast_id)
        if found is None:
            raise Refusal(404, "No such score", "No score of this address was issued.")
        return "score.html", {"view": anatomy_view(found)}

    def signals(self, query: Mapping[str, str]) -> Content:
        """Return the page of the signals beside an asset."""
        if self.views.of_the_day is None:
            said = "The service was started without a market, so there are no signals to draw."
            raise Refusal(503, "No market at hand", said, ("riskon serve --market DIR",))
        found = self.views.signals()
        if found is None:
            said = "That takes some seconds, once a day. Ask again in a moment."
            raise Refusal(503, "The signals of the day are being made", said, again=True)
        asset = query.get("asset", next(iter(found.close)))
        span = query.get("range", DEFAULT_RANGE)
        if asset not in found.close or span not in RANGES:
            said = f"Assets are {', '.join(found.close)}; ranges are {', '.join(RANGES)}."
            raise Refusal(404, "No such picture", said)
        asked = ("signals", str(found.days[-1]), id(found), asset, span)
        view = self.views.once(asked, lambda: signals_view(found, asset, span))
        return "signals.html", {"view": view}

    def record(self, query: Mapping[str, str]) -> Content:
        """Return the page of the record, with the history of one asset and horizon."""
        asset, days = query.get("asset"), query.get("horizon", "")
        asked = Cell(asset, int(days)) if asset and HORIZON.fullmatch(days) else None
        view = self.views.record(asked)
        if (asset or days) and view.chosen != asked:
            raise Refusal(404, "No such record", "Nothing was said of this asset and horizon.")
        return "record.html", {"view": view}

    def model(self) -> Content:
        """Return the page of the model."""
        return "model.html", {"card": self.views.card()}


def refusal_of(error: RiskonError) -> Refusal:
    """Return what a person reads of an error; what it says of paths and hosts stays in the log."""
    logger.error("503: %s", error)
    if isinstance(error, ModelNotFoundError):
        said = "A model is trained, then promoted through the gate; from then on there are scores."
        return Refusal(503, "No model speaks yet", said, FIRST_STEPS)
    _, said = next(words for kind, words in UNAVAILABLE.items() if isinstance(error, kind))
    return Refusal(503, "Not available now", f"{said} The server's log says more.")
