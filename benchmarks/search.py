"""A search beside what it would take without us; one JSON line.

*trial*: twenty purged folds of LightGBM, tracked in MLflow and durable, beside the same models
(compared tree by tree) in a plain scikit-learn loop, and beside that loop with MLflow's autologging
and Optuna's MLflow callback on SQLite. A fold has three models, of three seeds, on each side.
*cluster*: the same search on two members of a cluster beside one, without pruning.
*model*: a version logged and registered, beside MLflow's own ways.
*record*: what a trial costs beside its fits, on a journal beside in memory, and Optuna's own ways.

Seconds depend on what else the machine does: ``load`` says how many processes wanted to run, and
ratios are pairs, of seconds and of CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models import ModelConfig
from models.boosting import SmallBoosting
from models.claims import signs_of
from models.config import BoostingConfig
from models.online import cell_rows
from sources.simulated import simulate_market
from training.cluster import joined
from training.durable import DurableStudy, open_storage
from training.jobfile import FoldConfig, JobConfig, SearchConfig
from training.search import Choice, search
from training.space import Axis, Space
from training.tracking import check_tracking, connected, experiment_of, log_ended
from training.trial import Arena, Evaluator, Outcome
from training.trial_runs import trial_runs
from training.tuning import prepare
from training.walkforward import bundle_of, refit_days, walk_forward
from training.workers import Begin, Run

# Trees alone: the signals, rules and calibration of ours have no counterpart in the loop.
BASE = ModelConfig(signals=None, rules=None, logistic=None, calibration=None, abstention=None)
SPACE = {
    "boosting.learning_rate": Axis(factors=tuple(0.5 + 0.05 * k for k in range(41))),
    "boosting.l2": Axis(factors=(0.25, 0.5, 1.0, 2.0, 4.0)),
}
QUIET = {"n_jobs": 1, "verbosity": -1, "deterministic": True, "force_row_wise": True}
FOLDS, YEARS, SEED = 20, 8.1, 7
RECORDED, FEW = 60, 12


def main() -> None:
    """Measure all, and print one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials-on-a-cluster", type=int, default=15)
    parser.add_argument("--only", choices=["trial", "cluster", "model", "record"])
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    warnings.simplefilter("ignore")
    job = job_of(asked.trials)
    market = simulate_market("flow", seed=0, years=YEARS).market
    tuning = prepare(market, job)
    parts: dict[str, Callable[[Path], Any]] = {
        "trial": lambda folder: trial(tuning.arena, job, folder, asked.rounds),
        "cluster": lambda folder: cluster(tuning.arena, job_of(asked.trials_on_a_cluster), folder),
        "model": lambda folder: model(tuning, job, folder),
        "record": lambda folder: record(tuning.arena, folder),
    }
    found: dict[str, Any] = {"benchmark": "search"}
    for name, part in parts.items():
        if asked.only in (None, name):
            with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
                found[name] = {**part(Path(folder)), "load": round(os.getloadavg()[0], 1)}
    print(json.dumps(found))


def job_of(trials: int, startup: int = 100) -> JobConfig:
    """Return a search of so many trials beside the one as it is, none of them given up."""
    return JobConfig(
        assets=("BTC",), horizons=(5,), model=BASE, folds=FoldConfig(inner=FOLDS, outer=1),
        search=SearchConfig(trials=trials, startup=startup, side_by_side=8,
                            prune_after_trials=10**6, space=SPACE),
    )  # fmt: skip


# ---- a trial


def trial(arena: Arena, job: JobConfig, folder: Path, rounds: int) -> dict[str, Any]:
    """Time both sides in turn on the same configurations; the best of the rounds counts."""
    stores = {name: f"sqlite:///{folder / name}.db" for name in ("ours", "peer")}
    for store in stores.values():
        check_tracking(store)
    rows = Rows.of(arena)
    timed: dict[str, list[tuple[float, float]]] = {"ours": [], "loop": []}
    for turn in range(rounds):
        choice = clocked(timed["ours"], lambda: ours(arena, job, folder, stores["ours"], turn))  # noqa: B023 - called in this turn
        configs = configs_of(choice, job)
        clocked(timed["loop"], lambda: [loop(rows, config) for config in configs])  # noqa: B023 - likewise
    same_trees(arena, rows, configs)
    tracked: list[tuple[float, float]] = []
    clocked(tracked, lambda: autologged(rows, configs[:1], folder, stores["peer"]))
    per = {name: np.array(found).min(axis=0) / len(configs) for name, found in timed.items()}
    per["autolog"] = np.array(tracked[0])
    return {
        "folds": len(rows.folds),
        "fits": len(rows.folds) * SmallBoosting().seeds,
        "seconds": shown(per, 0),
        "cpu_seconds": shown(per, 1),
        "loop_over_ours": ratio(per["loop"], per["ours"]),
        "autolog_over_ours": ratio(per["autolog"], per["ours"]),
        "same_trees": True,
    }


@dataclass(frozen=True)
class Rows:
    """What the loop learns from: arrays, and the rows of each fold, purged."""

    X: np.ndarray
    y: np.ndarray
    weight: float
    signs: list[int]
    folds: tuple[tuple[np.ndarray, np.ndarray], ...]
    days: tuple[np.datetime64, ...]

    @classmethod
    def of(cls, arena: Arena) -> Rows:
        """Cut them from the arena: a fold a refit, tested until the next."""
        rows = cell_rows(arena.dataset, arena.cells[0], {}, BASE)
        end = arena.folds[-1].end
        refits = [day for day in refit_days(rows, BASE) if day < end]
        there = rows.complete() & ~np.isnan(rows.outcome)
        folds = {}
        for begin, stop in zip(refits, [*refits[1:], end], strict=True):
            test = there & (rows.days >= begin) & (rows.days < stop)
            train = rows.labelled_by(begin) & rows.complete()
            # With fewer rows there are no trees on our side.
            if train.sum() >= BASE.least_labels:
                folds[begin] = np.flatnonzero(train), np.flatnonzero(test)
        assert len(folds) == FOLDS
        return cls(
            rows.features, rows.outcome, 1 / rows.cell.horizon_days, list(signs_of(rows.names)),
            tuple(folds.values()), tuple(folds),
        )  # fmt: skip


def ours(arena: Arena, job: JobConfig, folder: Path, store: str, turn: int) -> Choice:
    """Search, with a journal and a run in MLflow for each trial."""
    space = Space(job.base, job.search.space)
    study = study_of(open_storage(folder / f"journal{turn}"), space)
    choice = search(
        arena, space, job.search, study, begun=lambda *_: None, finished=lambda *_: None
    )
    with connected(store) as client:
        place = experiment_of(client, f"search {turn}", folder / "artifacts")
        parent = client.create_run(place, run_name="job").info.run_id
        for run in trial_runs(choice, space):
            log_ended(client, place, run, int(time.time() * 1000), parent)
        client.set_terminated(parent)
    return choice


def configs_of(choice: Choice, job: JobConfig) -> list[BoostingConfig]:
    """Return what was tried."""
    space = Space(job.base, job.search.space)
    found = [space.configured(tried.choices).boosting for tried in choice.trials]
    assert len({str(config) for config in found}) == len(found)
    assert all(len(tried.outcome.gains) == FOLDS for tried in choice.trials)
    return [config for config in found if config is not None]


def loop(
    rows: Rows,
    config: BoostingConfig,
    watched: Callable[[], AbstractContextManager[Any]] = nullcontext,
    keep: list[list[Any]] | None = None,
) -> float:
    """Fit, forecast and score every fold as one would by hand; return the mean log loss."""
    losses = []
    for train, test in rows.folds:
        margins, fitted = [], []
        for seed in range(SmallBoosting().seeds):
            with watched():
                learner = LGBMClassifier(
                    n_estimators=config.trees, num_leaves=config.leaves,
                    learning_rate=config.learning_rate, min_child_samples=1,
                    min_child_weight=config.least_outcomes_in_leaf / 4,
                    colsample_bytree=config.feature_share, reg_lambda=config.l2, max_bin=63,
                    seed=SEED, feature_fraction_seed=SEED + seed,
                    monotone_constraints=rows.signs, **QUIET,
                )  # fmt: skip
                weight = np.full(len(train), rows.weight)
                learner.fit(rows.X[train], rows.y[train], sample_weight=weight)
                margins.append(learner.predict_proba(rows.X[test], raw_score=True))
                fitted.append(learner.booster_)
        probability = 1 / (1 + np.exp(-np.mean(margins, axis=0)))
        losses.append(log_loss(rows.y[test], probability, labels=[0, 1]))
        if keep is not None:
            keep.append(fitted)
    return float(np.mean(losses))


def autologged(rows: Rows, configs: Sequence[BoostingConfig], folder: Path, store: str) -> None:
    """Run the same loop with each fit autologged, without models, and each trial by callback."""
    import mlflow
    import mlflow.lightgbm
    import optuna
    from optuna_integration import MLflowCallback

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    mlflow.set_tracking_uri(store)
    mlflow.set_registry_uri(store)
    mlflow.create_experiment("peer", artifact_location=(folder / "peer").as_uri())
    mlflow.set_experiment("peer")
    mlflow.lightgbm.autolog(log_models=False, silent=True)
    callback = MLflowCallback(store, create_experiment=False, mlflow_kwargs={"nested": True})
    study = optuna.create_study(storage=f"sqlite:///{folder / 'optuna.db'}")

    @callback.track_in_mlflow()
    def objective(asked: optuna.Trial) -> float:
        config = configs[asked.number]
        for name, value in config.model_dump().items():
            asked.set_user_attr(name, value)
        return loop(rows, config, lambda: mlflow.start_run(nested=True))

    study.optimize(objective, n_trials=len(configs), callbacks=[callback])
    mlflow.lightgbm.autolog(disable=True)


def same_trees(arena: Arena, rows: Rows, configs: Sequence[BoostingConfig]) -> None:
    """See that both sides fit the same models, to the letter of LightGBM's own text."""
    evaluator = Evaluator(arena)
    for config in configs[:2]:
        evaluator.evaluate(BASE.model_copy(update={"boosting": config}))
        kept: list[list[Any]] = []
        loop(rows, config, keep=kept)
        cell = arena.cells[0]
        mine = {day: found for (key, at, day), found in evaluator._experts.items()  # noqa: SLF001 - to see what it fitted
                if at == cell and repr(config) in key}  # fmt: skip
        for day, theirs in zip(rows.days, kept, strict=True):
            boosters = mine[day][0].model.boosters_
            for one, two in zip(boosters, theirs, strict=True):
                assert trees_of(one) == trees_of(two)


def trees_of(booster: Any) -> str:
    """Return the trees of a model, without the names of columns and the parameters."""
    text = booster.model_to_string()
    return str(text[text.index("\nTree=0") : text.index("end of trees")])


# ---- a cluster


def cluster(arena: Arena, job: JobConfig, folder: Path) -> dict[str, Any]:
    """Run the same search on one member and on two; the members are warm, and hold the data."""
    space = Space(job.base, job.search.space)
    found: dict[int, dict[str, Any]] = {}
    for members in (1, 2):
        with local(members) as address, joined(address) as crew:
            walls: list[tuple[float, float]] = []
            for turn, one in enumerate((job_of(2 * members - 1), job)):
                study = study_of(open_storage(folder / f"{members}.{turn}"), space)
                before = crew._client.run(time.process_time)  # noqa: SLF001 - members' own clocks
                choice = clocked(walls, lambda: search(
                    arena, space, one.search, study, crew=crew.trials,  # noqa: B023 - called in this turn
                    begun=lambda *_: None, finished=lambda *_: None,
                ))  # fmt: skip
                after = crew._client.run(time.process_time)  # noqa: SLF001 - likewise
            spent = [after[member] - before[member] for member in before]
            found[members] = {
                "seconds": round(walls[-1][0], 2),
                "cpu_seconds_of_members": [round(value, 2) for value in spent],
                "most": max(spent), "wall": walls[-1][0], "choice": choice.to_json(),
            }  # fmt: skip
    one, two = found[1], found[2]
    assert one.pop("choice") == two.pop("choice")
    return {
        "trials": job.search.trials + 1,
        "two_over_one": round(one["wall"] / two["wall"], 2),
        # As it would be if every member had a core to itself.
        "two_over_one_cpu": round(one.pop("most") / two.pop("most"), 2),
        "one": {k: one[k] for k in ("seconds", "cpu_seconds_of_members")},
        "two": {k: two[k] for k in ("seconds", "cpu_seconds_of_members")},
        "same_choice": True,
    }


@contextmanager
def local(members: int) -> Iterator[str]:
    """Start a cluster as a user does; yield its address."""
    program = Path(sys.executable).parent / "riskon"
    with subprocess.Popen(  # noqa: S603 - our own command
        [program, "cluster", "--local", str(members), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


# ---- a model


def model(tuning: Any, job: JobConfig, folder: Path) -> dict[str, Any]:
    """Log and register a version, as a job does and as MLflow does by default and when told."""
    import mlflow
    import mlflow.lightgbm

    runs = walk_forward(tuning.dataset, tuning.arena.cells, job.base)
    bundle = bundle_of(runs, tuning.dataset, job.base, "0" * 64)
    booster = next(iter(bundle.snapshots.values()))[-1].experts[0].model.boosters_[0]
    store = f"sqlite:///{folder / 'mlflow.db'}"
    check_tracking(store)
    mlflow.set_tracking_uri(store)
    mlflow.set_registry_uri(store)
    with connected(store) as client:
        place = experiment_of(client, "models", folder / "artifacts")
        run = client.create_run(place).info.run_id
        client.create_registered_model("ours")

        saved = iter([folder / f"bundle{turn}" for turn in range(8)])
        there = folder / "bundle"
        bundle.save(there)

        def ours_logged() -> None:
            client.log_artifacts(run, str(there), "bundle")
            made = client.create_model_version("ours", f"runs:/{run}/bundle", run)
            client.set_registered_model_alias("ours", "challenger", made.version)

        def peer(**more: Any) -> None:
            with mlflow.start_run(experiment_id=place):
                mlflow.lightgbm.log_model(
                    booster, name="model", registered_model_name="peer", **more
                )

        told = {"pip_requirements": ["lightgbm"]}
        timed = {
            "ours": best(ours_logged, 7),
            "ours_saved_before": best(lambda: bundle.save(next(saved)), 7),
            "mlflow_told": best(lambda: peer(**told), 5),
            "mlflow_by_default": best(peer, 1),
        }
    held = [s.experts[0].model.boosters_ for found in bundle.snapshots.values() for s in found
            if s.experts]  # fmt: skip
    return {
        "boosters_of_ours": sum(len(boosters) for boosters in held),
        "boosters_of_mlflow": 1,
        "seconds": shown(timed, 0),
        "cpu_seconds": shown(timed, 1),
        "default_over_ours": ratio(timed["mlflow_by_default"], timed["ours"]),
    }


# ---- the record


def record(arena: Arena, folder: Path) -> dict[str, Any]:
    """Run searches whose trials cost nothing: what is left is proposing and recording."""
    import optuna
    from optuna_integration import MLflowCallback

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    job = job_of(RECORDED, startup=10)
    space = Space(job.base, job.search.space)
    sizes = sizes_of(space)
    gains = np.random.default_rng(0).normal(size=(RECORDED + 1, FOLDS)).tolist()

    @contextmanager
    def nothing(_arena: Arena) -> Iterator[Run]:
        def run(places: Sequence[int], begin: Begin) -> Iterator[tuple[int, Outcome]]:
            for place in places:
                begin(place)
                yield place, Outcome(tuple(gains[place]))

        yield run

    def searched(storage: Any) -> None:
        study = study_of(storage, space)
        search(arena, space, job.search, study, crew=nothing,
               begun=lambda *_: None, finished=lambda *_: None)  # fmt: skip

    def optuna_alone(storage: str | None, callbacks: list[Any], trials: int) -> None:
        sampler = optuna.samplers.TPESampler(n_startup_trials=job.search.startup, seed=SEED)
        study = optuna.create_study(storage=storage, sampler=sampler, direction="maximize")

        def objective(asked: optuna.Trial) -> float:
            for name, count in sizes.items():
                asked.suggest_int(name, 0, count - 1)
            for step, value in enumerate(gains[asked.number]):
                asked.report(value, step)
            return float(np.mean(gains[asked.number]))

        study.optimize(objective, n_trials=trials, callbacks=callbacks)

    store = f"sqlite:///{folder / 'mlflow.db'}"
    check_tracking(store)
    fresh = iter(range(100))
    callback = MLflowCallback(store)
    whole = RECORDED + 1
    timed = {
        "ours_journal": best(lambda: searched(open_storage(folder / str(next(fresh)))), 5) / whole,
        "ours_in_memory": best(lambda: searched(optuna.storages.InMemoryStorage()), 5) / whole,
        "optuna_in_memory": best(lambda: optuna_alone(None, [], whole), 5) / whole,
        "optuna_sqlite": best(
            lambda: optuna_alone(f"sqlite:///{folder / 'one.db'}", [], FEW), 1
        ) / FEW,
        "optuna_sqlite_and_mlflow": best(
            lambda: optuna_alone(f"sqlite:///{folder / 'two.db'}", [callback], FEW), 1
        ) / FEW,
    }  # fmt: skip
    return {
        "trials": whole,
        "seconds_a_trial": shown(timed, 0, 5),
        "cpu_seconds_a_trial": shown(timed, 1, 5),
        "journal_over_memory": ratio(timed["ours_journal"], timed["ours_in_memory"]),
        "journal_over_optuna_in_memory": ratio(timed["ours_journal"], timed["optuna_in_memory"]),
    }


# ---- what the parts share


def study_of(storage: Any, space: Space) -> DurableStudy:
    """Begin a record of the space."""
    return DurableStudy(storage, "benchmark", sizes_of(space))


def sizes_of(space: Space) -> dict[str, int]:
    """Return how many choices each axis has."""
    return {name: len(choices) for name, choices in space.choices.items()}


def clocked(timed: list[tuple[float, float]], work: Callable[[], Any]) -> Any:
    """Do it, and keep the seconds and the CPU seconds that it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    timed.append((time.perf_counter() - wall, time.process_time() - cpu))
    return found


def best(work: Callable[[], object], rounds: int) -> np.ndarray:
    """Return the least seconds, and CPU seconds of this process, of the rounds."""
    timed: list[tuple[float, float]] = []
    for _ in range(rounds):
        clocked(timed, work)
    return np.array(timed).min(axis=0)


def shown(timed: dict[str, np.ndarray], at: int, digits: int = 3) -> dict[str, float]:
    """Return the seconds (0) or the CPU seconds (1) by name."""
    return {name: round(float(one[at]), digits) for name, one in timed.items()}


def ratio(one: np.ndarray, other: np.ndarray) -> list[float]:
    """Return how often the other's seconds and CPU seconds go into the one's."""
    return [round(float(value), 2) for value in one / other]


if __name__ == "__main__":
    main()
