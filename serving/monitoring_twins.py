"""Twins without skill, kept beside the champion for ever: what they seem to have, luck can give.

Both are made of the champion's own live forecasts, by lots that are drawn once for each question
and never again, so that they stand from the day a forecast is issued:

permuted : the champion's distance from the base rate, its direction drawn by lot. It is as bold
    as the champion, and knows as much as one that learned from labels given to days by chance.
placebo : the base rate moved by noise of :data:`NOISE` in log-odds, as of a model whose
    features say nothing.

Neither is a second model: to train and score one would double the work of each day, and tell
no more of the measure of skill. A twin that shows skill says that the measure is broken: that
outcomes, or forecasts, are not what they seem.
"""

from __future__ import annotations

import hashlib
from statistics import NormalDist

import numpy as np
import pandas as pd

from serving.monitoring_report import TwinSkill
from serving.verification import log_odds, skill_of

TWINS = ("permuted", "placebo")
NOISE = 0.1
"""Deviation of the placebo, log-odds; a forecast of one half is moved by 2.5 percent."""


def twins_of(issued: pd.DataFrame) -> tuple[TwinSkill, ...]:
    """Return the skill that each twin seems to have.

    Parameters
    ----------
    issued : live forecasts, as :meth:`Ledger.issued` gives them, each question once.
    """
    if issued.empty:
        return ()
    found = []
    for twin in TWINS:
        skill = skill_of(twin_of(issued, twin), {})
        if skill is None:
            continue
        found.append(
            TwinSkill(
                twin=twin,
                n=skill.n,
                gain_mnat=skill.gain_mnat,
                gain_lower=skill.gain_lower,
                gain_upper=skill.gain_upper,
                skill_evidence=skill.skill_evidence,
            )
        )
    return tuple(found)


def twin_of(issued: pd.DataFrame, twin: str) -> pd.DataFrame:
    """Return the same questions as a twin answers them."""
    base = log_odds(issued["base_rate"].to_numpy("float64"))
    lots = np.array([_lot(twin, *row) for row in issued[
        ["as_of", "asset", "horizon_days", "threshold"]
    ].itertuples(index=False)])  # fmt: skip
    if twin == "permuted":
        own = log_odds(issued["probability"].to_numpy("float64")) - base
        moved = np.where(lots < 0.5, own, -own)
    else:
        normal = NormalDist(0.0, NOISE)
        moved = np.array([normal.inv_cdf(lot) for lot in lots])
    return issued.assign(probability=1.0 / (1.0 + np.exp(-(base + moved))))


def _lot(*question: object) -> float:
    """Return a number in (0, 1) that the question decides."""
    digest = hashlib.sha256("|".join(str(part) for part in question).encode()).digest()
    return (int.from_bytes(digest[:6]) + 0.5) / 2**48
