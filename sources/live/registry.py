"""Providers by name: one table, and what they may be told about this deployment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sources.errors import UnknownNameError
from sources.live import fred, fred_csv, klines, stooq, yahoo
from sources.live.client import Client
from sources.live.exchange import Exchange
from sources.live.fred import Fred
from sources.live.fred_csv import FredCsv
from sources.live.ishares import FUNDS, Fund, HoldingsShares, Shares
from sources.live.klines import Klines
from sources.live.memberships import Constituents
from sources.live.provider import Provider
from sources.live.stooq import Stooq
from sources.live.yahoo import Yahoo


@dataclass(frozen=True)
class Deployment:
    """Where providers are and what they want; everything has a default.

    Attributes
    ----------
    base_urls : name of a provider -> where it is, instead of where it usually is.
    keys : name of a provider -> key that it wants.
    exchange : ccxt's name of the crypto exchange.
    exchange_quote : currency of that exchange's prices.
    funds : symbol -> where the files of the fund are.
    cache : folder for what providers' libraries keep between runs (yfinance a cookie).
    """

    base_urls: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    exchange: str = "bitstamp"
    exchange_quote: str = "USD"
    funds: Mapping[str, Fund] = field(default_factory=lambda: FUNDS)
    cache: Path | None = None


PROVIDERS: Mapping[str, Callable[[Client, Deployment], Provider]] = {
    "exchange": lambda client, where: Exchange(
        client, where.exchange, where.exchange_quote, where.base_urls.get("exchange")
    ),
    "fred": lambda client, where: Fred(
        client, where.keys.get("fred"), where.base_urls.get("fred", fred.URL)
    ),
    "fred-csv": lambda client, where: FredCsv(
        client, where.base_urls.get("fred-csv", fred_csv.URL)
    ),
    "ishares": lambda client, where: Shares(client, where.funds),
    "ishares-constituents": lambda client, where: Constituents(client, where.funds),
    "ishares-holdings": lambda client, where: HoldingsShares(client, where.funds),
    "klines": lambda client, where: Klines(client, where.base_urls.get("klines", klines.URL)),
    "stooq": lambda client, where: Stooq(
        client, where.base_urls.get("stooq", stooq.URL), where.keys.get("stooq")
    ),
    "yahoo": lambda client, where: Yahoo(
        client, where.base_urls.get("yahoo", yahoo.URL), where.cache
    ),
}
"""Name -> how to make the provider."""


def make_provider(name: str, client: Client, deployment: Deployment) -> Provider:
    """Make a provider by its name.

    Raises
    ------
    UnknownNameError
        Where :data:`PROVIDERS` has none of that name; lists those there are.
    """
    if name not in PROVIDERS:
        raise UnknownNameError("provider", name, sorted(PROVIDERS))
    return PROVIDERS[name](client, deployment)
