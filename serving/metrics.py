"""Metrics for Prometheus: requests by the template of their route, and the state of the service."""

from __future__ import annotations

import os

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from serving.daily import DailyScores
from serving.scorer import latest_finished_day

WORKERS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""Where several workers add up their numbers; a name that prometheus_client gives."""

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

UNKNOWN_ROUTE = "unknown"


class Metrics:
    """What is counted; a registry of its own, so that two services do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "riskon_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "riskon_request_seconds",
            "Time to answer.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.ready = self._gauge("riskon_ready", "1 where a version speaks.")
        self.stale = self._gauge(
            "riskon_registry_stale",
            "1 where the last good version speaks, as the champion was not found out or loaded.",
        )
        self.version = self._gauge("riskon_model_version", "The version that speaks.")
        self.model_age = self._gauge(
            "riskon_model_age_days", "Days since the last that the model learned from."
        )
        self.stale_inputs = self._gauge(
            "riskon_stale_inputs", "Inputs of the latest scores on record that are too old by now."
        )
        self._pairs: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def _gauge(self, name: str, said: str) -> Gauge:
        return Gauge(name, said, registry=self.registry, multiprocess_mode="mostrecent")

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        key = (method, route, status)
        pair = self._pairs.get(key)
        if pair is None:
            pair = (self.requests.labels(method, route, str(status)), self.seconds.labels(route))
            self._pairs[key] = pair
        pair[0].inc()
        pair[1].observe(seconds)

    def exposition(self, service: DailyScores) -> bytes:
        """Return all as text, the state of the service as it is now."""
        speaks = service.speaks
        self.ready.set(speaks is not None)
        self.stale.set(service.stale)
        self.stale_inputs.set(len(service.stale_inputs()))
        if speaks is not None:
            self.version.set(speaks.champion.version)
            self.model_age.set(
                (latest_finished_day(service.clock()) - speaks.head.trained_through).days
            )
        if WORKERS_DIRECTORY not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
