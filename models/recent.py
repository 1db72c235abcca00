"""One day's forecast from the rows since the last refit, instead of all that there ever were."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from features import Dataset
from features.clock import DAY, instants_of, utc
from models.carried import leaving_before, taking_up
from models.config import SignalConfig
from models.mixture import LATEST_DAYS
from models.online import SignalPath, index_day, signal_path

MARGIN_DAYS = 30
"""A bar that comes up to so many days late, and after a refit, is still among the recent rows."""


@dataclass(frozen=True)
class Carried:
    """The sums of a walk over the rows before a day, and what it had read by then.

    Attributes
    ----------
    day : the first day that the sums do not hold.
    horizons : days, ascending, that the walk was made for.
    digest : sha256 of all that the walk read before the day.
    sums : in the order in which the formulas meet them.
    """

    day: np.datetime64
    horizons: tuple[int, ...]
    digest: str
    sums: tuple[np.ndarray, ...]

    def recent(
        self, dataset: Dataset, spoke: np.datetime64, as_of: np.datetime64
    ) -> Dataset | None:
        """Return the rows from ``day`` to ``as_of``, or None where they alone do not tell.

        They do when what the walk read is as it was, and every label that
        became known after T(spoke) belongs to one of these rows.

        Parameters
        ----------
        spoke : day of the earliest state of a mixture that is taken up.
        """
        days = dataset.days.to_numpy("datetime64[D]")
        row, end = (int(at) for at in np.searchsorted(days, [self.day, as_of]))
        reach = self.day + self.horizons[-1] * DAY
        if row == len(days) or days[row] != self.day or spoke < reach + LATEST_DAYS * DAY:
            return None
        instant = (spoke + DAY).astype("datetime64[us]")
        for table in dataset.prices.values():
            late = utc(table["available_at"]) > instant
            if (table["date"].to_numpy("datetime64[D]")[late] < reach).any():
                return None
        if history_digest(dataset, row) != self.digest:
            return None
        return rows_between(dataset, row, end + 1)

    def path(self, dataset: Dataset, recent: Dataset, config: SignalConfig) -> SignalPath:
        """Walk the signals through the recent rows of a dataset.

        The equity index is walked whole: its rows are sessions, and few.
        """
        row = int(dataset.days.searchsorted(recent.days[0]))
        index = index_day(dataset)[row : row + len(recent.days)]
        with taking_up(self.sums):
            return signal_path(recent, self.horizons, config, index)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; the sums as the base64 of their bytes, for they hold NaN."""
        return {
            "day": str(self.day),
            "horizons": list(self.horizons),
            "digest": self.digest,
            "sums": [
                {"shape": s.shape, "float64": base64.b64encode(s.astype("<f8").tobytes()).decode()}
                for s in self.sums
            ],
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Carried:
        """Bring the sums back, to the bit."""
        sums = tuple(
            np.frombuffer(base64.b64decode(s["float64"]), "<f8").reshape(s["shape"])
            for s in kept["sums"]
        )
        day = np.datetime64(kept["day"], "D")
        return cls(day, tuple(kept["horizons"]), kept["digest"], sums)


def carried_to(
    dataset: Dataset, refit: np.datetime64, horizons: Sequence[int], config: SignalConfig
) -> Carried | None:
    """Walk the signals through a dataset, and return what they carry to a refit.

    The day is so long before the refit that the rows from it on hold every
    label that the mixture's state at the refit still waits for. None where the
    dataset begins later.
    """
    ordered = tuple(sorted(set(horizons)))
    day = refit - (ordered[-1] + LATEST_DAYS + MARGIN_DAYS) * DAY
    row = int(np.searchsorted(dataset.days.to_numpy("datetime64[D]"), day))
    if row == 0:
        return None
    index = index_day(dataset)
    with leaving_before(row) as sums:
        signal_path(dataset, ordered, config, index)
    return Carried(day, ordered, history_digest(dataset, row), tuple(sums))


def rows_between(dataset: Dataset, row: int, end: int) -> Dataset:
    """Return a dataset of some rows, with the prices that their labels read."""
    first = dataset.days[row]
    return replace(
        dataset,
        days=dataset.days[row:end],
        values=dataset.values[row:end],
        ages=dataset.ages[row:end],
        has_close=dataset.has_close[row:end],
        volatility=dataset.volatility[row:end],
        prices={
            asset: table.iloc[int(table["date"].searchsorted(first)) :]
            for asset, table in dataset.prices.items()
        },
    )


def history_digest(dataset: Dataset, row: int) -> str:
    """Return the sha256 of all that signals read of a dataset before a row.

    Of prices these are the rows known at T of the row's day: the last return
    before it ends with its close.
    """
    head = [dataset.assets, dataset.names, dataset.groups, row, str(dataset.days[0])]
    total = hashlib.sha256(json.dumps(head).encode())
    for values in (dataset.values, dataset.ages, dataset.has_close, dataset.volatility):
        total.update(np.ascontiguousarray(values[:row]).data)
    instant = instants_of(dataset.days[row : row + 1])[0]
    for asset in dataset.assets:
        table = dataset.prices[asset]
        stamps = utc(table["available_at"])
        known = stamps <= instant
        total.update(stamps[known].view("i8").tobytes())
        total.update(table["date"].to_numpy("datetime64[us]")[known].view("i8").tobytes())
        for name in ("close", "adj_close"):
            total.update(table[name].to_numpy("float64")[known].tobytes())
    return total.hexdigest()
