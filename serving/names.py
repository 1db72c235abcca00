"""The names by which a part of the record is asked for: those there are, and no others."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, select

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
    a name that was answered once is asked about for ever. No question reads the whole ledger.

    Parameters
    ----------
    head : of the champion's bundle.

    Raises
    ------
    UnknownNameError
        For another; lists those that the champion answers.
    """
    columns = FORECASTS.c
    if asset is not None and asset not in head.assets:
        _refuse("asset", asset, head.assets, ledger, columns.asset == asset)
    if horizon is not None and horizon not in head.horizons:
        # With the assets named, an index finds it, or finds that it is not there.
        of_assets = columns.asset.in_(head.assets if asset is None else (asset,))
        here = and_(of_assets, columns.horizon_days == horizon)
        _refuse("horizon", horizon, head.horizons, ledger, here)
    if version is not None:
        refuse_unknown_version(history, version)


def refuse_unknown_version(history: ChampionHistory, version: int) -> None:
    """Refuse a version that was never champion, and so forecast nothing.

    Raises
    ------
    UnknownNameError
        Lists those that were.
    """
    spoke = sorted({row["version"] for row in history.records()})
    if version not in spoke:
        raise UnknownNameError("version", str(version), spoke)


def _refuse(
    kind: str, name: object, answered: Sequence[object], ledger: Ledger, here: ColumnElement[bool]
) -> None:
    """Refuse a name of which no forecast is on record."""
    with reading(ledger.engine) as connection:
        issued = connection.execute(select(FORECASTS.c.asset).where(here).limit(1)).first()
    if issued is None:
        raise UnknownNameError(kind, str(name), answered)
