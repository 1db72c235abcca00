"""The lock: each claim is recorded, with the time and its hash, before any outcome is read.

A file of lines that is only ever added to. Each line carries the sha256 of the line before it,
so that one that was changed or taken out is noticed. A claim that was changed has another hash:
it is recorded beside the old one, and both are counted in the correction.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sources.errors import IntegrityError
from training.study.cells import count_tests
from training.study.claims import ClaimLedger

BEGIN = "0" * 64


@dataclass(frozen=True)
class Lock:
    """A claim, as it was recorded.

    Attributes
    ----------
    claim, digest : its id and hash.
    primary_tests, other_tests : how many tests it makes.
    data_digest, known_at : of the rows it was to be tested on, and when the last was known, UTC.
    locked_at : when it was recorded, UTC.
    """

    claim: str
    digest: str
    primary_tests: int
    other_tests: int
    data_digest: str
    known_at: str
    locked_at: str


def lock_claims(
    path: Path,
    ledger: ClaimLedger,
    *,
    data_digest: str,
    known_at: str,
    same_data: Callable[[Lock], bool],
) -> tuple[tuple[Lock, ...], tuple[Lock, ...]]:
    """Record the claims that are new on this data; two processes take turns.

    Parameters
    ----------
    path : of the file; made where it is not there.
    data_digest, known_at : of the market.
    same_data : tells whether an earlier lock was made on this data, or on a beginning of it.

    Returns
    -------
    The locks of the ledger's claims, and of all others ever recorded on this data: claims
    that were changed, or left out since. Those count in the correction.

    Raises
    ------
    IntegrityError
        Where a line of the file is not what was written.
    """
    with _opened(path) as handle:
        before, last = _read(handle, path)
        seen: dict[str, Lock] = {}
        for lock in before:
            if same_data(lock):
                seen.setdefault(lock.digest, lock)
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        fresh = []
        for claim in ledger.claims:
            if claim.digest not in seen:
                lock = Lock(claim.id, claim.digest, *count_tests(claim), data_digest, known_at, now)
                fresh.append(lock)
                seen[claim.digest] = lock
        _append(handle, fresh, last)
    mine = [claim.digest for claim in ledger.claims]
    return tuple(seen[d] for d in mine), tuple(k for d, k in seen.items() if d not in mine)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _read(handle: int, path: Path) -> tuple[list[Lock], str]:
    os.lseek(handle, 0, os.SEEK_SET)
    content = b""
    while chunk := os.read(handle, 1 << 20):
        content += chunk
    lines = content.decode("utf-8", errors="replace").splitlines()
    if content and not content.endswith(b"\n"):
        # A process died while it wrote: nothing was tested on that line.
        whole = content.rfind(b"\n") + 1
        os.ftruncate(handle, whole)
        lines = lines[:-1]
    locks, last = [], BEGIN
    for number, line in enumerate(lines, 1):
        place = f"{path}, line {number}"
        try:
            row = json.loads(line)
            prior = row.pop("prior")
            lock = Lock(**row)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(
                place, expected="a lock as written", found="another text"
            ) from error
        if prior != last:
            raise IntegrityError(place, expected=f"prior {last[:12]}", found=str(prior)[:12])
        locks.append(lock)
        last = hashlib.sha256(line.encode()).hexdigest()
    return locks, last


def _append(handle: int, locks: Sequence[Lock], last: str) -> None:
    for lock in locks:
        line = json.dumps({**lock.__dict__, "prior": last}, sort_keys=True)
        last = hashlib.sha256(line.encode()).hexdigest()
        os.write(handle, line.encode() + b"\n")
    os.fsync(handle)
