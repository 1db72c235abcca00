"""A training job on disk: its file, its lock, and how it is begun, held and resumed."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd

from riskon import output as out
from riskon.settings import Settings
from sources.errors import DataUnavailableError, IntegrityError, RefusedError, SchemaError
from sources.market import Market
from training.codebase import code_digest
from training.jobfile import JobConfig

JOBS = "jobs"
FILE, LOCK = "job.json", "lock"
NAME_LENGTH = 12


@dataclass(frozen=True)
class JobFolder:
    """A job that was begun: what it is, on which data, and where.

    Attributes
    ----------
    market : directory that was read.
    as_of : instant at which the job began; nothing that became known later is ever read.
    data_digest : of the market then.
    code_digest : of the code that began it (:func:`training.codebase.code_digest`).
    storage : URL of the record of trials, where it is not the folder's journal.
    """

    name: str
    folder: Path
    config: JobConfig
    market: Path
    as_of: pd.Timestamp
    data_digest: str
    code_digest: str
    experiment: str
    storage: str | None

    @property
    def tags(self) -> dict[str, str]:
        """What its runs are found by."""
        return {
            "job": self.name,
            "job_digest": self.config.digest,
            "data_digest": self.data_digest,
            "code_digest": self.code_digest,
            "market": self.market.name,
        }

    def same_market(self, opened: Market) -> Market:
        """Return the market as it stood when the job began.

        Raises
        ------
        IntegrityError
            If its past reads differently now.
        """
        then = opened.as_of(self.as_of)
        found = then.digest()
        if found != self.data_digest:
            raise IntegrityError(
                f"job {self.name}: data of {self.market}",
                expected=f"sha256 {self.data_digest[:12]}... as of {self.as_of:%Y-%m-%dT%H:%MZ}",
                found=f"{found[:12]}...; begin a new job",
            )
        return then


def read_job(path: Path | None, flags: Mapping[str, Any]) -> JobConfig:
    """Read a job from TOML, the built-in one by default; flags that are given override it.

    Parameters
    ----------
    flags : path of a setting (``search.trials``) -> value, None where it is not given.

    Raises
    ------
    RefusedError
        If there is no file.
    SchemaError
        If the file is not TOML.
    ValidationError
        If it names a setting that does not exist, or gives one a value it cannot have.
    """
    content: dict[str, Any] = {}
    if path is not None:
        if not path.is_file():
            raise RefusedError(f"--job {path}: needed a TOML file; found none")
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SchemaError(str(path), expected="TOML", found=str(error)) from error
    for name, value in flags.items():
        if value is None:
            continue
        *parents, last = name.split(".")
        holder = content
        for parent in parents:
            holder = holder.setdefault(parent, {})
        holder[last] = value
    return JobConfig.model_validate(content)


def begin_job(
    where: Settings,
    config: JobConfig,
    market: Path,
    opened: Market,
    as_of: pd.Timestamp,
    experiment: str,
    storage: str | None,
) -> JobFolder:
    """Make the folder of a job; the same job on the same data by the same code is the same."""
    digest, code = opened.digest(), code_digest()
    name = sha256(f"{config.digest} {digest} {code}".encode()).hexdigest()[:NAME_LENGTH]
    folder = where.home / JOBS / name
    if not (folder / FILE).exists():
        content = {
            "config": config.model_dump(mode="json"),
            "market": str(market.resolve()),
            "as_of": as_of.isoformat(),
            "data_digest": digest,
            "code_digest": code,
            "experiment": experiment,
            # A URL may hold a password: it is asked for again.
            "storage": None if storage is None else "url",
        }
        text = json.dumps(content, indent=2, sort_keys=True) + "\n"
        out.write_atomically(folder / FILE, lambda file: file.write(text.encode()))
    return open_job(where, name, storage)


def open_job(where: Settings, name: str, storage: str | None) -> JobFolder:
    """Open the folder of a job that was begun.

    Raises
    ------
    DataUnavailableError
        If there is none of that name; lists those there are.
    RefusedError
        If its record is on a server, and no URL says on which, or the other way round; or if the
        code is no longer what it was, so that its trials would not be of one kind.
    """
    folder = where.home / JOBS / name
    if not name.isalnum() or not (folder / FILE).is_file():
        root = where.home / JOBS
        known = sorted(p.name for p in root.iterdir()) if root.is_dir() else []
        raise DataUnavailableError(
            f"--resume {name[:40]!r}: needed a job under {root}; "
            f"found {', '.join(known) or 'none'}",
            source="jobs",
        )
    kept = json.loads((folder / FILE).read_text(encoding="utf-8"))
    if (kept["storage"] is None) != (storage is None):
        needed = "no --storage" if kept["storage"] is None else "--storage with its URL"
        raise RefusedError(f"job {name}: needed {needed}, as it was begun; found otherwise")
    began, now = kept.get("code_digest", "unknown"), code_digest()
    if began != now:
        raise RefusedError(
            f"job {name}: needed the code it began with, sha256 {began[:NAME_LENGTH]}; found "
            f"{now[:NAME_LENGTH]}; bring that code back, or begin the job anew: its trials by "
            "other code are no match"
        )
    return JobFolder(
        name=name,
        folder=folder,
        config=JobConfig.model_validate(kept["config"]),
        market=Path(kept["market"]),
        as_of=pd.Timestamp(kept["as_of"]),
        data_digest=kept["data_digest"],
        code_digest=began,
        experiment=kept["experiment"],
        storage=storage,
    )


@contextmanager
def holding(job: JobFolder) -> Iterator[None]:
    """Hold a job, so that no other process runs it; a kill lets go of it.

    Raises
    ------
    RefusedError
        If another process holds it, with its id.
    """
    handle = os.open(job.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 32).decode().strip() or "unknown"
            raise RefusedError(
                f"job {job.name}: needed it for ourselves; found process {holder} running it"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


@contextmanager
def stopping() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C, so that a job ends in order either way."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
