"""Whether a port can be had, before anything is started on it."""

from __future__ import annotations

import socket


def is_taken(host: str, port: int) -> bool:
    """Say whether somebody listens there, or the address is none of this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False
