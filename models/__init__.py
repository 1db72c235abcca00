"""Forecasters that do no harm: experts, the mixture over them, proper scores, and the bundle."""

from models.boosting import SmallBoosting
from models.bundle import ModelBundle, library_versions
from models.cells import Cell, CellRows, cells_of, rows_of
from models.climatology import Climatology
from models.config import BoostingConfig, LogisticConfig, MixtureConfig, ModelConfig
from models.forecast import Driver, ExpertShare, Forecast, forecast
from models.logistic import PenalisedLogistic
from models.mixture import Path, PathState, Snapshot, initial_state, run_path
from models.regression import SignalRegression
from models.rules import ClaimRules
from models.scores import (
    BrierParts,
    Reliability,
    bins_of,
    brier_parts,
    brier_score,
    brier_skill_score,
    expected_log_loss,
    log_loss,
    reliability,
    roc_auc,
)

__all__ = [
    "BoostingConfig",
    "BrierParts",
    "Cell",
    "CellRows",
    "ClaimRules",
    "Climatology",
    "Driver",
    "ExpertShare",
    "Forecast",
    "LogisticConfig",
    "MixtureConfig",
    "ModelBundle",
    "ModelConfig",
    "Path",
    "PathState",
    "PenalisedLogistic",
    "Reliability",
    "SignalRegression",
    "SmallBoosting",
    "Snapshot",
    "bins_of",
    "brier_parts",
    "brier_score",
    "brier_skill_score",
    "cells_of",
    "expected_log_loss",
    "forecast",
    "initial_state",
    "library_versions",
    "log_loss",
    "reliability",
    "roc_auc",
    "rows_of",
    "run_path",
]
