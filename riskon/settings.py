"""Where things are: read from the environment once, and passed down."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sources.errors import RefusedError


class Settings(BaseSettings):
    """Deployment settings, ``RISKON_*`` and MLflow's own variable.

    All state lives under ``home`` unless a URL moves it to a server.
    """

    model_config = SettingsConfigDict(env_prefix="RISKON_", frozen=True, extra="ignore")

    home: Path = Path(".riskon")
    market: Path | None = None
    database_url: SecretStr | None = None
    tracking_uri: str | None = Field(
        default=None, validation_alias=AliasChoices("MLFLOW_TRACKING_URI", "tracking_uri")
    )
    api_keys: SecretStr | None = None
    """Comma-separated keys of the API, ``KEY`` to read or ``KEY:admin``; hashed once read."""
    requests_per_second: float = Field(default=100.0, ge=0)
    """Of one key or address, and twice as many at once; 0 sets no limit."""
    deadline_seconds: float = Field(default=30.0, gt=0)
    """Until a request is answered, one way or the other."""
    poll_seconds: float = Field(default=1.0, gt=0)
    """Between two looks of the service at who is champion."""
    fallback: Literal["abstain", "climatology"] = "abstain"
    """Where the model has to abstain: no number, or the base rate, and the reason either way."""
    crypto: str = ""
    """Comma-separated symbols that trade every day, beside those known."""
    fred_api_key: SecretStr | None = None
    """Key of FRED's API; without it macro series come from its charts, with declared lags."""
    fred_url: str | None = None
    fred_csv_url: str | None = None
    funds: dict[str, dict[Literal["history", "holdings"], str]] = {}
    """Funds beside those known, as JSON: ``{"IBIT": {"history": URL, "holdings": URL}}``."""
    allowed_hosts: str = "127.0.0.1,localhost,[::1]"
    trusted_proxies: str = ""
    """Comma-separated addresses and networks whose ``X-Forwarded-For`` and ``-Proto`` count."""
    version_policy: Literal["warn", "refuse"] = "warn"
    """What becomes of a version that was trained with other libraries than serve it."""
    yahoo_url: str | None = None
    stooq_url: str | None = None
    stooq_api_key: SecretStr | None = None
    klines_url: str | None = None
    exchange: str = "bitstamp"
    """ccxt's name of the exchange that crypto bars are asked of; Kraken's go back 720 days."""
    exchange_quote: str = "USD"
    exchange_url: str | None = None

    @field_validator("home")
    @classmethod
    def _a_directory(cls, home: Path) -> Path:
        """Refuse a file, or a place below one, before anything that lives there is blamed."""
        there = next((path for path in (home, *home.parents) if path.exists()), None)
        if there is not None and not there.is_dir():
            raise RefusedError(
                f"RISKON_HOME={home}: needed a directory, or a name for a new one; "
                f"found {there} to be a file"
            )
        return home

    @property
    def more_crypto(self) -> tuple[str, ...]:
        """Symbols that trade every day, beside those known."""
        return tuple(s.strip() for s in self.crypto.split(",") if s.strip())

    @property
    def market_directory(self) -> Path:
        """The market to read: as set, else ``home/market``."""
        return self.market or self.home / "market"

    @property
    def live_urls(self) -> dict[str, str]:
        """Name of a live source -> where it is, where that is set."""
        urls = {
            "exchange": self.exchange_url,
            "fred": self.fred_url,
            "fred-csv": self.fred_csv_url,
            "klines": self.klines_url,
            "stooq": self.stooq_url,
            "yahoo": self.yahoo_url,
        }
        return {name: url.rstrip("/") for name, url in urls.items() if url}

    @property
    def live_keys(self) -> dict[str, str]:
        """Name of a live source -> its key in clear, where it is set."""
        keys = {"fred": self.fred_api_key, "stooq": self.stooq_api_key}
        return {name: key.get_secret_value() for name, key in keys.items() if key}

    @property
    def database(self) -> str:
        """URL of the ledger's database."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{(self.home / 'riskon.db').resolve()}"

    @property
    def tracking(self) -> str:
        """URI of the tracking server or file."""
        return self.tracking_uri or f"sqlite:///{(self.home / 'mlflow.db').resolve()}"

    @property
    def artifacts(self) -> Path:
        """Folder of artifacts and cached bundles."""
        return (self.home / "artifacts").resolve()

    @property
    def spool(self) -> Path:
        """Folder of finished jobs that the tracking store does not have yet."""
        return (self.home / "spool").resolve()

    @property
    def keys(self) -> tuple[str, ...]:
        """The API keys, in clear; hash them and let go of them."""
        if self.api_keys is None:
            return ()
        return tuple(k.strip() for k in self.api_keys.get_secret_value().split(",") if k.strip())
