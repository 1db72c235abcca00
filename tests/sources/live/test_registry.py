"""Providers are chosen by name, and each is what the interface says."""

from __future__ import annotations

import datetime as dt

import pytest
from conftest import free_port
from patience import NOW, Patience

from riskon.settings import Settings
from sources import ProviderUnavailableError, UnknownNameError
from sources.live import PROVIDERS, Client, Deployment, Limits, Provider, make_provider
from sources.schemas import LAYOUTS


def test_a_name_that_nobody_has_lists_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown provider 'yaho': known are .*yahoo"):
        make_provider("yaho", Client(), Deployment())


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_provider_speaks_the_one_interface(name: str) -> None:
    provider = make_provider(name, Client(), Deployment())
    assert isinstance(provider, Provider)
    assert provider.name == name
    assert provider.folder in {*LAYOUTS, "constituents"}


@pytest.mark.usefixtures("yfinance_cache")
@pytest.mark.parametrize("name", ["exchange", "klines", "stooq", "yahoo"])
def test_A01_every_provider_of_prices_goes_where_the_settings_say_and_says_when_nobody_is_there(
    name: str, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv(f"RISKON_{name.upper()}_URL", f"{url}/")
    monkeypatch.setenv("RISKON_STOOQ_API_KEY", "s3cret")
    settings = Settings()
    where = Deployment(
        settings.live_urls, settings.live_keys, settings.exchange, settings.exchange_quote
    )
    assert where.base_urls == {name: url}
    assert "s3cret" not in repr(where) + repr(settings)
    with (
        Client(Limits(deadline_seconds=20.0), patience.clock) as client,
        pytest.raises(ProviderUnavailableError) as caught,
    ):
        make_provider(name, client, where).fetch("BTC", dt.date(2024, 11, 25), NOW.date())
    assert caught.value.attempts == 4
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["exchange", "klines", "stooq", "yahoo"])
def test_a_provider_of_prices_asks_nobody_for_days_to_come(name: str, patience: Patience) -> None:
    where = Deployment(base_urls={name: f"http://127.0.0.1:{free_port()}"})
    with Client(clock=patience.clock) as client:
        day = NOW.date() + dt.timedelta(days=3)
        fetched = make_provider(name, client, where).fetch("BTC", NOW.date(), day)
    assert (len(fetched.table), fetched.payloads, fetched.source) == (0, (), name)
