"""The durable record of a search: what was begun, what it gave, on a journal or a database.

A trial has a *place* in the search, 0 for the configuration as it is. What is tried
at a place follows from the seed and from what earlier generations gave, and from nothing
else: so a search that was cut short goes on to the same result. Optuna keeps the record
and proposes; its own numbers of trials mean nothing here, as a trial whose process died
is begun again under a new one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sources.errors import DataUnavailableError, IntegrityError, RefusedError
from training.jobfile import SearchConfig
from training.space import Place
from training.trial import Outcome, Prune

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial, Trial

PLACE, FOLDS, REASON, SPACE = "place", "folds", "reason", "space"
INTERRUPTED = "interrupted: its process ended"
REPROPOSALS = 20
"""Times that a place tried already is proposed anew before it is tried again."""


@dataclass(frozen=True)
class Tried:
    """A finished trial: where it was, and how it did."""

    place: int
    choices: Place
    outcome: Outcome


class DurableStudy:
    """The record of one search; only one process at a time may hold it.

    Parameters
    ----------
    storage : of :func:`open_storage`.
    name : of the search.
    choices : axis -> how many choices there are.

    Raises
    ------
    IntegrityError
        If the record is of another space.
    """

    def __init__(self, storage: BaseStorage, name: str, choices: Mapping[str, int]) -> None:
        from optuna.exceptions import DuplicatedStudyError
        from optuna.study import StudyDirection

        self.storage, self.name = storage, name
        self.choices = dict(choices)
        with answering(name):
            try:
                self._id = storage.create_new_study([StudyDirection.MAXIMIZE], name)
            except DuplicatedStudyError:
                self._id = storage.get_study_id_from_name(name)
            kept = storage.get_study_user_attrs(self._id).get(SPACE)
            if kept is None:
                storage.set_study_user_attr(self._id, SPACE, self.choices)
            elif kept != self.choices:
                raise IntegrityError(
                    f"study {name}", expected="the space it began with", found="another"
                )

    def finished(self, attempts: int) -> dict[int, Tried]:
        """Return what is known of each place that needs no more work.

        A place fails for good when its process died ``attempts`` times.
        """
        found: dict[int, Tried] = {}
        died: dict[int, int] = {}
        for trial in self._all():
            place = int(trial.user_attrs[PLACE])
            if not trial.state.is_finished():
                continue
            reason = trial.user_attrs.get(REASON)
            if reason == INTERRUPTED:
                died[place] = died.get(place, 0) + 1
                if died[place] < attempts:
                    continue
            outcome = Outcome(
                gains=tuple(trial.user_attrs.get(FOLDS, ())),
                pruned=trial.state.name == "PRUNED",
                failure=reason,
            )
            found[place] = Tried(place, dict(trial.params), outcome)
        return dict(sorted(found.items()))

    def begin(self, place: int, choices: Place) -> int:
        """Record that a trial runs; return its number for :meth:`finish`."""
        from optuna.trial import TrialState, create_trial

        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(choices),
            distributions=distributions(self.choices),
            user_attrs={PLACE: place},
        )
        template.datetime_start = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        with answering(self.name):
            return self.storage.create_new_trial(self._id, template)

    def finish(self, trial_id: int, outcome: Outcome) -> None:
        """Record how a trial did, its state last: until then it counts as running."""
        from optuna.trial import TrialState

        with answering(self.name):
            self.storage.set_trial_user_attr(trial_id, FOLDS, list(outcome.gains))
            if outcome.failure is not None:
                self.storage.set_trial_user_attr(trial_id, REASON, outcome.failure)
                self.storage.set_trial_state_values(trial_id, TrialState.FAIL)
            elif outcome.pruned:
                # Optuna's convention: a pruned trial has the value that it was given up with.
                self.storage.set_trial_state_values(trial_id, TrialState.PRUNED, [outcome.value])
            else:
                self.storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [outcome.value])

    def release_stale(self) -> list[int]:
        """Fail the trials that still run on record: the process that ran them is gone.

        Returns
        -------
        their places.
        """
        stale = [trial for trial in self._all() if not trial.state.is_finished()]
        for trial in stale:
            number = self._trial_id(trial)
            self.finish(number, Outcome((), failure=INTERRUPTED))
        return [int(trial.user_attrs[PLACE]) for trial in stale]

    def _all(self) -> list[FrozenTrial]:
        with answering(self.name):
            return self.storage.get_all_trials(self._id, deepcopy=False)

    def _trial_id(self, trial: FrozenTrial) -> int:
        with answering(self.name):
            return self.storage.get_trial_id_from_study_id_trial_number(self._id, trial.number)


def distributions(choices: Mapping[str, int]) -> dict[str, BaseDistribution]:
    """Return what Optuna proposes on each axis: the position of a choice."""
    from optuna.distributions import IntDistribution

    return {name: IntDistribution(0, count - 1) for name, count in choices.items()}


class Proposer:
    """Says what to try in a generation: a function of its arguments, whatever ran before.

    Parameters
    ----------
    history : the trials of earlier generations, by place.
    choices : axis -> how many choices there are.

    References
    ----------
    Bergstra et al. (2011), Algorithms for hyper-parameter optimization.
    """

    def __init__(
        self, history: Sequence[Tried], choices: Mapping[str, int], config: SearchConfig
    ) -> None:
        self._config, self._space = config, distributions(choices)
        self._study = _in_memory(history, self._space)

    def propose(self, place: int, taken: Sequence[Place]) -> Place:
        """Return what to try at a place.

        Parameters
        ----------
        taken : what is proposed already; proposed again only where nothing else comes up.
        """
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState

        text = f"{self._config.seed}:{place}".encode()
        seed = int.from_bytes(hashlib.sha256(text).digest()[:4])
        self._study.sampler = TPESampler(n_startup_trials=self._config.startup, seed=seed)
        asked: list[Trial] = []
        for _ in range(REPROPOSALS):
            asked.append(self._study.ask(self._space))
            found = {name: int(value) for name, value in asked[-1].params.items()}
            if found not in taken:
                break
        for trial in asked:
            # TPE looks at trials that run, and at failed ones not: the next place is asked for
            # as if this one were not.
            self._study.tell(trial, state=TrialState.FAIL)
        return found


def prune_rule(history: Sequence[Tried], config: SearchConfig) -> Prune | None:
    """Return the rule that gives up a trial whose mean so far is below the median's at that fold.

    The median is of trials of earlier generations that ran through; None where they are too
    few. Optuna's own rule spares a trial that was good in its first fold, however it went on.
    """
    whole = [tried.outcome.gains for tried in history if tried.outcome.whole]
    if len(whole) < config.prune_after_trials:
        return None
    means = np.cumsum(whole, axis=1) / np.arange(1, len(whole[0]) + 1)
    median = np.median(means, axis=0)

    def prune(fold: int, mean: float) -> bool:
        return fold + 1 >= config.prune_after_folds and mean < float(median[fold])

    return prune


def _in_memory(history: Sequence[Tried], space: Mapping[str, BaseDistribution]) -> Study:
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for tried in history:
        outcome = tried.outcome
        if outcome.failure is not None:
            continue
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED if outcome.pruned else TrialState.COMPLETE,
                value=outcome.value,
                params=tried.choices,
                distributions=dict(space),
                # TPE looks at the last of a pruned trial alone.
                intermediate_values={len(outcome.gains) - 1: outcome.value},
            )
        )
    return study


def open_storage(folder: Path, url: str | None = None) -> BaseStorage:
    """Open the record in a folder's journal, or in the database of a URL.

    Raises
    ------
    RefusedError
        For a URL that is none.
    DataUnavailableError
        Where the database does not answer.
    """
    import optuna
    from optuna.storages import JournalStorage, RDBStorage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url is None:
        from training.journal import open_journal

        return JournalStorage(open_journal(folder))
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise RefusedError("--storage: needed a database URL; found none") from error
    shown = parsed.render_as_string(hide_password=True)
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    wait: dict[str, object] = {"connect_timeout": 5}
    if parsed.get_backend_name() == "sqlite":
        wait = {"timeout": 30}
    with answering(shown):
        return RDBStorage(
            parsed.render_as_string(hide_password=False),
            engine_kwargs={"connect_args": wait, "pool_pre_ping": True},
        )


@contextmanager
def answering(where: str) -> Iterator[None]:
    """Say in our own words that a record does not answer."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError, OSError) as error:
        cause = error.__cause__ or error
        lines = str(cause).strip().splitlines()
        raise DataUnavailableError(
            f"record of trials {where}: needed an answer; "
            f"found {lines[0] if lines else type(cause).__name__}",
            source="trials",
        ) from error
