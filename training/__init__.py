"""Training: purged walk-forward, evaluation with uncertainty, tracking, and the gate."""

from training.bootstrap import stationary_bootstrap_means
from training.evaluation import evaluate, evaluate_cell, p_value, pooled_gain
from training.job import HORIZONS, Job, check_request, run_job
from training.promotion import judge
from training.report import CellEvaluation, JobReport, Verdict
from training.walkforward import CellRun, bundle_of, predictions, run_cell, walk_forward

__all__ = [
    "HORIZONS",
    "CellEvaluation",
    "CellRun",
    "Job",
    "JobReport",
    "Verdict",
    "bundle_of",
    "check_request",
    "evaluate",
    "evaluate_cell",
    "judge",
    "p_value",
    "pooled_gain",
    "predictions",
    "run_cell",
    "run_job",
    "stationary_bootstrap_means",
    "walk_forward",
]
