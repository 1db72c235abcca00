"""Questions: a label's asset and horizon, and which of those there are somebody asks about.

Training's cells and the heads of bundles that serving reads are such questions; what they share
stands here, where no learner is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from sources.errors import UnknownNameError


class Question(Protocol):
    """Anything that is asked of an asset, some calendar days ahead."""

    @property
    def asset(self) -> str:
        """Symbol."""

    @property
    def horizon_days(self) -> int:
        """Horizon in calendar days."""


Asked = TypeVar("Asked", bound=Question)


def assets_of(questions: Iterable[Question]) -> tuple[str, ...]:
    """Return the assets, each once, in the order of the questions."""
    return tuple(dict.fromkeys(question.asset for question in questions))


def horizons_of(questions: Iterable[Question]) -> tuple[int, ...]:
    """Return the horizons in days, each once, ascending."""
    return tuple(sorted({question.horizon_days for question in questions}))


def select(
    questions: Sequence[Asked],
    assets: Sequence[str] | None = None,
    horizons: Sequence[int] | None = None,
) -> tuple[Asked, ...]:
    """Return the questions of some assets and horizons (of all by default), in their order.

    Raises
    ------
    UnknownNameError
        For an asset or horizon that no question is of; lists those there are.

    Examples
    --------
    >>> from typing import NamedTuple
    >>> class Asking(NamedTuple):
    ...     asset: str
    ...     horizon_days: int
    >>> select([Asking("BTC", 5), Asking("ETH", 5), Asking("BTC", 1)], ["BTC"], [1])
    (Asking(asset='BTC', horizon_days=1),)
    """
    for kind, wanted, known in (
        ("asset", assets, assets_of(questions)),
        ("horizon", horizons, horizons_of(questions)),
    ):
        for name in wanted or ():
            if name not in known:
                raise UnknownNameError(kind, str(name), known)
    return tuple(
        question
        for question in questions
        if (not assets or question.asset in assets)
        and (not horizons or question.horizon_days in horizons)
    )
