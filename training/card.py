"""The model card: what a version is, how it did, what it may claim, and where it ends."""

from __future__ import annotations

import math
from collections.abc import Mapping

from models import ModelConfig
from training.betting import COST
from training.coverage import HALF
from training.report import CellEvaluation, JobReport
from training.significance import DETECTABLE_DEVIATIONS
from training.slices import KINDS, Slice, skill_by

SIGMAS_90 = 2 * 1.645
"""Width of a 90 % interval of a normal mean, in standard errors."""

COLUMNS = (
    "cell",
    "days",
    "effective n",
    "gain over climatology, mnat [90 %]",
    "least detectable gain, mnat",
    "gain over own momentum, mnat [90 %]",
    "log loss [90 %]",
    "Brier skill",
    "ROC AUC",
    "calibration error",
    "gain on the surest half of days, mnat [90 %]",
)

LIMITS = """\
- **Survivorship.** A panel of constituents put together afterwards lacks the names that left before
  it was collected, mostly after falling. Levels of breadth are biased up in the past; changes and
  z-scores much less. Features of breadth inherit this, and so do the figures above.
- **Few outcomes.** Labels of h days overlap h - 1 days. *Effective n* counts what does not overlap;
  a gain below the least detectable one could not have been told from none.
- **Claims of skill** are corrected for every trial counted on these data, of this job and of those
  before it, and not for what was tried elsewhere.
- **Relations drift.** The figures are averages over the whole walk-forward; see the plot of
  cumulative gain for where they come from, and the weights for what the mixture believes now.
- **Not advice.** Costs, spreads, taxes and the size of a bet are no part of a probability. A
  forecast without certified skill is, for all we know, the base rate.
"""


def summary(report: JobReport) -> str:
    """Return one paragraph: the cells, the time span and the verdict."""
    verdict = report.verdict
    fit = "fit to serve" if verdict.fit_to_serve else "NOT fit to serve"
    skill = "skill certified" if verdict.skill_certified else "no certified skill"
    cells = ", ".join(str(evaluation.cell) for evaluation in report.evaluations)
    return (
        f"Daily probabilities for {len(report.evaluations)} cell(s), trained through "
        f"{report.trained_through}: {fit}, {skill}. Cells: {cells}."
    )


def model_card(report: JobReport) -> str:
    """Write the card as Markdown, deterministic but for the report's own numbers.

    Figures are of out-of-sample forecasts, each made with what was known on
    its day; ``mnat`` is a thousandth of a nat of log loss.
    """
    parts = [
        "# Model card: riskon",
        summary(report),
        "## What it is",
        _description(report.config),
        "## Data",
        _data(report),
        *_search(report),
        "## How it did, out of sample",
        _table(report.evaluations),
        "Gain is the log loss of climatology minus ours: above 0 is better than the base rate. "
        "Own momentum is a forecaster of the asset's own past returns, fitted and guarded as ours. "
        "The least detectable gain is what a one-sided test at 5 % finds four times in five. "
        "The surest half are the days on which the forecast lies farthest from the base rate.",
        *_sources(report.evaluations),
        *_value(report.evaluations),
        "## Verdict",
        _checks(report),
        "## Limits",
        LIMITS.rstrip(),
    ]
    return "\n\n".join(parts) + "\n"


def _description(config: ModelConfig) -> str:
    experts = ["climatology (the expanding base rate)"]
    if config.logistic is not None:
        experts.append("penalised logistic regression")
    if config.boosting is not None:
        experts.append(f"LightGBM with {config.boosting.leaves} leaves")
    return (
        "For each asset and horizon, the probability that the close rises by more than the "
        f"threshold. An exponentially weighted mixture of {', '.join(experts)}; climatology starts "
        f"with {config.mixture.climatology_prior:.0%} of the weight, and weights move with "
        f"outcomes already known. Experts are refitted every {config.refit_months} month(s).\n\n"
        f"{_withholding(config)}"
        f"- Features: {', '.join(config.features.blocks)}; fund of the flows: "
        f"{config.features.fund}\n"
        f"- Seed: {config.seed}; configuration sha256 `{config.digest}`"
    )


def _withholding(config: ModelConfig) -> str:
    lines = ""
    if config.calibration is not None:
        lines += (
            "- Calibrated on outcomes known later than what the experts learned, by a mixture of "
            f"no change, factors {', '.join(f'{f:g}' for f in config.calibration.factors)} on the "
            "log-odds, isotonic regression and Venn-Abers\n"
        )
    if config.abstention is not None:
        lines += (
            "- Abstains where an input is missing or stale, lies more than "
            f"{config.abstention.widths:g} of its past range beyond it, or experts pull both ways "
            f"by more than {config.abstention.opposite_pulls:g} in log-odds; the figures below "
            "hold such days too\n"
        )
    return lines


def _data(report: JobReport) -> str:
    lines = [
        f"- Market `{report.market}`, sha256 `{report.data_digest}`",
        f"- Dataset sha256 `{report.dataset_digest}`; trained through {report.trained_through}",
        "- Libraries: " + ", ".join(f"{name} {v}" for name, v in sorted(report.versions.items())),
    ]
    lines += [f"- **Left out**: {name}: {why}" for name, why in sorted(report.omitted.items())]
    return "\n".join(lines)


def _search(report: JobReport) -> list[str]:
    """Return how the configuration was chosen; nothing where it was not searched for."""
    if report.selection is None:
        return []
    note = (
        "Gains are those of the inner folds, which the search saw; the figures below are of later "
        "days, which it did not. Flips of the folds' signs tell luck from gain, exactly and for "
        f"all trials together. On these data {report.trials} configurations were tried until now."
    )
    return ["## How it was chosen", report.selection.sentence, note]


def _table(evaluations: tuple[CellEvaluation, ...]) -> str:
    rows = [COLUMNS, ("---",) + ("---:",) * (len(COLUMNS) - 1)]
    rows += [_row(evaluation) for evaluation in evaluations]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(evaluation: CellEvaluation) -> tuple[str, ...]:
    m = evaluation.metrics
    error = (m["gain_mnat_upper"] - m["gain_mnat_lower"]) / SIGMAS_90
    half, half_lower, half_upper = evaluation.coverage.at(HALF)
    return (
        str(evaluation.cell),
        f"{m['n']:.0f}",
        f"{m['effective_n']:.0f}",
        f"{m['gain_mnat']:+.2f} [{m['gain_mnat_lower']:+.2f}, {m['gain_mnat_upper']:+.2f}]",
        _number(DETECTABLE_DEVIATIONS * error, ".2f"),
        _bounded(m, "momentum_gain_mnat", "+.2f"),
        f"{m['log_loss']:.4f} [{m['log_loss_lower']:.4f}, {m['log_loss_upper']:.4f}]",
        _number(m["brier_skill_score"], "+.2%"),
        _number(m["roc_auc"], ".3f"),
        _number(m["expected_calibration_error"], ".3f"),
        f"{half:+.2f} [{half_lower:+.2f}, {half_upper:+.2f}]",
    )


def _sources(evaluations: tuple[CellEvaluation, ...]) -> list[str]:
    """Return where the gain came from, by part, with its uncertainty; nothing without parts."""
    parts = [part for kind in KINDS for part in skill_by(evaluations, kind)]
    if not parts:
        return []
    head = ("part", "", "days", "effective n", "gain, mnat [90 %]", "least detectable, mnat")
    rows = [head, ("---", "---", "---:", "---:", "---:", "---:"), *(_part(part) for part in parts)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    note = (
        "Cells are averaged day by day. A regime is named by what was known on the day: "
        "whether the asset rose over 120 days, whether its volatility lay above its past median."
    )
    return ["## Where it comes from", table, note]


def _part(part: Slice) -> tuple[str, ...]:
    return (
        part.kind,
        part.name,
        str(part.n),
        f"{part.effective_n:.0f}",
        f"{part.gain_mnat:+.2f} [{part.lower:+.2f}, {part.upper:+.2f}]",
        f"{part.least_detectable_mnat:.2f}",
    )


def _value(evaluations: tuple[CellEvaluation, ...]) -> list[str]:
    """Return what the stated bets earned against holding; nothing where no cell has bets."""
    cells = [e for e in evaluations if "bet_sharpe_ratio" in e.metrics]
    if not cells:
        return []
    head = (
        "cell",
        "return a year",
        "holding's",
        "excess [90 %]",
        "Sharpe [90 %]",
        "holding's",
        "deflated Sharpe of the excess",
        "probability of overfitting",
    )
    rows = [head, ("---",) + ("---:",) * (len(head) - 1), *(_bets(e) for e in cells)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    note = (
        "The rule: each day one h-th of the capital goes into the asset for h days where the "
        "forecast is above one half, else stays in cash that earns nothing; no leverage, no short "
        f"sales; {COST:.2%} of what changes hands. Holding is always in, and pays once. The "
        "deflated Sharpe ratio is the probability of any skill in the excess over holding; "
        "overfitting is that of a choice among the forecast and its experts."
    )
    return ["## What it would have earned", table, note]


def _bets(evaluation: CellEvaluation) -> tuple[str, ...]:
    m = evaluation.metrics
    return (
        str(evaluation.cell),
        f"{m['bet_return']:+.1%}",
        f"{m['hold_return']:+.1%}",
        _bounded(m, "bet_excess_return", "+.1%"),
        _bounded(m, "bet_sharpe_ratio", "+.2f"),
        f"{m['hold_sharpe_ratio']:+.2f}",
        _number(m["deflated_sharpe_ratio"], ".2f"),
        _number(m["probability_of_backtest_overfitting"], ".2f"),
    )


def _bounded(metrics: Mapping[str, float], name: str, form: str) -> str:
    if name not in metrics:
        return "undefined"
    lower, upper = (format(metrics[f"{name}_{end}"], form) for end in ("lower", "upper"))
    return f"{format(metrics[name], form)} [{lower}, {upper}]"


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "undefined"


def _checks(report: JobReport) -> str:
    verdict = report.verdict
    lines = [
        f"- `fit_to_serve`: **{str(verdict.fit_to_serve).lower()}**",
        f"- `skill_certified`: **{str(verdict.skill_certified).lower()}**",
        "",
    ]
    lines += [f"- {'passed' if ok else '**failed**'}: {text}" for ok, text in verdict.checks]
    return "\n".join(lines)
