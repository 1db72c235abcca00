"""Errors on the wire: one table from the tree of errors to application/problem+json (RFC 9457).

What a client sent is never sent back, nor is a path, a host or a traceback.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from sources.errors import (
    DataUnavailableError,
    IntegrityError,
    ModelNotFoundError,
    RiskonError,
    SchemaError,
    StaleDataError,
    TrackingUnavailableError,
    UnknownNameError,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

SECURITY_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

UNAVAILABLE: Mapping[type[RiskonError], tuple[str, str]] = {
    StaleDataError: ("stale-data", "The market data are too old to speak for the day."),
    DataUnavailableError: ("data-unavailable", "Data or the database cannot be read at present."),
    ModelNotFoundError: ("no-model", "No model has been promoted, or its files are missing."),
    TrackingUnavailableError: ("tracking-unavailable", "The model cannot be fetched at present."),
    IntegrityError: ("integrity", "Stored bytes are not the ones that were written."),
    SchemaError: ("data-refused", "The market data are not what their schema says."),
    RiskonError: ("unavailable", "The request cannot be answered at present."),
}
"""Kind and detail of the 503 of each class; the first that fits."""


class ProblemError(Exception):
    """A request that is refused, in the words the client is to read."""

    def __init__(
        self, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers = dict(headers or {})


def document(status: int, kind: str, detail: str) -> dict[str, Any]:
    """Return a problem document (RFC 9457) as plain values."""
    return {
        "type": f"urn:riskon:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }


def problem(
    status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """Return an answer that is a problem document."""
    content = {**document(status, kind, detail), **more}
    return JSONResponse(
        content, status, headers={**SECURITY_HEADERS, **(headers or {})}, media_type=MEDIA_TYPE
    )


def register_problems(app: FastAPI) -> None:
    """Make every error of an application a problem document."""
    app.add_exception_handler(ProblemError, _refused)
    app.add_exception_handler(RiskonError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unknown)


def problem_of(error: RiskonError | ProblemError) -> JSONResponse:
    """Return the answer that an error of ours is on the wire."""
    return _refused_as(error) if isinstance(error, ProblemError) else _known_as(error)


def as_document(error: RiskonError | ProblemError) -> dict[str, Any]:
    """Return the problem document that an error of ours is on the wire."""
    said: dict[str, Any] = json.loads(bytes(problem_of(error).body))
    return said


def _refused_as(error: ProblemError) -> JSONResponse:
    return problem(error.status, error.kind, error.detail, error.headers)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return _refused_as(error)


async def _known(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RiskonError)
    return _known_as(error)


def _known_as(error: RiskonError) -> JSONResponse:
    if isinstance(error, UnknownNameError):
        known = ", ".join(str(name) for name in error.known)
        return problem(422, f"unknown-{error.kind}", f"No such {error.kind}; known are: {known}.")
    day_is_at_fault = isinstance(error, DataUnavailableError) and error.as_of is not None
    if day_is_at_fault and not isinstance(error, StaleDataError):
        return problem(422, "as-of-out-of-range", str(error))
    logger.error("503: %s", error)
    kind, detail = next(said for cls, said in UNAVAILABLE.items() if isinstance(error, cls))
    if isinstance(error, ModelNotFoundError):
        detail += " Next: riskon train, then riskon promote VERSION --reason TEXT."
    return problem(503, kind, detail, {"retry-after": "30"})


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    said: list[str] = []
    for item in error.errors():
        if item["type"] == "extra_forbidden":
            said.append("a parameter that does not exist")  # its name is the client's own text
        else:
            place = ".".join(str(part) for part in item["loc"][1:])
            said.append(f"{place}: {item['msg']}")
    return problem(422, "invalid-request", "; ".join(dict.fromkeys(said[:10])) + ".")


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    detail = "See /docs for what there is."
    return problem(error.status_code, kind, detail, error.headers)


async def _unknown(_: Request, error: Exception) -> JSONResponse:
    logger.error("500: %s", type(error).__name__, exc_info=error)
    return problem(500, "internal", "The request failed for a reason that is in the server's log.")
