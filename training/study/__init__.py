"""The claims, tested: a ledger locked before outcomes are read, studies, verdicts, a report."""

from training.study.answer import answer, limits
from training.study.claims import Claim, ClaimLedger, read_claims
from training.study.page import page
from training.study.report import as_json, as_markdown, verdict_cells
from training.study.run import Study, run_study, steps_of
from training.study.verdicts import VERDICTS, Judged

__all__ = [
    "VERDICTS",
    "Claim",
    "ClaimLedger",
    "Judged",
    "Study",
    "answer",
    "as_json",
    "as_markdown",
    "limits",
    "page",
    "read_claims",
    "run_study",
    "steps_of",
    "verdict_cells",
]
