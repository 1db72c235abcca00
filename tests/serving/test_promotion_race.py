"""Many promoters at once, each in a process that imports this module, so it stays light."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from serving.champions import ChampionHistory, who
from serving.database import open_database
from sources.errors import PromotionConflictError

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    Answers = Queue[tuple[int, int, int, str]]

ROUNDS = 50


def promote_rounds(url: str, version: int, start: Barrier, told: Answers) -> None:
    """Promote one version in each round, against the others; a model's name is a round."""
    engine = open_database(url)
    for number in range(ROUNDS):
        history = ChampionHistory(engine, f"round {number}")
        end = history.current()[1]
        start.wait()
        try:
            history.append(entry(version), end)
        except PromotionConflictError as error:
            told.put((number, version, error.winner, str(error)))
        else:
            told.put((number, version, version, "won"))


def test_of_eight_processes_that_promote_one_wins_and_the_others_hear_by_whom_c07(
    engine: Engine,
) -> None:
    context = multiprocessing.get_context("spawn")
    start, told = context.Barrier(8), context.Queue()
    url = engine.url.render_as_string(hide_password=False)
    crowd = [
        context.Process(target=promote_rounds, args=(url, version, start, told))
        for version in range(1, 9)
    ]
    for process in crowd:
        process.start()
    answers = [told.get(timeout=120) for _ in range(8 * ROUNDS)]
    for process in crowd:
        process.join(60)
    for number in range(ROUNDS):
        mine = [answer for answer in answers if answer[0] == number]
        (winner,) = [version for _, version, _, said in mine if said == "won"]
        assert {version for _, version, _, _ in mine} == set(range(1, 9))
        assert {found for _, _, found, _ in mine} == {winner}
        lost = [said for _, _, _, said in mine if said != "won"]
        by = f"the champion became version {winner} in the meantime by {who()}, at "
        assert all(by in said for said in lost)
        assert ChampionHistory(engine, f"round {number}").champion().version == winner


def entry(version: int) -> dict[str, object]:
    return {
        "action": "promote",
        "version": version,
        "digest": f"{version:064x}",
        "reason": "why",
        "overridden": False,
        "fit_to_serve": True,
        "skill_certified": False,
        "checks": "[]",
    }
