"""The small-cap signals by day, beside the assets' closes: made once a day and market.

They are the model's own features, as they were known on each day. Making them reads the whole
market, many times what a server may hold in memory, so a process of its own does it and leaves
a small file, which all workers read.
"""

from __future__ import annotations

import hashlib
import io
import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd

from features import FeatureConfig, build_dataset
from serving.scorer import latest_finished_day
from serving.speaker import MarketReader
from sources import as_of_instant
from sources.errors import DataUnavailableError
from sources.market import Market

logger = logging.getLogger(__name__)

FEATURES = (
    "high_flag",
    "nearness_all_time",
    "flow_20s",
    "breadth_above_200s",
    "breadth_high_minus_low",
)
"""What the page draws, by the names of the registry."""

WAIT_SECONDS = 8.0
"""How long a page waits for signals that are being made, before it says so."""


@dataclass(frozen=True)
class Signals:
    """Signals and closes on consecutive days.

    Attributes
    ----------
    days : (n,) datetime64[D].
    close : asset -> (n,) float64; NaN before its first bar.
    values : feature -> (n,) float64; features that the market lacks the inputs of are not there.
    """

    days: np.ndarray
    close: dict[str, np.ndarray]
    values: dict[str, np.ndarray]


def signals_of(market: Market) -> Signals:
    """Return the signals of a market on every day, as they were known then.

    Raises
    ------
    DataUnavailableError
        Where the market has no bar of a crypto asset, or no small-cap index.
    """
    present = [asset for asset in market.crypto if len(market.prices[asset])]
    if not present:
        raise DataUnavailableError(
            f"{market.name}: needed daily bars of a crypto asset; found none", source="prices"
        )
    # One asset's rows will do, as these signals are the market's; the oldest has all days.
    oldest = min(present, key=lambda asset: market.prices[asset]["date"].min())
    dataset = build_dataset(market, [oldest], FeatureConfig(blocks=(), include=FEATURES))
    days = dataset.days
    values = {name: dataset.values[:, 0, k].copy() for k, name in enumerate(dataset.names)}
    highs = dataset.groups.index("small_cap_highs")
    # A flag stands until the next session; only its own day is a high.
    values["high_flag"][dataset.ages[:, 0, highs] > 0] = 0.0
    close = {}
    for asset in present:
        bars = market.prices[asset].drop_duplicates("date", keep="last").set_index("date")
        price = bars["close"].fillna(bars["adj_close"]) if "adj_close" in bars else bars["close"]
        close[asset] = price.reindex(days).to_numpy("float64")
    return Signals(
        days=days.to_numpy("datetime64[D]"),
        close=close,
        values=values,
    )


def packed(signals: Signals) -> bytes:
    """Return signals as bytes; nothing in them is code."""
    held = io.BytesIO()
    arrays = {f"close/{name}": series for name, series in signals.close.items()}
    arrays |= {f"value/{name}": series for name, series in signals.values.items()}
    small: dict[str, Any] = {name: array.astype("float32") for name, array in arrays.items()}
    np.savez_compressed(held, days=signals.days, **small)
    return held.getvalue()


def unpacked(content: bytes) -> Signals:
    """Return the signals of some bytes."""
    with np.load(io.BytesIO(content), allow_pickle=False) as held:
        named = {name: held[name] for name in held.files}
    split = [(*name.partition("/")[::2], array) for name, array in named.items()]
    return Signals(
        days=named["days"],
        close={name: array for kind, name, array in split if kind == "close"},
        values={name: array for kind, name, array in split if kind == "value"},
    )


def make_packed(reader: MarketReader, directory: Path, day: date) -> bytes:
    """Read a market and return its signals up to a day, as bytes; runs in a process of its own."""
    market = reader.read(directory).as_of(as_of_instant(pd.Timestamp(day)))
    return packed(signals_of(market))


class SignalsOfTheDay:
    """Holds the signals of the latest day; safe to share between threads.

    Parameters
    ----------
    reader, directory : the market.
    folder : where the small files are kept; None to keep them in memory alone.
    clock : the current instant.
    """

    def __init__(
        self,
        reader: MarketReader,
        directory: Path,
        folder: Path | None,
        clock: Callable[[], datetime],
    ) -> None:
        self.reader, self.directory, self.folder = reader, directory, folder
        self.clock = clock
        self._lock = Lock()
        self._held: tuple[str, Signals] | None = None
        self._making: tuple[str, Future[bytes]] | None = None

    def get(self, wait: float = WAIT_SECONDS) -> Signals | None:
        """Return the signals; None while they are still being made.

        Raises
        ------
        RiskonError
            Where the market cannot be read, or lacks what the signals are made of.
        """
        day = latest_finished_day(self.clock())
        asked = f"{day} {self.directory} {self.reader.signature(self.directory)!r} {FEATURES}"
        mark = hashlib.sha256(asked.encode()).hexdigest()[:32]
        with self._lock:
            if self._held is not None and self._held[0] == mark:
                return self._held[1]
            kept = self._kept(mark)
            if kept is not None:
                self._held = (mark, unpacked(kept))
                return self._held[1]
            if self._making is None or self._making[0] != mark:
                self._making = (mark, self._begin(day))
            making = self._making[1]
        try:
            error = making.exception(timeout=wait)
        except NotYet:
            return None
        if error is not None:
            self._forget(making)
            if not isinstance(error, BrokenProcessPool):
                raise error
            raise DataUnavailableError(
                "signals: needed the process that makes them to finish; found it ended",
                source="signals",
            ) from error
        content = making.result()
        with self._lock:
            self._making = None
            self._held = (mark, unpacked(content))
            self._keep(mark, content)
            return self._held[1]

    def _begin(self, day: date) -> Future[bytes]:
        pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        making = pool.submit(make_packed, self.reader, self.directory, day)
        pool.shutdown(wait=False)
        return making

    def _forget(self, making: Future[bytes]) -> None:
        with self._lock:
            if self._making is not None and self._making[1] is making:
                self._making = None

    def _kept(self, mark: str) -> bytes | None:
        path = None if self.folder is None else self.folder / f"{mark}.npz"
        return path.read_bytes() if path is not None and path.is_file() else None

    def _keep(self, mark: str, content: bytes) -> None:
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for old in self.folder.glob("*.npz"):
                old.unlink(missing_ok=True)
            part = self.folder / f"{mark}.part"
            part.write_bytes(content)
            part.replace(self.folder / f"{mark}.npz")
        except OSError as error:
            logger.warning("the signals' file was not kept: %s", error)
