"""A small client of the API: typed answers, typed errors, timeouts, and retries where they help.

::

    with Client("http://127.0.0.1:8000", key="...") as riskon:
        for score in riskon.scores(asset=["BTC"]).scores:
            print(score.asset, score.horizon_days, score.probability, score.base_rate)
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel

from serving.answers import BatchAnswer, ModelInfo, Problem, Ready, Scores
from serving.outcomes import SettledScore
from serving.questions import Batch, Item
from serving.routes_record import History
from serving.score import Score
from serving.verification import Verification
from sources.errors import RiskonError

RETRIED = frozenset({429, 502, 503, 504})
"""Who answers so may answer otherwise later; asking twice gives the same row."""

Answer = TypeVar("Answer", bound=BaseModel)


class ApiError(RiskonError):
    """An answer that is a problem.

    Attributes
    ----------
    status : of HTTP; 0 where there was no answer at all.
    kind : last part of the problem's type, such as ``unknown-asset``.
    """

    def __init__(self, status: int, kind: str, detail: str) -> None:
        self.status, self.kind = status, kind
        super().__init__(f"{status} {kind}: {detail}")


class RefusedKeyError(ApiError):
    """No key, or one that may not."""


class InvalidRequestError(ApiError):
    """A question that cannot be answered as it was put."""


class NothingFoundError(ApiError):
    """Nothing of that name or day."""


class UnavailableError(ApiError):
    """Nobody can answer now, after all retries."""


def _error(status: int, kind: str, detail: str) -> ApiError:
    if status in (401, 403):
        return RefusedKeyError(status, kind, detail)
    if status == 404:
        return NothingFoundError(status, kind, detail)
    if status in RETRIED or status == 0:
        return UnavailableError(status, kind, detail)
    return (
        InvalidRequestError(status, kind, detail)
        if status < 500
        else ApiError(status, kind, detail)
    )


class Client:
    """Asks one service.

    Parameters
    ----------
    url : of the service.
    key : API key, where it needs one.
    seconds : until an answer, each time.
    attempts : in all, with growing pauses, or as long as the service says.
    patience_seconds : longest pause that is waited out.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        seconds: float = 30.0,
        attempts: int = 4,
        patience_seconds: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {"accept": "application/json"}
        if key is not None:
            headers["x-api-key"] = key
        self._http = httpx.Client(base_url=url, headers=headers, timeout=seconds)
        self.attempts, self.patience_seconds = attempts, patience_seconds
        self._sleep = sleep

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close its connections."""
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def scores(
        self,
        as_of: date | None = None,
        asset: Sequence[str] = (),
        horizon: Sequence[int] = (),
    ) -> Scores:
        """Return the scores of a day, the latest by default."""
        asked = {"as_of": as_of, "asset": list(asset), "horizon": list(horizon)}
        return self._get("/v1/scores", Scores, asked)

    def score(self, forecast_id: str) -> Score:
        """Return one score as it was issued."""
        return self._get(f"/v1/scores/{forecast_id}", Score)

    def batch(self, items: Sequence[Item]) -> BatchAnswer:
        """Return the answers to some questions, in their order."""
        body = Batch(items=list(items)).model_dump(mode="json")
        return self._read(self._ask("POST", "/v1/scores:batch", json=body), BatchAnswer)

    def history(
        self, *, page: int = 1000, **asked: str | int | date | None
    ) -> Iterator[SettledScore]:
        """Yield what was said and what came of it, page by page; parameters as of the route."""
        after: int | None = None
        while True:
            found = self._get("/v1/history", History, {**asked, "after": after, "limit": page})
            yield from found.items
            if found.after is None:
                return
            after = found.after

    def verification(self, **asked: str | int | date | None) -> Verification:
        """Return how settled forecasts did; parameters as of the route."""
        return self._get("/v1/verification", Verification, asked)

    def model(self, at: datetime | None = None) -> ModelInfo:
        """Return the version that speaks, or spoke at an instant."""
        text = None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return self._get("/v1/model", ModelInfo, {"at": text})

    def ready(self) -> Ready:
        """Return how ready the service is."""
        return self._get("/health/ready", Ready)

    def _get(self, path: str, kind: type[Answer], asked: dict[str, Any] | None = None) -> Answer:
        given = {name: value for name, value in (asked or {}).items() if value is not None}
        return self._read(self._ask("GET", path, params=given), kind)

    def _read(self, answer: httpx.Response, kind: type[Answer]) -> Answer:
        return kind.model_validate_json(answer.content)

    def _ask(self, method: str, path: str, **told: Any) -> httpx.Response:
        """Ask until there is an answer that is worth no other try."""
        for attempt in range(1, self.attempts + 1):
            try:
                answer = self._http.request(method, path, **told)
            except httpx.TransportError as error:
                problem = _error(0, "no-answer", type(error).__name__)
                wait: float | None = None
            else:
                if answer.is_success:
                    return answer
                problem = _problem(answer)
                if answer.status_code not in RETRIED:
                    raise problem
                wait = _retry_after(answer)
            # Full jitter: clients that failed together do not come back together.
            pause = random.uniform(0, 0.25 * 2**attempt) if wait is None else wait  # noqa: S311 - no secret
            if attempt == self.attempts or pause > self.patience_seconds:
                raise problem
            self._sleep(pause)
        raise AssertionError("at least one attempt is made")


def _problem(answer: httpx.Response) -> ApiError:
    try:
        said = Problem.model_validate_json(answer.content)
    except ValueError:
        return _error(answer.status_code, "no-problem", answer.reason_phrase)
    return _error(answer.status_code, said.type.rpartition(":")[2], said.detail)


def _retry_after(answer: httpx.Response) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdigit() and len(text) < 8 else None
