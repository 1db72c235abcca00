"""Live sources: one typed interface over many providers, each in its own short module.

:mod:`~sources.live.provider` states the interface, :mod:`~sources.live.client` is the HTTP client
they share, :mod:`~sources.live.registry` chooses them by name. What a provider answers is handed
out raw, and read strictly.
"""

from sources.live.client import Client, Clock
from sources.live.crosscheck import TOLERANCES, Agreement, Tolerance, cross_check
from sources.live.provider import Fetched, Payload, Provider
from sources.live.registry import PROVIDERS, Deployment, make_provider
from sources.live.transfer import Limits

__all__ = [
    "PROVIDERS",
    "TOLERANCES",
    "Agreement",
    "Client",
    "Clock",
    "Deployment",
    "Fetched",
    "Limits",
    "Payload",
    "Provider",
    "Tolerance",
    "cross_check",
    "make_provider",
]
