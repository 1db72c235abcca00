"""``riskon study``: the claims locked, tested, reported, printed and logged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from riskon import output as out
from riskon.settings import Settings
from riskon.wiring import open_market, progress, status
from sources.errors import RiskonError
from training.study import (
    ClaimLedger,
    Study,
    answer,
    as_json,
    as_markdown,
    page,
    read_claims,
    run_study,
    steps_of,
    verdict_cells,
)
from training.study.report import HEAD
from training.study.sending import log_study
from training.study.testimony import STUDIES

LOCKS = "study-locks.jsonl"
"""Under ``RISKON_HOME``: what was claimed before outcomes were read, for good."""


def study(
    where: Settings,
    market: Path | None,
    output: Path,
    claims: Path | None,
    form: str,
    *,
    causes: bool = True,
    track: bool = True,
) -> None:
    """Lock and test the claims, write the report, print the verdicts, log the run."""
    ledger = read_claims(claims)
    studies = STUDIES if causes else ()
    with status("reading the market"):
        opened = open_market(market, where)
    with progress("study", steps_of(ledger, causes=studies)) as done:
        found = run_study(opened, ledger, locks=where.home / LOCKS, causes=studies, done=done)
    with status("drawing"):
        files = {
            "study.json": (json.dumps(as_json(found), allow_nan=False, indent=2) + "\n").encode(),
            "study.md": as_markdown(found).encode(),
            "study.html": page(found).encode(),
        }
    for name, content in files.items():
        _write(output / name, content)
    _show(found, form)
    out.note(f"Wrote {', '.join(files)} to {output}.")
    if track:
        _log(where, found, ledger, files)


def _write(path: Path, content: bytes) -> None:
    out.write_atomically(path, lambda file: file.write(content))


def _show(found: Study, form: str) -> None:
    if form != "table":
        rows = [
            {"claim": one["id"], "verdict": one["verdict"], "effect": one["effect"],
             "lower": one["interval"][0], "upper": one["interval"][1], "p": one["p"],
             "n": one["n"], "least_detectable": one["least_detectable"],
             "events_needed": one["events_needed"], "reason": one["reason"]}
            for one in as_json(found)
        ]  # fmt: skip
        out.print_rows(rows, form)
        return
    rows_shown = [verdict_cells(judged) for judged in found.judged]
    out.print_table(
        f"{len(rows_shown)} claims, tested on {found.first_day} to {found.last_day}; effects "
        "against days of the same trend and volatility",
        HEAD,
        rows_shown,
    )
    for sentence in answer(found):
        out.note(sentence)
    if found.earlier:
        ids = sorted({lock.claim for lock in found.earlier})
        out.note(
            f"Counted in the correction: {len(found.earlier)} claims locked on these data before "
            f"and changed or left out since ({', '.join(ids)})."
        )


def _log(where: Settings, found: Study, ledger: ClaimLedger, files: Mapping[str, bytes]) -> None:
    """Log the study; tracking that does not answer costs a note, never the report."""
    metrics: dict[str, float] = {
        f"claims_{verdict}": float(sum(j.verdict == verdict for j in found.judged))
        for verdict in ("supported", "refuted", "underpowered", "unfalsifiable")
    }
    params = {judged.claim.id: judged.verdict for judged in found.judged}
    tags = {
        "data_sha256": found.data_digest,
        "claims_sha256": "".join(claim.digest[:8] for claim in ledger.claims)[:250],
        "market": found.market_name,
    }
    try:
        run = log_study(
            uri=where.tracking,
            artifacts=where.artifacts,
            metrics=metrics,
            params=params,
            tags=tags,
            files=files,
        )
    except RiskonError as error:
        out.note(f"Not tracked: {error}. The report is whole; run again to track it.")
        return
    out.note(f"Tracked as run {run}.")
