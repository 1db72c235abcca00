"""JSON that means one thing: no repeated names, no NaN, no numbers or depths beyond reason."""

from __future__ import annotations

import json
import math
from typing import Any

from serving.problems import ProblemError

MOST_DEPTH = 16
MOST_DIGITS = 32


def strict_json(content: bytes, content_type: str) -> Any:
    """Parse a body.

    Raises
    ------
    ProblemError
        415 where it does not say that it is JSON in UTF-8, 422 where it is not.
    """
    kind, _, parameters = content_type.lower().partition(";")
    charset = parameters.replace(" ", "").replace('"', "")
    if kind.strip() != "application/json" or charset not in ("", "charset=utf-8"):
        raise ProblemError(415, "not-json", "Needed Content-Type application/json, in UTF-8.")
    try:
        text = content.decode("utf-8")
        _refuse_depth(text)
        return json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_no_constant,
            parse_int=_whole,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        said = str(error) if isinstance(error, _UnfitError) else "not one JSON document in UTF-8"
        raise ProblemError(422, "invalid-json", f"The body: {said}.") from error


class _UnfitError(ValueError):
    """What is JSON by its grammar, and still refused; the message repeats nothing of it."""


def _refuse_depth(text: str) -> None:
    """Count brackets outside strings: the parser itself recurses."""
    depth, inside, escaped = 0, False, False
    for sign in text:
        if inside:
            if escaped:
                escaped = False
            elif sign == "\\":
                escaped = True
            elif sign == '"':
                inside = False
        elif sign == '"':
            inside = True
        elif sign in "[{":
            depth += 1
            if depth > MOST_DEPTH:
                raise _UnfitError(f"deeper than {MOST_DEPTH} levels")
        elif sign in "]}":
            depth -= 1


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _UnfitError("a name is given twice")
    return made


def _no_constant(_: str) -> float:
    raise _UnfitError("NaN and Infinity are no JSON")


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise _UnfitError(f"a number of more than {MOST_DIGITS} digits")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _UnfitError("a number too large for a float")
    return number
