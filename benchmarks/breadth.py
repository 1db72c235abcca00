"""Time breadth against pandas, polars, bottleneck and coreforecast; print one JSON line.

All sides count the same thing on the same panel, in turn: shares above the 50- and 200-session
means, 252-session highs minus lows, negative 252-session returns, the advance-decline line and
the McClellan oscillator. Each peer gets the panel in the layout it likes best, for free.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import bottleneck
import numpy as np
import pandas as pd
import polars as pl
from coreforecast.grouped_array import GroupedArray
from coreforecast.lag_transforms import RollingMax, RollingMean, RollingMin

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from features import fused
from features.blocks import BLOCK
from features.breadth import breadth_table
from features.breadth_state import BreadthState, ParticipationState
from features.participation import participation
from features.universe import universe_of
from sources import Panel

YEAR = 252


def main() -> None:
    """Run all sides and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=4000)
    parser.add_argument("--symbols", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--memory",
        choices=["none", "ours", "ours_compiled", "compiler"],
        help="a child that tells its peak",
    )
    chosen = parser.parse_args()
    panel = random_panel(chosen.sessions, chosen.symbols)
    if chosen.memory:
        if chosen.memory == "ours":
            advance_decline(participation(universe_of(panel)))
        if chosen.memory == "compiler":  # what numba itself takes, whatever the panel
            fused.participation(universe_of(random_panel(20, 2)))
        if chosen.memory == "ours_compiled":
            advance_decline(fused.participation(universe_of(panel)))
        # not ru_maxrss, which a child inherits from the process that started it
        status = Path("/proc/self/status").read_text(encoding="ascii")
        print(1024 * int(status.split("VmHWM:")[1].split()[0]))
        return
    sides = {**full_sides(panel)}
    agree(panel)
    wall, cpu = timed(sides, chosen.rounds)
    peers = [name for name in sides if not name.startswith("ours")]
    best = min(peers, key=wall.__getitem__)
    tail = pd.DataFrame(panel.closes[-YEAR - 1 :])
    state = ParticipationState(chosen.symbols)
    whole = BreadthState(panel.symbols)
    ours_day, ours_day_all = [], []
    for date, closes in zip(panel.dates[-400:], panel.closes[-400:], strict=True):
        begin = time.perf_counter()
        state.update(closes)
        between = time.perf_counter()
        whole.update(date, closes)
        ours_day.append(between - begin)
        ours_day_all.append(time.perf_counter() - between)
    day, _ = timed({"pandas": lambda: pandas_day(tail)}, 10 * chosen.rounds)
    mean_day, mean_day_all = best_block(ours_day), best_block(ours_day_all)
    command = [sys.executable, __file__, "--sessions", str(chosen.sessions)]
    command += ["--symbols", str(chosen.symbols), "--memory"]
    peak = {
        side: int(subprocess.run([*command, side], check=True, capture_output=True).stdout)  # noqa: S603
        for side in ("none", "ours", "compiler", "ours_compiled")
    }
    print(
        json.dumps(
            {
                "benchmark": "breadth",
                "sessions": chosen.sessions,
                "symbols": chosen.symbols,
                "seconds": rounded(wall),
                "cpu_seconds": rounded(cpu),
                "best_peer": best,
                "times_best_peer": round(wall[best] / wall["ours"], 2),
                "times_pandas": round(wall["pandas"] / wall["ours"], 2),
                "cpu_times_best_peer": round(min(cpu[p] for p in peers) / cpu["ours"], 2),
                "compiled_times_best_peer": round(wall[best] / wall["ours_compiled"], 2),
                "compiled_times_pandas": round(wall["pandas"] / wall["ours_compiled"], 2),
                "compiled_cpu_times_best_peer": round(
                    min(cpu[p] for p in peers) / cpu["ours_compiled"], 2
                ),
                "peak_memory_over_panel": round(
                    1 + (peak["ours"] - peak["none"]) / panel.closes.nbytes, 2
                ),
                "compiled_peak_memory_over_panel": round(
                    1 + (peak["ours_compiled"] - peak["compiler"]) / panel.closes.nbytes, 2
                ),
                "day_milliseconds": {
                    "ours": round(1e3 * mean_day, 4),
                    "ours_with_spreads": round(1e3 * mean_day_all, 4),
                    "pandas_tail": round(1e3 * day["pandas"], 4),
                },
                "day_times_pandas": round(day["pandas"] / mean_day, 1),
            }
        )
    )


def random_panel(sessions: int, symbols: int) -> Panel:
    """Return random walks; a third of the symbols list late."""
    generator = np.random.default_rng(0)
    closes = generator.normal(0, 0.02, (sessions, symbols))
    np.cumsum(closes, axis=0, out=closes)
    np.exp(closes, out=closes)
    for i in range(0, symbols, 3):
        closes[: generator.integers(0, sessions // 2), i] = np.nan
    dates = pd.bdate_range("2010-01-01", periods=sessions).to_numpy("datetime64[us]")
    return Panel(dates, tuple(f"S{i}" for i in range(symbols)), closes, dates)


def full_sides(panel: Panel) -> dict[str, Callable[[], np.ndarray]]:
    """Return what is timed, by name; each gives (n, 6) shares, line and oscillator."""
    frame = pd.DataFrame(panel.closes)
    by_symbol = np.ascontiguousarray(panel.closes.T)
    table = pl.DataFrame(
        {f"S{i}": pl.Series(column, nan_to_null=True) for i, column in enumerate(by_symbol)}
    )
    return {
        "ours": lambda: advance_decline(participation(universe_of(panel))),
        "ours_compiled": lambda: advance_decline(fused.participation(universe_of(panel))),
        "ours_with_spreads": lambda: breadth_table(panel).to_numpy(),
        "pandas": lambda: pandas_side(frame),
        "polars": lambda: polars_side(table, by_symbol),
        "bottleneck": lambda: bottleneck_side(by_symbol),
        "coreforecast": lambda: coreforecast_side(by_symbol, 1),
        "coreforecast_2_threads": lambda: coreforecast_side(by_symbol, 2),
    }


def timed(
    sides: dict[str, Callable[[], np.ndarray]], rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the best wall and processor seconds of each side, all run in turn."""
    wall, cpu = dict.fromkeys(sides, np.inf), dict.fromkeys(sides, np.inf)
    for _ in range(rounds):
        for name, run in sides.items():
            begin, worked = time.perf_counter(), time.process_time()
            run()
            wall[name] = min(wall[name], time.perf_counter() - begin)
            cpu[name] = min(cpu[name], time.process_time() - worked)
    return wall, cpu


def agree(panel: Panel) -> None:
    """Refuse to time sides that do not say the same."""
    results = {
        name: run()[300:] for name, run in full_sides(panel).items() if name != "ours_with_spreads"
    }
    for name, result in results.items():
        np.testing.assert_allclose(result, results["ours"], rtol=1e-9, atol=1e-9, err_msg=name)


def advance_decline(counts: dict[str, np.ndarray]) -> np.ndarray:
    """Return shares, line and oscillator from counts."""
    net = (counts["advances"] - counts["declines"]) / np.maximum(
        counts["advances"] + counts["declines"], 1
    )
    averages = pd.Series(net)
    fast = averages.ewm(alpha=0.10, adjust=False).mean().to_numpy()
    slow = averages.ewm(alpha=0.05, adjust=False).mean().to_numpy()
    year = np.maximum(counts["whole_252"], 1)
    return np.stack(
        [
            counts["above_50"] / np.maximum(counts["whole_50"], 1),
            counts["above_200"] / np.maximum(counts["whole_200"], 1),
            (counts["high"] - counts["low"]) / year,
            counts["negative"] / np.maximum(counts["ends_252"], 1),
            np.cumsum(net),
            fast - slow,
        ],
        axis=1,
    )


def pandas_side(frame: pd.DataFrame) -> np.ndarray:
    """Count with pandas' rolling windows."""
    mean_50, mean_200 = frame.rolling(50).mean(), frame.rolling(200).mean()
    top, bottom = frame.rolling(YEAR).max(), frame.rolling(YEAR).min()
    before, ago = frame.shift(1), frame.shift(YEAR)
    held = {
        "above_50": frame > mean_50, "whole_50": mean_50.notna(), "above_200": frame > mean_200,
        "whole_200": mean_200.notna(), "high": frame >= top, "low": frame <= bottom,
        "whole_252": top.notna(), "negative": frame < ago, "ends_252": ago.notna() & frame.notna(),
        "advances": frame > before, "declines": frame < before,
    }  # fmt: skip
    return advance_decline({name: hit.sum(axis=1).to_numpy() for name, hit in held.items()})


def pandas_day(tail: pd.DataFrame) -> np.ndarray:
    """Count the last session with pandas, from the 253 rows it needs."""
    now, before, ago = tail.iloc[-1], tail.iloc[-2], tail.iloc[0]
    mean_50, mean_200 = tail.iloc[-50:].mean(skipna=False), tail.iloc[-200:].mean(skipna=False)
    year = tail.iloc[-YEAR:]
    top, bottom = year.max(skipna=False), year.min(skipna=False)
    counted = (mean_50.count(), mean_200.count(), top.count(), (now.notna() & ago.notna()).sum())
    hits = (now > mean_50, now > mean_200, now >= top, now <= bottom, now < ago)
    return np.array([*counted, *(hit.sum() for hit in (*hits, now > before, now < before))])


def polars_side(table: pl.DataFrame, by_symbol: np.ndarray) -> np.ndarray:
    """Count on polars' rolling windows, with numpy, which is quicker here than its expressions."""
    every = pl.all()
    kinds = (
        every.rolling_mean(50), every.rolling_mean(200), every.rolling_max(YEAR),
        every.rolling_min(YEAR),
    )  # fmt: skip
    windows = pl.collect_all([table.lazy().select(kind) for kind in kinds])
    arrays = [np.ascontiguousarray(window.to_numpy().T) for window in windows]
    return advance_decline(numpy_counts(by_symbol, *arrays))


def bottleneck_side(by_symbol: np.ndarray) -> np.ndarray:
    """Count with bottleneck's moving windows."""
    return advance_decline(
        numpy_counts(
            by_symbol,
            bottleneck.move_mean(by_symbol, 50, axis=1),
            bottleneck.move_mean(by_symbol, 200, axis=1),
            bottleneck.move_max(by_symbol, YEAR, axis=1),
            bottleneck.move_min(by_symbol, YEAR, axis=1),
        )
    )


def coreforecast_side(by_symbol: np.ndarray, threads: int) -> np.ndarray:
    """Count with coreforecast's rolling kernels over one group a symbol."""
    symbols, sessions = by_symbol.shape
    ends = np.arange(0, symbols * sessions + 1, sessions, dtype=np.int32)
    grouped = GroupedArray(by_symbol.ravel(), ends, num_threads=threads)
    kernels = (RollingMean(0, 50), RollingMean(0, 200), RollingMax(0, YEAR), RollingMin(0, YEAR))
    windows = (kernel.transform(grouped).reshape(by_symbol.shape) for kernel in kernels)
    return advance_decline(numpy_counts(by_symbol, *windows))


def numpy_counts(
    closes: np.ndarray,
    mean_50: np.ndarray,
    mean_200: np.ndarray,
    top: np.ndarray,
    bottom: np.ndarray,
) -> dict[str, np.ndarray]:
    """Compare (symbols, sessions) windows and count; adding bytes along symbols is quickest."""

    def number(hit: np.ndarray) -> np.ndarray:
        counted = np.zeros(closes.shape[1], dtype="int64")
        counted[-hit.shape[1] :] = hit.sum(axis=0, dtype="uint16")
        return counted

    now, before = closes[:, 1:], closes[:, :-1]
    late, ago = closes[:, YEAR:], closes[:, :-YEAR]
    return {
        "above_50": number(closes > mean_50), "whole_50": number(~np.isnan(mean_50)),
        "above_200": number(closes > mean_200), "whole_200": number(~np.isnan(mean_200)),
        "high": number(closes >= top), "low": number(closes <= bottom),
        "whole_252": number(~np.isnan(top)), "negative": number(late < ago),
        "ends_252": number(~np.isnan(late) & ~np.isnan(ago)),
        "advances": number(now > before), "declines": number(now < before),
    }  # fmt: skip


def best_block(seconds: list[float]) -> float:
    """Return seconds a day in the best block of sessions, the day that closes a block included."""
    return float(np.reshape(seconds[-240:], (-1, BLOCK)).mean(axis=1).min())


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    """Round for the eye."""
    return {name: round(value, 4) for name, value in seconds.items()}


if __name__ == "__main__":
    main()
