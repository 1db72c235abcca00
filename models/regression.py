"""The signals as a regression: fitted on daily returns, with a predictive law for h days."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from models.climatology import base_rate
from models.config import SignalConfig
from models.interactions import Signals
from models.online import SignalPath, walk_signals
from models.predictive import centre_of, chance_of, spread_of


class SignalRegression(BaseEstimator):  # type: ignore[misc]
    """Regress daily returns on signals, and say what they hold for the next h days.

    The batch face of the expert ``signals`` for a pool of one asset, through the same function,
    :func:`models.online.walk_signals`: fitted on the days before d, it says of the features of
    day d what the walk-forward's expert says. There is nothing to fit but sums that
    run day by day, and the day asked for is itself a day of them (its features
    standardise with their past), so the days are kept and walked again for each row
    asked for; each such row is taken for the day after the last one fitted.

    To scikit-learn it is neither a regressor, which may not have ``predict_proba``, nor a
    classifier, which is fitted on classes: it learns from sizes and speaks of chances.

    Parameters
    ----------
    config : priors, groups and scales; the defaults where None.
    horizon_days : h, that the forecast looks ahead.
    rate : chance of a rise over h days that climatology gives; None for that of one day,
        learned from the signs of the returns.

    Attributes
    ----------
    days_ : (n, f) the rows fitted, in the order of time.
    returns_ : (n,) what followed each.
    rate_ : float, climatology.

    References
    ----------
    See :mod:`models.signals`.
    """

    def __init__(
        self,
        config: SignalConfig | None = None,
        horizon_days: int = 1,
        rate: float | None = None,
    ) -> None:
        self.config = config
        self.horizon_days = horizon_days
        self.rate = rate

    def fit(self, X: Any, y: Any) -> Self:
        """Keep the days.

        Parameters
        ----------
        X : (n, f) float, consecutive days in the order of time, row t known at T(t); NaN where
            missing. Columns with names take the groups and interactions of the configuration.
        y : (n,) float, log return from day t to t + 1 over the volatility known at T(t).

        Raises
        ------
        ValueError
            For returns that are not finite, or fewer than two days.
        """
        X, y = validate_data(
            self, X, y, dtype="float64", ensure_all_finite="allow-nan", y_numeric=True,
            ensure_min_samples=2,
        )  # fmt: skip
        self.days_, self.returns_ = X, np.asarray(y, dtype="float64")
        rise = np.array([(self.returns_ > 0).sum()], dtype="float64")
        learned = base_rate(rise, np.array([float(len(y))]), horizon_days=1)[0]
        self.rate_ = float(learned if self.rate is None else self.rate)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return (n,) the expected h-day return, in deviations of that return."""
        return self._said(X).sum(axis=1)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return (n, 2) the chances of a fall and of a rise, from the predictive law.

        The law is a Student's whose centre is the drift, drawn towards that of climatology as
        in the walk-forward, plus what the signals add.
        """
        said, h = self._said(X), self.horizon_days
        weight, spread = (self.config or SignalConfig()).drift_weight, spread_of(h)
        base = centre_of(np.array([self.rate_]), h)
        quiet = weight * spread * said[:, 0] + (1 - weight) * base
        rise = chance_of(quiet + spread * said[:, 1], h)
        return np.column_stack([1.0 - rise, rise])

    def _said(self, X: Any) -> np.ndarray:
        """Return (n, 2) the h-day return that the drift and that the signals expect."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype="float64", reset=False, ensure_all_finite="allow-nan")
        h = self.horizon_days
        found = np.empty((len(X), 2))
        for i, row in enumerate(X):
            path = self._walk(row)
            found[i] = np.sqrt(h) * path.drift[-1, 0], path.parts[h][-1, 0].sum()
        return found

    def _walk(self, row: np.ndarray) -> SignalPath:
        """Walk the days fitted, and a day after them whose return is not known."""
        config = self.config or SignalConfig()
        values = np.concatenate([self.days_, row[None]])[:, None]
        names = getattr(self, "feature_names_in_", [f"x{i}" for i in range(values.shape[2])])
        group = {name: at for at, members in config.groups.items() for name in members}
        signals = Signals(tuple(names), tuple(group.get(n, n) for n in names), values)
        nothing = np.full(len(values), np.nan)
        returns = np.append(self.returns_, np.nan)[:, None]
        usable = np.ones((len(values), 1), dtype=bool)
        return walk_signals(signals, usable, returns, nothing, [self.horizon_days], config)

    def __sklearn_tags__(self) -> Any:
        """Declare that holes are welcome, and that returns are needed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        return tags
