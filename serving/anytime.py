"""Intervals and evidence that stay valid however often one looks.

The gain of a forecast over its base rate is ``d = log(p(y) / b(y))``. Before the outcome is
known it can take two values only, whose distance ``w = |logit p - logit b|`` is known. Given
all that was known at issue, ``d`` less its mean is therefore sub-Gaussian with deviation
``w / 2`` (Hoeffding), and the mean over several assets of a day, however dependent, with the
mean of theirs.

Outcomes over h days overlap. Within one residue class of days modulo h they do not: the
outcome of one forecast is known when the next of its class is issued. For each class k,

    exp(s (S_k - M_k) - s^2 V_k / 2),   S_k the sum of gains, M_k of their means given what was
                                        known at issue, V_k = sum of (w / 2)^2

is a supermartingale for every s; mixed over s ~ N(0, 1 / rho), Ville's inequality gives, with
probability 1 - a and for all days at once,

    |S_k - M_k| <= sqrt((V_k + rho) log((V_k + rho) / (rho a^2))).

With a = (1 - level) / h the union over the h classes holds under any dependence between
them, so the sum over all classes is off by at most the sum of the bounds. The interval covers
``sum_k M_k / n``: the mean, over the n forecasts settled so far, of the gain to be expected at
issue. Nothing is assumed of the outcomes, neither independence nor a constant skill; whether and
when a forecast is settled must not depend on its outcome.

What makes a group one fixed procedure, in :func:`serving.verification.complete_days`:

- The mean of a day is over the questions issued that day, with equal weights: known at issue,
  however many horizons and assets come and go.
- Days count in their order, each once all that was issued on it is settled: no mean that has
  counted changes for want of an outcome, and every look sees a beginning of each class.
- A close that is missing does not hold the record up for ever: its question is passed over by a
  rule on the instants at which outcomes were written, and for good. By the assumption
  above the mean over the others is as good a martingale difference.
- h is the longest horizon ever issued in the group. The probability is that of one h: a longer
  horizon, once it is asked, begins another procedure, with a chance of 1 - level of its own.
- A restated close revises the outcome, and with it the gain of that day. The statement is of
  the closes as they stand.

Averaging the h martingales instead would be narrower, and wrong for who looks daily: the
average is no supermartingale, as one class may be watched while another's outcome is half
known (on lags above one see Arnold, Henzi and Ziegel 2023).

References
----------
Robbins (1970), Statistical methods related to the law of the iterated logarithm; Howard, Ramdas,
McAuliffe and Sekhon (2021), Time-uniform, nonparametric, nonasymptotic confidence sequences; Choe
and Ramdas (2024), Comparing sequential forecasters; Arnold, Henzi and Ziegel (2023), Sequentially
valid tests for forecast calibration.
"""

from __future__ import annotations

import numpy as np

RHO = 0.05
"""Scale of the mixture, nat^2, fixed in advance: narrowest near a hundred forecasts a class."""

SHIFTS = (-0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5)
SLOPES = (0.0, 0.5, 1.0, 1.5, 2.0)
"""The other hypotheses of :func:`calibration_evidence`, fixed in advance: shifts of the
log-odds, and slopes of their distance from the base rate's."""


def gain_bounds(
    gain: np.ndarray, spread: np.ndarray, count: np.ndarray, horizon_days: int, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of the mean gain after each day, valid for all days at once.

    Parameters
    ----------
    gain : (..., n) gain of each calendar day, nat, the mean over the day's forecasts; 0 where
        there was none.
    spread : (..., n) ``|logit p - logit b|``, likewise.
    count : (..., n) 1 where the day counts, 0 where there was no forecast.
    horizon_days : h; days of one residue modulo h do not overlap.
    level : of the interval.

    Returns
    -------
    lower, upper : (..., n) nat; infinite before the first forecast.
    """
    total, days = gain.cumsum(axis=-1), count.cumsum(axis=-1)
    alpha = (1 - level) / horizon_days
    residue = np.arange(gain.shape[-1]) % horizon_days
    radius = np.zeros_like(total)
    for k in range(horizon_days):
        mine = residue == k
        variance = np.where(mine, count * (spread / 2) ** 2, 0.0).cumsum(axis=-1)
        begun = np.where(mine, count, 0.0).cumsum(axis=-1) > 0
        bound = np.sqrt((variance + RHO) * np.log((variance + RHO) / (RHO * alpha**2)))
        radius += np.where(begun, bound, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre, radius = total / days, radius / days
    none = days == 0
    return np.where(none, -np.inf, centre - radius), np.where(none, np.inf, centre + radius)


def evidence(log_ratios: np.ndarray, horizon_days: int) -> np.ndarray:
    """Return the evidence against a hypothesis after each day, by likelihood ratios.

    Under the hypothesis the probability that it ever exceeds x is at most 1 / x: each of the h
    classes has a test martingale that begins at 1, and the greatest is divided by h.

    Parameters
    ----------
    log_ratios : (..., g, n) log of (likelihood under alternative g / under the hypothesis) of each
        day's outcome, 0 where there is none; the alternatives are weighted alike.
    horizon_days : h.

    Returns
    -------
    (..., n) natural log of the evidence.
    """
    alternatives, days = log_ratios.shape[-2:]
    best = np.full((*log_ratios.shape[:-2], days), -np.inf)
    for k in range(min(horizon_days, days)):
        paths = log_ratios[..., k::horizon_days].cumsum(axis=-1)
        mixed = np.logaddexp.reduce(paths, axis=-2)
        # It stands until the next day of the class; before the first it is 1 of each alternative.
        held = np.repeat(mixed, horizon_days, axis=-1)[..., : days - k]
        best[..., k:] = np.maximum(best[..., k:], held)
        best[..., :k] = np.maximum(best[..., :k], np.log(alternatives))
    return best - np.log(alternatives) - np.log(horizon_days)


def calibration_ratios(
    outcome: np.ndarray, log_odds: np.ndarray, base_log_odds: np.ndarray
) -> np.ndarray:
    """Return the log likelihood ratios of recalibrated forecasts against the forecasts.

    Alternative (a, s) says ``logit q = logit b + a + s (logit p - logit b)``: a bias, or too much
    or too little confidence.

    Parameters
    ----------
    outcome, log_odds, base_log_odds : (..., n) of each day; NaN outcome where there is none.

    Returns
    -------
    (..., g, n), 0 where there is no outcome.
    """
    missing = np.isnan(outcome)
    log_odds, base_log_odds = (np.where(missing, 0.0, x) for x in (log_odds, base_log_odds))
    sign = np.where(outcome == 1, 1.0, -1.0)
    said = -np.logaddexp(0.0, -sign * log_odds)
    ratios = []
    for shift in SHIFTS:
        for slope in SLOPES:
            if (shift, slope) != (0.0, 1.0):
                other = base_log_odds + shift + slope * (log_odds - base_log_odds)
                ratios.append(-np.logaddexp(0.0, -sign * other) - said)
    return np.where(missing[..., None, :], 0.0, np.stack(ratios, axis=-2))
