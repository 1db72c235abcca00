"""The search: the same whatever happens on the way, blind to the outer folds, doing no harm."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from searches import JOB, run_search, sizes_of

from features import build_dataset
from models import Cell, ModelConfig, cells_of, log_loss
from models.config import BoostingConfig
from models.online import cell_rows, online_rows
from sources import Market
from sources.errors import InsufficientHistoryError, UnknownNameError
from training.durable import DurableStudy, Tried, open_storage, prune_rule
from training.folds import folds_of, worth_scoring
from training.job import run_job
from training.jobfile import FoldConfig, JobConfig, SearchConfig
from training.search import Choice, choose
from training.space import DEFAULT_SPACE, Axis, Space
from training.splits import Span
from training.trial import Arena, Evaluator, Outcome
from training.tuning import Tuning, prepare
from training.walkforward import run_cell
from training.workers import _Pool

CHILD = Path(__file__).parents[1] / "searches.py"


@pytest.fixture(scope="module")
def tuning(market: Market) -> Tuning:
    return prepare(market, JOB)


@pytest.fixture(scope="module")
def clean(tuning: Tuning, tmp_path_factory: pytest.TempPathFactory) -> Choice:
    """Return what the search chooses when nothing happens on the way."""
    return run_search(tmp_path_factory.mktemp("clean"), tuning)


def days(begin: str, end: str) -> np.ndarray:
    return np.arange(np.datetime64(begin), np.datetime64(end) + 1)


def test_folds_are_whole_quarters_of_the_calendar() -> None:
    # The days end with 2022-12-30; twelve months back is 2021-12-31, and the next quarter begins
    # with 2022. From 2019-10 to then are 9 quarters, three a fold; 20 days before 2022 are unseen.
    found = folds_of(
        days("2019-01-02", "2022-12-30"),
        np.datetime64("2019-09-12"),
        FoldConfig(inner=3, outer=1, embargo_days=20),
    )
    assert [(str(span.begin), str(span.end)) for span in found.inner] == [
        ("2019-10-01", "2020-07-01"),
        ("2020-07-01", "2021-04-01"),
        ("2021-04-01", "2021-12-12"),
    ]
    assert [(str(span.begin), str(span.end)) for span in found.outer] == [
        ("2022-01-01", "2022-12-31")
    ]
    assert str(found.seen) == "2021-12-11"
    assert found.cut == pd.Timestamp("2021-12-12", tz="UTC")


def test_a_day_more_moves_no_fold_until_a_quarter_is_over() -> None:
    config = FoldConfig(inner=3, outer=2, outer_months=6)
    begins = {
        tuple(str(span.begin) for span in (*found.inner, *found.outer))
        for end in ("2022-10-01", "2022-11-15", "2022-12-30")
        for found in [folds_of(days("2019-01-02", end), np.datetime64("2019-10-01"), config)]
    }
    assert len(begins) == 1


def test_C10_a_history_too_short_for_the_folds_says_how_many_quarters() -> None:
    with pytest.raises(InsufficientHistoryError, match="needed at least 6 quarters; found 1"):
        folds_of(days("2019-01-02", "2022-12-30"), np.datetime64("2021-09-12"),
                 FoldConfig(inner=6, outer=1))  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        pytest.param(np.ones(400), "needed both kinds; found 365 times 1", id="one class"),
        pytest.param(np.full(400, np.nan), "needed at least 30; found 0", id="no outcome"),
        pytest.param(np.append(np.full(371, np.nan), np.ones(29)), "found 29", id="too few"),
    ],
)
def test_C10_a_cell_that_cannot_tell_trials_apart_is_named_before_any_fit(
    tuning: Tuning, outcome: np.ndarray, said: str
) -> None:
    dataset = tuning.arena.dataset
    rows = cell_rows(dataset, Cell("BTC", 5), {}, JOB.base)
    short = replace(rows, days=rows.days[:400], outcome=outcome, usable=np.ones(400, dtype=bool))
    begin = rows.days[0] if "found 29" in said else rows.days[35]
    reason = worth_scoring(short, [Span(begin, rows.days[400])], np.ones(400, dtype=bool))
    assert reason is not None
    assert said in reason


def test_C10_a_gain_that_is_not_finite_fails_the_trial(tuning: Tuning) -> None:
    dataset = tuning.arena.dataset
    broken = replace(dataset, volatility=np.full(dataset.volatility.shape, np.inf))
    arena = Arena(broken, tuning.arena.cells, tuning.arena.folds, (7,))
    evaluator = Evaluator(arena)
    with np.errstate(all="ignore"):
        found = evaluator.evaluate(JOB.base)
    assert found.failure is None or "needed a finite gain" in found.failure
    assert np.isfinite(found.gains).all()


def test_a_trial_walks_as_the_walk_forward_does_to_the_bit(tuning: Tuning) -> None:
    """Fold by fold, with signals and classifiers shared: the same gains as in one go."""
    arena = tuning.arena
    evaluator = Evaluator(arena)
    evaluator.evaluate(Space(JOB.base, JOB.search.space).configured(
        {**Space(JOB.base, JOB.search.space).start, "mixture.rate": 0}
    ))  # fmt: skip
    gains = evaluator.evaluate(JOB.base).gains
    online = online_rows(arena.dataset, arena.cells, JOB.base)
    run = run_cell(cell_rows(arena.dataset, arena.cells[0], online, JOB.base), JOB.base)
    at = np.searchsorted(run.rows.days, run.path.days)
    outcome = run.rows.outcome[at]
    known = run.rows.usable[at] & ~np.isnan(outcome)
    for span, gain in zip(arena.folds, gains, strict=True):
        inside = known & span.holds(run.path.days)
        expected = log_loss(outcome[inside], run.path.base_rate[inside]) - log_loss(
            outcome[inside], run.path.probability[inside]
        )
        assert gain == 1000 * expected.mean()


def test_trees_on_rows_binned_for_other_settings_are_the_same_to_the_byte(tuning: Tuning) -> None:
    shared, alone = Evaluator(tuning.arena), Evaluator(tuning.arena)
    other = BoostingConfig(trees=3, leaves=8, learning_rate=0.2, least_outcomes_in_leaf=2.0)
    shared.evaluate(JOB.base.model_copy(update={"boosting": other}))
    assert shared.evaluate(JOB.base) == alone.evaluate(JOB.base)
    both = [
        [model.state() for key, found in kept._experts.items() if "trees=4" in key[0]
         for model in found if model.name == "boosting"]
        for kept in (shared, alone)
    ]  # fmt: skip
    assert both[0]
    assert both[0] == both[1]


def test_thresholds_seeds_and_several_assets_are_averaged(market: Market) -> None:
    job = JOB.model_copy(update={
        "assets": ("BTC", "ETH"), "thresholds": (0.0, 0.02), "seeds": (1, 2),
    })  # fmt: skip
    made = prepare(market, job)
    assert len(made.arena.cells) == 4
    both = Evaluator(made.arena).evaluate(job.base).gains
    single = [
        Evaluator(replace(made.arena, seeds=(seed,))).evaluate(job.base).gains for seed in (1, 2)
    ]
    assert both == pytest.approx(np.mean(single, axis=0).tolist(), rel=1e-12)
    assert single[0] != single[1]


def mirrored_from(market: Market, instant: pd.Timestamp) -> Market:
    """Turn each rise of crypto prices after an instant into a fall, and each fall into a rise."""
    prices = dict(market.prices)
    for asset in market.crypto:
        table = prices[asset].copy()
        late = (table["available_at"] > instant).to_numpy()
        last = table["close"].to_numpy()[~late][-1]
        table.loc[late, "close"] = last**2 / table.loc[late, "close"]
        prices[asset] = table
    return replace(market, prices=prices)


def test_outcomes_of_the_outer_folds_change_no_trial_and_no_choice(
    market: Market, tmp_path: Path
) -> None:
    # Without embargo, and with a horizon whose last labels would end among the outer days.
    job = JOB.model_copy(update={
        "horizons": (20,), "folds": FoldConfig(inner=3, outer=1, embargo_days=0),
        "search": JOB.search.model_copy(update={"trials": 4}),
    })  # fmt: skip
    made = prepare(market, job)
    changed = mirrored_from(market, made.folds.cut)
    other = prepare(changed, job)
    outer = made.folds.outer[0].holds(made.dataset.days.to_numpy("datetime64[D]"))
    one, two = (d.labels("BTC", 20).outcome[outer] for d in (made.dataset, other.dataset))
    assert (one != two).mean() > 0.9
    first = run_search(tmp_path / "first", made, job=job)
    second = run_search(tmp_path / "second", other, job=job)
    assert first == second
    assert len(first.trials) == 5


def test_C11_the_same_seed_twice_gives_the_same_bytes(
    market: Market, tuning: Tuning, clean: Choice, tmp_path: Path
) -> None:
    again = run_search(tmp_path, tuning)
    assert again.to_json() == clean.to_json()
    bundles = [
        run_job(market, ("BTC",), (5,), choice.config).bundle.save(tmp_path / name)
        for name, choice in (("one", clean), ("two", again))
    ]
    assert bundles[0].digest == bundles[1].digest
    texts = [
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.txt")}
        for n in ("one", "two")
    ]
    assert texts[0] == texts[1]


def test_another_seed_searches_elsewhere(tuning: Tuning, clean: Choice, tmp_path: Path) -> None:
    job = JOB.model_copy(update={"search": JOB.search.model_copy(update={"seed": 8, "trials": 3})})
    other = run_search(tmp_path, tuning, job=job)
    assert [t.choices for t in other.trials] != [t.choices for t in clean.trials[:4]]


def test_some_trials_are_given_up_and_none_of_those_is_chosen(clean: Choice) -> None:
    pruned = {tried.place for tried in clean.trials if tried.outcome.pruned}
    assert pruned
    assert not pruned & {clean.place, clean.best, 0}
    assert all(len(clean.trials[place].outcome.gains) < 3 for place in pruned)


def test_C12_and_C14_workers_are_spawned_and_one_that_is_killed_costs_nothing_but_time(
    tuning: Tuning, clean: Choice, tmp_path: Path
) -> None:
    """The parent has used LightGBM by now, after which a forked child would hang."""
    pool = _Pool(tuning.arena, 2)
    assert pool._pool._mp_context.get_start_method() == "spawn"
    pool.close()
    others, killed = set(multiprocessing.active_children()), []

    def kill_one(place: int, _config: ModelConfig) -> None:
        """Stop the workers, so that this trial cannot end before one of them is killed."""
        if place != 3 or killed:
            return
        ours = sorted(c.pid for c in set(multiprocessing.active_children()) - others)
        killed.append(ours[0])
        for pid in ours:
            os.kill(pid, signal.SIGSTOP)

        def end() -> None:
            os.kill(ours[0], signal.SIGKILL)
            for pid in ours[1:]:
                os.kill(pid, signal.SIGCONT)

        threading.Timer(0.5, end).start()

    found = run_search(tmp_path, tuning, workers=2, begun=kill_one)
    assert killed
    assert found.to_json() == clean.to_json()
    record = open_storage(tmp_path)
    trials = record.get_all_trials(record.get_study_id_from_name("small"))
    # What the killed worker, and the other of its pool, had begun was begun again.
    assert 10 < len(trials) <= 12
    assert sorted({t.user_attrs["place"] for t in trials}) == list(range(10))


def test_C12_a_place_whose_process_keeps_dying_fails_in_the_end(
    tuning: Tuning, tmp_path: Path
) -> None:
    space = Space(JOB.base, JOB.search.space)
    sizes = sizes_of(space)
    for _ in range(JOB.search.retries + 1):
        study = DurableStudy(open_storage(tmp_path), "small", sizes)
        assert study.finished(JOB.search.retries + 1) == {}
        study.begin(1, space.start)
        assert study.release_stale() == [1]
    found: list[int] = []
    choice = run_search(tmp_path, tuning, begun=lambda place, _config: found.append(place))
    assert 1 not in found
    assert choice.trials[1].outcome.failure is not None
    assert len(choice.trials) == 10


@pytest.mark.parametrize("point", ["before_trial_stored@2", "after_trial_stored@5"])
def test_C12_kill_9_loses_at_most_the_running_trial_and_the_rest_goes_on_alike(
    clean: Choice, tmp_path: Path, point: str
) -> None:
    command = [sys.executable, str(CHILD), str(tmp_path), "1"]
    killed = subprocess.run(
        command, env={**os.environ, "CRASHPOINT": f"{point}:SIGKILL"}, capture_output=True,
        text=True, check=False, timeout=200,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    begun = killed.stderr.count("begun")
    resumed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    assert resumed.stdout == clean.to_json()
    # Ten places: all that was stored stays, so what ran at the kill is the most that ran twice.
    lost = 1 if point.startswith("before") else 0
    assert begun + resumed.stderr.count("begun") == 10 + lost


def test_a_torn_last_line_of_the_journal_is_cut_and_the_search_goes_on(
    tuning: Tuning, clean: Choice, tmp_path: Path
) -> None:
    short = JOB.model_copy(update={"search": JOB.search.model_copy(update={"trials": 2})})
    run_search(tmp_path, tuning, job=short)
    journal = tmp_path / "journal.log"
    journal.write_bytes(journal.read_bytes()[:-9])
    (tmp_path / "journal.log.lock").symlink_to("nowhere")
    found: list[int] = []
    choice = run_search(tmp_path, tuning, begun=lambda place, _config: found.append(place))
    assert found == list(range(2, 10))
    assert choice.to_json() == clean.to_json()


def test_a_database_by_url_holds_the_record_as_well(
    tuning: Tuning, clean: Choice, tmp_path: Path
) -> None:
    short = JOB.model_copy(update={"search": JOB.search.model_copy(update={"trials": 1})})
    url = f"sqlite:///{tmp_path / 'trials.db'}"
    run_search(tmp_path, tuning, job=short, url=url)
    found: list[int] = []
    again = run_search(tmp_path, tuning, url=url, begun=lambda place, _config: found.append(place))
    assert found == list(range(2, 10))
    assert again.to_json() == clean.to_json()


def outcome_of(*gains: float, **changes: object) -> Outcome:
    return Outcome(gains, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("gains", "chosen", "said"),
    [
        # Three were tried beside it, so 1 error and ndtri(3/4) = 0.67 are needed.
        # Differences 1, 1, 4: mean 2, deviation sqrt(3), standard error 1.
        pytest.param((2.0, 3.0, 7.0), 1, "Chose trial 1", id="beats it"),
        # Differences 0.5, 0.5, 3.5: mean 1.5, standard error 1: one try would do, three will not.
        pytest.param((1.5, 2.5, 6.5), 0, "needed 1.67 standard errors of 1.00", id="luck of three"),
        # Differences 4, -2, 1: mean 1, deviation 3, standard error 1.73.
        pytest.param((5.0, 0.0, 4.0), 0, "is no surer gain", id="within the error"),
        pytest.param((0.0, 1.0, 2.0), 0, "none of 1 did better", id="worse"),
    ],
)
def test_the_configuration_as_it_is_stays_unless_beaten_by_more_than_the_error(
    gains: tuple[float, ...], chosen: int, said: str
) -> None:
    space = Space(ModelConfig(), {"mixture.rate": Axis(factors=(0.5, 1.0))})
    known = {
        0: Tried(0, space.start, outcome_of(1.0, 2.0, 3.0)),
        1: Tried(1, {"mixture.rate": 0}, outcome_of(*gains)),
        2: Tried(2, {"mixture.rate": 0}, outcome_of(99.0, pruned=True)),
        3: Tried(3, {"mixture.rate": 0}, outcome_of(failure="lost")),
    }
    if "none" in said:
        known = {0: known[0], 1: known[1]}
    found = choose(space, known, SearchConfig())
    assert found.place == chosen
    assert said in found.sentence
    assert (found.config == space.base) == (chosen == 0)


def test_one_try_needs_one_error_and_no_more() -> None:
    space = Space(ModelConfig(), {"mixture.rate": Axis(factors=(0.5, 1.0))})
    tried = Tried(1, {"mixture.rate": 0}, outcome_of(1.5, 2.5, 6.5))
    known = {0: Tried(0, space.start, outcome_of(1.0, 2.0, 3.0)), 1: tried}
    assert choose(space, known, SearchConfig()).place == 1
    assert choose(space, known, SearchConfig(margin=1.6)).place == 0


@pytest.mark.parametrize(
    ("fold", "mean", "given_up"),
    [
        # Means so far of three trials: 1, 1.5, 2; 2, 2, 2; 3, 2.5, 2. The medians are 2, 2, 2.
        pytest.param(0, -9.0, False, id="too early"),
        pytest.param(1, 1.9, True, id="below the median"),
        pytest.param(1, 2.0, False, id="at the median"),
    ],
)
def test_a_trial_below_the_median_of_whole_ones_is_given_up(
    fold: int, mean: float, given_up: bool
) -> None:
    gains = ((1.0, 2.0, 3.0), (2.0, 2.0, 2.0), (3.0, 2.0, 1.0))
    history = [Tried(place, {}, outcome_of(*one)) for place, one in enumerate(gains)]
    config = SearchConfig(prune_after_trials=3, prune_after_folds=2)
    assert prune_rule(history[:2], config) is None
    rule = prune_rule([*history, Tried(3, {}, outcome_of(-99.0, pruned=True))], config)
    assert rule is not None
    assert rule(fold, mean) is given_up


def test_without_a_score_of_the_configuration_as_it_is_there_is_no_choice() -> None:
    space = Space(ModelConfig(), {"mixture.rate": Axis(factors=(0.5, 1.0))})
    known = {0: Tried(0, space.start, outcome_of(failure="too short"))}
    with pytest.raises(InsufficientHistoryError, match="too short"):
        choose(space, known, SearchConfig())


def test_every_axis_of_the_default_space_changes_the_model_and_starts_as_it_is() -> None:
    space = Space(ModelConfig(), DEFAULT_SPACE)
    assert set(space.choices) == set(DEFAULT_SPACE)
    assert space.configured(space.start) == ModelConfig()
    for name, choices in space.choices.items():
        assert len(choices) > 1
        for at in range(len(choices)):
            if at != space.start[name]:
                changed = space.configured({**space.start, name: at})
                assert changed.digest != ModelConfig().digest, name


def test_a_block_left_out_leaves_signals_and_classifiers_and_stays_in_the_dataset() -> None:
    space = Space(ModelConfig(), {"blocks.flows": Axis(off=True)})
    changed = space.configured({"blocks.flows": 1})
    assert changed.signals is not None
    assert "flow" not in changed.signals.groups
    assert changed.classifier_features is not None
    assert not [name for name in changed.classifier_features if name.startswith("flow")]
    assert "nearness_52w" in changed.classifier_features
    assert changed.features == ModelConfig().features


def test_an_axis_of_a_part_that_is_not_there_offers_nothing() -> None:
    space = Space(ModelConfig(boosting=None), DEFAULT_SPACE)
    assert "boosting" not in space.choices
    assert "boosting.trees" not in space.choices


@pytest.mark.parametrize(
    "axes",
    [
        {"signals.efect": Axis(factors=(1.0, 2.0))},
        {"blocks.astrology": Axis(off=True)},
        {"mixture": Axis(off=True)},
        {"signals.groups": Axis(values=(1.0, 2.0))},
    ],
)
def test_an_axis_that_names_nothing_is_refused(axes: dict[str, Axis]) -> None:
    with pytest.raises(UnknownNameError):
        Space(ModelConfig(), axes)


@pytest.mark.parametrize(
    "content",
    [
        {"search": {"trails": 5}},
        {"seeds": []},
        {"search": {"trials": 1}, "model": {"refit_months": 12}},
        {"search": {"space": {"rules": {"off": True, "values": [1]}}}},
    ],
)
def test_a_job_that_cannot_be_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"Extra inputs|at least 1|refit_months|one of factors"):
        JobConfig.model_validate(content)


def test_a_job_is_hashed_whole() -> None:
    assert JobConfig().digest == JobConfig().digest
    assert JobConfig(seeds=(8,)).digest != JobConfig().digest
    assert JobConfig(seeds=(8,)).base.seed == 8


def test_cells_too_young_for_the_inner_folds_score_no_trial(market: Market) -> None:
    table = market.prices["ETH"]
    late = table[table["date"] >= "2021-06-01"].reset_index(drop=True)
    young = replace(market, prices={**market.prices, "ETH": late})
    job = JOB.model_copy(update={"assets": ("BTC", "ETH")})
    made = prepare(young, job)
    assert made.arena.cells == cells_of(("BTC",), (5,))
    assert "ETH" in str(next(iter(made.thin)))
    only = JOB.model_copy(update={"assets": ("ETH",), "folds": FoldConfig(inner=2, outer=1)})
    with pytest.raises(InsufficientHistoryError):
        prepare(young, only)


def test_the_folds_are_drawn(tuning: Tuning) -> None:
    from training.plots import folds_plot

    drawn = folds_plot(tuning.dataset.days.to_numpy("datetime64[D]"), tuning.folds)
    assert drawn.startswith(b"\x89PNG")
    assert drawn == folds_plot(tuning.dataset.days.to_numpy("datetime64[D]"), tuning.folds)


def test_the_arena_knows_nothing_after_its_cut(market: Market, tuning: Tuning) -> None:
    assert str(tuning.arena.dataset.days[-1].date()) == str(tuning.folds.seen)
    direct = build_dataset(market.as_of(tuning.folds.cut), market.crypto)
    np.testing.assert_array_equal(direct.values, tuning.arena.dataset.values)


def test_a_trial_that_is_done_is_on_disk_and_waits_for_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial is begun, gets its folds, and ends: three lines, of which the last is waited for."""
    space = Space(JOB.base, JOB.search.space)
    study = DurableStudy(open_storage(tmp_path), "small", sizes_of(space))
    lines, synced = (tmp_path / "journal.log").read_text().count("\n"), []
    sync = os.fsync

    def counted(handle: int) -> None:
        synced.append(os.fstat(handle).st_size)
        sync(handle)

    monkeypatch.setattr(os, "fsync", counted)
    study.finish(study.begin(0, space.start), outcome_of(1.0, 2.0, 3.0))
    written = (tmp_path / "journal.log").read_bytes()
    assert written.count(b"\n") == lines + 3
    assert synced == [len(written)]
    again = DurableStudy(open_storage(tmp_path), "small", sizes_of(space))
    assert again.finished(1)[0].outcome.gains == (1.0, 2.0, 3.0)
