"""What the tests of serving share: databases of both kinds, a small market, a trained bundle."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Engine

from features import FeatureConfig, build_dataset
from models import (
    BoostingConfig,
    ModelBundle,
    ModelConfig,
    Snapshot,
    cells_of,
    initial_state,
    run_path,
)
from models.experts import fit_experts
from models.golden import golden_rows
from models.online import cell_rows, online_rows
from riskon.database import migrate
from serving import Champion, Ledger, Registry, Score
from serving.database import open_database
from serving.score import DataRead, InputAge, ScoreDriver, ScoreExpert, ScoringModel, forecast_id
from sources import (
    Market,
    available_at_crypto,
    available_at_equity,
    available_at_flows,
    write_market,
)
from sources.calendars import sessions_between

if TYPE_CHECKING:
    from mlflow import MlflowClient

FIRST, LAST = "2022-01-01", "2024-06-20"
NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)


# Of MLflow 3.17 itself, on SQLAlchemy 2.1; ours are still errors.
MLFLOW_WARNINGS = pytest.mark.filterwarnings(
    "ignore::sqlalchemy.exc.SADeprecationWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let MLflow's own deprecations pass in the tests that use it."""
    for item in items:
        if "tracked" in getattr(item, "fixturenames", ()):
            item.add_marker(MLFLOW_WARNINGS)


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    """Return a migrated SQLite file, for tests that are not about the database."""
    opened = open_database(f"sqlite:///{tmp_path / 'riskon.db'}")
    migrate(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def ledger(sqlite_engine: Engine) -> Ledger:
    """Return an empty ledger in a SQLite file."""
    return Ledger(sqlite_engine)


def make_market(last: str = LAST) -> Market:
    """Return random walks of two crypto assets and a fund, with its flows."""
    random = np.random.default_rng(5)
    days = pd.date_range(FIRST, LAST, freq="D", unit="us")
    sessions = sessions_between(FIRST, LAST)

    def prices(dates: pd.DatetimeIndex, known: pd.DatetimeIndex, scale: float) -> pd.DataFrame:
        close = 100 * np.exp(np.cumsum(random.normal(0, scale, len(dates))))
        columns = dict.fromkeys(("open", "high", "low", "close", "adj_close"), close)
        volume = np.full(len(dates), 1e6)
        return pd.DataFrame({"date": dates, **columns, "volume": volume, "available_at": known})

    flows = pd.DataFrame(
        {
            "date": sessions,
            "flow_usd": random.normal(0, 1e8, len(sessions)),
            "aum_usd": 6e10,
            "available_at": available_at_flows(sessions),
        }
    )
    made = {
        "BTC": prices(days, available_at_crypto(days), 0.03),
        "ETH": prices(days, available_at_crypto(days), 0.04),
        "IWM": prices(sessions, available_at_equity(sessions), 0.012),
        "SPY": prices(sessions, available_at_equity(sessions), 0.010),
    }
    end = pd.Timestamp(last)
    made = {name: table[table["date"] <= end] for name, table in made.items()}
    return Market(made, {"IWM": flows[flows["date"] <= end]}, crypto=("BTC", "ETH"), name="walks")


@pytest.fixture(scope="session")
def market() -> Market:
    """Return the small market; frames are shared, so copy before changing."""
    return make_market()


def make_bundle(market: Market, seed: int) -> ModelBundle:
    """Train two assets and two horizons, with two refits."""
    config = ModelConfig(
        features=FeatureConfig(blocks=("momentum", "flows", "crypto")),
        boosting=BoostingConfig(trees=3),
        least_labels=200,
        seed=seed,
    )
    dataset = build_dataset(market, ["BTC", "ETH"], config.features)
    refits = [np.datetime64("2024-01-01", "D"), np.datetime64("2024-04-01", "D")]
    snapshots = {}
    online = online_rows(dataset, cells_of(["BTC", "ETH"], [1, 5]), config)
    trained = []
    for cell in cells_of(["BTC", "ETH"], [1, 5]):
        rows = cell_rows(dataset, cell, online, config)
        trained.append(rows)
        fits = [(day, fit_experts(rows, day, config)) for day in refits]
        start = initial_state(rows, refits[0], config)
        _, states = run_path(rows, start, fits, refits[-1], config)
        snapshots[cell] = tuple(
            Snapshot(day, experts, state)
            for (day, experts), state in zip(fits, states, strict=True)
        )
    return ModelBundle(
        config,
        snapshots,
        dataset.assets,
        dataset.names,
        refits[-1],
        market.digest(),
        golden=golden_rows(trained, snapshots),
    )


@pytest.fixture(scope="session")
def bundle_dirs(market: Market, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two saved bundles with different digests."""
    folders = []
    for seed in (7, 8):
        folder = tmp_path_factory.mktemp("bundle") / "bundle"
        make_bundle(market, seed).save(folder)
        folders.append(folder)
    return folders[0], folders[1]


@pytest.fixture(scope="session")
def bundle(bundle_dirs: tuple[Path, Path]) -> ModelBundle:
    """Return the first bundle, loaded."""
    return ModelBundle.load(bundle_dirs[0])


@pytest.fixture
def champion(bundle: ModelBundle) -> Champion:
    """Return a champion that speaks with the first bundle."""
    return Champion("riskon", 1, bundle.digest, NOW, "first", True, False)


@pytest.fixture(scope="session")
def make_score() -> Callable[..., Score]:
    """Return a maker of scores with awkward numbers in them."""

    def make(
        asset: str = "BTC",
        horizon_days: int = 5,
        as_of: str = "2024-06-20",
        version: int = 1,
        digest: str = "ab" * 32,
        probability: float | None = 0.1 + 0.2,
        data: str = "cd" * 32,
    ) -> Score:
        model = ScoringModel(name="riskon", version=version, digest=digest, skill_certified=False)
        day, speaks = date.fromisoformat(as_of), probability is not None
        return Score(
            forecast_id=forecast_id(model, day, asset, horizon_days, 0.0),
            as_of=day,
            issued_at=datetime(2024, 6, 21, 0, 5, 7, 123457, tzinfo=UTC),
            asset=asset,
            horizon_days=horizon_days,
            threshold=0.0,
            probability=probability,
            lower=1 / 3 if speaks else None,
            upper=2 / 3 if speaks else None,
            base_rate=0.5432109876543211,
            abstained=not speaks,
            reason=None if speaks else "stale: prices/IWM is 9.2 days old, limit 7",
            model=model,
            data=DataRead(
                digest=data,
                inputs=(InputAge(name="prices/BTC", available_at=NOW, age_days=1 / 7),),
            ),
            drivers=(ScoreDriver(feature="(mixture)", value=None, contribution=-5e-324),),
            experts=(
                ScoreExpert(name="signals", weight=1 / 3, probability=0.6, contribution=-5e-324),
            ),
        )

    return make


@pytest.fixture(scope="session")
def tracked(bundle_dirs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an MLflow file with versions 1 and 2, fit to serve, and 3, which is not.

    To make an empty one takes MLflow ten seconds; tests copy this one.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    with warnings.catch_warnings():
        # MLflow 3.17 builds its own tables with calls that SQLAlchemy and alembic deprecate.
        warnings.simplefilter("ignore", DeprecationWarning)
        return _track(MlflowClient(tracking_uri=uri, registry_uri=uri), folder, bundle_dirs)


def _track(client: MlflowClient, folder: Path, bundle_dirs: tuple[Path, Path]) -> Path:
    experiment = client.create_experiment("riskon", artifact_location=str(folder / "artifacts"))
    client.create_registered_model("riskon")
    for bundle_dir, fit in (
        (bundle_dirs[0], True),
        (bundle_dirs[1], True),
        (bundle_dirs[0], False),
    ):
        run = client.create_run(experiment)
        client.log_artifacts(run.info.run_id, str(bundle_dir), "bundle")
        client.set_terminated(run.info.run_id)
        tags = {
            "fit_to_serve": "true" if fit else "false",
            "skill_certified": "false",
            "bundle_digest": ModelBundle.load(bundle_dir).digest,
            "data_digest": "ab" * 32,
            "dataset_digest": "ac" * 32,
            "config_digest": "ad" * 32,
            "promotion_checks": json.dumps(
                [
                    [fit, "BTC_5d loses 3.1 mnat, at most 2 are allowed"],
                    [False, "skill: needed a lower bound above 0 mnat; found -0.8"],
                ]
            ),
        }
        source = f"runs:/{run.info.run_id}/bundle"
        client.create_model_version("riskon", source, run.info.run_id, tags=tags)
    return folder / "mlflow.db"


def make_registry(engine: Engine, tracked: Path, folder: Path) -> Registry:
    """Return a registry over a copy of the tracked versions, without a champion."""
    copy = folder / "mlflow.db"
    shutil.copyfile(tracked, copy)
    return Registry(engine, folder / "artifacts", f"sqlite:///{copy}")


@pytest.fixture
def registry(sqlite_engine: Engine, tracked: Path, tmp_path: Path) -> Registry:
    """Return a registry over a copy of the tracked versions, without a champion."""
    return make_registry(sqlite_engine, tracked, tmp_path)


@pytest.fixture(scope="module")
def shared_registry(tracked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Return a registry whose first version speaks, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("shared")
    opened = open_database(f"sqlite:///{folder / 'riskon.db'}")
    migrate(opened)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made = make_registry(opened, tracked, folder)
        made.promote(1, reason="first")
    yield made
    opened.dispose()


@pytest.fixture(scope="session")
def falling() -> Callable[[], Market]:
    """Return a maker of two assets that fall every day of the summer of 2024."""

    def make() -> Market:
        dates = pd.date_range("2024-06-01", periods=40, freq="D", unit="us")
        close = np.linspace(100.0, 60.0, len(dates))
        columns = dict.fromkeys(("open", "high", "low", "close", "adj_close"), close)
        table = pd.DataFrame(
            {
                "date": dates,
                **columns,
                "volume": np.nan,
                "available_at": available_at_crypto(dates),
            }
        )
        return Market({"BTC": table, "ETH": table}, {}, crypto=("BTC", "ETH"), name="falling")

    return make


@pytest.fixture(scope="session")
def champion_home(market: Market, tracked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a home in which version 1 speaks, and its market; copy the home."""
    folder = tmp_path_factory.mktemp("champion")
    home = folder / "home"
    home.mkdir()
    opened = open_database(f"sqlite:///{home / 'riskon.db'}")
    migrate(opened)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        make_registry(opened, tracked, home).promote(1, reason="first")
    opened.dispose()
    write_market(market, folder / "market")
    return folder


@pytest.fixture(scope="session")
def market_dir(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the small market as a directory."""
    folder = tmp_path_factory.mktemp("market")
    write_market(market, folder)
    return folder
