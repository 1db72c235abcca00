"""Who may ask: API keys, kept as hashes, each to read or to administer."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from fastapi import Security
from fastapi.security import APIKeyHeader

from serving.problems import ProblemError

KeyScope = Literal["read", "admin"]

KEY_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)
RAW_HEADER = b"x-api-key"


def hash_key(key: str) -> str:
    """Return the sha256 of an API key, the only form in which it is kept."""
    return hashlib.sha256(key.encode()).hexdigest()


def scoped_keys(keys: tuple[str, ...]) -> dict[str, KeyScope]:
    """Return hash -> scope of keys as they are set: ``KEY``, which reads, or ``KEY:admin``.

    Examples
    --------
    >>> list(scoped_keys(("one", "two:admin")).values())
    ['read', 'admin']
    """
    scopes: dict[str, KeyScope] = {}
    for key in keys:
        secret, colon, scope = key.rpartition(":")
        if colon and scope == "admin":
            scopes[hash_key(secret)] = "admin"
        elif colon and scope == "read":
            scopes[hash_key(secret)] = "read"
        else:
            scopes[hash_key(key)] = "read"
    return scopes


class KeyRing:
    """The keys that are known; with none, anyone may read, and nobody administers.

    Parameters
    ----------
    scopes : sha256 of a key, in hex -> what it may do.
    """

    def __init__(self, scopes: Mapping[str, KeyScope]) -> None:
        self.scopes = dict(scopes)

    def scope_of(self, key: str) -> KeyScope | None:
        """Return what a key may do, None if it is not known."""
        hashed, found = hash_key(key), None
        # All are compared, so that the time taken tells nothing.
        for known, scope in self.scopes.items():
            if hmac.compare_digest(hashed, known):
                found = scope
        return found

    def may_read(self, key: str | None) -> bool:
        """Whether who sends this key, or none, may read."""
        return not self.scopes or (bool(key) and self.scope_of(key or "") is not None)

    def refuse(self, key: str | None, needed: KeyScope) -> None:
        """Refuse who may not.

        Raises
        ------
        ProblemError
            401 without a key, 403 with one that is not known or may do less.
        """
        if not self.scopes and needed == "read":
            return
        if not key:
            raise ProblemError(
                401, "key-missing", "Needed an X-API-Key header.", {"www-authenticate": "X-API-Key"}
            )
        found = self.scope_of(key)
        if found is None:
            raise ProblemError(403, "key-wrong", "The X-API-Key is not one that is known.")
        if needed == "admin" and found != "admin":
            raise ProblemError(403, "key-scope", "The X-API-Key may read, but not administer.")


def require_key(ring: KeyRing, needed: KeyScope = "read") -> Callable[..., None]:
    """Return a dependency that lets through who may; anyone may read if there are no keys."""

    def check(key: Annotated[str | None, Security(KEY_HEADER)]) -> None:
        ring.refuse(key, needed)

    return check
