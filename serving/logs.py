"""Logs: one JSON object a line, one line a request, nothing in it that a client wrote freely."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO, cast
from uuid import uuid4

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

SECRET = re.compile(r"(?i)((?:api[-_]?key|password|token|secret)[\"']?\s*[=:]\s*)[^\s,;&\"']+")
CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def request_id(sent: bytes | None) -> str:
    """Return the client's own id of a request where it is harmless, else a new one.

    Examples
    --------
    >>> request_id(b"trace-0000-1")
    'trace-0000-1'
    >>> len(request_id(b'x"} forged'))
    32
    """
    text = (sent or b"").decode("latin-1")
    return text if REQUEST_ID.fullmatch(text) else uuid4().hex


def without_secrets(text: str) -> str:
    """Leave out what stands where a password or a key does.

    Examples
    --------
    >>> without_secrets("postgresql://me:hush@host/db api_key=hush")
    'postgresql://***@host/db api_key=***'
    """
    return SECRET.sub(r"\1***", CREDENTIALS.sub("***", text))


def _clean(_: Any, __: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = without_secrets(value)
    return event


def _shared() -> list[Processor]:
    return [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def configure_logging(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send all log records of this process to one stream, each as a line of JSON."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                *_shared(),
                structlog.stdlib.add_logger_name,
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _clean,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"


def request_log(stream: TextIO | None = None) -> FilteringBoundLogger:
    """Return the logger of requests; it writes JSON lines to a stream."""
    return cast(
        "FilteringBoundLogger",
        structlog.wrap_logger(
            structlog.WriteLogger(stream or sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            cache_logger_on_first_use=True,
        ),
    )


def _dumps(event: Mapping[str, Any], **_: Any) -> str:
    return json.dumps(event, separators=(",", ":"))
