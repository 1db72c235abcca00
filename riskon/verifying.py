"""``riskon verify`` and ``riskon status``: held to account, and how things stand."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

from riskon import output as out
from riskon.services import open_serving
from riskon.settings import Settings
from riskon.wiring import open_market
from serving.monitoring import Status
from serving.monitoring import status as status_of
from serving.names import refuse_unknown_version
from serving.settlement import settle
from serving.verification import Skill, Verification, verify_live
from sources.errors import (
    DataUnavailableError,
    ModelNotFoundError,
    RefusedError,
    UnknownNameError,
)


def parsed_day(text: str | None) -> date | None:
    """Parse a day strictly: 2025-06-20 and nothing else.

    Raises
    ------
    RefusedError
        If it is none.
    """
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise RefusedError(f"--as-of: needed a day as YYYY-MM-DD; found {text[:20]!r}")
    return day


def verify(where: Settings, market: Path | None, version: int | None, form: str) -> None:
    """Settle what is due, check the chains, and print how the live forecasts did.

    Raises
    ------
    ModelNotFoundError
        For a version that never spoke; lists those that did.
    IntegrityError
        Names the first row, of forecasts or outcomes, that is not what was written.
    """
    registry, ledger = open_serving(where)
    if version is not None:
        try:
            refuse_unknown_version(ledger, registry.history, version)
        except UnknownNameError as error:
            spoke = ", ".join(str(known) for known in error.known) or "none yet"
            hint = f"versions that forecast are {spoke}"
            raise ModelNotFoundError(registry.name, alias=str(version), hint=hint) from error
    # A chain that is broken must not grow.
    rows, outcomes = ledger.verify(), ledger.verify_outcomes()
    directory = market or where.market_directory
    if directory.is_dir():
        made = settle(ledger, open_market(directory, where))
        out.note(
            f"Settled {made.settled} forecast(s), revised {made.revised} outcome(s); "
            f"{made.waiting} wait for a close."
        )
        outcomes = ledger.verify_outcomes()
    elif market is not None:
        raise DataUnavailableError(
            f"{directory}: needed a market directory or store; found none", source=str(directory)
        )
    else:
        out.note(f"Nothing settled: no market at {directory}.")
    out.note(f"Both chains hold: {rows} forecast(s), {outcomes} row(s) of outcomes.")
    found = verify_live(ledger, version)
    if form == "json":
        sys.stdout.write(found.model_dump_json(indent=2) + "\n")
    elif form == "csv":
        every = (*found.cells, *found.pooled, *found.replayed)
        out.print_rows([skill.model_dump(mode="json", exclude={"bins"}) for skill in every], form)
    else:
        show_skill(found)


def show_skill(found: Verification) -> None:
    """Print skill as tables: live first, and apart from it what was replayed."""
    columns = ["of", "n", "eff. n", "log loss", "base rate's", "gain", "interval", "evidence",
               "Brier skill", "against calibration"]  # fmt: skip
    live = (*found.cells, *found.pooled)
    title = (
        f"Live skill against the base rate (gain in thousandths of a nat, {found.level:.0%} "
        "interval, valid however often one looks)"
    )
    if live:
        out.print_table(title, columns, [_row(skill) for skill in live])
    else:
        out.note("No live forecast is settled yet.")
    if found.replayed:
        out.print_table(
            "Replayed: issued after the next bar closed, and no evidence of skill",
            columns,
            [_row(skill) for skill in found.replayed],
        )
    out.note(
        f"{found.n_forecasts} forecast(s), {found.n_settled} question(s) settled, "
        f"{found.n_live} of them live."
    )


def _row(skill: Skill) -> list[str]:
    of = skill.asset or "all assets"
    of += ", all horizons" if skill.horizon_days is None else f" {skill.horizon_days}d"
    if skill.threshold:
        of += f" > {skill.threshold:.1%}"
    none = skill.gain_lower is None or skill.gain_upper is None
    return [
        of,
        str(skill.n),
        f"{skill.effective_n:.1f}",
        f"{skill.log_loss:.4f}",
        f"{skill.base_rate_log_loss:.4f}",
        f"{skill.gain_mnat:+.2f}",
        "" if none else f"{skill.gain_lower:+.2f} to {skill.gain_upper:+.2f}",
        f"{skill.skill_evidence:.3g}",
        "" if skill.brier_skill is None else f"{skill.brier_skill:+.4f}",
        f"{skill.calibration_evidence:.3g}",
    ]


def status(where: Settings, form: str) -> None:
    """Print how things stand."""
    registry, ledger = open_serving(where)
    found = status_of(ledger, registry.history)
    if form == "csv":
        raise RefusedError("--format csv: needed table or json, as a status is no table")
    if form == "json":
        sys.stdout.write(found.model_dump_json(indent=2) + "\n")
        return
    show_status(found)


def show_status(found: Status) -> None:
    """Print a status as tables, the alarms last."""
    rows = [*_standing(found), *_watched(found)]
    out.print_table(f"Status at {found.made_at:%Y-%m-%d %H:%MZ}", ["", ""], rows)
    if found.inputs:
        old = sorted(found.inputs, key=lambda one: -one.age_days / one.limit_days)[:5]
        shown = [[i.name, f"{i.age_days:.1f}", f"{i.limit_days:g}", "yes" if i.fresh else "NO"]
                 for i in old]  # fmt: skip
        out.print_table(
            f"Inputs as of {found.watched}, the five nearest their limits of {len(found.inputs)}",
            ["input", "age, days", "limit", "fresh"],
            shown,
        )
    if found.drift:
        shown = [
            [d.feature, d.asset, f"{d.psi:.3f}", f"{d.limit_psi:.3f}", f"{d.ks:.3f}",
             f"{d.limit_ks:.3f}", "BEYOND" if d.alarm else ""]
            for d in found.drift[:5]
        ]  # fmt: skip
        beyond = sum(d.alarm for d in found.drift)
        out.print_table(
            f"Drift of the last 90 days, the five greatest of {len(found.drift)}; {beyond} beyond "
            "all of training",
            ["feature", "asset", "PSI", "limit", "KS", "limit", ""],
            shown,
        )
    for alarm in found.alarms:
        out.note(f"ALARM {alarm.name}: {alarm.message}")
    if not found.alarms:
        out.note("No alarm.")


def _standing(found: Status) -> list[list[str]]:
    who = found.champion
    rows = [["champion", "none: riskon train, then riskon promote"]]
    if who is not None:
        skill = "certified" if who.skill_certified else "not certified"
        rows = [["champion", f"version {who.version} of {who.name}, skill {skill}"],
                ["since", f"{who.promoted_at:%Y-%m-%d %H:%MZ}, {who.reason}"]]  # fmt: skip
        if who.trained_through is not None:
            rows.append(
                ["trained through", f"{who.trained_through}, {who.trained_age_days} days ago"]
            )
    latest = "none yet"
    if found.latest_scored is not None:
        latest = f"{found.latest_scored}, {found.days_behind} day(s) behind"
    chain = found.chain.broken or f"{found.chain.forecasts} forecasts, {found.chain.outcomes} rows"
    return [*rows, ["latest score", latest], ["chains", chain]]


def _watched(found: Status) -> list[list[str]]:
    rows = []
    if found.coverage is not None:
        seen = found.coverage
        rows.append(
            ["coverage", f"{seen.answered} of {seen.asked} questions of {seen.days} day(s), "
             f"{seen.live} of them live"]
        )  # fmt: skip
    rows += [
        [f"{twin.twin} twin", f"{twin.gain_mnat:+.2f} mnat in {twin.n}, evidence "
         f"{twin.skill_evidence:.3g}"]
        for twin in found.twins
    ]  # fmt: skip
    run = found.last_run
    if run is not None:
        steps = ", ".join(step.step for step in run.steps) or "no step"
        rows.append(
            ["last run", f"{run.run}, as of {run.as_of}, {run.state}: {steps} ({run.holder})"]
        )
        if run.error:
            rows.append(["", run.error])
    return rows
