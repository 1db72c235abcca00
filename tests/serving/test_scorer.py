"""The scorer: what it reads, when it abstains, and what it does not make twice."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from features import build_dataset
from models import Cell, ModelBundle
from serving import Champion, Ledger, Score, Scorer, scorable_days
from sources import (
    DataUnavailableError,
    LookAheadError,
    Market,
    SchemaError,
    UnknownNameError,
    as_of_instant,
)

DAY = date(2024, 5, 15)
T = as_of_instant("2024-05-15")
NOW = datetime(2024, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def scorer(bundle: ModelBundle, champion: Champion, ledger: Ledger) -> Scorer:
    return Scorer(bundle, champion, ledger, clock=lambda: NOW)


class Forgetful(Ledger):
    """Keeps nothing, so that every score is made anew."""

    def record(self, scores: object) -> tuple[Score, ...]:
        return tuple(scores)  # type: ignore[call-overload]

    def find(self, *_: object, **__: object) -> tuple[Score, ...]:
        return ()


@pytest.fixture
def anew(bundle: ModelBundle, champion: Champion, ledger: Ledger) -> Scorer:
    return Scorer(bundle, champion, Forgetful(ledger.engine), clock=lambda: NOW)


def changed(market: Market, change: Callable[[str, pd.DataFrame], pd.DataFrame]) -> Market:
    """Return a market with each table changed, its own left alone."""
    folders: dict[str, dict[str, pd.DataFrame]] = {"flows": {}, "macro": {}, "prices": {}}
    for folder, symbol, table in market.tables():
        folders[folder][symbol] = change(f"{folder}/{symbol}", table.copy())
    return replace(market, **folders)  # type: ignore[arg-type]


def without(market: Market, name: str, since: str) -> Market:
    """Return a market whose one table ends before a date."""
    return changed(market, lambda n, t: t[t["date"] < since] if n == name else t)


def test_every_question_of_the_bundle_gets_a_probability(
    scorer: Scorer, market: Market, bundle: ModelBundle
) -> None:
    scores = scorer.score(market, DAY)
    assert [(s.asset, s.horizon_days) for s in scores] == [
        (c.asset, c.horizon_days) for c in bundle.cells
    ]
    for score in scores:
        assert not score.abstained
        assert 0 < score.lower < score.probability < score.upper < 1  # type: ignore[operator]
        assert score.model.digest == bundle.digest
        assert score.data.digest == market.digest(T)
        assert {read.name for read in score.data.inputs} == {
            "flows/IWM", f"prices/{score.asset}", "prices/IWM", "prices/SPY",
        }  # fmt: skip
        # Drivers add up to the log-odds against the base rate.
        odds = [p / (1 - p) for p in (score.probability, score.base_rate)]  # type: ignore[operator]
        moved = sum(driver.contribution for driver in score.drivers)
        assert moved == pytest.approx(np.log(odds[0] / odds[1]), abs=1e-12)
        # So do the experts, whose weights add up to 1.
        moved = sum(expert.contribution for expert in score.experts)
        assert moved == pytest.approx(np.log(odds[0] / odds[1]), abs=1e-12)
        assert sum(expert.weight for expert in score.experts) == pytest.approx(1, abs=1e-12)
        assert {expert.name for expert in score.experts} == {
            "climatology", "signals", "rules", "logistic", "boosting",
        }  # fmt: skip


def test_the_number_is_the_bundles_own_on_the_whole_market(
    scorer: Scorer, market: Market, bundle: ModelBundle
) -> None:
    dataset = build_dataset(market, ["BTC", "ETH"], bundle.config.features)
    for score in scorer.score(market, DAY):
        cell = Cell(score.asset, score.horizon_days)
        made = bundle.forecast(dataset, [cell], np.datetime64("2024-05-15"))[cell]
        assert made is not None
        assert (score.probability, score.base_rate) == (made.probability, made.base_rate)


def corrupt(_: str, table: pd.DataFrame) -> pd.DataFrame:
    """Multiply whatever became known after T(d), and revise the past then."""
    late = table["available_at"] > T
    numbers = table.columns.difference(["date", "available_at"])
    table.loc[late, numbers] *= 1e6
    revised = table[~late].tail(50).copy()
    revised[numbers] *= -3.0
    revised["available_at"] = T + pd.Timedelta(microseconds=1)
    both = pd.concat([table, revised]).sort_values(["date", "available_at"], kind="stable")
    return both.reset_index(drop=True)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda m: changed(m, corrupt), id="B01-corrupted-after"),
        pytest.param(
            lambda m: changed(m, lambda _, t: t[t["available_at"] <= T]), id="B02-cut-off-after"
        ),
    ],
)
def test_what_came_after_the_day_changes_no_bit_of_its_scores(
    anew: Scorer, market: Market, other: Callable[[Market], Market]
) -> None:
    was, now = anew.score(market, DAY), anew.score(other(market), DAY)
    assert [s.model_dump_json() for s in was] == [s.model_dump_json() for s in now]


def test_an_asset_alone_scores_as_it_does_among_others(anew: Scorer, market: Market) -> None:
    together = anew.score(market, DAY)
    alone = anew.score(market, DAY, ["ETH"], [5])
    assert [s.model_dump_json() for s in alone] == [
        s.model_dump_json() for s in together if (s.asset, s.horizon_days) == ("ETH", 5)
    ]


def test_a_table_that_knows_the_future_is_refused_b01(anew: Scorer, market: Market) -> None:
    class Leaky(Market):
        def as_of(self, _: pd.Timestamp) -> Market:
            return self

    fields = {name: getattr(market, name) for name in Market.__dataclass_fields__}
    with pytest.raises(
        LookAheadError, match="needed available_at at or before 2024-05-16T00:00:00"
    ):
        anew.score(Leaky(**fields), DAY)


def test_the_default_day_is_the_last_with_crypto_bars(scorer: Scorer, market: Market) -> None:
    assert {score.as_of for score in scorer.score(market)} == {date(2024, 6, 20)}


def test_a_day_that_is_not_over_is_no_day_yet(market: Market) -> None:
    # T(2024-06-20) is the midnight that begins the 21st.
    before = datetime(2024, 6, 20, 23, 59, 59, tzinfo=UTC)
    assert scorable_days(market, before)[1] == date(2024, 6, 19)
    assert scorable_days(market, datetime(2024, 6, 21, tzinfo=UTC))[1] == date(2024, 6, 20)


@pytest.mark.parametrize(
    ("day", "needed"),
    [
        pytest.param(date(2024, 6, 21), "from 2022-01-01 to 2024-06-20", id="D09-after-the-data"),
        pytest.param(date(9999, 12, 31), "from 2022-01-01 to 2024-06-20", id="D09-far-future"),
        pytest.param(date(2021, 12, 31), "from 2022-01-01 to 2024-06-20", id="D11-before-the-data"),
        pytest.param(date(2023, 12, 31), "from 2024-01-01, the model's", id="D11-before-the-model"),
    ],
)
def test_a_day_outside_is_refused_with_the_range(
    scorer: Scorer, market: Market, ledger: Ledger, day: date, needed: str
) -> None:
    with pytest.raises(DataUnavailableError, match=needed):
        scorer.score(market, day)
    assert ledger.find() == ()


def test_unknown_names_are_refused_with_the_known_d12(scorer: Scorer, market: Market) -> None:
    with pytest.raises(UnknownNameError, match="unknown asset 'btc': known are BTC, ETH"):
        scorer.score(market, DAY, ["btc"])
    with pytest.raises(UnknownNameError, match="unknown horizon '7': known are 1, 5"):
        scorer.score(market, DAY, None, [7])


@pytest.mark.parametrize(
    ("name", "since", "reason"),
    [
        # 2024-05-07 closes 20:00 UTC; T(d) is 8 days and 4 hours later.
        pytest.param("prices/IWM", "2024-05-08", "prices/IWM is 8.2 days old, limit 7", id="A30-equity"),  # noqa: E501
        # The flow of 2024-05-02 is known on the 3rd 13:00 UTC: 12 days and 11 hours.
        pytest.param("flows/IWM", "2024-05-03", "flows/IWM is 12.5 days old, limit 10", id="A30-flows"),  # noqa: E501
        pytest.param("prices/ETH", "2024-05-15", "no bar of ETH on the day", id="A30-crypto"),
    ],
)  # fmt: skip
def test_stale_inputs_make_it_abstain_and_say_so(
    scorer: Scorer, market: Market, name: str, since: str, reason: str
) -> None:
    (score,) = scorer.score(without(market, name, since), DAY, ["ETH"], [5])
    assert score.abstained
    assert score.probability is None
    assert reason in (score.reason or "")


def test_the_base_rate_stands_in_where_the_deployment_says_so_and_says_that_it_does(
    bundle: ModelBundle, champion: Champion, ledger: Ledger, market: Market
) -> None:
    scorer = Scorer(bundle, champion, ledger, clock=lambda: NOW, fallback="climatology")
    stale = without(market, "prices/IWM", "2024-05-08")
    (score,) = scorer.score(stale, DAY, ["ETH"], [5])
    assert not score.abstained
    assert score.probability == score.base_rate
    assert (score.reason or "").startswith("the base rate, in place of the model: stale: ")
    assert (score.drivers, score.experts) == ((), ())
    assert score.base_rate is not None
    assert score.lower is not None
    assert score.upper is not None
    # The interval of a base rate alone: n labels that overlap h days are n/h + 2 of their own, and
    # half its width in log-odds is z / sqrt((n/h + 2) p (1 - p)); z = 1.6449 is that of 90 %. The
    # market has about 865 days until then, 860 of them labelled.
    p = score.base_rate
    half = 1.6449 / np.sqrt((860 / 5 + 2) * p * (1 - p))
    odds = np.log(p / (1 - p))
    assert np.log(score.upper / (1 - score.upper)) - odds == pytest.approx(half, rel=0.02)
    assert odds - np.log(score.lower / (1 - score.lower)) == pytest.approx(half, rel=0.02)
    assert ledger.find(DAY) == (score,)  # a number that was said is on record
    # Where there is not even a base rate there is no number.
    nothing = without(market, "prices/BTC", "2024-05-15")
    (silent,) = scorer.score(nothing, DAY, ["BTC"], [5])
    assert silent.abstained
    # Where the model speaks nothing stands in.
    (spoken,) = scorer.score(market, DAY, ["ETH"], [1])
    assert spoken.reason is None


def test_inputs_within_their_limit_speak(scorer: Scorer, market: Market) -> None:
    # 2024-05-09 20:00 UTC to 2024-05-16 00:00 UTC: 6 days and 4 hours.
    aged = without(market, "prices/IWM", "2024-05-10")
    assert not any(score.abstained for score in scorer.score(aged, DAY))


def test_an_old_row_published_again_does_not_look_fresh_a30(scorer: Scorer, market: Market) -> None:
    def republish(name: str, table: pd.DataFrame) -> pd.DataFrame:
        if name == "prices/IWM":
            table = table[table["date"] < "2024-05-03"].reset_index(drop=True)
            table.loc[len(table) - 1, "available_at"] = T
        return table

    score = scorer.score(changed(market, republish), DAY)[0]
    assert score.abstained
    assert "small_cap_momentum ends 13 days before, limit 7" in (score.reason or "")


def test_a_missing_feature_makes_it_abstain_d29(scorer: Scorer, market: Market) -> None:
    def hole(name: str, table: pd.DataFrame) -> pd.DataFrame:
        if name == "flows/IWM":
            table.loc[table["date"] >= "2024-05-01", "flow_usd"] = np.nan
        return table

    score = scorer.score(changed(market, hole), DAY)[0]
    assert score.abstained
    assert (score.reason or "").startswith("missing: ")
    assert score.base_rate is not None


def test_a_market_without_an_input_of_the_model_is_refused(
    scorer: Scorer, market: Market, ledger: Ledger
) -> None:
    with pytest.raises(SchemaError, match="features of the model"):
        scorer.score(replace(market, flows={}), DAY)
    assert ledger.find() == ()


def test_asking_again_returns_the_row_and_computes_nothing_d22(
    scorer: Scorer,
    market: Market,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = scorer.score(market, DAY)

    def never(*_: object) -> None:
        raise AssertionError("scored twice")

    monkeypatch.setattr("serving.scorer.build_dataset", never)
    scorer.clock = lambda: NOW.replace(hour=23)
    with caplog.at_level(logging.WARNING):
        assert scorer.score(market, DAY) == first
        assert scorer.recorded(DAY, ["ETH"]) == first[2:]
    assert caplog.text == ""


def test_a_part_of_a_day_is_completed_and_its_rows_stand(scorer: Scorer, market: Market) -> None:
    part = scorer.score(market, DAY, ["ETH"], [5])
    assert scorer.recorded(DAY) is None
    scorer.clock = lambda: NOW.replace(hour=23)
    assert scorer.score(market, DAY)[3] == part[0]


def test_a_restated_market_changes_no_issued_forecast_but_is_told_a26(
    scorer: Scorer, market: Market, caplog: pytest.LogCaptureFixture
) -> None:
    first = scorer.score(market, DAY)

    def restate(name: str, table: pd.DataFrame) -> pd.DataFrame:
        if name == "prices/BTC":
            table.loc[5, "close"] *= 1.01
        return table

    with caplog.at_level(logging.WARNING):
        assert scorer.score(changed(market, restate), DAY) == first
    assert "as of 2024-05-15: the forecasts issued before stand" in caplog.text


def test_a_score_survives_its_json(scorer: Scorer, market: Market) -> None:
    for score in scorer.score(market, DAY):
        assert Score.model_validate_json(score.model_dump_json()) == score


def test_a_probability_without_ground_is_no_score(make_score: Callable[..., Score]) -> None:
    content = make_score().model_dump()
    for wrong in ({"lower": None}, {"base_rate": None}, {"abstained": True}, {"probability": 1.5},
                  {"probability": float("nan")}, {"reason": "why"}):  # fmt: skip
        with pytest.raises(ValueError, match=r".+"):
            Score.model_validate(content | wrong)


def test_a_market_without_an_asset_of_the_pool_is_refused_by_its_name(
    scorer: Scorer, market: Market
) -> None:
    alone = replace(
        market, prices={s: t for s, t in market.prices.items() if s != "ETH"}, crypto=("BTC",)
    )
    with pytest.raises(DataUnavailableError, match="needed prices of ETH, which the model pools"):
        scorer.score(alone, DAY, assets=["BTC"])
