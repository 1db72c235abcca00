"""Live sources: one typed interface over many providers, each in its own short module.

:mod:`~sources.live.provider` states the interface, :mod:`~sources.live.client` is the HTTP client
they share. What a provider answers is handed out raw, and read strictly.
"""

from sources.live.client import Client, Clock
from sources.live.provider import Fetched, Payload, Provider
from sources.live.transfer import Limits

__all__ = ["Client", "Clock", "Fetched", "Limits", "Payload", "Provider"]
