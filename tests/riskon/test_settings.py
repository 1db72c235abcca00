"""What the environment says about live sources, and what nobody may see of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from riskon.cli import main
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


@pytest.mark.parametrize("below", ["", "new/home"])
@pytest.mark.parametrize("words", ["train", "score", "promote 1 --reason x", "daily", "ingest"])
def test_D33_a_home_that_is_a_file_is_refused_by_its_name_before_any_work(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: str,
    below: str,
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine\n")
    monkeypatch.setenv("RISKON_HOME", str(taken / below))
    monkeypatch.setattr("sys.argv", ["riskon", *words.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"riskon: RISKON_HOME={taken / below}: needed a directory")
    assert said.endswith(f"found {taken} to be a file\n")
    assert said.count("\n") == 1
    assert taken.read_text() == "mine\n"
