"""What the environment says about live sources, and what nobody may see of it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from riskon.settings import Settings


def test_the_key_of_fred_comes_from_the_environment_and_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Settings().fred_api_key is None
    monkeypatch.setenv("RISKON_FRED_API_KEY", "0123456789abcdef")
    settings = Settings()
    assert settings.fred_api_key is not None
    assert settings.fred_api_key.get_secret_value() == "0123456789abcdef"
    assert settings.live_keys == {"fred": "0123456789abcdef"}
    assert "0123456789abcdef" not in repr(settings) + str(settings.model_dump())


def test_funds_are_described_in_json_by_the_names_of_their_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RISKON_FUNDS", '{"IBIT": {"history": "http://issuer/ibit"}}')
    assert Settings().funds == {"IBIT": {"history": "http://issuer/ibit"}}
    monkeypatch.setenv("RISKON_FUNDS", '{"IBIT": {"page": "http://issuer/ibit"}}')
    with pytest.raises(ValidationError):
        Settings()
