"""The gate: whether a version may be served, and whether it may claim skill."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.bootstrap import stationary_bootstrap_means
from training.evaluation import MNAT, block_length, pooled_gain
from training.plausibility import check_plausible
from training.report import CellEvaluation, Verdict

TOLERANCE_MNAT = 2.0
SIGNIFICANCE = 0.05
LEAST_EFFECTIVE_N = 30
RESAMPLES = 10_000
"""Enough that 5 % shared among a hundred cells is still five resamples."""

Check = tuple[bool, str]


def judge(evaluations: Sequence[CellEvaluation], tolerance_mnat: float = TOLERANCE_MNAT) -> Verdict:
    """Judge a version by its walk-forward forecasts, on two levels.

    *Fit to serve*: no cell did harm. In each, every probability is finite and
    in [0, 1], and the mean gain over climatology is at least
    ``-tolerance_mnat`` thousandths of a nat.

    *Skill certified*: the gain over climatology, averaged over the cells of
    each day, has a one-sided lower bound above zero. The bound is that of a
    stationary bootstrap with blocks of at least two of the longest horizons,
    at 5 % divided by the number of cells (Bonferroni); and at least 30 outcomes
    do not overlap, fewer being too few for a bootstrap. The leak alarm is silent:
    more skill than honest forecasts of real markets have
    (:func:`training.plausibility.check_plausible`) is suspected, and not
    certified; a simulated market may well give it, so it may be served. A version
    that is not fit to serve is never certified.

    What it does not do yet: it counts the cells of this job, not the trials
    that were made on the same data before it, so a choice among many jobs is
    not corrected for; it takes the mean gain of a cell, not its lower end; and
    it tests neither the calibration nor the champion that a version replaces.

    Parameters
    ----------
    evaluations : one a cell; ``metrics`` needs ``gain_mnat`` and ``log_loss``.
    tolerance_mnat : harm that is let pass, at least 0.

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
        for check in (_finite(evaluation), _harmless(evaluation, tolerance_mnat))
    ]
    fit = all(passed for passed, _ in harm)
    # Gains that are not finite have no bound; the checks above say so already.
    sound = all(np.isfinite(evaluation.gain).all() for evaluation in evaluations)
    skill = [_enough(evaluations), _significant(evaluations)] if sound else []
    skill.append(_silent(evaluations))
    certified = fit and sound and all(passed for passed, _ in skill)
    return Verdict(fit_to_serve=fit, skill_certified=certified, checks=(*harm, *skill))


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


def _silent(evaluations: Sequence[CellEvaluation]) -> Check:
    suspicions = "; ".join(str(finding) for finding in check_plausible(evaluations))
    return (
        not suspicions,
        "skill: leak alarm silent: needed no skill beyond what honest forecasts have; "
        f"found {suspicions or 'none'}",
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


def _significant(evaluations: Sequence[CellEvaluation]) -> Check:
    gain = pooled_gain(evaluations) * MNAT
    level = SIGNIFICANCE / len(evaluations)
    means = stationary_bootstrap_means(
        gain,
        block_length=block_length(len(gain), _longest(evaluations)),
        resamples=RESAMPLES,
    )
    lower = float(np.quantile(means, level))
    return (
        lower > 0,
        f"skill: needed a lower bound above 0 mnat for the gain over climatology, one-sided at "
        f"{SIGNIFICANCE:.0%} shared by {len(evaluations)} cell(s); "
        f"found {lower:.2f} (mean {gain.mean():.2f})",
    )
