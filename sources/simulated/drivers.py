"""Drivers: what moves the drift of crypto, and what its next h days hold.

A driver is the path of a quantity that was published by T(d), together with the law of its sum
over the days d, ..., d+h-1 given everything knowable at T(d). The driver of day d acts on the
return from the close of d to the close of d+1. News arrive on a clock: ``clock[d]`` counts the
values published by T(d), at most one a day, and the driver stands still in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sources.simulated.oracle import DriftSum


class Driver(Protocol):
    """What the engine and the oracle ask of a driver."""

    def path(self) -> np.ndarray:
        """Return the (days,) driver, each value a function of what was published by T(d)."""

    def ahead(self, horizon_days: int) -> DriftSum:
        """Return the law of the sum over days d..d+h-1, for each of the market's days."""


@dataclass(frozen=True)
class NoDriver:
    """Nothing to find."""

    days: int

    def path(self) -> np.ndarray:
        """Return zeros."""
        return np.zeros(self.days)

    def ahead(self, horizon_days: int) -> DriftSum:  # noqa: ARG002  the protocol's
        """Return the sum, which is 0."""
        return DriftSum(np.ones((self.days, 1)), np.zeros((self.days, 1)), np.zeros(self.days))


@dataclass(frozen=True)
class LinearDriver:
    """A Gaussian AR(1) that published values reveal; its sums are Gaussian, and exact.

    Attributes
    ----------
    clock : (n + ahead,) int64, values published by T(d).
    days : n.
    estimates : (m,) float64, AR(1) from value to value, of unit variance in the long run.
    persistence : of the AR(1).
    lag : values by which crypto trails: the driver of a day is the estimate ``lag`` values
        before the last published, so that its next ``lag`` changes are known already.
    loads : (n + ahead,) float64 factor of each day, known in advance; None for 1 throughout.
    """

    clock: np.ndarray
    days: int
    estimates: np.ndarray
    persistence: float
    lag: int = 0
    loads: np.ndarray | None = None

    def path(self) -> np.ndarray:
        """Return the driver of each day; 0, the mean, before any value."""
        path: np.ndarray = self._load(0) * self._estimate(self.clock[: self.days] - self.lag)
        return path

    def _estimate(self, count: np.ndarray) -> np.ndarray:
        """Return the estimate once ``count`` values are there."""
        known = np.concatenate([[0.0], self.estimates])
        path: np.ndarray = known[np.clip(count, 0, len(self.estimates))]
        return path

    def _load(self, step: int) -> np.ndarray:
        """Return the factor of the day ``step`` days after each day."""
        if self.loads is None:
            return np.ones(self.days)
        return self.loads[step : step + self.days]

    def ahead(self, horizon_days: int) -> DriftSum:
        """Propagate mean and variance of the sum along the actual calendar."""
        days = self.days
        start = self.clock[:days]
        kick = 1.0 - self.persistence**2
        level, total = np.ones(days), np.zeros(days)  # level: multiple of the last estimate
        variance, covariance, total_variance = np.zeros(days), np.zeros(days), np.zeros(days)
        now = self._estimate(start)
        for step in range(horizon_days):
            count = self.clock[step : step + days]
            load = self._load(step)
            old = count - start <= self.lag  # an estimate that is there at T(d)
            total = total + load * np.where(old, self._estimate(count - self.lag), level * now)
            total_variance = total_variance + 2 * load * covariance + load**2 * variance
            covariance = covariance + load * variance
            later = self.clock[step + 1 : step + 1 + days]
            fresh = (later > count) & (later - start > self.lag)
            decay = np.where(fresh, self.persistence, 1.0)
            covariance = decay * covariance
            variance = decay**2 * variance + kick * fresh
            level = level * decay
        return DriftSum(np.ones((days, 1)), total[:, None], total_variance.round(12))


@dataclass(frozen=True)
class SumDriver:
    """Several independent drivers at once.

    Attributes
    ----------
    parts : drivers whose futures are independent, given everything known.
    factors : of each part.
    """

    parts: Sequence[Driver]
    factors: Sequence[float]

    def path(self) -> np.ndarray:
        """Add the paths."""
        terms = zip(self.factors, self.parts, strict=True)
        path: np.ndarray = np.sum([factor * part.path() for factor, part in terms], axis=0)
        return path

    def ahead(self, horizon_days: int) -> DriftSum:
        """Convolve the sums: each component of one with each of the other."""
        total: DriftSum | None = None
        for factor, part in zip(self.factors, self.parts, strict=True):
            one = part.ahead(horizon_days)
            one = DriftSum(one.weights, factor * one.means, factor**2 * one.variances)
            if total is None:
                total = one
                continue
            rows = len(one.variances)
            weights = total.weights[:, :, None] * one.weights[:, None, :]
            means = total.means[:, :, None] + one.means[:, None, :]
            total = DriftSum(
                weights.reshape(rows, -1),
                means.reshape(rows, -1),
                (total.variances + one.variances).round(12),
            )
        assert total is not None
        return total
