"""Evaluations made by hand, and a tracking database migrated once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models import Cell, ModelConfig, reliability
from training.coverage import risk_coverage
from training.promotion import judge
from training.report import CellEvaluation, JobReport
from training.tracking import check_tracking

MakeEvaluation = Callable[..., CellEvaluation]
MakeReport = Callable[..., JobReport]
METRICS = {
    "n": 1000.0,
    "effective_n": 200.0,
    "base_rate": 0.55,
    "log_loss": 0.6875,
    "log_loss_lower": 0.68,
    "log_loss_upper": 0.695,
    "log_loss_base_rate": 0.6885,
    "gain_mnat": 1.0,
    "gain_mnat_lower": -0.6,
    "gain_mnat_upper": 2.6,
    "gain_p_value": 0.15,
    "brier_score": 0.247,
    "brier_score_lower": 0.245,
    "brier_score_upper": 0.249,
    "brier_skill_score": 0.002,
    "roc_auc": 0.52,
    "expected_calibration_error": 0.012,
    "sharpness": 0.02,
    "accuracy": 0.53,
}


@pytest.fixture(scope="session")
def make_evaluation() -> MakeEvaluation:
    """Return a maker of evaluations; ``metrics`` given replace those by hand."""

    def make(
        asset: str = "BTC",
        horizon_days: int = 5,
        *,
        gain: np.ndarray | None = None,
        n: int = 1000,
        **metrics: float,
    ) -> CellEvaluation:
        generator = np.random.default_rng(horizon_days)
        probability = np.clip(0.55 + 0.03 * generator.standard_normal(n), 0.01, 0.99)
        outcome = (generator.random(n) < probability).astype("float64")
        if gain is None:
            gain = 0.01 * generator.standard_normal(n)
            gain -= gain.mean()
        belief = np.linspace(0.0, 0.5, len(gain))
        return CellEvaluation(
            cell=Cell(asset, horizon_days),
            metrics={**METRICS, **metrics},
            reliability=reliability(outcome, probability, horizon_days=horizon_days),
            days=np.datetime64("2020-01-01") + np.arange(len(gain)),
            gain=gain,
            weights={"climatology": 1 - belief, "logistic": 0.7 * belief, "boosting": 0.3 * belief},
            coverage=risk_coverage(gain, belief, block_length=10),
        )

    return make


@pytest.fixture(scope="session")
def make_report(make_evaluation: MakeEvaluation) -> MakeReport:
    """Return a maker of reports on given evaluations, two cells by default."""

    def make(
        *evaluations: CellEvaluation, config: ModelConfig | None = None, market: str = "by-hand"
    ) -> JobReport:
        cells = evaluations or (make_evaluation("BTC", 5), make_evaluation("ETH", 20))
        return JobReport(
            config=config or ModelConfig(),
            evaluations=cells,
            verdict=judge(cells),
            market=market,
            data_digest="d" * 64,
            dataset_digest="e" * 64,
            trained_through=np.datetime64("2025-06-30"),
            seconds=1.5,
            versions={"lightgbm": "4.7.0", "python": "3.11.7"},
            omitted={"flows": "no flows/IWM.csv"},
        )

    return make


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated, empty tracking database, made once."""
    path = tmp_path_factory.mktemp("tracking") / "mlflow.db"
    check_tracking(f"sqlite:///{path}")
    return path


@pytest.fixture
def tracking_uri(migrated_database: Path, tmp_path: Path) -> str:
    """Return the URI of a fresh tracking database."""
    copy = tmp_path / "mlflow.db"
    shutil.copyfile(migrated_database, copy)
    return f"sqlite:///{copy}"


@pytest.fixture
def bundle_directory(tmp_path: Path) -> Path:
    """Return a directory like a saved bundle's."""
    folder = tmp_path / "bundle"
    (folder / "cells").mkdir(parents=True)
    (folder / "manifest.json").write_text('{"format":1,"files":{}}')
    (folder / "cells" / "BTC_5d.json").write_text("[]")
    return folder
