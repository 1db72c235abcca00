"""The one tree of errors, raised by every room.

::

    RiskonError
    ├── SchemaError (ValueError)          .source .column .row .expected .found   exit 3
    ├── DataUnavailableError              .source .as_of                 HTTP 503, exit 3
    │   ├── StaleDataError                .age_days .limit_days
    │   ├── ProviderUnavailableError      .attempts .status .retry_at
    │   ├── ClusterUnavailableError       .address .found
    │   └── EmptyFeedError
    ├── LookAheadError                    .feature .available_at .as_of           exit 3
    ├── InsufficientHistoryError          .needed .found                          exit 3
    ├── UnknownNameError (LookupError)    .kind .name .known             HTTP 422, exit 2
    ├── ModelNotFoundError (LookupError)  .name .alias                   HTTP 503, exit 4
    ├── PromotionRefusedError             .version .reasons                       exit 1
    │   └── PromotionConflictError        .winner
    ├── RefusedError                                                      exit 2
    ├── AlreadyRunningError               .what .holder                           exit 1
    ├── TrackingUnavailableError          .uri                                    exit 1
    └── IntegrityError                    .path .expected .found         HTTP 503, exit 5

Each message is one line: what, where, needed, found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def without_password(text: str) -> str:
    """Leave out who stands before the @ of any URL in a text.

    Examples
    --------
    >>> without_password("postgresql://me:secret@host/db is down")
    'postgresql://***@host/db is down'
    """
    return re.sub(r"(?<=://)[^/@\s]+(?=@)", "***", text)


class RiskonError(Exception):
    """Everything this project raises on purpose."""

    exit_code = 1

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by state: an error of a worker process is the same error here."""
        return (_restored, (type(self), str(self), dict(self.__dict__)))


def _restored(kind: type[RiskonError], message: str, state: dict[str, object]) -> RiskonError:
    error = kind.__new__(kind, message)
    error.args = (message,)
    error.__dict__.update(state)
    return error


class SchemaError(RiskonError, ValueError):
    """A file or frame that is not what its schema says."""

    exit_code = 3

    def __init__(
        self,
        source: str,
        *,
        expected: str,
        found: str,
        column: str | None = None,
        row: int | None = None,
    ) -> None:
        self.source, self.column, self.row = source, column, row
        self.expected, self.found = expected, found
        place = source
        if column is not None:
            place += f", column {column}"
        if row is not None:
            place += f", row {row}"
        super().__init__(f"{place}: needed {expected}; found {found}")


class DataUnavailableError(RiskonError):
    """Data that a job needs and nobody has."""

    exit_code = 3

    def __init__(self, message: str, *, source: str, as_of: str | None = None) -> None:
        self.source, self.as_of = source, as_of
        super().__init__(message)


class StaleDataError(DataUnavailableError):
    """Data that is there, but too old to speak for today."""

    def __init__(self, source: str, *, as_of: str, age_days: float, limit_days: float) -> None:
        self.age_days, self.limit_days = age_days, limit_days
        super().__init__(
            f"{source}: stale as of {as_of}: needed at most {limit_days:g} days old; "
            f"found {age_days:g}",
            source=source,
            as_of=as_of,
        )


class ProviderUnavailableError(DataUnavailableError):
    """A live source that did not answer, or answered that it will not."""

    def __init__(
        self,
        source: str,
        *,
        found: str,
        attempts: int,
        status: int | None = None,
        retry_at: str | None = None,
    ) -> None:
        self.attempts, self.status, self.retry_at = attempts, status, retry_at
        tries = f"{attempts} attempt{'s' if attempts != 1 else ''}"
        later = "" if retry_at is None else f"; retry at {retry_at}"
        super().__init__(
            f"{source}: needed an answer; found {without_password(found)}, after {tries}{later}",
            source=source,
        )


class ClusterUnavailableError(DataUnavailableError):
    """A cluster whose scheduler does not answer, or that has nobody to work."""

    def __init__(
        self, address: str, found: str, *, needed: str = "a scheduler", resume: str | None = None
    ) -> None:
        self.address, self.found, self.needed = address, found, needed
        kept = "" if resume is None else f"; what is done is kept, go on with: {resume}"
        super().__init__(f"cluster {address}: needed {needed}; found {found}{kept}", source=address)

    def resumed_by(self, command: str) -> ClusterUnavailableError:
        """Return the same error, saying how to go on."""
        return ClusterUnavailableError(self.address, self.found, needed=self.needed, resume=command)


class EmptyFeedError(DataUnavailableError):
    """A live source that answered without a row where there must be one."""

    def __init__(self, source: str, *, expected: str, found: str) -> None:
        super().__init__(f"{source}: needed {expected}; found {found}", source=source)


class LookAheadError(RiskonError):
    """A value that was about to be read before it was known."""

    exit_code = 3

    def __init__(self, feature: str, *, available_at: str, as_of: str) -> None:
        self.feature, self.available_at, self.as_of = feature, available_at, as_of
        super().__init__(
            f"{feature}: needed available_at at or before {as_of}; found {available_at}"
        )


class InsufficientHistoryError(RiskonError):
    """Too few rows for an honest answer."""

    exit_code = 3

    def __init__(self, what: str, *, needed: int, found: int, unit: str = "days") -> None:
        self.needed, self.found = needed, found
        super().__init__(f"{what}: needed at least {needed} {unit}; found {found}")


class UnknownNameError(RiskonError, LookupError):
    """An asset, horizon, world or feature that does not exist; lists those that do."""

    exit_code = 2

    def __init__(self, kind: str, name: str, known: Sequence[object]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        listed = ", ".join(str(k) for k in self.known) or "none"
        super().__init__(f"unknown {kind} {name!r}: known are {listed}")


class ModelNotFoundError(RiskonError, LookupError):
    """No such registered model, version or alias."""

    exit_code = 4

    def __init__(self, name: str, *, alias: str, hint: str) -> None:
        self.name, self.alias = name, alias
        super().__init__(f"no model {name!r} with alias or version {alias!r}: {hint}")


class PromotionRefusedError(RiskonError):
    """A version that the gate does not let through."""

    def __init__(self, version: int, reasons: Sequence[str]) -> None:
        self.version, self.reasons = version, tuple(reasons)
        super().__init__(f"version {version} refused: {'; '.join(self.reasons)}")


class PromotionConflictError(PromotionRefusedError):
    """Another promotion came first."""

    def __init__(self, version: int, *, winner: int, by: str | None, at: str) -> None:
        self.winner = winner
        who = "" if by is None else f" by {by}"
        super().__init__(
            version, [f"the champion became version {winner} in the meantime{who}, at {at}"]
        )


class RefusedError(RiskonError):
    """Something asked for that would be unsafe as things are set."""

    exit_code = 2


class AlreadyRunningError(RiskonError):
    """A job that only one process may do at a time."""

    def __init__(self, what: str, holder: str) -> None:
        self.what, self.holder = what, holder
        super().__init__(
            f"{what}: already running: needed to be the only one; found {holder}; "
            "wait for it, then try again"
        )


class TrackingUnavailableError(RiskonError):
    """The tracking server does not answer."""

    def __init__(self, uri: str, detail: str) -> None:
        self.uri = without_password(uri)
        super().__init__(
            f"tracking server {self.uri}: needed an answer; found {without_password(detail)}; "
            "start it, "
            "or unset MLFLOW_TRACKING_URI to track in a local file"
        )


class IntegrityError(RiskonError):
    """Bytes that are not the ones that were written."""

    exit_code = 5

    def __init__(self, path: str, *, expected: str, found: str) -> None:
        self.path, self.expected, self.found = path, expected, found
        super().__init__(f"{path}: needed {expected}; found {found}")
