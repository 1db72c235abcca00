"""The claims, tested: a ledger locked before outcomes are read, studies, verdicts, a report."""

from training.study.claims import Claim, ClaimLedger, read_claims

__all__ = ["Claim", "ClaimLedger", "read_claims"]
