"""Signals: Bayesian averaging of one-feature regressions of daily returns, projected to h days.

Daily returns do not overlap, so the 20-day forecast learns from every day; the
evidence is pooled over assets by their correlation; a feature's own persistence
carries its effect forward. Everything is running sums: there is nothing to
refit, and row t reads what was known at T(t).

References
----------
Raftery, Madigan and Hoeting (1997), Bayesian model averaging for linear
regression; Johnson and Rossell (2010), non-local priors; Gruenwald and van Ommen
(2017), Inconsistency of Bayesian inference for misspecified linear models, and a
proposal for repairing it (the power of the likelihood); Herbster and Warmuth
(1998), Tracking the best expert.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.carried import before, begun, delayed, left, running
from models.config import SignalConfig
from models.location import LocationScores

CUT = 3.0
"""Standardised features are cut here: one wild day must not decide a forecast."""


def standardised(x: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardise features by their past.

    Parameters
    ----------
    x : (t, a, k) features known at T(t); NaN where missing.
    usable : (t, a) bool.

    Returns
    -------
    z : (t, a, k) by the mean and deviation of rows up to t, cut at 3; NaN where missing.
    deviation : (t, k).
    days : (t, k) days on which the feature was there so far.
    """
    have = np.isfinite(x) & usable[:, :, None]
    filled = np.where(have, x, 0.0)
    count = np.maximum(running(have.sum(axis=1).astype("float64")), 1)
    mean = running(filled.sum(axis=1)) / count
    square = running((filled**2).sum(axis=1)) / count
    deviation = np.sqrt(np.maximum(square - mean**2, 1e-12))
    z = np.clip((x - mean[:, None]) / deviation[:, None], -CUT, CUT)
    return z, deviation, running(have.any(axis=1).astype("float64"))


def persistence(x: np.ndarray, usable: np.ndarray, horizon_days: int) -> np.ndarray:
    """Return (t, k) in [0, 1]: the slope of a feature's mean over the next h days on its value.

    From pairs complete at T(t); overlap does not bias a slope.
    """
    h = horizon_days
    if h == 1 or len(x) < h:
        return np.ones((x.shape[0], x.shape[2]))
    total, count = running(np.where(np.isfinite(x), x, 0.0)), running(np.isfinite(x))
    total, count = total - delayed(total, h, 0.0), count - delayed(count, h, 0.0)
    start = delayed(x, h - 1)
    whole = (count == h) & np.isfinite(start) & usable[:, :, None]
    a, b = np.where(whole, start, 0.0), np.where(whole, total / h, 0.0)
    n = np.maximum(running(whole.sum(axis=1).astype("float64")), 1)
    mean = running(a.sum(axis=1)) / n
    covariance = running((a * b).sum(axis=1)) / n - mean * running(b.sum(axis=1)) / n
    variance = running((a * a).sum(axis=1)) / n - mean**2
    return np.clip(covariance / np.maximum(variance, 1e-12), 0.0, 1.0)


def coefficients(
    x: np.ndarray,
    usable: np.ndarray,
    shares: np.ndarray,
    scores: LocationScores,
    config: SignalConfig,
    discount: float,
) -> np.ndarray:
    """Return (t, a, k) the posterior mean coefficient of each feature, its probability included.

    With beta ~ N(0, effect^2) a feature of centred information V and score C has
    the Bayes factor ``sqrt(v / effect^2) exp(C m / 2)``, ``v = 1 / (V + effect^-2)``,
    ``m = C v``. The moment prior ``beta^2 N(0, effect^2)`` multiplies it by
    ``(m^2 + v) / effect^2`` and has mean ``(m^3 + 3 m v) / (m^2 + v)``: small effects
    are as good as none, so evidence for nothing grows as n^1.5 and not n^0.5.
    A feature's probability takes the Bayes factor to the power ``evidence_power``.
    Each asset's coefficient deviates from the shared one by N(0, own_effect^2).

    Parameters
    ----------
    x : (t, a, k) features known at T(t).
    shares : (k,) prior probability of each feature, summing to 1 - nothing.
    scores : of the returns from t to t + 1.
    discount : of a day; below 1 evidence fades.
    """
    _, deviation, days = standardised(x, usable)
    enough = days >= config.least_days
    weight = (np.isfinite(x) & scores.known[:, :, None]).astype("float64")
    filled = np.where(weight > 0, x, 0.0)
    u = scores.u[:, :, None]
    count = weight.sum(axis=1)
    q = (scores.precision / (1 - scores.correlation))[:, None]
    rho = scores.correlation[:, None]
    c = rho / (1 + (np.maximum(count, 1) - 1) * rho)
    sx, su = filled.sum(axis=1), (weight * u).sum(axis=1)
    information, score = _centred(
        q * (count - c * count * count),
        q * (sx - c * count * sx),
        q * (su - c * count * su),
        q * ((filled**2).sum(axis=1) - c * sx**2),
        q * ((filled * u).sum(axis=1) - c * sx * su),
        deviation,
        discount,
    )
    effect = config.effect
    v = 1 / (information + effect**-2)
    m = score * v
    evidence = 0.5 * np.log(v / effect**2) + 0.5 * score * m + np.log((m**2 + v) / effect**2)
    shared = (m**3 + 3 * m * v) / (m**2 + v)
    told = config.evidence_power * np.where(enough, evidence, 0.0)
    chance = _posterior(told + np.log(shares), config.nothing)
    chance = np.where(enough, chance, 0.0)
    found = np.empty(x.shape)
    precision = scores.precision[:, None]
    for a in range(x.shape[1]):
        w, xa, ua = weight[:, a], filled[:, a], u[:, a]
        own, pull = _centred(
            precision * w, precision * xa, precision * w * ua,
            precision * xa**2, precision * xa * ua, deviation, discount,
        )  # fmt: skip
        apart = (pull - own * shared) / (own + config.own_effect**-2)
        found[:, a] = chance * (shared + apart)
    return found


def gate(
    signals: Sequence[np.ndarray], mu: np.ndarray, scores: LocationScores, config: SignalConfig
) -> np.ndarray:
    """Return (t, 1 + s) weights of nothing and of each daily signal, as known at T(t).

    Bayes on the pooled daily likelihood; after each day ``share`` of all
    weight is dealt out again, so that a relation that ends is let go of.

    Parameters
    ----------
    signals : each (t, a), expected return of a day in volatilities, over the drift ``mu``.
    """
    rest = scores.u - mu
    ratios = [np.zeros(len(mu))]
    ratios += [scores.product(s, rest) - 0.5 * scores.product(s, s) for s in signals]
    factor = np.exp(np.stack(ratios, axis=1))
    weight, redeal = begun(np.array(config.gate_prior)), np.array(config.gate_redeal)
    weights = np.empty_like(factor)
    for t in range(len(weights)):
        weights[t] = weight
        weight = weight * factor[t]
        weight = (1 - config.gate_share) * weight / weight.sum() + config.gate_share * redeal
    left(weights)
    return weights


def group_shares(groups: Sequence[str], config: SignalConfig) -> np.ndarray:
    """Return (k,) prior probabilities: a group has one share, its alternative scales divide it."""
    weight = {g: config.group_weights.get(g, 1.0) for g in dict.fromkeys(groups)}
    size = {g: list(groups).count(g) for g in weight}
    total = sum(weight.values())
    return np.array([(1 - config.nothing) * weight[g] / total / size[g] for g in groups])


def _posterior(log_weight: np.ndarray, nothing: float) -> np.ndarray:
    top = np.maximum(log_weight.max(axis=1), np.log(nothing))[:, None]
    weight = np.exp(log_weight - top)
    return weight / (weight.sum(axis=1, keepdims=True) + np.exp(np.log(nothing) - top))


def _centred(
    one: np.ndarray,
    x: np.ndarray,
    u: np.ndarray,
    xx: np.ndarray,
    xu: np.ndarray,
    deviation: np.ndarray,
    discount: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return information and score of a deviation of x, the intercept out, from rows before t."""
    one, x, u, xx, xu = (before(running(v, discount)) for v in (one, x, u, xx, xu))
    one = np.maximum(one, 1e-9)
    return np.maximum(xx - x**2 / one, 0.0) / deviation**2, (xu - x * u / one) / deviation
