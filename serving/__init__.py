"""Serving: scores of a day, the ledger that keeps them, the registry of who speaks, and the API."""

from serving.champions import Champion, ChampionHistory
from serving.daily import DailyScores
from serving.database import open_database
from serving.ledger import Ledger
from serving.registry import Candidate, Registry
from serving.score import Score, scores_table
from serving.scorer import Scorer, scorable_days

__all__ = [
    "Candidate",
    "Champion",
    "ChampionHistory",
    "DailyScores",
    "Ledger",
    "Registry",
    "Score",
    "Scorer",
    "open_database",
    "scorable_days",
    "scores_table",
]
