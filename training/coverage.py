"""What abstaining gains: the mean gain over climatology on the days a forecaster dares to speak."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models import Path
from training.bootstrap import stationary_bootstrap_means

SHARES = tuple(round(0.1 * k, 1) for k in range(1, 11))
LEAST_KEPT = 10
HALF = 0.5


@dataclass(frozen=True)
class RiskCoverage:
    """The risk-coverage curve of one cell: gain over climatology by the share of days kept.

    Attributes
    ----------
    share : (s,) share of days kept, ascending to 1: those of the greatest confidence.
    gain_mnat, lower, upper : (s,) mean gain on the days kept and its interval.
    """

    share: np.ndarray
    gain_mnat: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    def at(self, share: float) -> tuple[float, float, float]:
        """Return the gain and its interval at the share nearest to one asked for."""
        i = int(np.abs(self.share - share).argmin())
        return float(self.gain_mnat[i]), float(self.lower[i]), float(self.upper[i])


def confidence(path: Path) -> np.ndarray:
    """Return (n,) how far the mixture dares to leave the base rate, in log-odds.

    It is small where climatology holds the weight, where experts see little, and where
    they contradict each other. The base rate itself needs no forecaster.
    """
    ours, base = path.probability, path.base_rate
    moved = np.log(ours) - np.log1p(-ours) - np.log(base) + np.log1p(-base)
    return np.abs(moved)


def risk_coverage(
    gain: np.ndarray,
    confidence: np.ndarray,
    *,
    block_length: float,
    level: float = 0.9,
    resamples: int = 1000,
    seed: int = 0,
) -> RiskCoverage:
    """Return the mean gain on the most confident days, by the share of days kept.

    The rule looks at no outcome: of days of equal confidence all are kept or none, and the
    share is what is then kept. Intervals come from a stationary bootstrap of the days, each
    with whether it is kept; the ratio of sums is linearised at its mean.

    Parameters
    ----------
    gain : (n,) log loss of climatology less ours, nats, in the order of days.
    confidence : (n,) known when the forecast was made.

    References
    ----------
    El-Yaniv and Wiener (2010), On the foundations of noise-free selective classification.

    Examples
    --------
    >>> gain, sure = np.repeat([0.001, 0.003], 10), np.repeat([0.1, 0.2], 10)
    >>> curve = risk_coverage(gain, sure, block_length=1)
    >>> curve.share.tolist(), curve.gain_mnat.round(6).tolist()
    ([0.5, 1.0], [3.0, 2.0])
    """
    n, tail = len(gain), (1 - level) / 2
    ordered = np.sort(confidence)[::-1]
    counts = sorted({max(min(LEAST_KEPT, n), round(share * n)) for share in SHARES})
    limits = sorted({float(ordered[count - 1]) for count in counts}, reverse=True)
    rows: list[tuple[float, float, float, float]] = []
    for limit in limits:
        kept = confidence >= limit
        share, mean = float(kept.mean()), float(gain[kept].mean())
        # The mean of what is kept strays as the sum of its deviations over the days kept.
        means = stationary_bootstrap_means(
            kept * (gain - mean) / share,
            block_length=block_length,
            resamples=resamples,
            seed=seed,
        )
        low, high = np.quantile(means, [tail, 1 - tail])
        rows.append((share, 1000 * mean, 1000 * (mean + low), 1000 * (mean + high)))
    return RiskCoverage(*np.array(rows).T)
