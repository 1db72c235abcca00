"""From an error to one line and an exit code."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import typer
from pydantic import ValidationError

from sources.errors import RiskonError

BOUNDS = {"greater than or equal to": "at least", "less than or equal to": "at most"}
"""How pydantic puts it, and how we do."""


def exit_code(error: Exception) -> int:
    """Return the exit code of an error: its own, or 1 (2 for a setting that cannot be)."""
    if isinstance(error, RiskonError):
        return error.exit_code
    return 2 if isinstance(error, ValidationError) else 1


def explain(error: Exception) -> str:
    """Return one line: what, where, needed, found."""
    if isinstance(error, RiskonError):
        return _one_line(str(error))
    if isinstance(error, ValidationError):
        # The input is left out: it may be a secret from the environment.
        problems = [
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)
        ]
        return _one_line(f"{error.title}: {'; '.join(problems)}")
    if isinstance(error, OSError):
        return _one_line(f"{error.filename or 'file'}: {error.strerror or error}")
    return _one_line(f"{type(error).__name__}: {error} (--debug shows where)")


def explain_usage(
    error: typer.TyperException, words: Sequence[str], commands: Collection[str]
) -> str:
    """Return one line about words that cannot be: needed, found, and where the help is.

    Parameters
    ----------
    words : of the command line.
    commands : names of all commands.
    """
    # An option without its value is refused before typer knows whose option it is.
    named = next((f"riskon {word}" for word in words if word in commands), "riskon")
    context = getattr(error, "ctx", None)
    command = named if context is None else context.command_path
    said = _needed_and_found(error)
    if said is None:
        message = error.format_message().strip().removesuffix(".")
        said = message[:1].lower() + message[1:]
    return _one_line(f"{said}; see '{command} --help'")


def _needed_and_found(error: typer.TyperException) -> str | None:
    """Say what an option needs and what it found; None where it is not a value that is wrong."""
    cause, option = error.__cause__, getattr(error, "param", None)
    if not isinstance(cause, ValidationError) or option is None:
        return None
    problem = cause.errors(include_url=False)[0]
    message, found = problem["msg"], repr(str(problem["input"])[:40])
    if should := re.match(r"Input should be ([^,]+)", message):
        needed = should[1]
        for long, short in BOUNDS.items():
            needed = needed.replace(long, short)
    elif listed := re.search(r"is not one of (.+?)\.?$", message):
        needed = f"one of {listed[1]}"
    else:
        needed = message
    name = option.get_error_hint().replace("'", "")
    return f"{name}: needed {needed}; found {found}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
