"""Worlds: what, if anything, foretells crypto in a simulated market."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sources.simulated.drivers import Driver, FlowDriver, NoDriver
from sources.simulated.equities import INDEX_LAW, IndexPath
from sources.simulated.highs import HighDriver
from sources.simulated.timeline import Timeline


@dataclass(frozen=True)
class Known:
    """What a world may build its driver from.

    Attributes
    ----------
    timeline : of the market.
    index : the small-cap index, a row a session.
    appetite : (m,) float64, what the flows up to each session reveal; unit variance.
    """

    timeline: Timeline
    index: IndexPath
    appetite: np.ndarray


@dataclass(frozen=True)
class World:
    """A law that ties crypto's drift to something published.

    Attributes
    ----------
    name : as the command line says it.
    summary : one sentence.
    driver : makes the driver, of about unit variance.
    loading : daily signal to noise at strength 1: drift a unit of the driver, over the
        standard deviation of a day's shock.
    coupling : correlation of the crypto market's shock with the index's on the same session.
        0 where the driver's future depends on the index: shock and drift would not be
        independent, and the truth not known.
    """

    name: str
    summary: str
    driver: Callable[[Known], Driver]
    loading: float
    coupling: float


def _nothing(known: Known) -> Driver:
    return NoDriver(known.timeline.days)


def _flow(known: Known) -> Driver:
    return FlowDriver(known.timeline, known.appetite)


def _high(known: Known) -> Driver:
    return HighDriver(known.timeline, INDEX_LAW, known.index.moves, known.index.states)


_ALL = (
    World("null", "Nothing foretells crypto.", _nothing, 0.0, 0.4),
    World("flow", "Crypto drifts with the appetite that fund flows reveal.", _flow, 0.0725, 0.4),
    World("high", "Crypto rises after new highs of small caps, less each day.", _high, 0.070, 0.0),
)

WORLDS: Mapping[str, World] = {world.name: world for world in _ALL}
"""Name -> world."""
