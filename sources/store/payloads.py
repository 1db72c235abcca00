"""Raw payloads: what a source sent, byte for byte, kept before anybody parses it.

``raw/<sha256>.zst``, by the sha256 of what is in it: the same payload is kept once.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa

from sources.errors import IntegrityError
from sources.store.durable import write_durably

FOLDER = "raw"


def keep_payload(root: Path, payload: bytes) -> str:
    """Keep a payload and return its sha256; a damaged copy of it is replaced.

    Raises
    ------
    OSError
        Where it cannot be written.
    """
    digest = hashlib.sha256(payload).hexdigest()
    path = _path(root, digest)
    try:
        intact = path.is_file() and read_payload(root, digest) == payload
    except IntegrityError:
        intact = False
    if not intact:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(payload)
        write_durably(path, memoryview(sink.getvalue()), "raw_")
    return digest


def read_payload(root: Path, digest: str) -> bytes:
    """Return a payload.

    Raises
    ------
    IntegrityError
        Where it is gone, or not what was kept.
    """
    path = _path(root, digest)
    name = path.relative_to(root).as_posix()
    try:
        compressed = path.read_bytes()
    except FileNotFoundError:
        raise IntegrityError(name, expected="a kept payload", found="no such file") from None
    try:
        with pa.CompressedInputStream(pa.BufferReader(compressed), "zstd") as stream:
            payload: bytes = stream.read()
    except (OSError, pa.ArrowException):
        raise IntegrityError(name, expected="a zstd stream", found="a damaged one") from None
    found = hashlib.sha256(payload).hexdigest()
    if found != digest:
        raise IntegrityError(name, expected=f"sha256 {digest}", found=found)
    return payload


def _path(root: Path, digest: str) -> Path:
    return root / FOLDER / f"{digest}.zst"
