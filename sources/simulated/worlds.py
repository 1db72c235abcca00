"""Worlds: what, if anything, foretells crypto in a simulated market, and how it pretends to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sources.errors import UnknownNameError
from sources.market import Market
from sources.simulated import responses as by
from sources.simulated.drivers import Driver, SumDriver
from sources.simulated.known import Known
from sources.simulated.traps import Trap, clock_slip, late_flow, restated_level

Kind = Literal["nothing", "signal", "trap", "break"]


@dataclass(frozen=True)
class World:
    """A law that ties crypto's drift to something published.

    Attributes
    ----------
    name : as the command line says it.
    description : one sentence.
    kind : ``nothing`` to find; a ``signal``; a ``trap``, which has nothing to find and pretends;
        a ``break``, a signal that ends or turns part way.
    blocks : what the driver is made of, or pretends to be: of ``flows``, ``highs``, ``momentum``,
        ``breadth``, ``liquidity``, ``credit``.
    driver : makes the driver, of about unit variance.
    loading : daily signal to noise at strength 1: drift a unit of the driver, over the
        standard deviation of a day's shock.
    coupling : correlation of the crypto market's shock with the index's on the same session.
        0 where the driver's future depends on the index: shock and drift would not be
        independent, and the truth not known.
    sources : what the driver's future depends on; worlds that share none can be added.
    lead : what the index follows (:func:`sources.simulated.known.publish`).
    trap : changes the finished market.
    """

    name: str
    description: str
    kind: Kind
    blocks: tuple[str, ...]
    driver: Callable[[Known], Driver] = by.nothing
    loading: float = 0.0
    coupling: float = 0.4
    sources: frozenset[str] = frozenset()
    lead: str = ""
    trap: Trap | None = None


def _on(*sources: str) -> frozenset[str]:
    return frozenset(sources)


_FLOWS, _INDEX = _on("flows"), _on("index")
_ALL = (
    World("null", "Nothing foretells crypto.", "nothing", ()),
    World(
        "flow", "Crypto drifts with the appetite that fund flows reveal.",
        "signal", ("flows",), by.flow, 0.0725, sources=_FLOWS,
    ),
    World(
        "flow_threshold", "Crypto falls after extreme outflows only, by the same step.",
        "signal", ("flows",), by.flow_threshold, 0.08, sources=_FLOWS,
    ),
    World(
        "high", "Crypto rises after new highs of small caps, less each day.",
        "signal", ("highs",), by.high, 0.070, 0.0, sources=_INDEX,
    ),
    World(
        "high_window", "Crypto rises for 30 sessions after a new high, evenly, and then not.",
        "signal", ("highs",), by.high_window, 0.067, 0.0, sources=_INDEX,
    ),
    World(
        "flow_and_high", "After new highs of small caps crypto rises with inflows and falls with"
        " outflows.",
        "signal", ("flows", "highs"), by.flow_and_high, 0.07, 0.0, sources=_FLOWS | _INDEX,
    ),
    World(
        "momentum", "Crypto drifts with the decayed mean of small caps' returns.",
        "signal", ("momentum",), by.momentum, 0.0665, 0.0, sources=_INDEX,
    ),
    World(
        "momentum_hump", "Crypto follows moderate momentum of small caps, and not extreme.",
        "signal", ("momentum",), by.momentum_hump, 0.072, 0.0, sources=_INDEX,
    ),
    World(
        "breadth", "Crypto drifts with the decayed mean of the share of constituents that rise.",
        "signal", ("breadth",), by.breadth, 0.068, 0.0, sources=_INDEX | _on("participation"),
    ),
    World(
        "breadth_kink", "Crypto falls with narrow breadth, and does not gain by wide breadth.",
        "signal", ("breadth",), by.breadth_kink, 0.0705, 0.0,
        sources=_INDEX | _on("participation"),
    ),
    World(
        "dispersion", "Crypto drifts with the dispersion of constituents' returns.",
        "signal", ("breadth",), by.dispersion, 0.066, sources=_on("dispersion"),
    ),
    World(
        "dispersion_tails", "Crypto rises with how far dispersion is from its usual level, on"
        " either side.",
        "signal", ("breadth",), by.dispersion_tails, 0.07, sources=_on("dispersion"),
    ),
    World(
        "momentum_x_dispersion", "Crypto follows small caps' momentum as dispersion is high,"
        " and goes against it as dispersion is low.",
        "signal", ("momentum", "breadth"), by.momentum_x_dispersion, 0.069, 0.0,
        sources=_INDEX | _on("dispersion"),
    ),
    World(
        "liquidity", "Crypto drifts with the decayed mean of the central bank's weekly surprises.",
        "signal", ("liquidity",), by.liquidity, 0.0645, sources=_on("liquidity"),
    ),
    World(
        "liquidity_step", "Crypto rises, by a step, while the central bank's surprises are high.",
        "signal", ("liquidity",), by.liquidity_step, 0.0705, sources=_on("liquidity"),
    ),
    World(
        "credit_stress", "Crypto falls, by a step, while high yield has lately lost more than the"
        " index explains.",
        "signal", ("credit",), by.credit_stress, 0.07, sources=_on("credit"),
    ),
    World(
        "divergence", "Crypto falls, by a step, while breadth and credit diverge, whichever of them"
        " is ahead.",
        "signal", ("breadth", "credit"), by.divergence, 0.07, 0.0,
        sources=_INDEX | _on("participation", "credit"),
    ),
    World(
        "common_driver", "Appetite for risk moves credit, small caps and liquidity at once, and"
        " crypto five sessions later.",
        "signal", ("credit", "momentum", "liquidity"), by.common_driver, 0.07, 0.0,
        sources=_INDEX | _on("credit", "liquidity"), lead="credit",
    ),
    World(
        "break", "Crypto drifts with fund flows, until part way it no longer does.",
        "break", ("flows",), by.flow_that_ends, 0.0725, sources=_FLOWS,
    ),
    World(
        "reversal", "Crypto drifts with fund flows, and part way on against them.",
        "break", ("flows",), by.flow_that_turns, 0.0725, sources=_FLOWS,
    ),
    World(
        "high_break", "Crypto rises after new highs, until part way it no longer does.",
        "break", ("highs",), by.high_that_ends, 0.070, 0.0, sources=_INDEX,
    ),
    World(
        "crypto_leads", "Small caps follow crypto by a day; nothing foretells crypto.",
        "trap", ("momentum", "highs"), coupling=0.0, lead="crypto",
    ),
    World(
        "late_flow", "Flows echo crypto's next day, and are published after it.",
        "trap", ("flows",), trap=late_flow,
    ),
    World(
        "restated_level", "Macro levels are restated four weeks on by what crypto then did.",
        "trap", ("liquidity",), trap=restated_level,
    ),
    World(
        "clock_slip", "Files dated d move with crypto's day d + 1, and are available after it.",
        "trap", ("momentum",), trap=clock_slip,
    ),
)  # fmt: skip

WORLDS: Mapping[str, World] = {world.name: world for world in _ALL}
"""Name -> world."""


def find_world(name: str) -> World:
    """Return a world, or the sum of several: ``flow+high``.

    Raises
    ------
    UnknownNameError
        For a name that is none.
    ValueError
        For worlds whose drivers depend on the same thing, or whose index follows two: the truth
        of their sum would not be known.
    """
    parts = []
    for part in name.split("+"):
        if part not in WORLDS:
            raise UnknownNameError("world", part, sorted(WORLDS))
        parts.append(WORLDS[part])
    if len(parts) == 1:
        return parts[0]
    sources = _on().union(*(part.sources for part in parts))
    shared = sum(len(part.sources) for part in parts) > len(sources)
    leads = {part.lead for part in parts} - {""}
    if shared or len(leads) > 1 or (leads == {"crypto"} and sources & _INDEX):
        msg = f"needed worlds whose drivers have nothing in common; found {name}"
        raise ValueError(msg)
    return _sum(name, parts, "".join(leads))


def _sum(name: str, parts: list[World], lead: str) -> World:
    """Add the drivers, each with its own loading."""
    loading = float(np.sqrt(sum(part.loading**2 for part in parts)))
    factors = [part.loading / loading if loading else 0.0 for part in parts]
    kinds = {part.kind for part in parts}

    def trap(market: Market, days: np.ndarray, shocks: np.ndarray) -> Market:
        for part in parts:
            market = market if part.trap is None else part.trap(market, days, shocks)
        return market

    return World(
        name,
        " ".join(part.description for part in parts),
        next(kind for kind in ("break", "signal", "trap", "nothing") if kind in kinds),
        tuple(dict.fromkeys(block for part in parts for block in part.blocks)),
        lambda known: SumDriver([part.driver(known) for part in parts], factors),
        loading,
        min(part.coupling for part in parts),
        frozenset().union(*(part.sources for part in parts)),
        lead,
        trap,
    )
