"""Does a block foretell a target: score tests that hold under changing variance, and their size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sources.errors import InsufficientHistoryError

RESAMPLES = 999
LEAST_ROWS = 250
TAIL = 0.05
"""On either side of an interval of 90 %."""
RANK = 1e-10


@dataclass(frozen=True)
class BlockTest:
    """The test that a block adds nothing to what is given.

    Attributes
    ----------
    p_value : share of wild-bootstrap draws of the null whose statistic is as large.
    statistic, df : score statistic, about chi-square with ``df`` under the null.
    partial_r2 : share of the target's remaining variance that the block explains in sample.
    lower, upper : 90 % interval of that share in the long run, from the noncentral chi-squares
        whose quantiles Wald's statistic is (with White's variance), in proportion to the
        sample's own share. That one is too large by about df / n.
    n : rows.
    coefficients : (k,) of the block's columns, of the target a deviation of each.
    """

    p_value: float
    statistic: float
    df: int
    partial_r2: float
    lower: float
    upper: float
    n: int
    coefficients: np.ndarray


def block_tests(
    target: np.ndarray,
    blocks: Mapping[str, np.ndarray],
    given: np.ndarray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, BlockTest]:
    """Test each block by itself over what is given, all on the same rows and the same draws.

    The score ``g_t = x_t e_t`` (x the block less what the given explains of it, e the target's
    residual under the null) gives ``S = (sum g)' (sum g g')^-1 (sum g)``: White's
    heteroskedasticity-robust form. Its null distribution is that of the same statistic with
    the sign of every e_t drawn at random (Rademacher), which keeps each day's variance; sum
    g g' stays what it is, so a draw is one product.

    Parameters
    ----------
    target : (n,), consecutive and not overlapping.
    blocks : name -> (n, k). One that says nothing that is not given, such as the age of a high
        where there has been none, is left out of the result.
    given : (n, q); a constant is added.

    Raises
    ------
    InsufficientHistoryError
        For fewer than 250 rows on which all is known.

    References
    ----------
    Granger (1969), Investigating causal relations by econometric models and cross-spectral
    methods; Goncalves and Kilian (2004), Bootstrapping autoregressions with conditional
    heteroskedasticity of unknown form; Davidson and Flachaire (2008), The wild bootstrap, tamed
    at last.
    """
    there = np.isfinite(target) & np.isfinite(given).all(axis=1)
    for block in blocks.values():
        there &= np.isfinite(block).all(axis=1)
    n = int(there.sum())
    if n < LEAST_ROWS:
        raise InsufficientHistoryError(
            f"Granger's test of {', '.join(blocks)}: days on which all is known",
            needed=LEAST_ROWS,
            found=n,
            unit="days",
        )
    basis, _ = np.linalg.qr(np.column_stack([np.ones(n), _unit(given[there])]))
    residual = _without(target[there, None], basis)[:, 0]
    held = {name: _without(_unit(block[there]), basis) for name, block in blocks.items()}
    scores = [block * residual[:, None] for block in held.values()]
    drawn = _signs(resamples, n, seed) @ np.column_stack(scores).astype("float32")
    found: dict[str, BlockTest] = {}
    begin = 0
    for (name, block), score in zip(held.items(), scores, strict=True):
        k = score.shape[1]
        inverse, df = _pseudo_inverse(score.T @ score)
        total = score.sum(axis=0)
        statistic = float(total @ inverse @ total)
        mine = drawn[:, begin : begin + k].astype("float64")
        null = np.einsum("bi,ij,bj->b", mine, inverse, mine)
        begin += k
        if df == 0:
            continue
        coefficients = np.linalg.lstsq(block, residual, rcond=None)[0]
        explained = float(np.sum((block @ coefficients) ** 2) / np.sum(residual**2))
        # Where the block does explain, its own part of e is no noise: Wald's form leaves it out.
        left = block * (residual - block @ coefficients)[:, None]
        gradient = block.T @ residual
        wald = float(gradient @ _pseudo_inverse(left.T @ left)[0] @ gradient)
        # One unit of it is worth more or less of the variance as days with a large block are
        # more turbulent, or calmer, than others.
        worth = explained / (1 - explained) / wald if wald > 0 else 1 / n
        ratios = (value * worth for value in noncentrality(wald, df))
        low, high = (ratio / (1 + ratio) for ratio in ratios)
        found[name] = BlockTest(
            p_value=float((1 + (null >= statistic).sum()) / (1 + resamples)),
            statistic=statistic,
            df=df,
            partial_r2=explained,
            lower=low,
            upper=high,
            n=n,
            coefficients=coefficients,
        )
    return found


def noncentrality(statistic: float, df: int) -> tuple[float, float]:
    """Return the 90 % interval of the noncentrality of a chi-square, by inverting its tests.

    Examples
    --------
    A statistic far below its degrees of freedom leaves nothing:

    >>> noncentrality(0.1, 3)
    (0.0, 0.0)
    >>> low, high = noncentrality(20.0, 1)  # (sqrt(20) -+ 1.645)^2
    >>> round(low, 2), round(high, 2)
    (7.99, 37.42)
    """
    from scipy.optimize import brentq
    from scipy.special import chndtr

    def solve(chance: float) -> float:
        def gap(value: float) -> float:
            return float(chndtr(statistic, df, value)) - chance

        if gap(1e-9) <= 0:
            return 0.0
        return float(brentq(gap, 1e-9, 4 * statistic + 60.0, xtol=1e-4))

    return solve(1 - TAIL), solve(TAIL)


def agreement(block: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of what two sets of coefficients make of a block, in [-1, 1].

    Parameters
    ----------
    block : (n, k); rows with NaN do not count.
    one, other : (k,) for columns of unit deviation.
    """
    there = _unit(block[np.isfinite(block).all(axis=1)])
    first, second = there @ one, there @ other
    if min(first.std(), second.std()) < RANK:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


@lru_cache(maxsize=2)
def _signs(resamples: int, n: int, seed: int) -> np.ndarray:
    """Return (resamples, n) float32 of -1 and 1; the tests of one market ask for few shapes."""
    signs = np.random.default_rng(seed).integers(0, 2, (resamples, n), dtype=np.int8)
    return (2 * signs - 1).astype("float32")


def _unit(columns: np.ndarray) -> np.ndarray:
    centred = columns - columns.mean(axis=0)
    deviation = centred.std(axis=0)
    unit: np.ndarray = centred / np.where(deviation > RANK, deviation, 1.0)
    return unit


def _without(columns: np.ndarray, basis: np.ndarray) -> np.ndarray:
    left: np.ndarray = columns - basis @ (basis.T @ columns)
    return left


def _pseudo_inverse(matrix: np.ndarray) -> tuple[np.ndarray, int]:
    values, vectors = np.linalg.eigh(matrix)
    kept = values > RANK * max(float(values[-1]), RANK)
    inverse: np.ndarray = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    return inverse, int(kept.sum())
