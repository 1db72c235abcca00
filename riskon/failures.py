"""From an error to one line and an exit code."""

from __future__ import annotations

from pydantic import ValidationError

from sources.errors import RiskonError


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


def _one_line(text: str) -> str:
    return " ".join(text.split())
