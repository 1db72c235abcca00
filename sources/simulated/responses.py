"""What each world's driver is made of; see ``worlds.py`` for what they mean.

Responses are kept, because what they expect of the days ahead is the same in every market.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from sources.simulated.chain import Chain, Grid
from sources.simulated.drivers import Driver, LinearDriver, NoDriver
from sources.simulated.equities import INDEX_LAW
from sources.simulated.highs import WINDOW, HighDriver
from sources.simulated.known import Known
from sources.simulated.levels import LevelDriver, Response
from sources.simulated.panel import DISPERSION_PERSISTENCE
from sources.simulated.products import ProductDriver
from sources.simulated.signals import FLOW_PERSISTENCE, decayed_mean

MOMENTUM_PERSISTENCE = 0.975
BREADTH_PERSISTENCE = 0.975
CREDIT_PERSISTENCE = 0.975
"""From session to session."""
LIQUIDITY_PERSISTENCE = 0.90
"""From week to week: 0.985 a calendar day."""
CRYPTO_LAG_SESSIONS = 5
OUTFLOW = -1.0
"""Appetite below which outflows are extreme: one day in six."""
AMPLE = 0.5
"""Liquidity above which it is ample: three weeks in ten."""
STRESS = -0.8
"""Credit below which it is in stress: two sessions in ten."""
APART = 0.75
"""Distance of breadth and credit beyond which they diverge, in its deviations: nine sessions in
twenty."""


def nothing(known: Known) -> Driver:
    """No driver."""
    return NoDriver(known.timeline.days)


def flow(known: Known) -> LinearDriver:
    """Return the appetite that flows reveal."""
    days = known.timeline
    return LinearDriver(days.published, days.days, known.appetite, FLOW_PERSISTENCE)


def flow_that_ends(known: Known) -> Driver:
    """Return the appetite until the turn, and nothing from then on."""
    return replace(flow(known), loads=_loads(known, 0.0))


def flow_that_turns(known: Known) -> Driver:
    """Return the appetite until the turn, and its negative from then on."""
    return replace(flow(known), loads=_loads(known, -1.0))


def _loads(known: Known, after: float) -> np.ndarray:
    """Return the factor of each day: 1, and another from the turn on."""
    return np.where(np.arange(len(known.timeline.dates)) < known.turn, 1.0, after)


def flow_threshold(known: Known) -> Driver:
    """Return a step down while appetite is below -1."""
    days = known.timeline
    return LevelDriver(days.published, days.days, known.appetite, _outflow_step())


@cache
def _outflow_step() -> Response:
    # P(x < -1) = 0.15866, deviation sqrt(0.15866 x 0.84134) = 0.36535.
    grid = Grid(Chain.gaussian(FLOW_PERSISTENCE), (OUTFLOW,))
    return Response(grid, lambda x: (0.15866 - (x < OUTFLOW)) / 0.36535)


@cache
def _appetite_itself() -> Response:
    return Response(Grid(Chain.gaussian(FLOW_PERSISTENCE)), _same)


def high(known: Known) -> HighDriver:
    """Return freshness that decays."""
    return HighDriver(known.timeline, INDEX_LAW, known.index.moves, known.index.states)


def high_window(known: Known) -> HighDriver:
    """Return freshness that lasts, and is gone."""
    return HighDriver(known.timeline, INDEX_LAW, known.index.moves, known.index.states, WINDOW)


def high_that_ends(known: Known) -> Driver:
    """Return freshness until the turn."""
    return replace(high(known), loads=_loads(known, 0.0))


def flow_and_high(known: Known) -> Driver:
    """Return freshness times appetite."""
    days = known.timeline
    inflow = LevelDriver(days.published, days.days, known.appetite, _appetite_itself())
    # Over 400 years of the index freshness has mean 0.24 and deviation 0.35, so that the product
    # has mean 0 and deviation sqrt(0.24^2 + 0.35^2) = 0.424.
    return ProductDriver(
        (high(known), inflow), (days.closed, days.published), days.days, 0.0, 0.424
    )


def _momentum(known: Known, response: Response) -> LevelDriver:
    days = known.timeline
    surprise = (known.index.moves - INDEX_LAW.mean) / INDEX_LAW.scale
    surprise[:1] = 0.0
    values = decayed_mean(surprise, MOMENTUM_PERSISTENCE)
    return LevelDriver(days.closed, days.days, values, response, known.index.states)


@cache
def _momentum_grid() -> Grid:
    law, kick = INDEX_LAW, float(np.sqrt(1 - MOMENTUM_PERSISTENCE**2)) / INDEX_LAW.scale
    kicks = [[(w, kick * deviation) for w, deviation in law.components(s)] for s in (0, 1)]
    panel = 3 * kicks[0][0][1]
    return Grid(Chain(MOMENTUM_PERSISTENCE, law.regime.transition, kicks, reach=8.0, panel=panel))


def momentum(known: Known) -> LevelDriver:
    """Return the decayed mean of the index's log returns over what is expected of them."""
    return _momentum(known, _momentum_itself())


@cache
def _momentum_itself() -> Response:
    return Response(_momentum_grid(), _same)


def momentum_hump(known: Known) -> Driver:
    """Return momentum that counts most at one deviation and fades beyond."""
    return _momentum(known, _hump())


@cache
def _hump() -> Response:
    # x exp(-x^2 / 2) has variance 3^-1.5 under a standard normal.
    return Response(_momentum_grid(), lambda x: x * np.exp(-0.5 * x**2) / 3**-0.75)


def breadth(known: Known) -> Driver:
    """Return the decayed mean of participation."""
    days = known.timeline
    return LinearDriver(days.closed, days.days, _breadth(known), BREADTH_PERSISTENCE)


def breadth_kink(known: Known) -> Driver:
    """Return breadth where it is below its mean, level above."""
    days = known.timeline
    return LevelDriver(days.closed, days.days, _breadth(known), _kink())


@cache
def _kink() -> Response:
    # min(x, 0) has mean -0.39894 and variance 1/2 - 1/(2 pi) = 0.34085.
    grid = Grid(Chain.gaussian(BREADTH_PERSISTENCE), (0.0,))
    return Response(grid, lambda x: (np.minimum(x, 0.0) + 0.39894) / 0.58382)


def _breadth(known: Known) -> np.ndarray:
    return decayed_mean(known.section.participation, BREADTH_PERSISTENCE)


def dispersion(known: Known) -> Driver:
    """Return the standardised log of dispersion."""
    days = known.timeline
    values = known.section.dispersion
    return LinearDriver(days.closed, days.days, values, DISPERSION_PERSISTENCE)


def dispersion_tails(known: Known) -> Driver:
    """Return how far dispersion is from its usual level, on either side."""
    days = known.timeline
    return LevelDriver(days.closed, days.days, known.section.dispersion, _tails())


@cache
def _tails() -> Response:
    # |x| has mean 0.79788 and variance 1 - 2 / pi = 0.36338.
    grid = Grid(Chain.gaussian(DISPERSION_PERSISTENCE), (0.0,))
    return Response(grid, lambda x: (np.abs(x) - 0.79788) / 0.60281)


def momentum_x_dispersion(known: Known) -> Driver:
    """Return momentum times dispersion, both of mean 0."""
    days = known.timeline
    spread = LevelDriver(days.closed, days.days, known.section.dispersion, _dispersion_itself())
    return ProductDriver((momentum(known), spread), (days.closed, days.closed), days.days, 0.0, 1.0)


@cache
def _dispersion_itself() -> Response:
    return Response(Grid(Chain.gaussian(DISPERSION_PERSISTENCE)), _same)


def liquidity(known: Known) -> Driver:
    """Return the decayed mean of WALCL's surprises."""
    values = decayed_mean(known.liquidity, LIQUIDITY_PERSISTENCE)
    return LinearDriver(known.liquidity_clock, known.timeline.days, values, LIQUIDITY_PERSISTENCE)


def liquidity_step(known: Known) -> Driver:
    """Return a step up while liquidity is ample."""
    values = decayed_mean(known.liquidity, LIQUIDITY_PERSISTENCE)
    return LevelDriver(known.liquidity_clock, known.timeline.days, values, _ample_step())


@cache
def _ample_step() -> Response:
    # P(x > 0.5) = 0.30854, deviation sqrt(0.30854 x 0.69146) = 0.46189.
    grid = Grid(Chain.gaussian(LIQUIDITY_PERSISTENCE), (AMPLE,))
    return Response(grid, lambda x: ((x > AMPLE) - 0.30854) / 0.46189)


def credit_stress(known: Known) -> Driver:
    """Return a step down while credit is in stress."""
    values = decayed_mean(known.credit, CREDIT_PERSISTENCE)
    return LevelDriver(known.timeline.closed, known.timeline.days, values, _stress_step())


@cache
def _stress_step() -> Response:
    # P(x < -0.8) = 0.21186, deviation sqrt(0.21186 x 0.78814) = 0.40863.
    grid = Grid(Chain.gaussian(CREDIT_PERSISTENCE), (STRESS,))
    return Response(grid, lambda x: (0.21186 - (x < STRESS)) / 0.40863)


def divergence(known: Known) -> Driver:
    """Return a step down while breadth and credit are apart, whichever is ahead."""
    credit = decayed_mean(known.credit, CREDIT_PERSISTENCE)
    # Two independent AR(1) of one persistence differ by a third.
    between = (_breadth(known) - credit) / np.sqrt(2)
    return LevelDriver(known.timeline.closed, known.timeline.days, between, _apart_step())


@cache
def _apart_step() -> Response:
    # P(|x| > 0.75) = 0.45325, deviation sqrt(0.45325 x 0.54675) = 0.49781.
    grid = Grid(Chain.gaussian(BREADTH_PERSISTENCE), (-APART, APART))
    return Response(grid, lambda x: (0.45325 - (np.abs(x) > APART)) / 0.49781)


def common_driver(known: Known) -> Driver:
    """Return the decayed mean of credit's shocks, some sessions late."""
    days = known.timeline
    values = decayed_mean(known.credit, CREDIT_PERSISTENCE)
    return LinearDriver(days.closed, days.days, values, CREDIT_PERSISTENCE, lag=CRYPTO_LAG_SESSIONS)


def _same(x: np.ndarray) -> np.ndarray:
    return x
