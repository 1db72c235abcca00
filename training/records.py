"""What a training job leaves on record: parameters, metrics and tags, checked before they are sent.

MLflow takes NaN in silence and cuts long values short; nothing here does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from models import ModelConfig
from sources.errors import SchemaError
from training.codebase import code_digest, code_version
from training.report import CellEvaluation, JobReport
from training.slices import KINDS, skill_by

LONGEST_KEY = 250
LONGEST_PARAMETER = 6000
LONGEST_TAG = 8000
MOST_PARAMETERS = 1000
NEVER_UNDEFINED = ("log_loss", "gain_mnat")
"""Metrics without which a run says nothing; all others may be undefined, and are then listed."""
NOT_A_MEAN = ("_lower", "_upper", "_p_value", "_diebold_mariano", "_least_detectable")
"""The mean of bounds is no bound of the mean, nor that of p-values a p-value, nor of tests one."""


def parameters(config: ModelConfig) -> dict[str, str]:
    """Return the configuration as flat ``block.setting`` names and values.

    Raises
    ------
    SchemaError
        For more parameters, longer names or longer values than MLflow keeps whole.
    """
    flat = dict(_flatten("", config.model_dump(mode="json")))
    if len(flat) > MOST_PARAMETERS:
        raise SchemaError(
            "run parameters", expected=f"at most {MOST_PARAMETERS}", found=str(len(flat))
        )
    return checked_texts("parameter", flat, LONGEST_PARAMETER)


def _flatten(prefix: str, content: Mapping[str, Any]) -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for name, value in content.items():
        if isinstance(value, Mapping):
            flat += _flatten(f"{prefix}{name}.", value)
        else:
            flat.append((prefix + name, value if isinstance(value, str) else json.dumps(value)))
    return flat


def checked_texts(kind: str, texts: Mapping[str, str], longest: int) -> dict[str, str]:
    """Return texts whose names and values MLflow keeps whole.

    Raises
    ------
    SchemaError
        For a name above 250 characters or a value above ``longest``.
    """
    for name, value in texts.items():
        if len(name) > LONGEST_KEY or len(value) > longest:
            raise SchemaError(
                f"run {kind} {name[:60]}",
                expected=f"at most {LONGEST_KEY} characters of name, {longest} of value",
                found=f"{len(name)} and {len(value)}",
            )
    return dict(texts)


def checked_metrics(where: str, metrics: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
    """Split metrics into those with a value and the names of those that are undefined.

    Raises
    ------
    SchemaError
        For an infinite metric, or an undefined log loss or gain.
    """
    for name, value in metrics.items():
        if math.isinf(value) or (math.isnan(value) and name in NEVER_UNDEFINED):
            raise SchemaError(
                f"metrics of {where}", column=name, expected="finite", found=str(value)
            )
    undefined = sorted(name for name, value in metrics.items() if math.isnan(value))
    return {name: float(v) for name, v in metrics.items() if name not in undefined}, undefined


def mean_metrics(evaluations: Sequence[CellEvaluation]) -> dict[str, float]:
    """Return the means over cells of each metric that every cell has; bounds have no mean."""
    return {
        name: math.fsum(e.metrics[name] for e in evaluations) / len(evaluations)
        for name in (evaluations[0].metrics if evaluations else ())
        if not name.endswith(NOT_A_MEAN) and all(name in e.metrics for e in evaluations)
    }


def run_tags(report: JobReport, bundle_digest: str) -> dict[str, str]:
    """Return the tags of the runs of a job and its cells: where they come from, and the verdict.

    Raises
    ------
    SchemaError
        For a tag that MLflow would cut short.
    """
    tags = {
        **_verdict_tags(report, bundle_digest),
        **origin_tags(report),
        "seconds": f"{report.seconds:.1f}",
    }
    return checked_texts("tag", tags, LONGEST_TAG)


def origin_tags(report: JobReport) -> dict[str, str]:
    """Return the tags that every run of a job carries: data, configuration, code, seed."""
    code, commit = code_version()
    return {
        "data_digest": report.data_digest,
        "dataset_digest": report.dataset_digest,
        "config_digest": report.config.digest,
        "market": report.market,
        "trained_through": str(report.trained_through),
        "seed": str(report.config.seed),
        "code_version": code,
        "code_digest": code_digest(),
        "mlflow.source.name": "riskon",
        "mlflow.source.type": "LOCAL",
        **({"mlflow.source.git.commit": commit} if commit else {}),
        **{f"version.{name}": number for name, number in report.versions.items()},
    }


def version_tags(report: JobReport, bundle_digest: str) -> dict[str, str]:
    """Return the tags of the registered version: what the gate and serving need to know."""
    checks = json.dumps([[passed, sentence] for passed, sentence in report.verdict.checks])
    return {
        **_verdict_tags(report, bundle_digest),
        "dataset_digest": report.dataset_digest,
        "config_digest": report.config.digest,
        "trained_through": str(report.trained_through),
        "promotion_checks": checks,
    }


def _verdict_tags(report: JobReport, bundle_digest: str) -> dict[str, str]:
    return {
        "fit_to_serve": str(report.verdict.fit_to_serve).lower(),
        "skill_certified": str(report.verdict.skill_certified).lower(),
        "bundle_digest": bundle_digest,
        "data_digest": report.data_digest,
        "trials_counted": str(report.trials),
    }


def undefined_tag(undefined: Sequence[str]) -> dict[str, str]:
    """Return the tag that lists metrics left out because they are undefined, if any are."""
    return {"metrics_undefined": ", ".join(undefined)} if undefined else {}


def cell_tags(evaluation: CellEvaluation) -> dict[str, str]:
    """Return the tags of a nested run: its question."""
    cell = evaluation.cell
    return {
        "asset": cell.asset,
        "horizon_days": str(cell.horizon_days),
        "threshold": f"{cell.threshold:g}",
    }


def own_plots(evaluation: CellEvaluation, plots: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the plots of one cell, by their place on its own run."""
    prefix = f"{evaluation.cell}/"
    own = {name: content for name, content in plots.items() if name.startswith(prefix)}
    return {f"plots/{name.removeprefix(prefix)}": content for name, content in own.items()}


def evaluation_json(report: JobReport) -> str:
    """Return every figure and check as JSON; an undefined figure is null."""
    content = {
        "cells": [
            {
                "cell": str(evaluation.cell),
                "asset": evaluation.cell.asset,
                "horizon_days": evaluation.cell.horizon_days,
                "threshold": evaluation.cell.threshold,
                "metrics": {
                    name: None if math.isnan(value) else value
                    for name, value in evaluation.metrics.items()
                },
                "risk_coverage": {
                    "share": evaluation.coverage.share.tolist(),
                    "gain_mnat": evaluation.coverage.gain_mnat.tolist(),
                    "gain_mnat_lower": evaluation.coverage.lower.tolist(),
                    "gain_mnat_upper": evaluation.coverage.upper.tolist(),
                },
            }
            for evaluation in report.evaluations
        ],
        "skill_by": [asdict(part) for kind in KINDS for part in skill_by(report.evaluations, kind)],
        "fit_to_serve": report.verdict.fit_to_serve,
        "skill_certified": report.verdict.skill_certified,
        "checks": [list(check) for check in report.verdict.checks],
        "omitted": dict(report.omitted),
        "trials_counted": report.trials,
        "search": None if report.selection is None else asdict(report.selection),
    }
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"
