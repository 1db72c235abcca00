"""The live series are those that the README lists, each with somebody who is asked for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sources import UnknownNameError
from sources.live import PROVIDERS
from sources.live.ishares import FUNDS
from sources.live.series import chosen_series, live_series, without_provider
from sources.market import CRYPTO_UNIVERSE
from sources.schemas import LAYOUTS

ROOT = Path(__file__).resolve().parents[3]
EVERY = live_series(CRYPTO_UNIVERSE, tuple(FUNDS))


def test_the_readme_lists_them_and_who_is_asked() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "README.md").read_text().splitlines()
        if line.count("|") == 5
    ]
    told = [
        (folder, name, tuple(filter(None, (first, second))))
        for folder, names, first, second in rows
        if folder in {*LAYOUTS, "constituents"}
        for name in names.split()
    ]
    assert told == [
        (series.folder, series.name, tuple(name for name, _ in series.asked)) for series in EVERY
    ]


def test_each_series_is_listed_once_and_every_provider_has_one() -> None:
    assert len({series.label for series in EVERY}) == len(EVERY)
    assert {name for series in EVERY for name, _ in series.asked} == set(PROVIDERS)


def test_a_series_is_chosen_by_its_name_or_its_folder_and_name() -> None:
    assert [s.label for s in chosen_series(EVERY, ["IWM"])] == ["prices/IWM", "flows/IWM"]
    assert [s.label for s in chosen_series(EVERY, ["flows/IWM"])] == ["flows/IWM"]
    assert chosen_series(EVERY, []) == EVERY
    with pytest.raises(UnknownNameError, match="NASDAQ"):
        chosen_series(EVERY, ["IWM", "NASDAQ"])


def test_a_provider_without_its_key_is_left_out() -> None:
    (rate,) = chosen_series(without_provider(EVERY, "fred"), ["DGS10"])
    assert rate.asked == (("fred-csv", "DGS10"),)
