"""Drift of inputs: features of the last days that are unlike any stretch of training.

Features of markets move slowly: ninety days never look like ten years, and the textbook's
limits (a population stability index above 0.25, Kolmogorov and Smirnov's table) would ring every
day. The limit is therefore what training held itself: the greatest distance from the whole of
it that any stretch of the same length had. A feature beyond it is unlike anything of that
length that the model has seen.
"""

from __future__ import annotations

import numpy as np

from features import Dataset
from serving.monitoring_report import FeatureDrift

RECENT_DAYS = 90
LEAST_RECENT, LEAST_REFERENCE = 30, 365
BINS = 10
STEP_DAYS = 30
"""Stretches of training begin so many days apart."""
EVERY_ASSET = "all"
"""Stands for the asset of a feature of the market, which is the same for each of them."""


def drift_of(
    dataset: Dataset,
    trained_through: np.datetime64,
    as_of: np.datetime64,
    names: tuple[str, ...] | None = None,
) -> tuple[FeatureDrift, ...]:
    """Compare the last ninety days of each feature with the days of training.

    Parameters
    ----------
    dataset : with the days of training and those since.
    trained_through, as_of : last day of training, and last day looked at.
    names : features to compare, all by default.

    Returns
    -------
    The most unlike first; features with too few values are left out.
    """
    day = dataset.days.to_numpy("datetime64[D]")
    reference = int(np.searchsorted(day, trained_through, "right"))
    end = int(np.searchsorted(day, as_of, "right"))
    found: list[FeatureDrift] = []
    for place, name in enumerate(dataset.names):
        if names is not None and name not in names:
            continue
        values = dataset.values[:end, :, place]
        shared = all(
            np.array_equal(values[:, 0], values[:, i], equal_nan=True)
            for i in range(1, values.shape[1])
        )
        for at, asset in enumerate(dataset.assets[: 1 if shared else None]):
            made = _drift(values[:, at], reference)
            if made is not None:
                found.append(made.model_copy(update={
                    "asset": EVERY_ASSET if shared else asset, "feature": name,
                }))  # fmt: skip
    return tuple(sorted(found, key=lambda one: -one.ks / max(one.limit_ks, 1e-9)))


def _drift(values: np.ndarray, reference: int) -> FeatureDrift | None:
    there = np.isfinite(values)
    trained = np.sort(values[:reference][there[:reference]])
    recent = int(there[-RECENT_DAYS:].sum())
    if len(trained) < LEAST_REFERENCE or recent < LEAST_RECENT:
        return None
    edges = np.unique(np.quantile(trained, np.arange(1, BINS) / BINS))
    # (n + 1, b) how many of the first rows lie in each bin, so that any stretch is a difference.
    hot = np.zeros((len(values), len(edges) + 1))
    rows = np.flatnonzero(there)
    hot[rows, np.searchsorted(edges, values[rows], "right")] = 1.0
    counts = np.concatenate([np.zeros((1, hot.shape[1])), hot.cumsum(axis=0)])
    begins = np.arange(0, max(reference - RECENT_DAYS, 0) + 1, STEP_DAYS)
    stretches = counts[np.minimum(begins + RECENT_DAYS, reference)] - counts[begins]
    stretches = stretches[stretches.sum(axis=1) >= LEAST_RECENT]
    last = counts[-1] - counts[max(len(values) - RECENT_DAYS, 0)]
    psi, ks = _distances(np.vstack([last, stretches]), counts[reference])
    limit_psi = float(psi[1:].max(initial=0.0))
    limit_ks = float(ks[1:].max(initial=0.0))
    return FeatureDrift(
        asset="",
        feature="",
        psi=float(psi[0]),
        ks=float(ks[0]),
        limit_psi=limit_psi,
        limit_ks=limit_ks,
        recent=recent,
        reference=len(trained),
        alarm=bool(psi[0] > limit_psi and ks[0] > limit_ks),
    )


def _distances(some: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (s,) PSI and KS of the rows of counts, (s, b), against the reference's, (b,).

    Half a value is added to each bin, so that an empty one is far and not infinitely far. KS is
    taken at the edges of the bins.
    """
    bins = some.shape[1]
    share = (some + 0.5) / (some.sum(axis=1, keepdims=True) + 0.5 * bins)
    other = (reference + 0.5) / (reference.sum() + 0.5 * bins)
    psi = ((share - other) * np.log(share / other)).sum(axis=1)
    ks = np.abs((share - other).cumsum(axis=1)).max(axis=1)
    return psi, ks


def drifted(found: tuple[FeatureDrift, ...]) -> tuple[list[str], int]:
    """Return the features beyond their limits, and how many may be before it is an alarm.

    Of many features a few are always at a record; a tenth of them, and three at the least, is not.
    """
    names = [f"{one.feature} ({one.asset})" for one in found if one.alarm]
    return names, max(2, len(found) // 10)
