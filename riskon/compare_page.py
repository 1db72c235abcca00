"""A leaderboard as one page that needs nothing else: tables, pictures, and what they mean."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

from riskon.compare import Group, Leaderboard, value_of
from riskon.compare_show import headline, in_p, shown, standing_cells, verdicts
from training.comparison import Comparison
from training.comparison_plots import gains_plot, pairs_plot, standings_plot

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#222;max-width:1180px;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #e6e6e6;white-space:nowrap}
th:first-child,td:first-child{text-align:left}thead th{border-bottom:2px solid #222}
tbody tr:hover{background:#f4f8fb}.wide{overflow-x:auto}.note{color:#555}img{max-width:100%}
.words td{text-align:left;white-space:normal;overflow-wrap:anywhere}
.words th,.words td:first-child{text-align:left;white-space:nowrap}ul{padding-left:1.2rem}
"""

READING = (
    ("gain", "log loss of climatology minus the run's, mean a day, with its 90 % interval by "
     "stationary bootstrap; above 0 beats the base rate."),
    ("detectable", "the least gain that a one-sided test at 5 % would find four times in five; a "
     "gain below it could not have been told from none."),
    ("p", "Diebold and Mariano's, lag h - 1, as corrected by Harvey, Leybourne and Newbold: that "
     "the run gains nothing. Beside it, multiplied by the trials counted (Bonferroni)."),
    ("on momentum", "the same against a forecaster of the asset's own past returns, fitted and "
     "guarded as ours."),
    ("among best", "p-value of the model confidence set; from 0.1 on, not told from the best."),
    ("Sharpe", "a year, of the stated bets: each day one h-th of the capital goes into the asset "
     "for h days where the forecast is above one half, else stays in cash; no leverage, no "
     "short sales, 0.10 % of what changes hands."),
    ("deflated", "probability that the bets' excess over buying and holding shows any skill, after "
     "all trials counted."),
)  # fmt: skip


def page(board: Leaderboard) -> str:
    """Return the page."""
    count = sum(len(group.runs) for group in board.groups)
    parts = [f"<h1>{count} run{'s' if count != 1 else ''} compared</h1>"]
    parts += [f'<p class="note">{escape(note)}</p>' for note in board.notes]
    for number, group in enumerate(board.groups, 1):
        if len(board.groups) > 1:
            parts.append(f"<h2>Set {number} of {len(board.groups)}</h2>")
        parts += _group(board, group)
    parts += _differences(board)
    parts.append("<h2>How to read it</h2><ul>")
    parts += [f"<li><b>{escape(name)}</b>: {escape(text)}</li>" for name, text in READING]
    parts.append("</ul>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Runs compared</title><style>{STYLE}</style></head><body>"
        f"{''.join(parts)}</body></html>\n"
    )


def _group(board: Leaderboard, group: Group) -> list[str]:
    c = group.comparison
    tracked = [*board.columns]
    if c is None:
        rows = [
            [board.labels[r.run_id], *(shown(value_of(r, n)) for n in tracked)] for r in group.runs
        ]
        return ["<p>Runs that kept no forecasts, by what was tracked:</p>",
                _table(["run", *tracked], rows)]  # fmt: skip
    head = ["run", "log loss", "gain", "90 % interval", "detectable", "p", f"p x {c.trials}",
            "on momentum", "p", "among best", "Sharpe", "deflated", *tracked]  # fmt: skip
    rows = [
        [*standing_cells(board, c, run), *(shown(value_of(run, name)) for name in tracked)]
        for run in group.runs
    ]
    said = "".join(f"<li>{escape(sentence)}</li>" for sentence in verdicts(c))
    found = [
        f'<p class="note">{escape(headline(c))}</p>',
        _table(head, rows),
        f"<ul>{said}</ul>",
        _picture(standings_plot(c, board.labels), "gain of each run with its interval"),
        _picture(gains_plot(c, board.labels), "cumulative gain of the best runs"),
    ]
    if c.pairs:
        found += ["<h2>Pairs</h2>", _picture(pairs_plot(c, board.labels), "gains in pairs"),
                  _pairs(board, c)]  # fmt: skip
    return found


def _pairs(board: Leaderboard, comparison: Comparison) -> str:
    rows = [
        [
            f"{board.labels[b]} on {board.labels[a]}",
            f"{1000 * test.mean:+.2f}",
            in_p(test.p_value),
            in_p(comparison.p_pairs[a, b]),
            f"{1000 * test.least_detectable:.2f}",
            f"{test.effective_n:.0f}",
        ]
        for (a, b), test in comparison.pairs.items()
    ]
    head = ["gain of one on another", "mnat", "p", "p (Holm)", "detectable", "effective n"]
    return f"<details><summary>As numbers</summary>{_table(head, rows)}</details>"


def _differences(board: Leaderboard) -> list[str]:
    runs = [run for group in board.groups for run in group.runs]
    if len(runs) < 2:
        return []
    if not board.differences:
        return ["<h2>What differs</h2><p>Nothing in configuration, data or code.</p>"]
    head = ["setting", *(board.labels[run.run_id] for run in runs)]
    rows = [
        [name, *(shown(values[run.run_id]) for run in runs)]
        for name, values in board.differences.items()
    ]
    return ["<h2>What differs in configuration, data and code</h2>", _table(head, rows, "words")]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _picture(content: bytes, alt: str) -> str:
    coded = base64.b64encode(content).decode()
    return f'<p><img alt="{escape(alt)}" src="data:image/png;base64,{coded}"></p>'
