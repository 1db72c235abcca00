"""Copies of a series that look like it and know nothing: phases drawn anew, or time moved."""

from __future__ import annotations

import numpy as np

ROUNDS = 10


def phase_randomised(
    values: np.ndarray, generator: np.random.Generator, rounds: int = ROUNDS
) -> np.ndarray:
    """Return a series with the same values and almost the same spectrum, in another order.

    Iterated amplitude-adjusted Fourier transform, ended on the step that restores the values:
    the distribution is exact, autocorrelation is kept closely, and what was in the phases, such
    as clusters of volatility and any tie to another series, is gone.

    Parameters
    ----------
    values : (n,) finite.

    References
    ----------
    Theiler et al. (1992), Testing for nonlinearity in time series: the method of surrogate data;
    Schreiber and Schmitz (1996), Improved surrogate data for nonlinearity tests.
    """
    amplitude, ordered = np.abs(np.fft.rfft(values)), np.sort(values)
    now = generator.permutation(values)
    for _ in range(rounds):
        spectrum = np.fft.rfft(now)
        size = np.abs(spectrum)
        turned = spectrum / np.where(size > 0, size, 1.0) * amplitude
        now = np.empty(len(values))
        now[np.argsort(np.fft.irfft(turned, n=len(values)))] = ordered
    return now


def time_shifted(values: np.ndarray, generator: np.random.Generator, least: int) -> np.ndarray:
    """Return the series moved in time, its end coming first; all but the moment is kept.

    Parameters
    ----------
    least : rows by which it is moved at the least, to either side.

    Raises
    ------
    ValueError
        Where the series is not longer than twice ``least``.
    """
    if len(values) <= 2 * least:
        raise ValueError(
            f"a series to shift: needed more than {2 * least} rows; found {len(values)}"
        )
    return np.roll(values, int(generator.integers(least, len(values) - least + 1)))
