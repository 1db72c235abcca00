"""The signals of a dataset, day by day, for all its assets together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features import Dataset
from models.carried import running
from models.cells import Cell, CellRows, OnlineRows, rows_of
from models.claims import asserted
from models.config import ModelConfig, SignalConfig
from models.interactions import Signals, with_interactions
from models.location import drift, location_scores, without_index
from models.signals import coefficients, gate, group_shares, persistence, standardised

RULE_FEATURES = ("high_decay_20s", "flow_pressure_40s", "breadth_negative_252s")
"""What :func:`models.claims.asserted` reads, in its order."""
INDEX_RETURN = "small_return_1s"
INDEX_GROUP = "small_cap_day"
INDEX_HALFLIFE_SESSIONS = 15.0


def online_rows(
    dataset: Dataset,
    cells: Sequence[Cell],
    config: ModelConfig,
    path: SignalPath | None = None,
) -> dict[tuple[str, int], OnlineRows]:
    """Return what the signals and the rules say, by asset and horizon of the cells.

    ``path`` is what the signals say, where that is known already.
    """
    if config.signals is None:
        return {}
    if path is None:
        horizons = sorted({cell.horizon_days for cell in cells})
        path = signal_path(dataset, horizons, config.signals)
    rule = _rule(dataset)
    found: dict[tuple[str, int], OnlineRows] = {}
    for cell in cells:
        at = dataset.assets.index(cell.asset)
        found[cell.asset, cell.horizon_days] = OnlineRows(
            drift=np.ascontiguousarray(path.drift[:, at]),
            parts=np.ascontiguousarray(path.parts[cell.horizon_days][:, at]),
            values=np.ascontiguousarray(path.values[:, at]),
            names=path.names,
            rule=rule * np.sqrt(cell.horizon_days),
        )
    return found


def cell_rows(
    dataset: Dataset,
    cell: Cell,
    online: Mapping[tuple[str, int], OnlineRows],
    config: ModelConfig,
) -> CellRows:
    """Return the rows of a cell, with what the signals say of it."""
    said = online.get((cell.asset, cell.horizon_days))
    return rows_of(dataset, cell, said, config.classifier_features)


def _rule(dataset: Dataset) -> np.ndarray:
    """Return (t,) what the claims assert on each day, from 0 to 1; 0 without highs."""

    def column(name: str) -> np.ndarray | None:
        if name not in dataset.names:
            return None
        return dataset.values[:, 0, dataset.names.index(name)]

    high, flow, weak = (column(name) for name in RULE_FEATURES)
    return np.zeros(len(dataset.days)) if high is None else asserted(high, flow, weak)


@dataclass(frozen=True)
class SignalPath:
    """What the signals say on each day; row t reads what was known at T(t).

    Attributes
    ----------
    names : (k,) of the signals.
    drift : (t, a) expected daily return without signals, in volatilities.
    values : (t, a, k) the signals, in deviations from their past; 0 where missing.
    parts : horizon -> (t, a, k) what each signal adds to the expected return over h
        days, in deviations of that return. A forecast's signal is their sum.
    """

    names: tuple[str, ...]
    drift: np.ndarray
    values: np.ndarray
    parts: Mapping[int, np.ndarray]


def signal_path(
    dataset: Dataset,
    horizons: Sequence[int],
    config: SignalConfig,
    index: np.ndarray | None = None,
) -> SignalPath:
    """Walk all assets of a dataset through the days, learning from each as it is known.

    The assets of the dataset are the pool: evidence is shared between them, so
    the same pool gives the same numbers, whatever is asked for. ``index`` is
    :func:`index_day` of the rows, where it is known already.
    """
    return walk_signals(
        _signals(dataset, config),
        dataset.has_close,
        _returns(dataset),
        index_day(dataset) if index is None else index,
        horizons,
        config,
    )


def walk_signals(
    plain: Signals,
    usable: np.ndarray,
    returns: np.ndarray,
    index_z: np.ndarray,
    horizons: Sequence[int],
    config: SignalConfig,
) -> SignalPath:
    """Walk through the days; the signals and the returns may come from anywhere.

    Parameters
    ----------
    plain : the signals by themselves, row t known at T(t).
    usable : (t, a) bool.
    returns : (t, a) from t to t + 1 over the volatility known at T(t); NaN where there is none.
    index_z : (t,) the index's return of the same day over its volatility; NaN where there is none.
    """
    z, _, days = standardised(plain.values, usable)
    settled = np.where((days < 120)[:, None], np.nan, z)
    signals = with_interactions(plain, settled) if config.interactions else plain
    own = location_scores(returns, config.tail)
    scores = without_index(own, index_z)
    mu = drift(own, config)
    if not signals.names:
        nothing = np.zeros((*usable.shape, 0))
        return SignalPath((), mu, nothing, dict.fromkeys(horizons, nothing))
    shares = group_shares(signals.groups, config)
    z, _, _ = standardised(signals.values, usable)
    z = np.where(np.isfinite(z), z, 0.0)  # what is missing adds nothing
    daily = [
        coefficients(signals.values, usable, shares, scores, config, discount) * z
        for discount in config.discounts
    ]
    weight = gate([part.sum(axis=2) for part in daily], mu, scores, config)
    said = weight[:, 1, None, None] * daily[0] + weight[:, 2, None, None] * daily[1]
    parts = {
        h: np.sqrt(h) * said * persistence(signals.values, usable, h)[:, None] for h in horizons
    }
    return SignalPath(signals.names, mu, z, parts)


def _signals(dataset: Dataset, config: SignalConfig) -> Signals:
    at = {name: i for i, name in enumerate(dataset.names)}
    chosen = [
        (group, name) for group, names in config.groups.items() for name in names if name in at
    ]
    return Signals(
        names=tuple(name for _, name in chosen),
        groups=tuple(group for group, _ in chosen),
        values=dataset.values[:, :, [at[name] for _, name in chosen]],
    )


def _returns(dataset: Dataset) -> np.ndarray:
    """Return (t, a) the return from t to t + 1 over the volatility known at T(t).

    A return that becomes known later than T(t + 1), for a bar that came late, is left out.
    """
    columns: list[np.ndarray] = []
    day = dataset.days.to_numpy("datetime64[D]")
    for at, asset in enumerate(dataset.assets):
        labels = dataset.labels(asset, 1)
        volatility = dataset.volatility[:, at]
        in_time = dataset.has_close[:, at] & (labels.known_on == day + np.timedelta64(1, "D"))
        good = in_time & np.isfinite(labels.forward_return) & (volatility > 0)
        step = np.log1p(np.where(good, labels.forward_return, 0.0))
        columns.append(np.where(good, step / np.where(good, volatility, 1.0), np.nan))
    return np.stack(columns, axis=1)


def index_day(dataset: Dataset) -> np.ndarray:
    """Return (t,) the small-cap return of day t + 1 over its volatility; NaN without a session.

    Row t is known at T(t + 1), as the crypto return of the row is.
    """
    nothing = np.full(len(dataset.days), np.nan)
    if INDEX_RETURN not in dataset.names:
        return nothing
    value = dataset.values[:, 0, dataset.names.index(INDEX_RETURN)]
    age = dataset.ages[:, 0, dataset.groups.index(INDEX_GROUP)]
    session = (age == 0) & np.isfinite(value)
    step = value[session]
    if len(step) < 3:
        return nothing
    keep = 0.5 ** (1 / INDEX_HALFLIFE_SESSIONS)
    variance = running(step**2, keep) / running(np.ones(len(step)), keep)
    deviation = np.sqrt(np.concatenate([[np.nan], variance[:-1]]))
    z = nothing.copy()
    z[session] = np.where(deviation > 0, step / np.where(deviation > 0, deviation, 1.0), np.nan)
    return np.concatenate([z[1:], [np.nan]])
