"""The report as one page that needs nothing else: text, tables, and figures drawn in it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from training.study.answer import answer, limits
from training.study.figures import figure_of, overview, timeline
from training.study.page_style import STYLE
from training.study.report import (
    HEAD,
    NOTE,
    TITLE,
    elsewhere,
    event_cells,
    tables_of,
    verdict_cells,
)
from training.study.run import Study
from training.study.verdicts import Judged
from training.study.words import NONE, TARGETS, effect_of, p_value, percent, size_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TINTS = {
    "#222222": "currentColor", "#000000": "currentColor", "#555555": "var(--quiet)",
    "#e6e6e6": "var(--line)", "#ffffff": "var(--paper)", "#0072b2": "var(--drawn)",
}  # fmt: skip
"""Colours of the figures that follow the page, light or dark."""

MEANING = {
    "supported": "a test rejects \u201cno effect\u201d after the correction for all tests",
    "refuted": "an effect as large as claimed is ruled out after the same correction",
    "underpowered": "too few events to tell; neither true nor false",
    "unfalsifiable": "no outcome could speak against it as it is worded",
}


def page(study: Study) -> str:
    """Return the page."""
    sentences = "".join(f"<li>{escape(text)}</li>" for text in answer(study))
    parts = [
        f"<header><p class=over>{len(study.judged)} claims, tested on {study.first_day} to "
        f"{study.last_day}</p><h1>{escape(TITLE)}</h1><ol class=answer>{sentences}</ol></header>",
        "<main>",
        "<h2 id=verdicts>The verdicts</h2>",
        _verdicts(study),
        f"<p class=note>{'; '.join(f'{_pill(v)} {escape(m)}' for v, m in MEANING.items())}. "
        f"{escape(NOTE)} <i>n</i> counts independent events, or outcomes; "
        "<i>least detectable</i> is "
        f"the effect that would have been found {percent(study.ledger.power)} of the time; "
        "<i>needed</i> is how many events would find the size claimed.</p>",
        _maybe(overview(study), "overview", "effects and intervals of all claims, as shares of "
               "what is claimed"),
        _maybe(timeline(study), "timeline", "index and coin over the years, events marked"),
        "<h2 id=figures>The articles\u2019 figures beside ours</h2>",
        _table(("said", "of", "what the data say"),
               [[f.said, f.what, f.found] for f in study.facts], "words",
               name="figures of the articles beside ours"),
    ]  # fmt: skip
    parts += [_claim(study, judged) for judged in study.judged]
    parts += _more(study)
    parts.append("<h2 id=limits>What to hold against it</h2><ul>")
    parts += [f"<li>{escape(text)}</li>" for text in limits(study)]
    parts += ["</ul>", _method(study), "</main>", _footer(study)]
    # A number and its percent sign stay on one line.
    body = re.sub(r"(\d) %", "\\1\u00a0%", "".join(parts))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(TITLE)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def svg(figure: Figure, name: str, words: str) -> str:
    """Return a figure as SVG to stand in a page: its ink follows the page's, ids are its own."""
    import matplotlib as mpl

    held = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(held, format="svg", transparent=True, metadata={"Date": None})
    text = held.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    for fixed, tint in TINTS.items():
        text = re.sub(fixed, tint, text, flags=re.IGNORECASE)
    # Text without a colour of its own would be black on black at night.
    text = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)
    text = re.sub(r'width="[^"]*pt"', "", text, count=1)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{escape(words)}" ', 1)
    return f"<figure tabindex=0>{text}</figure>"


def _maybe(figure: Figure | None, name: str, words: str) -> str:
    return "" if figure is None else svg(figure, name, words)


def _verdicts(study: Study) -> str:
    rows = []
    for judged in study.judged:
        cells = verdict_cells(judged)
        name = judged.claim.id
        link = f'<a href="#{name}"><b>{name}</b> {escape(judged.claim.title)}</a>'
        rows.append(
            f"<tr><th scope=row>{link}</th><td>{_pill(judged.verdict)}</td>"
            + "".join(f"<td>{escape(cell)}</td>" for cell in cells[2:])
            + "</tr>"
        )
    top = "".join(f"<th scope=col>{escape(name)}</th>" for name in HEAD)
    return (
        f'<div class=wide tabindex=0 role=region aria-label="table of verdicts"><table '
        f"class=verdicts><thead><tr>{top}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _claim(study: Study, judged: Judged) -> str:
    claim, main = judged.claim, judged.primary
    parts = [
        f'<section id="{claim.id}"><h2><span class=id>{claim.id}</span> {escape(claim.title)} '
        f"{_pill(judged.verdict)}</h2><p class=said>{escape(claim.paraphrase)}</p>"
        f"<p>{escape(judged.reason)}</p>"
    ]
    parts.append(_maybe(figure_of(study, claim), claim.id, f"{claim.title}: figure"))
    cause = study.causes.figures(claim)
    parts += [svg(figure, f"{claim.id}-{i}", words) for i, (words, figure) in enumerate(cause)]
    target = TARGETS.get(claim.targets[0], claim.targets[0])
    there = elsewhere(study, claim)
    for index, mine in tables_of(study, claim).items():
        if any(index in indices for indices in there.values()):
            continue
        head = ("date", "price", "regime", *(f"{h} days" for h in claim.horizons_days),
                "most in a year")  # fmt: skip
        opened = " open" if index == claim.indices[0] and claim.kind == "event_return" else ""
        after = f"{len(mine)} events of {escape(index)}, and {escape(target)} after each"
        if any(row.starts_cluster for row in mine):
            after += " (* a year had passed without a high)"
        cells = [event_cells(row, claim.horizons_days) for row in mine]
        parts.append(
            f"<details{opened}><summary>{after}</summary>"
            f"{_table(head, cells, name=f'{claim.id}: {after}')}</details>"
        )
    parts += [
        f"<p class=note>Events of {escape(', '.join(indices))}, and {escape(target)} after each: "
        f'under <a href="#{other}">{other}</a>.</p>'
        for other, indices in there.items()
    ]
    parts.append(_tests(judged))
    shown = main.finding.checks
    reading = [
        ("Read as", claim.reading),
        ("Null", claim.null),
        ("Test", claim.test),
        ("Asserts", f"{size_of(claim, claim.asserted)} ({claim.unit}), by the {claim.asserted_by}"),
    ]
    if "p_rank" in shown:
        reading.append((
            "Seen otherwise",
            f"mean rank {shown['rank']:.2f} (p {p_value(shown['p_rank'])}, uncorrected); held in "
            f"calendar time over {shown.get('calendar_days', 0):.0f} days, "
            f"p {p_value(shown.get('p_calendar', float('nan')))}; block-bootstrap interval "
            f"{shown.get('bootstrap_lower', float('nan')):+.2f} to "
            f"{shown.get('bootstrap_upper', float('nan')):+.2f} in log return over the horizon",
        ))  # fmt: skip
    listed = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in reading)
    parts.append(f"<details><summary>How it was tested</summary><dl>{listed}</dl></details>")
    parts.append("</section>")
    return "".join(parts)


def _tests(judged: Judged) -> str:
    if len(judged.tests) < 2:
        return ""
    head = ("test", "effect", "95 % interval", "p", "p corrected", "n", "least detectable")
    rows = []
    for tested in judged.tests:
        effect, interval = effect_of(judged.claim, tested.finding)
        there = effect != NONE
        rows.append([
            str(tested.cell),
            effect if there else tested.finding.reason,
            interval or NONE,
            p_value(tested.finding.p) if there else NONE,
            p_value(tested.p_corrected) if there else NONE,
            f"{tested.finding.n:.0f}",
            size_of(judged.claim, tested.finding.least_detectable) if there else NONE,
        ])  # fmt: skip
    return (
        f"<details><summary>All {len(rows)} tests of this claim: indices, targets, horizons"
        f"</summary>{_table(head, rows, name=f'tests of {judged.claim.id}')}</details>"
    )


def _more(study: Study) -> list[str]:
    extra = study.causes.figures(None)
    if not extra:
        return []
    parts = ["<h2 id=causes>More: in what company a high comes, and how soon it is known</h2>"]
    parts += [svg(figure, f"cause-{i}", words) for i, (words, figure) in enumerate(extra)]
    return parts


def _method(study: Study) -> str:
    return (
        "<h2 id=method>How to read it</h2><p>An event counts from the close of the day on which it "
        "was known. Its outcome is compared with what followed days drawn from the same regime "
        "(trend of 90 days up or down, volatility of 30 days above or below its usual), "
        "20,000 times over; events less than a horizon apart count once. "
        f"The claims were written down, hashed and locked "
        f"{escape(_when(study))}, before any outcome was read; a claim that is changed is another "
        "claim, and both count in the correction.</p>"
    )


def _when(study: Study) -> str:
    if not study.locks:
        return "without a record"
    return f"on {min(lock.locked_at for lock in study.locks)[:16].replace('T', ' at ')} UTC"


def _footer(study: Study) -> str:
    return (
        f"<footer>{escape(study.market_name)}; data sha256 <code>{study.data_digest[:16]}</code>, "
        f"known until {study.known_at}; made in {study.seconds:.0f} s. Not advice.</footer>"
    )


def _pill(verdict: str) -> str:
    return f'<span class="pill {verdict}">{verdict}</span>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "", *, name: str) -> str:
    top = "".join(f"<th scope=col>{escape(name)}</th>" for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f'<div class=wide tabindex=0 role=region aria-label="{escape(name)}">'
        f'<table class="{kind}"><thead>'
        f"<tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )
