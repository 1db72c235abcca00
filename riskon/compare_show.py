"""How a leaderboard looks: in the terminal, and as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from riskon import output as out
from riskon.compare import Group, Leaderboard, value_of
from training.comparison import Comparison
from training.tracked import TrackedRun

DIGEST_SHOWN = 12
ACCEPTED_P = 0.1
LONGEST_SHOWN = 32


def as_json(board: Leaderboard) -> dict[str, Any]:
    """Return the leaderboard as plain JSON; what is undefined is null."""
    groups = []
    for group in board.groups:
        c = group.comparison
        content: dict[str, Any] = {"runs": rows(board, group)}
        if c is not None:
            content |= {
                "cells": list(c.cells),
                "outcomes": c.outcomes,
                "first_day": str(c.days[0]),
                "last_day": str(c.days[-1]),
                "effective_n": c.effective_n,
                "trials": c.trials,
                "superior_p_value": c.superior_p_value,
                "superior_momentum_p_value": c.superior_momentum_p_value,
                "probability_of_backtest_overfitting": _defined(c.overfitting),
                "hold_return": _defined(c.hold_return),
                "hold_sharpe_ratio": _defined(c.hold_sharpe_ratio),
                "pairs": [
                    {
                        "first": a,
                        "second": b,
                        "gain_mnat": 1000 * test.mean,
                        "p_value": test.p_value,
                        "p_value_holm": c.p_pairs[a, b],
                        "least_detectable_mnat": 1000 * test.least_detectable,
                        "effective_n": test.effective_n,
                    }
                    for (a, b), test in c.pairs.items()
                ],
            }
        groups.append(content)
    return {"groups": groups, "differences": board.differences, "notes": list(board.notes)}


def rows(board: Leaderboard, group: Group) -> list[dict[str, Any]]:
    """Return a row a run: what was tracked, and how it stands in its group."""
    found = []
    for run in group.runs:
        standing = (
            {} if group.comparison is None else asdict(group.comparison.standings[run.run_id])
        )
        found.append(
            {
                "run_id": run.run_id,
                "name": run.name,
                "status": run.status,
                **{f"tracked.{name}": _defined(value_of(run, name)) for name in board.columns},
                **{name: _defined(value) for name, value in standing.items()},
            }
        )
    return found


def _defined(value: float | str | None) -> float | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_board(board: Leaderboard) -> None:
    """Print tables on stdout, and what they mean on stderr."""
    for group in board.groups:
        c = group.comparison
        if c is None:
            out.print_table(
                "Runs without forecasts, by what was tracked",
                ["run", *board.columns],
                [
                    [board.labels[r.run_id], *(shown(value_of(r, n)) for n in board.columns)]
                    for r in group.runs
                ],
            )
            continue
        out.print_table(
            headline(c),
            ["run", "log loss", "gain", "90 % interval", "detectable", "p", f"p x {c.trials}",
             "on momentum", "p", "among best", "Sharpe", "deflated", *board.columns],
            [
                [*standing_cells(board, c, run), *(shown(value_of(run, n)) for n in board.columns)]
                for run in group.runs
            ],
        )  # fmt: skip
        for sentence in verdicts(c):
            out.note(f"  {sentence}")
        if c.pairs:
            out.print_table(
                "Pairs: gain of the second on the first, thousandths of a nat (Diebold-Mariano)",
                ["first", "second", "gain", "p", "p (Holm)", "detectable"],
                [
                    [board.labels[a], board.labels[b], f"{1000 * t.mean:+.2f}", in_p(t.p_value),
                     in_p(c.p_pairs[a, b]), f"{1000 * t.least_detectable:.2f}"]
                    for (a, b), t in c.pairs.items()
                ],
            )  # fmt: skip
    if board.differences:
        ids = [run.run_id for group in board.groups for run in group.runs]
        out.print_table(
            "What differs",
            ["setting", *(board.labels[i].split()[0] for i in ids)],
            [
                [name, *(_short(shown(values[i])) for i in ids)]
                for name, values in board.differences.items()
            ],
        )


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


def headline(comparison: Comparison) -> str:
    """Say what the runs were compared on."""
    c = comparison
    cells = ", ".join(c.cells[:4]) + (f" and {len(c.cells) - 4} more" if len(c.cells) > 4 else "")
    return (
        f"{cells}: {c.outcomes} outcomes of {c.days[0]} to {c.days[-1]}, {c.effective_n:.0f} that "
        "do not overlap (gains in thousandths of a nat over climatology)"
    )


def standing_cells(board: Leaderboard, comparison: Comparison, run: TrackedRun) -> list[str]:
    """Return the cells of a run's row."""
    s = comparison.standings[run.run_id]
    return [
        board.labels[run.run_id],
        f"{s.log_loss:.4f}",
        f"{s.gain_mnat:+.2f}",
        f"{s.lower:+.2f} to {s.upper:+.2f}",
        f"{s.least_detectable_mnat:.2f}",
        in_p(s.p_value),
        in_p(s.p_corrected),
        f"{s.momentum_gain_mnat:+.2f}",
        in_p(s.momentum_p_value),
        in_p(s.best_p_value),
        shown(s.bet_sharpe_ratio, ".2f"),
        shown(s.deflated_sharpe_ratio, ".2f"),
    ]


def verdicts(comparison: Comparison) -> list[str]:
    """Say in sentences what the tests over all runs found."""
    c = comparison
    best = sum(s.best_p_value >= ACCEPTED_P for s in c.standings.values())
    said = [
        f"Does any run beat climatology? p = {in_p(c.superior_p_value)}; own momentum? "
        f"p = {in_p(c.superior_momentum_p_value)} (superior predictive ability, all runs counted).",
        f"{best} of {len(c.standings)} run(s) cannot be told from the best at 10 % (model "
        "confidence set).",
    ]
    if math.isfinite(c.overfitting):
        said.append(
            f"Choosing among them by their bets' Sharpe ratio overfits with probability "
            f"{c.overfitting:.2f}; buying and holding had {c.hold_sharpe_ratio:.2f}."
        )
    return said


def shown(value: float | str | None, form: str = ".4g") -> str:
    """Return a value for a person: a number short, a digest shorter, a dash for none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, str):
        whole = len(value) == 64 and not set(value) - set("0123456789abcdef")
        return value[:DIGEST_SHOWN] if whole else value
    return format(value, form)


def in_p(value: float) -> str:
    """Return a p-value for a person."""
    return f"{value:.3f}" if value >= 0.001 else "<0.001"
