"""How results look: tables for people on stdout, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from training.report import CellEvaluation, Verdict  # what serves a score trains nothing


def note(message: str) -> None:
    """Say something to a person, on stderr."""
    sys.stderr.write(message + "\n")


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file whole or not at all: temporary file, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def predictions_csv(table: pd.DataFrame) -> bytes:
    """Return predictions as the contract's CSV; numbers round-trip to the bit."""
    shown = table.assign(
        date=table["date"].dt.strftime("%Y-%m-%d"),
        outcome=table["outcome"].map(lambda y: "" if pd.isna(y) else str(int(y))),
    )
    text: str = shown.to_csv(index=False, lineterminator="\n")
    return text.encode()


def print_rows(rows: Sequence[Mapping[str, Any]], form: str) -> None:
    """Print rows of equal keys as JSON or CSV on stdout."""
    if form == "json":
        sys.stdout.write(json.dumps(list(rows), allow_nan=False, indent=2) + "\n")
        return
    text = io.StringIO()
    names = list(rows[0]) if rows else []
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    sys.stdout.write(text.getvalue())


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table for people on stdout; numbers stand to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(header_style="bold", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        numbers = i > 0 and all(row[i][:1] in "+-0123456789" for row in rows)
        table.add_column(column, justify="right" if numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else 200
    console = Console(file=sys.stdout, width=width)
    console.print(title, style="bold", soft_wrap=True)
    console.print(table)
    console.print()


def print_evaluations(evaluations: Sequence[CellEvaluation], form: str) -> None:
    """Print how each cell did out of sample, with its uncertainty and its baseline."""
    if form != "table":
        rows = [
            {
                "asset": e.cell.asset,
                "horizon": e.cell.horizon_days,
                "threshold": e.cell.threshold,
                **{k: (None if math.isnan(v) else v) for k, v in e.metrics.items()},
            }
            for e in evaluations
        ]
        print_rows(rows, form)
        return
    shown = []
    for e in evaluations:
        m = e.metrics
        shown.append(
            [
                str(e.cell),
                f"{m['n']:.0f}",
                f"{m['effective_n']:.0f}",
                f"{m['log_loss']:.4f}",
                f"{m['log_loss_base_rate']:.4f}",
                f"{m['gain_mnat']:+.2f}",
                f"{m['gain_mnat_lower']:+.2f} to {m['gain_mnat_upper']:+.2f}",
                f"{m['brier_skill_score']:+.4f}",
                f"{m['roc_auc']:.3f}",
                f"{m['expected_calibration_error']:.3f}",
            ]
        )
    print_table(
        "Out of sample, against climatology (gain in thousandths of a nat, 90 % interval)",
        ["cell", "n", "eff. n", "log loss", "base rate's", "gain", "interval", "Brier skill",
         "AUC", "ECE"],
        shown,
    )  # fmt: skip


def print_verdict(verdict: Verdict) -> None:
    """Say on stderr what the gate found."""
    for passed, sentence in verdict.checks:
        note(f"  {'pass' if passed else 'FAIL'}  {sentence}")
    fit = "fit to serve" if verdict.fit_to_serve else "NOT fit to serve"
    skill = "skill certified" if verdict.skill_certified else "no certified skill"
    note(f"Verdict: {fit}; {skill}.")
