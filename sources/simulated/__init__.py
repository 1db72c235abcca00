"""Simulated markets whose true probabilities are known to the last decimal that matters."""

from sources.simulated.engine import Simulated, simulate_market, write_simulated
from sources.simulated.worlds import WORLDS, World, find_world

__all__ = ["WORLDS", "Simulated", "World", "find_world", "simulate_market", "write_simulated"]
