"""The gate: whether a version may be served, and whether it may claim skill."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.bootstrap import stationary_bootstrap_means
from training.evaluation import MNAT, block_length, pooled_gain
from training.leaks import Finding
from training.plausibility import check_plausible
from training.report import CellEvaluation, Verdict

TOLERANCE_MNAT = 2.0
SIGNIFICANCE = 0.01
"""Of one test a job, shared by the trials on the data. Not 5 %: where nothing foretells crypto,
the mixture still gains on climatology (0.6 mnat, or 0.8 standard errors, over 300 simulated null
markets of 12 years), for it knows a drift sooner than a frequency of overlapping outcomes does. At
5 % jobs of six cells were certified on 13 % of them and of one on up to 8 %; at 1 % on 0.3 % and on
up to 1.3 %."""
LEAST_EFFECTIVE_N = 30
RESAMPLES = 10_000

Check = tuple[bool, str]


def judge(
    evaluations: Sequence[CellEvaluation],
    tolerance_mnat: float = TOLERANCE_MNAT,
    *,
    trials: int = 1,
    suspects: Sequence[Finding] | None = None,
) -> Verdict:
    """Judge a version by its walk-forward forecasts, on two levels.

    *Fit to serve*: no cell did harm, and the leak alarm is silent. In each, every probability is
    finite and in [0, 1]; the mean gain over climatology is at least ``-tolerance_mnat``
    thousandths of a nat, and the lower end of its 90 % interval at least
    ``-tolerance_mnat * sqrt(h)``, since overlap widens the interval so; and at least
    half of the bins of the reliability diagram lie in their 90 % band. The alarm suspects what has
    more skill than it can honestly have: more than the truth allows where the truth is known, as
    of a simulated market, else more than honest forecasts of real markets have
    (:mod:`training.plausibility`). A leak lasts only until the day that a score is due.

    *Skill certified*: the gain over climatology, averaged over the cells of
    each day, has a one-sided lower bound above zero. The bound takes the deviation of a
    stationary bootstrap with blocks of at least two of the longest horizons, and
    Student's quantile for the outcomes that do not overlap, at 1 % divided by the
    trials (Bonferroni); at least 30 such outcomes are needed, fewer being too few for a
    bootstrap. The cells together are one test: what is chosen among are trials. A version
    that is not fit to serve is never certified.

    Whether a version may replace the champion is another question
    (:func:`training.replacement.judge_replacement`).

    Parameters
    ----------
    evaluations : one a cell; ``metrics`` needs ``gain_mnat``, its lower end, and ``log_loss``.
    tolerance_mnat : harm that is let pass, at least 0.
    trials : how often the data were tried, this time included; at least 1.
    suspects : what the leak alarm found; by default it asks whether the skill is plausible.

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap.
    """
    if not evaluations:
        nothing = (False, "fit to serve: needed at least 1 evaluated cell; found 0")
        return Verdict(fit_to_serve=False, skill_certified=False, checks=(nothing,))
    harm = [
        check
        for evaluation in evaluations
        for check in (
            _finite(evaluation),
            _harmless(evaluation, tolerance_mnat),
            _surely_harmless(evaluation, tolerance_mnat),
            _calibrated(evaluation),
        )
    ]
    harm.append(_silent(check_plausible(evaluations) if suspects is None else suspects))
    fit = all(passed for passed, _ in harm)
    # Gains that are not finite have no bound; the checks above say so already.
    sound = all(np.isfinite(evaluation.gain).all() for evaluation in evaluations)
    skill = [_enough(evaluations), _significant(evaluations, trials)] if sound else []
    certified = fit and sound and all(passed for passed, _ in skill)
    return Verdict(fit_to_serve=fit, skill_certified=certified, checks=(*harm, *skill))


def lower_bound(means: np.ndarray, mean: float, level: float, effective_n: float) -> float:
    """Return a one-sided lower bound of a mean at any level, however many tests share it.

    Resamples have no quantile of one in a million; Student's law has.

    Parameters
    ----------
    means : of resamples; their deviation is the standard error.
    effective_n : outcomes that do not overlap, above 1.
    """
    from scipy.stats import t

    return mean - float(t.isf(level, max(effective_n - 1, 1))) * float(means.std())


def _finite(evaluation: CellEvaluation) -> Check:
    forecast = evaluation.reliability.forecast
    wrong = int((~(np.isfinite(forecast) & (forecast >= 0) & (forecast <= 1))).sum())
    wrong += int((~np.isfinite(evaluation.gain)).sum())
    wrong += int(not np.isfinite(evaluation.metrics["log_loss"]))
    return (
        wrong == 0,
        f"fit to serve: {evaluation.cell}: needed probabilities in [0, 1] with finite losses; "
        f"found {wrong or 'none'} that {'is' if wrong == 1 else 'are'} not",
    )


def _harmless(evaluation: CellEvaluation, tolerance_mnat: float) -> Check:
    gain = evaluation.metrics["gain_mnat"]
    return (
        bool(gain >= -tolerance_mnat),
        f"fit to serve: {evaluation.cell}: needed a mean gain over climatology of at least "
        f"{-tolerance_mnat:.2f} mnat; found {gain:.2f}",
    )


def _surely_harmless(evaluation: CellEvaluation, tolerance_mnat: float) -> Check:
    lower = evaluation.metrics["gain_mnat_lower"]
    needed = -tolerance_mnat * evaluation.cell.horizon_days**0.5
    return (
        bool(lower >= needed),
        f"fit to serve: {evaluation.cell}: needed a lower end of the gain of at least "
        f"{needed:.2f} mnat; found {lower:.2f}",
    )


def _calibrated(evaluation: CellEvaluation) -> Check:
    bins = evaluation.reliability
    outside = int(((bins.observed < bins.lower) | (bins.observed > bins.upper)).sum())
    return (
        2 * outside <= len(bins.observed),
        f"fit to serve: {evaluation.cell}: needed half of {len(bins.observed)} bins of forecasts "
        f"in the 90 % band of calibrated ones; found {outside} outside",
    )


def _silent(suspects: Sequence[Finding]) -> Check:
    return (
        not suspects,
        "fit to serve: leak alarm silent: needed no skill beyond what honest forecasts have; "
        f"found {'; '.join(map(str, suspects)) or 'none'}",
    )


def _longest(evaluations: Sequence[CellEvaluation]) -> int:
    return max(evaluation.cell.horizon_days for evaluation in evaluations)


def _enough(evaluations: Sequence[CellEvaluation]) -> Check:
    found = len(pooled_gain(evaluations)) / _longest(evaluations)
    return (
        found >= LEAST_EFFECTIVE_N,
        f"skill: needed at least {LEAST_EFFECTIVE_N} outcomes that do not overlap at "
        f"{_longest(evaluations)} days; found {found:.1f}",
    )


def _significant(evaluations: Sequence[CellEvaluation], trials: int) -> Check:
    gain = pooled_gain(evaluations) * MNAT
    longest = _longest(evaluations)
    means = stationary_bootstrap_means(
        gain, block_length=block_length(len(gain), longest), resamples=RESAMPLES
    )
    shared = max(1, trials)
    lower = lower_bound(means, float(gain.mean()), SIGNIFICANCE / shared, len(gain) / longest)
    return (
        lower > 0,
        f"skill: needed a lower bound above 0 mnat for the gain over climatology, one-sided at "
        f"{SIGNIFICANCE:.0%} shared by {shared} trial(s); "
        f"found {lower:.2f} (mean {gain.mean():.2f})",
    )
