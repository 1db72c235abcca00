"""The file that makes a directory a store: ``store.json``."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sources.errors import DataUnavailableError, IntegrityError
from sources.store.durable import TEMPORARY, make_folder, sync_folder

FILE = "store.json"
FORMAT = 1
MANIFEST = "manifest.db"


@dataclass(frozen=True)
class Marker:
    """What a store says of itself.

    Attributes
    ----------
    store_id : tells its rows from other stores' in a manifest on a server.
    manifest : ``directory`` for a SQLite file in it, or ``server``.
    """

    store_id: str
    manifest: str

    @classmethod
    def read(cls, root: Path) -> Marker:
        """Read the marker of a store.

        Raises
        ------
        DataUnavailableError
            Where the directory is no store.
        IntegrityError
            Where it is not the marker of a store that this program can read.
        """
        path = root / FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = content["format"]
            marker = cls(str(content["store_id"]), str(content["manifest"]))
        except FileNotFoundError:
            raise DataUnavailableError(
                f"{root}: needed a store; found no {FILE}", source=str(root)
            ) from None
        except (ValueError, KeyError, TypeError):
            raise IntegrityError(
                str(path), expected="format, store_id and manifest as JSON", found="something else"
            ) from None
        if found != FORMAT or marker.manifest not in {"directory", "server"}:
            raise IntegrityError(
                str(path),
                expected=f"format {FORMAT}, manifest directory or server",
                found=f"format {found}, manifest {marker.manifest}",
            )
        return marker

    @classmethod
    def make(cls, root: Path, manifest: str) -> Marker:
        """Make a directory a store, or return the marker that another process made just before.

        Raises
        ------
        OSError
            Where the directory cannot be written.
        """
        make_folder(root)
        content = {"format": FORMAT, **asdict(cls(str(uuid.uuid4()), manifest))}
        descriptor, name = tempfile.mkstemp(dir=root, prefix=f".{FILE}.", suffix=TEMPORARY)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(json.dumps(content, indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            # Unlike a rename, a link never replaces the marker of another.
            with suppress(FileExistsError):
                os.link(temporary, root / FILE)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(root)
        return cls.read(root)


def is_store(root: Path) -> bool:
    """Tell whether a directory is a store."""
    return (root / FILE).is_file()
