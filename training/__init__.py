"""Training: purged walk-forward, evaluation with uncertainty, tracking, and the gate."""

from training.bootstrap import StationaryBootstrap, stationary_bootstrap_means
from training.comparison import Comparison, compare_runs
from training.evaluation import evaluate, evaluate_cell, p_value, pooled_gain
from training.job import HORIZONS, Job, check_request, run_job
from training.promotion import judge
from training.report import CellEvaluation, JobReport, Verdict
from training.significance import (
    corrected_p_value,
    diebold_mariano,
    model_confidence_set,
    superior_ability,
)
from training.walkforward import CellRun, bundle_of, predictions, run_cell, walk_forward

__all__ = [
    "HORIZONS",
    "CellEvaluation",
    "CellRun",
    "Comparison",
    "Job",
    "JobReport",
    "StationaryBootstrap",
    "Verdict",
    "bundle_of",
    "check_request",
    "compare_runs",
    "corrected_p_value",
    "diebold_mariano",
    "evaluate",
    "evaluate_cell",
    "judge",
    "model_confidence_set",
    "p_value",
    "pooled_gain",
    "predictions",
    "run_cell",
    "run_job",
    "stationary_bootstrap_means",
    "superior_ability",
    "walk_forward",
]
