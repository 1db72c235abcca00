"""The names by which a part of the record is asked for: those there are, and no others."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, select

from serving.champions import ChampionHistory
from serving.database import reading
from serving.head import Head
from serving.ledger import FORECASTS, Ledger
from sources.errors import UnknownNameError


def refuse_unknown(
    ledger: Ledger,
    history: ChampionHistory,
    head: Head,
    *,
    asset: str | None = None,
    horizon: int | None = None,
    version: int | None = None,
) -> None:
    """Refuse an asset, horizon or version of which there can be no forecast on record.

    Known are those that the present champion answers, and those of any forecast that was issued:
    a name that was answered once is asked about for ever.

    Parameters
    ----------
    head : of the champion's bundle.

    Raises
    ------
    UnknownNameError
        For another; lists those there are.
    """
    columns = FORECASTS.c
    if asset is not None and asset not in head.assets:
        _among("asset", asset, {*head.assets, *_issued(ledger, columns.asset)})
    if horizon is not None and horizon not in head.horizons:
        _among("horizon", horizon, {*head.horizons, *_issued(ledger, columns.horizon_days)})
    if version is not None:
        refuse_unknown_version(ledger, history, version)


def refuse_unknown_version(ledger: Ledger, history: ChampionHistory, version: int) -> None:
    """Refuse a version that was never champion and forecast nothing.

    Raises
    ------
    UnknownNameError
        Lists those that did.
    """
    spoke = {row["version"] for row in history.records()}
    if version not in spoke:
        _among("version", version, {*spoke, *_issued(ledger, FORECASTS.c.model_version)})


def _among(kind: str, name: object, known: set[Any]) -> None:
    if name not in known:
        raise UnknownNameError(kind, str(name), sorted(known))


def _issued(ledger: Ledger, column: Column[Any]) -> tuple[Any, ...]:
    with reading(ledger.engine) as connection:
        return tuple(connection.execute(select(column).distinct()).scalars())
