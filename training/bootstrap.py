"""The stationary bootstrap: uncertainty of means whose terms depend on their neighbours."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.sparse import csr_array


class StationaryBootstrap:
    """Resamples of n rows, drawn once, made of blocks of random length.

    Blocks start anywhere, wrap around the end, and have geometric lengths with mean
    ``block_length``. A resample is kept as where its blocks begin and end, so the mean of
    any column is a few differences of prefix sums, and many columns cost little more than one.
    All columns are resampled by the same days, so that differences stay paired.

    Parameters
    ----------
    n : rows, at least 1.
    block_length : mean length in rows, at least 1.

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap.

    Examples
    --------
    >>> draws = StationaryBootstrap(4, block_length=2, resamples=3)
    >>> draws.means(np.ones((4, 2))).tolist()
    [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]
    """

    def __init__(
        self, n: int, *, block_length: float, resamples: int = 2000, seed: int = 0
    ) -> None:
        self.n, self.resamples = n, resamples
        generator = np.random.default_rng(seed)
        total = n * resamples
        begins = _block_begins(generator, n, resamples, min(1.0, 1.0 / block_length))
        sizes = np.diff(begins, append=total)
        starts = generator.integers(0, n, size=len(begins))
        self._starts, self._sizes = starts, sizes
        self._first = np.searchsorted(begins, np.arange(resamples + 1) * n)

    @cached_property
    def _differences(self) -> csr_array:
        # Row r holds -1 where a block begins in the prefix sums and +1 where it ends.
        ends = self._starts + self._sizes
        columns = np.column_stack([self._starts, ends]).ravel().astype("int32")
        signs = np.tile([-1.0, 1.0], len(self._starts))
        return csr_array(
            (signs, columns, (2 * self._first).astype("int32")),
            shape=(self.resamples, 2 * self.n + 1),
        )

    def means(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of each resample.

        Parameters
        ----------
        values : (n,) or (n, k) finite.

        Returns
        -------
        (resamples,) or (resamples, k) float64.
        """
        if len(values) != self.n:
            raise ValueError(f"values to resample: needed {self.n} rows; found {len(values)}")
        columns = values.reshape(self.n, -1).astype("float64")
        # Around their means, so that prefix sums stay small and lose no digits.
        centre = columns.mean(axis=0)
        prefix = np.zeros((2 * self.n + 1, columns.shape[1]))
        np.cumsum(np.concatenate([columns - centre] * 2), axis=0, out=prefix[1:])
        means: np.ndarray = self._differences @ prefix / self.n + centre
        return means.reshape(self.resamples, *values.shape[1:])


def _block_begins(
    generator: np.random.Generator, n: int, resamples: int, chance: float
) -> np.ndarray:
    """Return where blocks begin in all resamples laid end to end, ascending.

    Every row begins a block with the same chance, whatever came before, so the gaps between
    beginnings are geometric; and the first row of a resample always begins one.
    """
    total = n * resamples
    expected = total * chance
    gaps = generator.geometric(chance, size=int(expected + 8 * np.sqrt(expected) + 16))
    begins = np.cumsum(gaps) - 1
    # Eight deviations beyond the end; were that ever too few, the last block would be long.
    firsts = np.arange(resamples) * n
    inner = begins[(begins < total) & (begins % n != 0)]
    return np.sort(np.concatenate([inner, firsts]), kind="stable")


def stationary_bootstrap_means(
    values: np.ndarray, *, block_length: float, resamples: int = 2000, seed: int = 0
) -> np.ndarray:
    """Return the means of stationary bootstrap resamples; see :class:`StationaryBootstrap`.

    Parameters
    ----------
    values : (n,) or (n, k) finite.
    block_length : mean length in rows, at least 1.

    Returns
    -------
    (resamples,) or (resamples, k) float64.

    Examples
    --------
    >>> stationary_bootstrap_means(np.array([2.0, 2.0]), block_length=1, resamples=3).tolist()
    [2.0, 2.0, 2.0]
    """
    draws = StationaryBootstrap(
        len(values), block_length=block_length, resamples=resamples, seed=seed
    )
    return draws.means(values)
