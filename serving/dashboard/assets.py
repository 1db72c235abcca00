"""Files that pages load: ours, and plotly's script, all from this server, kept by browsers."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import Request
from fastapi.responses import Response

OURS = Path(__file__).parent / "static"

PLOTLY = "plotly.js"

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """A file, compressed, under a name that changes with its content."""

    packed: bytes
    kind: str
    digest: str


@cache
def names() -> frozenset[str]:
    """Return the names of all files; what is not among them is asked of no disk, nor kept."""
    ours = (path.name for path in OURS.iterdir() if path.suffix in TYPES and path.is_file())
    return frozenset((PLOTLY, *ours))


def _path(name: str) -> Path | None:
    if name == PLOTLY:
        # Found without being imported, which would take a hundred times the file's memory.
        spec = find_spec("plotly")
        found = Path(spec.origin or "").parent / "package_data" / "plotly.min.js" if spec else None
        return found if found is not None and found.is_file() else None
    return OURS / name


def asset(name: str) -> Asset | None:
    """Return a file of the pages; None where there is none of that name."""
    return _packed(name) if name in names() else None


@cache
def _packed(name: str) -> Asset | None:
    path = _path(name)
    if path is None:
        return None
    content = path.read_bytes()
    return Asset(
        packed=gzip.compress(content, 9 if len(content) < 2**20 else 6, mtime=0),
        kind=TYPES[path.suffix],
        digest=hashlib.sha256(content).hexdigest()[:16],
    )


@cache
def asset_url(name: str) -> str:
    """Return where a file is, with what it is in its address; plotly's is not read for that."""
    if name == PLOTLY:
        path = _path(name)
        mark = "none" if path is None else f"{path.stat().st_size:x}"
    else:
        found = asset(name)
        mark = "none" if found is None else found.digest
    return f"/static/{name}?v={mark}"


def asset_response(name: str, request: Request) -> Response | None:
    """Return a file as an answer; None where there is none."""
    found = asset(name)
    if found is None:
        return None
    etag = f'"{found.digest}"'
    headers = {
        "cache-control": "public, max-age=31536000, immutable",
        "etag": etag,
        "vary": "accept-encoding",
        "cross-origin-resource-policy": "same-origin",
    }
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(found.packed, headers=headers, media_type=found.kind)
    return Response(gzip.decompress(found.packed), headers=headers, media_type=found.kind)
