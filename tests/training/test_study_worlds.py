"""The study on simulated markets: nothing where nothing is, a planted effect as foretold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sources.market import Market
from sources.simulated import simulate_market
from training.study.cells import Finding, plan
from training.study.claims import ClaimLedger, read_claims
from training.study.event_study import EventStudy
from training.study.events import find_events
from training.study.outcomes import read_outcomes
from training.study.run import run_study

COINS = ("BTC", "ETH", "SOL", "XRP")
PRICES = ["open", "high", "low", "close", "adj_close"]


def null_market(seed: int) -> Market:
    return simulate_market(
        "null", seed=seed, constituent_count=25, assets=COINS, horizons=(1,)
    ).market


def supported(seed: int) -> list[str]:
    study = run_study(null_market(seed), read_claims(), causes=(), draws=10_000)
    return [judged.claim.id for judged in study.judged if judged.verdict == "supported"]


def planted(market: Market, days: np.ndarray, effect: float, horizon_days: int) -> Market:
    """Let Bitcoin rise by a log return in even steps over the days after each event, for good."""
    table = market.prices["BTC"]
    day = table["date"].to_numpy("datetime64[D]")
    passed = [np.clip((day - one).astype(int) / horizon_days, 0, 1) for one in days]
    factor = np.exp(effect * np.sum(passed, axis=0))
    moved = table.assign(**{name: table[name] * factor for name in PRICES})
    return replace(market, prices={**market.prices, "BTC": moved})


def one_claim(effect: float, horizon_days: int) -> ClaimLedger:
    claim = read_claims().claim("C1")
    asks = {"indices": ("RUT",), "horizons_days": (horizon_days,), "primary_days": horizon_days}
    return ClaimLedger(claims=(claim.model_copy(update={**asks, "asserted": effect}),))


def found_in(market: Market, ledger: ClaimLedger) -> Finding:
    study = EventStudy(market, read_outcomes(market), {}, ledger, draws=10_000)
    return study.find(ledger.claims[0], plan(ledger)[0])


def trial(seed: int, effect: float, horizon_days: int) -> tuple[Finding, Finding]:
    """Return what is found in a null market, and after the effect was planted in it."""
    market = simulate_market(
        "null", seed=seed, constituent_count=0, assets=("BTC",), horizons=(1,)
    ).market
    ledger = one_claim(effect, horizon_days)
    days = find_events(market, "RUT", ledger.claims[0].event, read_outcomes(market).days)
    return found_in(market, ledger), found_in(planted(market, days, effect, horizon_days), ledger)


def test_nothing_is_supported_in_markets_where_nothing_foretells_crypto():
    # At most 5 % of markets by design: both would be a chance of one in 400.
    assert [supported(seed) for seed in (0, 1)].count([]) >= 1


def test_a_planted_effect_is_measured_at_its_size_and_found_where_it_is_large():
    before, after = trial(3, 0.5, 20)
    # What is compared with it includes the days after events, a share n h / days of all.
    share = after.n * 20 / (12 * 365.25)
    assert after.effect - before.effect == pytest.approx(0.5 * (1 - share), abs=0.02)
    assert after.p < 0.001
    assert after.power > 0.99


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_at_most_one_null_market_in_twenty_has_a_claim_called_supported():
    false = [found for seed in range(200) if (found := supported(seed))]
    # The chance of any is held to 5 %: 10 of 200.
    assert len(false) <= 10, false


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("effect", "horizon_days"), [(0.14, 20), (0.10, 20), (0.25, 60)])
def test_a_planted_effect_is_found_with_the_power_that_was_foretold(effect, horizon_days):
    # 600 markets: the found share has a standard error of 2 points at a power of one half.
    pairs = [trial(seed, effect, horizon_days) for seed in range(600)]
    foretold = np.mean([before.power for before, _ in pairs])
    found = np.mean([after.p < 0.05 for _, after in pairs])
    false = np.mean([before.p < 0.05 for before, _ in pairs])
    assert found == pytest.approx(foretold, abs=0.05)
    assert false <= 0.07
