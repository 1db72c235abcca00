"""A bundle comes back to the bit, or not at all."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features import Dataset, FeatureConfig, build_dataset
from models import Cell, ModelBundle, ModelConfig, cells_of
from sources import Market
from sources.errors import IntegrityError, SchemaError, UnknownNameError
from training.walkforward import CellRun, bundle_of, walk_forward

CONFIG = ModelConfig(least_labels=200)
CELLS = cells_of(("BTC", "ETH"), (1, 5))


@pytest.fixture(scope="module")
def dataset(market: Market) -> Dataset:
    return build_dataset(market, ("BTC", "ETH"), FeatureConfig(exclude=("own_return_5d",)))


@pytest.fixture(scope="module")
def runs(dataset: Dataset) -> dict[Cell, CellRun]:
    return walk_forward(dataset, CELLS, CONFIG)


@pytest.fixture(scope="module")
def saved(
    dataset: Dataset, runs: dict[Cell, CellRun], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, ModelBundle]:
    folder = tmp_path_factory.mktemp("bundle")
    return folder, bundle_of(runs, dataset, CONFIG, "digest").save(folder)


def test_a_loaded_bundle_is_the_saved_one(saved: tuple[Path, ModelBundle], tmp_path: Path) -> None:
    folder, bundle = saved
    loaded = ModelBundle.load(folder, digest=bundle.digest)
    assert loaded.save(tmp_path).digest == bundle.digest
    assert loaded.cells == CELLS
    assert loaded.config == CONFIG


def test_a_bundle_forecasts_the_walk_forwards_numbers_to_the_bit(
    saved: tuple[Path, ModelBundle], dataset: Dataset, runs: dict[Cell, CellRun]
) -> None:
    loaded = ModelBundle.load(saved[0])
    for cell, run in runs.items():
        for at in np.linspace(0, len(run.path.days) - 1, 12).astype(int):
            made = loaded.forecast(dataset, [cell], run.path.days[at])[cell]
            assert made is not None
            if made.abstained:
                assert not run.path.informed[at]
                continue
            assert made.probability == run.path.probability[at]
            assert (made.lower, made.upper) == (run.path.lower[at], run.path.upper[at])
            assert made.base_rate == run.path.base_rate[at]


def test_drivers_add_up_to_the_log_odds_against_the_base_rate(
    saved: tuple[Path, ModelBundle], dataset: Dataset
) -> None:
    day = dataset.days[-3].to_datetime64().astype("M8[D]")
    made = saved[1].forecast(dataset, CELLS[1:2], day)[CELLS[1]]
    assert made is not None
    assert made.probability is not None
    total = np.log(made.probability / (1 - made.probability)) - np.log(
        made.base_rate / (1 - made.base_rate)
    )
    assert sum(driver.contribution for driver in made.drivers) == pytest.approx(total, abs=1e-12)
    assert len(made.drivers) > 3


def test_experts_split_the_same_log_odds_by_their_share_of_the_move(
    saved: tuple[Path, ModelBundle], dataset: Dataset, runs: dict[Cell, CellRun]
) -> None:
    run = runs[CELLS[1]]
    made = saved[1].forecast(dataset, CELLS[1:2], run.path.days[-3])[CELLS[1]]
    assert made is not None
    assert made.probability is not None
    by_name = {expert.name: expert for expert in made.experts}
    assert tuple(sorted(by_name)) == tuple(sorted(run.path.names))
    for k, name in enumerate(run.path.names):
        assert by_name[name].weight == run.path.weight[-3, k]
        assert by_name[name].probability == run.path.expert_probability[-3, k]
    assert [e.weight for e in made.experts] == sorted(
        (e.weight for e in made.experts), reverse=True
    )
    odds = np.log(made.probability / (1 - made.probability))
    total = odds - np.log(made.base_rate / (1 - made.base_rate))
    moved = {driver.feature: driver.contribution for driver in made.drivers}
    total -= moved.get("(calibration)", 0.0)  # no expert's own
    assert sum(e.contribution for e in made.experts) == pytest.approx(total, abs=1e-12)
    # Climatology says the base rate, so it moves nothing; the others as w (p - b) does.
    assert by_name["climatology"].contribution == 0.0
    one, other = by_name["signals"], by_name["rules"]
    parts = [e.weight * (e.probability - made.base_rate) for e in (one, other)]
    assert one.contribution * parts[1] == pytest.approx(other.contribution * parts[0], rel=1e-9)


def test_an_input_in_other_units_silences_the_forecast_and_is_named(
    saved: tuple[Path, ModelBundle], dataset: Dataset
) -> None:
    day = dataset.days[-3].to_datetime64().astype("M8[D]")
    values = dataset.values.copy()
    values[-3, :, dataset.names.index("flow_20s")] *= 1000
    found = saved[1].forecast(replace(dataset, values=values), CELLS, day)
    for made in found.values():
        assert made is not None
        assert made.reason is not None
        assert made.abstained
        assert (made.lower, made.upper, made.drivers) == (None, None, ())
        assert "unlike any seen: needed inputs at most 0.25 of their past range" in made.reason
        assert "flow_20s" in made.reason
    ordinary = saved[1].forecast(dataset, CELLS, day)
    assert all(made is not None and not made.abstained for made in ordinary.values())


def test_there_is_no_forecast_before_the_first_fit(
    saved: tuple[Path, ModelBundle], dataset: Dataset
) -> None:
    found = saved[1].forecast(dataset, CELLS[:1], np.datetime64("2019-03-01"))
    assert found == {CELLS[0]: None}


def test_D05_no_changed_byte_is_ever_parsed(
    saved: tuple[Path, ModelBundle], tmp_path: Path
) -> None:
    folder, bundle = saved
    generator = np.random.default_rng(11)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for _ in range(60):
        name = files[generator.integers(len(files))]
        content = bytearray((folder / name).read_bytes())
        at = int(generator.integers(len(content)))
        content[at] ^= 1 << int(generator.integers(8))
        (copy / name).write_bytes(content)
        with pytest.raises(IntegrityError, match="needed"):
            ModelBundle.load(copy, digest=bundle.digest)
        (copy / name).write_bytes((folder / name).read_bytes())
    assert ModelBundle.load(copy, digest=bundle.digest).digest == bundle.digest


@pytest.mark.parametrize("fault", ["truncated", "missing", "link", "way out"])
def test_D05_a_truncated_missing_or_linked_file_is_refused(
    saved: tuple[Path, ModelBundle], tmp_path: Path, fault: str
) -> None:
    folder, _ = saved
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    victim = next((copy / "trees").rglob("*.txt"))
    if fault == "truncated":
        victim.write_bytes(victim.read_bytes()[:-10])
    elif fault == "missing":
        victim.unlink()
    elif fault == "link":
        target = tmp_path / "target.txt"
        victim.rename(target)
        victim.symlink_to(target)
    else:
        manifest = copy / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"bundle.json"', '"../bundle.json"'))
    with pytest.raises(IntegrityError, match="needed"):
        ModelBundle.load(copy)


def test_features_that_came_since_the_training_change_nothing(
    saved: tuple[Path, ModelBundle], dataset: Dataset, market: Market
) -> None:
    more = build_dataset(market, ("BTC", "ETH"))
    # One that the classifiers would be fitted on, were it there.
    assert set(more.names) - set(dataset.names) == {"own_return_5d"}
    assert more.only(dataset.names).digest == dataset.digest
    assert more.only(dataset.names).schema() == dataset.schema()
    day = dataset.days[-1].to_datetime64().astype("M8[D]")
    assert saved[1].forecast(more, CELLS, day) == saved[1].forecast(dataset, CELLS, day)


def test_D04_fewer_features_than_those_fitted_on_are_refused(
    saved: tuple[Path, ModelBundle], market: Market
) -> None:
    fewer = build_dataset(market, ("BTC", "ETH"), FeatureConfig(blocks=("crypto", "momentum")))
    with pytest.raises(SchemaError, match=r"needed the \d+ features of the model; found"):
        saved[1].forecast(fewer, CELLS[:1], fewer.days[-1].to_datetime64().astype("M8[D]"))


def test_an_unknown_asset_or_horizon_lists_the_known_ones(saved: tuple[Path, ModelBundle]) -> None:
    with pytest.raises(UnknownNameError, match="unknown asset 'SOL': known are BTC, ETH"):
        saved[1].select(["SOL"])
    with pytest.raises(UnknownNameError, match="unknown horizon '20': known are 1, 5"):
        saved[1].select(None, [20])
