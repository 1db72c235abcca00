"""The stationary bootstrap: uncertainty of a mean whose terms depend on their neighbours."""

from __future__ import annotations

import numpy as np


def stationary_bootstrap_means(
    values: np.ndarray, *, block_length: float, resamples: int = 2000, seed: int = 0
) -> np.ndarray:
    """Return the means of resamples made of blocks of random length.

    Blocks start anywhere, wrap around the end, and have geometric lengths with
    mean ``block_length``. Sums of blocks come from prefix sums, so a resample
    costs as many steps as it has blocks.

    Parameters
    ----------
    values : (n,) finite.
    block_length : mean length in rows, at least 1.

    Returns
    -------
    (resamples,) float64.

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap.
    """
    n = len(values)
    generator = np.random.default_rng(seed)
    chance = min(1.0, 1.0 / block_length)
    # Enough blocks that all resamples reach n rows, but for about one in a million.
    blocks = int(n * chance + 6 * np.sqrt(n * chance) + 10)
    lengths = generator.geometric(chance, size=(resamples, blocks))
    ends = np.minimum(np.cumsum(lengths, axis=1), n)
    # The last block ends the resample whatever its length.
    ends[:, -1] = n
    sizes = np.diff(ends, axis=1, prepend=0)
    starts = generator.integers(0, n, size=(resamples, blocks))
    prefix = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values]))])
    means: np.ndarray = (prefix[starts + sizes] - prefix[starts]).sum(axis=1) / n
    return means
