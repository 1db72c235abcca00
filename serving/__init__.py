"""Serving: scores of a day, the ledger that keeps them, the registry of who speaks, and the API."""

from serving.champions import Champion, ChampionHistory
from serving.daily import DailyScores
from serving.database import open_database
from serving.ledger import Ledger
from serving.outcomes import Outcome, SettledScore
from serving.registry import Candidate, Registry
from serving.score import Score, scores_table
from serving.scorer import Scorer, scorable_days
from serving.settlement import Settlement, settle
from serving.verification import Skill, Verification, verify_live

__all__ = [
    "Candidate",
    "Champion",
    "ChampionHistory",
    "DailyScores",
    "Ledger",
    "Outcome",
    "Registry",
    "Score",
    "Scorer",
    "SettledScore",
    "Settlement",
    "Skill",
    "Verification",
    "open_database",
    "scorable_days",
    "scores_table",
    "settle",
    "verify_live",
]
