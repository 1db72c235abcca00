"""The commands about who speaks: promote through the gate, roll back, say who it was and is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from riskon import output as out
from riskon.services import open_serving
from riskon.settings import Settings
from serving import Candidate
from sources.errors import RefusedError


def promote(where: Settings, version: int, reason: str, override: bool) -> None:
    """Make a version the champion, and say what each check found, or that it was that already."""
    from riskon.commands import open_tracking

    if not reason.strip():
        raise RefusedError("--reason: needed words; found none")
    registry, _ = open_serving(where)
    open_tracking(where)
    before, _ = registry.history.current()
    champion = registry.promote(
        version, reason=reason, override=override, gate=_gate, explain=_explain
    )
    skill = "certified" if champion.skill_certified else "not certified"
    if champion == before:
        out.note(
            f"Version {champion.version} is the champion already (skill {skill}), since "
            f"{champion.promoted_at:%Y-%m-%d %H:%MZ}, by the reason {champion.reason!r}; "
            "nothing changed."
        )
    else:
        out.note(f"Version {champion.version} is the champion (skill {skill}).")


def rollback(where: Settings, reason: str) -> None:
    """Make the champion before this one the champion again."""
    champion = open_serving(where)[0].rollback(reason)
    out.note(f"Version {champion.version} is the champion again.")


def champion(where: Settings, at: str | None, form: str) -> None:
    """Print who speaks, or who spoke at an instant, since when, by whom, and why."""
    instant = None if at is None else _instant(at)
    record = open_serving(where)[0].history.record(instant)
    shown = {
        "name": record["name"],
        "version": record["version"],
        "digest": record["digest"],
        "since": record["promoted_at"].isoformat(timespec="seconds"),
        "until": record["until"].isoformat(timespec="seconds") if record["until"] else None,
        "action": record["action"],
        "promoted_by": record["promoted_by"],
        "reason": record["reason"],
        "overridden": record["overridden"],
        "fit_to_serve": record["fit_to_serve"],
        "skill_certified": record["skill_certified"],
    }
    if form == "table":
        rows = [[name, "" if value is None else str(value)] for name, value in shown.items()]
        out.print_table("The champion" if at is None else f"The champion at {at}", ["", ""], rows)
    elif form == "json":
        out.print_rows([{**shown, "checks": json.loads(record["checks"])}], form)
    else:
        out.print_rows([shown], form)


def _gate(candidate: Candidate, incumbent: Candidate) -> Sequence[tuple[bool, str]]:
    from training.replacement import judge_replacement

    return judge_replacement(
        candidate.tags,
        candidate.predictions,
        incumbent.tags,
        incumbent.predictions,
        trials=int(candidate.tags.get("trials_counted", "1")),
    )


def _explain(checks: Sequence[tuple[bool, str]]) -> None:
    for passed, sentence in checks:
        out.note(f"  {'pass' if passed else 'FAIL'}  {sentence}")


def _instant(text: str) -> datetime:
    """Parse an instant with its zone: 2026-01-01T00:00Z."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise RefusedError(
            f"--at: needed an instant with its zone, as 2026-01-01T00:00Z; found {text[:40]!r}"
        )
    if found > datetime.now(UTC):
        raise RefusedError(f"--at: needed an instant that has been; found {text[:40]!r}")
    return found
