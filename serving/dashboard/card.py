"""The page of the model: who speaks, on what verdicts, and who spoke before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from serving.dashboard import words
from sources.errors import IntegrityError


@dataclass(frozen=True)
class Check:
    """One verdict of the gate, made when the version was promoted."""

    passed: bool
    subject: str
    said: str


@dataclass(frozen=True)
class Reign:
    """A time in which one version spoke."""

    version: int
    since: str
    until: str
    action: str
    reason: str
    by: str
    overridden: bool
    certified: bool
    live: bool


@dataclass(frozen=True)
class ModelCard:
    """What the page of the model shows."""

    name: str
    version: int
    digest: str
    since: str
    by: str
    reason: str
    overridden: bool
    fit: bool
    certified: bool
    trained_through: str
    trained_days_ago: int
    data_digest: str
    assets: tuple[str, ...]
    horizons: tuple[str, ...]
    features: int
    interval: str
    experts: tuple[str, ...]
    libraries: tuple[tuple[str, str], ...]
    checks: tuple[Check, ...]
    history: tuple[Reign, ...]


@dataclass(frozen=True)
class BundleFacts:
    """What a bundle says of itself; read without loading what forecasts."""

    questions: tuple[tuple[str, int, float], ...]
    trained_through: date
    data_digest: str
    config: Mapping[str, Any]
    features: tuple[str, ...]
    versions: Mapping[str, str]


def read_facts(folder: Path, digest: str) -> BundleFacts:
    """Read what a bundle says of itself.

    Raises
    ------
    IntegrityError
        If its manifest is not the one of the digest, or the file not the manifest's.
    """
    manifest = json.loads(_checked(folder / "manifest.json", digest))
    kept = json.loads(_checked(folder / "bundle.json", manifest["files"]["bundle.json"]))
    return BundleFacts(
        questions=tuple((str(a), int(h), float(t)) for a, h, t in kept["cells"]),
        trained_through=date.fromisoformat(kept["trained_through"]),
        data_digest=kept["data_digest"],
        config=kept["config"],
        features=tuple(kept["features"]),
        versions=kept["versions"],
    )


def _checked(path: Path, sha: str) -> bytes:
    content = path.read_bytes() if path.is_file() else b""
    found = hashlib.sha256(content).hexdigest()
    if found != sha:
        raise IntegrityError(path.name, expected=f"sha256 {sha}", found=found)
    return content


def card_view(reigns: Sequence[Mapping[str, Any]], facts: BundleFacts, now: datetime) -> ModelCard:
    """Return the view of the champion.

    Parameters
    ----------
    reigns : rows of the history of champions, the first first.
    facts : of the last one's bundle.
    """
    champion = reigns[-1]
    through = facts.trained_through
    horizons = dict.fromkeys((days, threshold) for _, days, threshold in facts.questions)
    return ModelCard(
        name=champion["name"],
        version=champion["version"],
        digest=champion["digest"],
        since=words.instant(champion["promoted_at"]),
        by=champion["promoted_by"] or "",
        reason=champion["reason"],
        overridden=champion["overridden"],
        fit=champion["fit_to_serve"],
        certified=champion["skill_certified"],
        trained_through=words.long_day(through),
        trained_days_ago=(now.date() - through).days,
        data_digest=facts.data_digest,
        assets=tuple(dict.fromkeys(asset for asset, *_ in facts.questions)),
        horizons=tuple(words.question(*asked) for asked in horizons),
        features=len(facts.features),
        interval=f"{100 * facts.config['interval']:g}{words.THIN}%",
        experts=expert_words(facts.config),
        libraries=tuple(facts.versions.items()),
        checks=checks_of(champion["checks"]),
        history=tuple(reversed(_reigns(reigns))),
    )


def expert_words(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the experts that a configuration mixes, in words.

    >>> expert_words({"signals": {}, "rules": None, "logistic": {}, "boosting": None})
    ('Climatology', 'Signals', 'Logistic regression')
    """
    there = [
        name for name in words.EXPERTS if name == "climatology" or config.get(name) is not None
    ]
    return tuple(words.expert_label(name) for name in there)


def checks_of(text: str) -> tuple[Check, ...]:
    """Return the verdicts kept with a promotion, failures first.

    Examples
    --------
    >>> checks_of('[[true, "known: needed a tag; found one"], [false, "skill: needed more"]]')[0]
    Check(passed=False, subject='skill', said='needed more')
    """
    found = []
    for passed, sentence in json.loads(text):
        subject, colon, said = str(sentence).partition(": ")
        found.append(Check(bool(passed), subject if colon else "", said if colon else subject))
    return tuple(sorted(found, key=lambda check: check.passed))


def _reigns(rows: Sequence[Mapping[str, Any]]) -> list[Reign]:
    ends = [row["promoted_at"] for row in rows[1:]]
    return [
        Reign(
            version=row["version"],
            since=words.instant(row["promoted_at"]),
            until="" if end is None else words.instant(end),
            action=row["action"],
            reason=row["reason"],
            by=row["promoted_by"] or "",
            overridden=row["overridden"],
            certified=row["skill_certified"],
            live=end is None,
        )
        for row, end in zip(rows, [*ends, None], strict=True)
    ]
