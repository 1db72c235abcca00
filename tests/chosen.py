"""A finished search of five trials, by hand."""

from __future__ import annotations

from models import ModelConfig
from training.durable import Tried
from training.search import Choice
from training.space import Axis, Space
from training.trial import Outcome

BASE = ModelConfig()
SPACE = Space(
    BASE,
    {"mixture.rate": Axis(factors=(0.5, 1.0)), "boosting": Axis(off=True)},
)
AS_IS = SPACE.start
OTHER = {"mixture.rate": 0, "boosting": 1}
TRIED = (
    Tried(0, AS_IS, Outcome((1.0, 2.0, 3.0))),
    Tried(1, OTHER, Outcome((3.0, 4.0, 5.0))),
    Tried(2, AS_IS, Outcome((-4.0, -6.0), pruned=True)),
    Tried(3, AS_IS, Outcome((), failure="fold 0: needed a finite gain; found nan")),
    Tried(4, AS_IS, Outcome((2.0, 2.0, 5.0))),
)
CHOICE = Choice(SPACE.configured(OTHER), 1, 1, 2.0, 0.0, 1.0, TRIED)
