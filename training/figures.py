"""The standard figures of a set of forecasts, each with its stationary-bootstrap interval.

One set of resamples serves all: what a figure needs of the days is laid out in columns,
and the figure is computed of the columns' means in every resample. Figures that measure a
distance or a variance (calibration error, Murphy's parts) are off in a resample by its own
noise, so their intervals are reflected around the figure (the basic bootstrap; in squares
for the calibration error), and reach to the figure itself, which has noise of its own; all
others are plain quantiles. Intervals hold 90 %.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models import bins_of, brier_parts, brier_score, log_loss, roc_auc
from training.bootstrap import StationaryBootstrap
from training.significance import DETECTABLE_DEVIATIONS

CONFIDENCE = 0.9
MNAT = 1000.0
EVEN = 0.5

Columns = dict[str, np.ndarray]
Figure = Callable[[Columns], np.ndarray]


def figures(
    outcome: np.ndarray,
    probability: np.ndarray,
    base: np.ndarray,
    momentum: np.ndarray,
    *,
    draws: StationaryBootstrap,
) -> dict[str, float]:
    """Return every standard figure by its name, with ``_lower`` and ``_upper``.

    Parameters
    ----------
    outcome : (n,) 0 or 1, on days in order.
    probability, base, momentum : (n,) ours, climatology's, and that of crypto's own momentum.
    draws : resamples of the n days.

    Returns
    -------
    Name -> value. Gains are log loss of the other minus ours, thousandths of a nat; skill
    scores are 1 minus the ratio of mean scores. ``roc_auc`` and its interval are NaN where
    only one outcome happened.
    """
    loss, brier = log_loss(outcome, probability), brier_score(outcome, probability)
    loss_base, loss_momentum = log_loss(outcome, base), log_loss(outcome, momentum)
    held = np.eye(int(bins_of(probability).max()) + 1)[bins_of(probability)]
    columns: Columns = {
        "loss": loss,
        "loss_base": loss_base,
        "gain": (loss_base - loss) * MNAT,
        "gain_momentum": (loss_momentum - loss) * MNAT,
        "brier": brier,
        "brier_base": brier_score(outcome, base),
        "brier_momentum": brier_score(outcome, momentum),
        "right": ((probability > EVEN) == (outcome == 1)).astype("float64"),
        "p": probability,
        "pp": probability**2,
        "area": _area_influence(outcome, probability),
        "share": held,
        "forecast": held * probability[:, None],
        "hits": held * outcome[:, None],
    }
    resampled = _resampled(columns, draws)
    whole = {name: values.mean(axis=0) for name, values in columns.items()}
    found: dict[str, float] = {}
    for name, figure in PLAIN.items():
        found |= _interval(name, float(figure(whole)), figure(resampled), reflected=False)
    for name, figure in DISTANCES.items():
        found |= _interval(name, float(figure(whole)), figure(resampled), reflected=True)
    area = roc_auc(outcome, probability)
    found |= _interval("roc_auc", area, area + resampled["area"], reflected=False)
    found["log_loss_base_rate"] = float(loss_base.mean())
    found["log_loss_momentum"] = float(loss_momentum.mean())
    for name, column in (("gain_mnat", "gain"), ("momentum_gain_mnat", "gain_momentum")):
        found[f"{name}_least_detectable"] = DETECTABLE_DEVIATIONS * float(resampled[column].std())
    return found


def _ratio(top: str, bottom: str) -> Figure:
    return lambda c: 1 - c[top] / c[bottom]


PLAIN: dict[str, Figure] = {
    "log_loss": lambda c: c["loss"],
    "log_loss_skill_score": _ratio("loss", "loss_base"),
    "gain_mnat": lambda c: c["gain"],
    "momentum_gain_mnat": lambda c: c["gain_momentum"],
    "brier_score": lambda c: c["brier"],
    "brier_skill_score": _ratio("brier", "brier_base"),
    "momentum_brier_skill_score": _ratio("brier", "brier_momentum"),
    "sharpness": lambda c: np.sqrt(np.maximum(c["pp"] - c["p"] ** 2, 0.0)),
    "accuracy": lambda c: c["right"],
}
DISTANCES: dict[str, Figure] = {
    "brier_reliability": lambda c: (
        brier_parts(c["share"], c["forecast"], c["hits"], c["brier"]).reliability
    ),
    "brier_resolution": lambda c: (
        brier_parts(c["share"], c["forecast"], c["hits"], c["brier"]).resolution
    ),
    "brier_uncertainty": lambda c: c["hits"].sum(axis=-1) * (1 - c["hits"].sum(axis=-1)),
    "expected_calibration_error": lambda c: np.abs(c["forecast"] - c["hits"]).sum(axis=-1),
}
NEVER_NEGATIVE = ("brier_reliability", "expected_calibration_error")
ABSOLUTE = ("expected_calibration_error",)


def _resampled(columns: Columns, draws: StationaryBootstrap) -> Columns:
    widths = [1 if values.ndim == 1 else values.shape[1] for values in columns.values()]
    means = draws.means(np.column_stack(list(columns.values())))
    parts = np.split(means, np.cumsum(widths)[:-1], axis=1)
    return {
        name: part[:, 0] if columns[name].ndim == 1 else part
        for name, part in zip(columns, parts, strict=True)
    }


def _interval(
    name: str, value: float, resampled: np.ndarray, *, reflected: bool
) -> dict[str, float]:
    tail = (1 - CONFIDENCE) / 2
    lower, upper = (float(q) for q in np.quantile(resampled, [tail, 1 - tail]))
    if reflected:
        # Noise adds in squares: where all is calibrated, a resample's is twice the figure's.
        power = 2 if name in ABSOLUTE else 1
        least, most = (2 * value**power - end**power for end in (upper, lower))
        if name in NEVER_NEGATIVE:
            least, most = max(least, 0.0), max(most, 0.0)
        lower, upper = min(least ** (1 / power), value), max(most ** (1 / power), value)
    return {name: value, f"{name}_lower": lower, f"{name}_upper": upper}


def _area_influence(outcome: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return (n,) how far each day moves the area under the ROC curve, with mean 0.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Comparing the areas under two or more correlated
    receiver operating characteristic curves.
    """
    from scipy.stats import rankdata

    positive = outcome == 1
    n, p = len(outcome), int(positive.sum())
    if p in {0, n}:
        return np.full(n, np.nan)
    rank = rankdata(probability)
    inside = np.empty(n)
    inside[positive], inside[~positive] = (
        rankdata(probability[positive]),
        rankdata(probability[~positive]),
    )
    beaten = (rank - inside) / np.where(positive, n - p, p)
    component = np.where(positive, beaten, 1 - beaten)
    area = component[positive].mean()
    influence: np.ndarray = (component - area) / np.where(positive, p / n, 1 - p / n)
    return influence
