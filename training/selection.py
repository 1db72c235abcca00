"""How sure the choice of a search is: the best of all its trials, against luck.

A trial leaves a mean gain a fold, and folds are few: some six spans of a year or two. A bootstrap
of six values is too sure of itself (at 5 % it rejects 10 %). Here the signs of the folds are
flipped instead, those of all trials together: exact for any number of folds, and for trials that
depend on each other, if the errors of a fold fall on either side alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.durable import Tried
from training.search import Choice

EVERY_FLIP = 10
"""Folds up to which all flips are made, 1,024 at the most; beyond it as many by chance."""
CONFIDENCE = 0.90
MOST_IN_SET = 200
"""Trials that the confidence set is sought among, the best; more would be left out first."""
LEAST_SQUARE = 1e-24


@dataclass(frozen=True)
class Selection:
    """What a search found, with its uncertainty.

    Attributes
    ----------
    trials, whole, pruned, failed : how many were tried, the configuration as it is included, and
        what became of them.
    folds : inner folds that each whole one was scored on.
    best : place of the best of the whole ones.
    gain_mnat, lower, upper : of the best over the configuration as it is, with its 90 % interval
        by Student's law over folds, as if it had been the only one.
    p_value : that no trial is better than the configuration as it is, all whole ones counted.
    confidence_set : places that cannot be told from the best, at 90 %.
    """

    trials: int
    whole: int
    pruned: int
    failed: int
    folds: int
    best: int
    gain_mnat: float
    lower: float
    upper: float
    p_value: float
    confidence_set: tuple[int, ...]

    @property
    def metrics(self) -> dict[str, float]:
        """Name -> figure, for the run of the job."""
        return {
            "search_trials": float(self.trials),
            "search_trials_whole": float(self.whole),
            "search_trials_pruned": float(self.pruned),
            "search_trials_failed": float(self.failed),
            "search_gain_mnat": self.gain_mnat,
            "search_gain_mnat_lower": self.lower,
            "search_gain_mnat_upper": self.upper,
            "search_p_value": self.p_value,
            "search_confidence_set": float(len(self.confidence_set)),
        }

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        tried = (
            f"Of {tried_in_words(self.trials - 1)}, {self.whole} ran "
            f"through {self.folds} inner folds, {self.pruned} were given up, {self.failed} failed."
        )
        best = "The best is the configuration as it is"
        if self.best != 0:
            best = (
                f"The best is trial {self.best}: {self.gain_mnat:+.2f} mnat a day over the "
                f"configuration as it is [{self.lower:+.2f}, {self.upper:+.2f}]; "
                f"p = {self.p_value:.3f} that none is better, all that ran through counted"
            )
        alike = len([place for place in self.confidence_set if place != self.best])
        return f"{tried} {best}; {alike} more cannot be told from it at {CONFIDENCE:.0%}."


def tried_in_words(trials: int) -> str:
    """Say what a search of so many trials tries.

    Examples
    --------
    >>> tried_in_words(3)
    '3 trials and the configuration as it is'
    """
    return f"{trials} trial{'' if trials == 1 else 's'} and the configuration as it is"


def selection_of(choice: Choice) -> Selection:
    """Say how sure a choice is.

    Trials that were given up are counted and not tested: they were below the median when they
    were, so the best is not among them.
    """
    from scipy.stats import t

    whole = [tried for tried in choice.trials if tried.outcome.whole]
    gains = np.array([tried.outcome.gains for tried in whole]).T
    as_is = [tried.place for tried in whole].index(0)
    apart = gains - gains[:, [as_is]]
    best = int(apart.mean(axis=0).argmax())
    folds = len(gains)
    error = float(apart[:, best].std(ddof=1) / np.sqrt(folds))
    reach = float(t.ppf((1 + CONFIDENCE) / 2, folds - 1)) * error
    gain = float(apart[:, best].mean())
    return Selection(
        trials=len(choice.trials),
        whole=len(whole),
        pruned=sum(tried.outcome.pruned for tried in choice.trials),
        failed=sum(tried.outcome.failure is not None for tried in choice.trials),
        folds=folds,
        best=whole[best].place,
        gain_mnat=gain,
        lower=gain - reach,
        upper=gain + reach,
        p_value=none_better(apart),
        confidence_set=_confidence_set(whole, gains),
    )


def none_better(gains: np.ndarray, *, seed: int = 0) -> float:
    """Return the p-value that no candidate gains, the best of all being looked at.

    The statistic is the greatest Student ratio of all candidates; its law is that of the same
    gains with the signs of folds flipped. Candidates may depend on each other.

    Parameters
    ----------
    gains : (n, k) what each candidate gains on the benchmark in each fold.

    References
    ----------
    Romano and Wolf (2005), Exact and approximate stepdown methods for multiple hypothesis testing.

    Examples
    --------
    Three folds won, and nothing else tried: one of the eight flips is as good.

    >>> none_better(np.array([[1.0], [2.0], [3.0]]))
    0.125
    """
    real = (gains**2).sum(axis=0) > LEAST_SQUARE
    if not real.any():
        return 1.0
    ratios = _flipped_ratios(gains[:, real], seed).max(axis=1)
    return _share(ratios)


def confidence_set_p_values(gains: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Return (k,) the p-value with which each candidate is among the best.

    The worst is taken out as long as it is worse than the mean of those left by more than
    flips of the folds' signs explain; the p-value of a candidate is the greatest met until then.

    Parameters
    ----------
    gains : (n, k) in each fold.

    References
    ----------
    Hansen, Lunde and Nason (2011), The model confidence set; their statistic T_max.
    """
    left, worst_yet = list(range(gains.shape[1])), 0.0
    p_values = np.ones(gains.shape[1])
    while len(left) > 1:
        worse = gains[:, left].mean(axis=1, keepdims=True) - gains[:, left]
        real = (worse**2).sum(axis=0) > LEAST_SQUARE
        if not real.any():
            break
        ratios = np.full((1, len(left)), -np.inf)
        flipped = _flipped_ratios(worse[:, real], seed)
        ratios[0, real] = flipped[0]
        worst_yet = max(worst_yet, _share(flipped.max(axis=1)))
        p_values[left.pop(int(ratios.argmax()))] = worst_yet
    return p_values


def _confidence_set(whole: Sequence[Tried], gains: np.ndarray) -> tuple[int, ...]:
    order = np.argsort(-gains.mean(axis=0), kind="stable")[:MOST_IN_SET]
    p_values = confidence_set_p_values(gains[:, order])
    kept = [whole[at].place for at, p in zip(order, p_values, strict=True) if p >= 1 - CONFIDENCE]
    return tuple(sorted(kept))


def _flipped_ratios(gains: np.ndarray, seed: int) -> np.ndarray:
    """Return (flips, k) ratios of mean and root mean square, which flips leave as it is.

    It rises with Student's ratio. The first flip is none.
    """
    folds = len(gains)
    if folds <= EVERY_FLIP:
        number = np.arange(2**folds)[:, None]
        signs = 1 - 2 * ((number >> np.arange(folds)) & 1).astype("float64")
    else:
        generator = np.random.default_rng(seed)
        signs = generator.choice([-1.0, 1.0], (2**EVERY_FLIP, folds))
        signs[0] = 1.0
    ratios: np.ndarray = signs @ gains / np.sqrt((gains**2).sum(axis=0))
    return ratios


def _share(ratios: np.ndarray) -> float:
    """Return the share of flips that do as well as none; sums differ in their last bits."""
    return float((ratios >= ratios[0] - 1e-9).mean())
