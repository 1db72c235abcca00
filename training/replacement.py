"""Whether a version may replace the champion: a refresh of it, or better on the same outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import numpy as np
import pandas as pd

from models import log_loss
from training.bootstrap import stationary_bootstrap_means
from training.evaluation import MNAT, block_length
from training.promotion import LEAST_EFFECTIVE_N, RESAMPLES, SIGNIFICANCE, Check, lower_bound

KEY = ["date", "asset", "horizon", "threshold"]
MOST_REVISED = 0.01
"""Share of outcomes that may differ, as prices are revised; those days are left out."""


def judge_replacement(
    tags: Mapping[str, str],
    predictions: bytes | None,
    champion_tags: Mapping[str, str],
    champion_predictions: bytes | None,
    *,
    trials: int = 1,
) -> tuple[Check, ...]:
    """Judge whether a version may take the champion's place.

    A *refresh*, the same configuration trained through a later day, may, as may a version
    that is *better*: on the days and questions that both forecast, with the same outcomes, its
    log loss is lower, one-sided at 1 % shared by the trials, by stationary bootstrap of
    the mean difference of each day. Either must answer every question that the champion answers.

    Parameters
    ----------
    tags, predictions : of the version; ``predictions.csv`` as its training job wrote it.
    champion_tags, champion_predictions : of the version that speaks.
    trials : trials made on the data, the more the harder.
    """
    if predictions is None or champion_predictions is None:
        whose = "the version" if predictions is None else "the champion"
        return ((False, f"replaces: needed the walk-forward forecasts of both; {whose} has none"),)
    mine, theirs = _read(predictions), _read(champion_predictions)
    missing = sorted(_cells(theirs) - _cells(mine))
    answers = (
        not missing,
        "replaces: needed an answer to each of the champion's "
        f"{len(_cells(theirs))} question(s); found {', '.join(missing) or 'none'} missing",
    )
    if _is_refresh(tags, champion_tags):
        through = f"{champion_tags['trained_through']} to {tags['trained_through']}"
        return answers, (True, f"replaces: a refresh: same configuration, from {through}")
    return answers, *_better(mine, theirs, trials)


def _read(content: bytes) -> pd.DataFrame:
    table = pd.read_csv(BytesIO(content), dtype={"date": str, "asset": str}, keep_default_na=False)
    table["outcome"] = pd.to_numeric(table["outcome"])
    return table


def _cells(table: pd.DataFrame) -> set[str]:
    unique = table[KEY[1:]].drop_duplicates()
    return {f"{row.asset} {row.horizon}d above {row.threshold:g}" for row in unique.itertuples()}


def _is_refresh(tags: Mapping[str, str], champion: Mapping[str, str]) -> bool:
    same = tags.get("config_digest", "") == champion.get("config_digest")
    return same and tags.get("trained_through", "") > champion.get("trained_through", "9999")


def _better(mine: pd.DataFrame, theirs: pd.DataFrame, trials: int) -> tuple[Check, ...]:
    both = mine.merge(theirs, on=KEY, suffixes=("", "_champion"), validate="one_to_one")
    both = both[both["outcome"].notna() & both["outcome_champion"].notna()]
    revised = (both["outcome"] != both["outcome_champion"]).to_numpy()
    differ = int(revised.sum())
    same = (
        differ <= MOST_REVISED * len(both),
        f"replaces: needed the same outcomes on {len(both)} shared forecasts, at most "
        f"{MOST_REVISED:.0%} revised; found {differ} that differ",
    )
    both = both[~revised]
    longest = int(both["horizon"].max()) if len(both) else 1
    gain = MNAT * (
        log_loss(both["outcome"].to_numpy(), both["probability_champion"].to_numpy())
        - log_loss(both["outcome"].to_numpy(), both["probability"].to_numpy())
    )
    daily = pd.Series(gain).groupby(both["date"].to_numpy()).mean().to_numpy()
    effective = len(daily) / longest
    enough = (
        effective >= LEAST_EFFECTIVE_N,
        f"replaces: needed at least {LEAST_EFFECTIVE_N} shared outcomes that do not overlap at "
        f"{longest} days; found {effective:.1f}",
    )
    if not enough[0]:
        return same, enough
    means = stationary_bootstrap_means(
        daily, block_length=block_length(len(daily), longest), resamples=RESAMPLES
    )
    lower = lower_bound(means, float(daily.mean()), SIGNIFICANCE / max(1, trials), effective)
    better = (
        bool(np.isfinite(lower) and lower > 0),
        f"replaces: needed a refresh, or a lower bound above 0 mnat for the gain over the "
        f"champion, one-sided at {SIGNIFICANCE:.0%} shared by {trials} trial(s); "
        f"found {lower:.2f} (mean {daily.mean():.2f})",
    )
    return same, enough, better
