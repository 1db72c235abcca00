"""Breadth against plain loops written from the definitions, and what must not change it."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, log, nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import REGISTRY, fused
from features.advances import AdvanceDecline
from features.breadth import breadth_table, constituent_breadth, survivorship_meter
from features.breadth_state import BreadthState
from features.participation import participation
from features.universe import trusted, universe_of
from sources import Panel
from sources.constituents import read_panel
from sources.errors import DataUnavailableError

OLD = pd.Timestamp("1900-01-01")


def _dates(rows: int) -> np.ndarray:
    return pd.bdate_range("2020-01-01", periods=rows).to_numpy("datetime64[us]")


def _panel(closes: np.ndarray, members: pd.DataFrame | None = None) -> Panel:
    dates = _dates(len(closes))
    return Panel(dates, tuple(f"S{i}" for i in range(closes.shape[1])), closes, dates, members)


def _walks(rows: int, symbols: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    closes = 20 * np.exp(np.cumsum(generator.normal(0, 0.02, (rows, symbols)), axis=0))
    for i in range(0, symbols, 3):  # late listings
        closes[: generator.integers(0, rows // 2), i] = np.nan
    for i in range(1, symbols, 5):  # holes
        begin = generator.integers(0, rows)
        closes[begin : begin + generator.integers(1, 30), i] = np.nan
    closes[:, symbols // 2] = 7.0  # constant
    closes[:, symbols // 3] = np.round(closes[:, symbols // 3])  # ties
    closes[rows // 2 :, symbols // 4] *= 1e-12  # falls as adjusted prices can
    return closes


def _plainly(panel: Panel) -> dict[str, float]:
    """Breadth of the last row by loops over symbols; no membership spans of the same symbol."""
    spans = dict.fromkeys(panel.symbols, (OLD, pd.NaT))
    if panel.members is not None:
        spans = {s: (a, b) for s, a, b in panel.members.itertuples(index=False)}
    date = pd.Timestamp(panel.dates[-1])
    found: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        found.setdefault(name, []).append(float(value))

    listed = 0
    for i, symbol in enumerate(panel.symbols):
        start, end = spans.get(symbol, (pd.NaT, pd.NaT))
        history = panel.closes[:, i].tolist()
        now = history[-1]
        if not (start <= date) or end < date or isnan(now):
            continue
        listed += 1
        for window in (50, 200):
            last = history[-window:]
            if len(last) == window and not any(map(isnan, last)):
                mean = sum(last) / window
                # Within rounding of its mean a price is not above it.
                add(f"above_{window}s", now > mean and now / mean - 1 > 1e-11)
        year = history[-252:]
        if len(year) == 252 and not any(map(isnan, year)):
            add("high_minus_low", (now == max(year)) - (now == min(year)))
            add("off_high_252s", now < 0.8 * max(year))
        if len(history) > 252 and not isnan(history[-253]):
            add("negative_252s", now < history[-253])
            add("median_return_252s", now / history[-253] - 1)
        for name, lag in (("day", 1), ("month", 20)):
            if len(history) > lag and not isnan(history[-1 - lag]):
                add(name, log(now / history[-1 - lag]))
    enough = {k: v for k, v in found.items() if len(v) >= 20 and len(v) >= listed / 2}
    built = {k: sum(v) / len(v) for k, v in enough.items()}
    if "median_return_252s" in enough:
        built["median_return_252s"] = float(np.median(enough["median_return_252s"]))
    if "day" in enough:
        day = pd.Series(enough["day"])
        low, middle, high = (day.quantile(q) for q in (0.1, 0.5, 0.9))
        reach = 5 * (high - low) / 2.563
        built["dispersion_1s"] = day.clip(middle - reach, middle + reach).std(ddof=0)
    if "month" in enough:
        month = pd.Series(enough["month"])
        built["dispersion_20s"] = month.std(ddof=0)
        ratio = np.exp(month)
        low, middle, high = (log(ratio.sort_values().quantile(q, "lower")) for q in (0.1, 0.5, 0.9))
        if high > low and len(ratio) % 10 == 1:  # the quantiles are values then, not between two
            built["skew_20s"] = (high + low - 2 * middle) / (high - low)
    if listed >= 20:
        built["coverage"] = len(found.get("high_minus_low", ())) / listed
    return built


PLAIN = (
    "above_50s", "above_200s", "high_minus_low", "off_high_252s", "negative_252s",
    "median_return_252s", "dispersion_1s", "dispersion_20s", "coverage",
)  # fmt: skip


def _sessions(panel: Panel) -> np.ndarray:
    """Rows that the coverage gate lets pass."""
    member = np.ones(panel.closes.shape, dtype=bool)
    if panel.members is not None:
        spans = panel.members.set_index("symbol").loc[list(panel.symbols)]
        start, end = (
            spans["start"].to_numpy(),
            spans["end"].fillna(pd.Timestamp("2200-01-01")).to_numpy(),
        )
        member = (panel.dates[:, None] >= start) & (panel.dates[:, None] <= end)
    listed = np.count_nonzero(member & ~np.isnan(panel.closes), axis=1)
    return np.flatnonzero(trusted(listed, member.sum(axis=1)))


def _agrees(panel: Panel, rows: list[int]) -> None:
    """Compare rows; a session that is gated has nothing, and is not there for the others."""
    built, kept = breadth_table(panel), _sessions(panel)
    for row in rows:
        if row not in kept:
            assert built.filter(like="breadth").iloc[row].isna().all()
            continue
        past = kept[kept <= row][-253:]
        plain = _plainly(replace(panel, dates=panel.dates[past], closes=panel.closes[past]))
        for name in PLAIN:
            actual, expected = built[f"breadth_{name}"].iloc[row], plain.get(name, nan)
            np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12, err_msg=name)
        if "skew_20s" in plain:
            assert built["breadth_skew_20s"].iloc[row] == pytest.approx(plain["skew_20s"])


@pytest.mark.parametrize("seed", [0, 1])
def test_breadth_equals_plain_loops_on_a_panel_with_holes_ties_and_late_listings(seed: int) -> None:
    panel = _panel(_walks(560, 61, seed))
    _agrees(panel, [0, 19, 20, 49, 50, 199, 200, 250, 251, 252, 253, 300, 411, 503, 504, 559])


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), rows=st.integers(1, 420), data=st.data())
def test_B15_breadth_equals_plain_loops_on_generated_panels(
    seed: int, rows: int, data: st.DataObject
) -> None:
    panel = _panel(_walks(max(rows, 2), 45, seed))
    _agrees(panel, [data.draw(st.integers(0, len(panel.dates) - 1)), len(panel.dates) - 1])


def test_breadth_equals_plain_loops_on_fifty_days_of_the_real_panel(real_market_dir: Path) -> None:
    panel = read_panel(real_market_dir, np.datetime64("2026-01-01"))
    assert panel is not None
    rows = np.random.default_rng(0).choice(len(panel.dates), 50, replace=False)
    _agrees(panel, [int(row) for row in rows])


def test_net_advances_make_the_line_and_the_mcclellan_oscillator() -> None:
    # By hand: constant net advances of 0.5 leave both averages at 0.5, so the oscillator is 0
    # and the summation 20 * 0.5 - 10 * 0.5 = 5. Then one of -0.5: fast 0.4, slow 0.45.
    line = AdvanceDecline()
    for _ in range(120):
        last = line.step(0.5)
    assert last == pytest.approx((60.0, 0.5, 0.5, 0.0, 5.0))
    # line 59.5; 20-session change (19 * 0.5 - 0.5) / 20 = 0.45; summation 9 - 4 - 0.05 = 4.95.
    assert line.step(-0.5) == pytest.approx((59.5, 0.45, 29.0 / 60, -0.05, 4.95))


def test_the_summation_in_closed_form_is_the_sum_of_the_oscillators() -> None:
    # Their differences agree: each day's oscillator is what the summation rose by.
    line = AdvanceDecline()
    nets = np.random.default_rng(3).uniform(-1, 1, 300)
    steps = np.array([line.step(float(net)) for net in nets])
    rise = np.diff(steps[150:, 4])
    np.testing.assert_allclose(rise, steps[151:, 3], atol=1e-12)


def _with_members(symbols: int) -> pd.DataFrame:
    dates = _dates(560)
    generator = np.random.default_rng(9)
    start = generator.integers(0, 300, symbols)
    end = np.minimum(start + generator.integers(20, 500, symbols), 559)
    left = generator.random(symbols) < 0.3
    return pd.DataFrame(
        {
            "symbol": [f"S{i}" for i in range(symbols)],
            "start": pd.to_datetime(dates[start]),
            "end": pd.Series(pd.to_datetime(dates[end])).where(left),
        }
    )


def test_A28_members_count_by_date_and_windows_may_read_what_was_public_before() -> None:
    panel = _panel(_walks(560, 90, 4), _with_members(90))
    counted = breadth_table(panel)
    assert counted["breadth_above_200s"].notna().sum() > 200
    _agrees(panel, [250, 252, 300, 430, 559])


def test_A28_a_symbol_used_again_never_reads_the_company_before() -> None:
    # S0 is one company at 100 until session 299, and another at 1 from session 310 on. For 252
    # sessions the second has no year of its own; read through, it would be 99 % off its high.
    closes = np.full((620, 20), 50.0)
    closes[:300, 0], closes[300:, 0] = 100.0, 1.0
    dates = pd.to_datetime(_dates(620))
    members = pd.DataFrame(
        {
            "symbol": [f"S{i}" for i in range(20)] + ["S0"],
            "start": [OLD] * 20 + [dates[310]],
            "end": [dates[299]] + [pd.NaT] * 20,
        }
    ).astype({"start": "datetime64[us]", "end": "datetime64[us]"})
    built = breadth_table(_panel(closes, members))
    assert built["breadth_off_high_252s"].iloc[299] == 0.0
    # 19 of the 20 listed can be counted, one below the least; from session 300 + 251 on all can.
    assert built["breadth_coverage"].iloc[320:551].tolist() == [0.95] * 231
    assert built["breadth_off_high_252s"].iloc[310:551].isna().all()
    assert (built["breadth_off_high_252s"].iloc[551:] == 0.0).all()


def test_A29_a_feed_that_failed_is_no_session_and_no_collapse() -> None:
    closes = _walks(400, 60, 5)
    failed = closes.copy()
    failed[350, 6:] = np.nan  # a tenth is left
    built, without = breadth_table(_panel(failed)), breadth_table(_panel(np.delete(closes, 350, 0)))
    values = [name for name in built if name.startswith("breadth")]
    assert built[values].iloc[350].isna().all()
    rest = built[values].drop(index=350).reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, without[values])


def test_A29_a_level_that_lasts_is_taken_for_the_usual_after_half_the_gate() -> None:
    # 100 of 100, then 80: below 95 % of the median until 80 is half of the last twenty.
    listed = np.array([100] * 30 + [80] * 20)
    passed = trusted(listed, np.full(50, 100))
    assert passed[:30].all()
    assert not passed[30:40].any()
    assert not passed[40]  # ten of each: the median is 90, and 80 is below 85.5
    assert passed[41:].all()


def test_B14_no_window_is_shortened() -> None:
    built = breadth_table(_panel(np.exp(np.cumsum(np.full((300, 25), 0.01), axis=0))))
    first = {name: built[f"breadth_{name}"].first_valid_index() for name in PLAIN[:-1]}
    assert first == {
        "above_50s": 49, "above_200s": 199, "high_minus_low": 251, "off_high_252s": 251,
        "negative_252s": 252, "median_return_252s": 252, "dispersion_1s": 1, "dispersion_20s": 20,
    }  # fmt: skip


def test_one_price_that_nobody_adjusted_leaves_the_dispersion_of_the_day_as_it_was() -> None:
    # Of 200 names with deviation 0.02 one that moves by ln 10 would raise it to sqrt(0.02^2 +
    # 2.3^2 / 200) = 0.164; cut at 5 deviations it adds a variance of 25 / 200: 0.0212.
    moves = np.random.default_rng(3).normal(0, 0.02, (3, 200))
    moves[2, 7] = -np.log(10.0)
    spread = breadth_table(_panel(np.exp(np.cumsum(moves, axis=0))))["breadth_dispersion_1s"]
    assert spread[1] == pytest.approx(0.02, rel=0.1)
    assert spread[2] == pytest.approx(0.0212, rel=0.1)


def test_B15_constant_prices_are_above_nothing_and_have_no_skew() -> None:
    # Few of these have an exact binary form: a mean by sums is off in the last bit for some.
    last = breadth_table(_panel(np.tile(np.arange(1, 41) / 10 + 0.01, (300, 1)))).iloc[-1]
    assert last["breadth_above_50s"] == last["breadth_above_200s"] == 0.0
    assert last["breadth_high_minus_low"] == 0.0  # each is its own high and low
    assert last["breadth_dispersion_1s"] == last["breadth_dispersion_20s"] == 0.0
    assert last["breadth_mcclellan"] == 0.0
    assert isnan(last["breadth_skew_20s"])


@pytest.mark.parametrize(("rows", "symbols"), [(0, 30), (1, 30), (300, 0), (300, 1), (13, 300)])
def test_B15_empty_and_small_panels_give_missing_values_and_no_error(
    rows: int, symbols: int
) -> None:
    built = breadth_table(_panel(np.full((rows, symbols), 5.0)))
    assert len(built) == rows
    assert not np.isinf(built.filter(like="breadth").to_numpy("float64")).any()
    nothing = breadth_table(_panel(np.full((rows, symbols), np.nan)))
    assert nothing.filter(like="breadth_above").isna().all(axis=None)


@pytest.mark.parametrize("members", [False, True])
@pytest.mark.parametrize("at", [20, 253, 431])
def test_B01_B02_the_future_changes_nothing(at: int, members: bool) -> None:
    panel = _panel(_walks(560, 90, 6), _with_members(90) if members else None)
    whole = breadth_table(panel).iloc[:at]
    cut = replace(
        panel, dates=panel.dates[:at], closes=panel.closes[:at], available_at=panel.dates[:at]
    )
    pd.testing.assert_frame_equal(breadth_table(cut), whole, check_exact=True)
    later = np.arange(len(panel.dates))[:, None] >= at
    scaled = replace(panel, closes=np.where(later, panel.closes * 1e6, panel.closes))
    pd.testing.assert_frame_equal(breadth_table(scaled).iloc[:at], whole, check_exact=True)


def test_A16_the_order_of_symbols_changes_no_bit() -> None:
    panel = _panel(_walks(400, 150, 7))  # more than one block of columns
    order = np.random.default_rng(0).permutation(150)
    symbols = tuple(panel.symbols[i] for i in order)
    shuffled = replace(panel, symbols=symbols, closes=panel.closes[:, order])
    pd.testing.assert_frame_equal(breadth_table(shuffled), breadth_table(panel), check_exact=True)


def test_scaling_every_price_changes_nothing() -> None:
    panel = _panel(_walks(400, 60, 8))
    scaled = breadth_table(replace(panel, closes=panel.closes * 1000.0))
    pd.testing.assert_frame_equal(scaled, breadth_table(panel), rtol=1e-9)


@pytest.mark.parametrize("members", [False, True])
def test_the_state_gives_the_bits_of_the_full_computation_day_by_day(members: bool) -> None:
    panel = _panel(_walks(560, 90, 10), _with_members(90) if members else None)
    panel.closes[333] = np.nan  # a feed that failed
    state = BreadthState(panel.symbols, panel.members)
    days = [state.update(date, row) for date, row in zip(panel.dates, panel.closes, strict=True)]
    whole = breadth_table(panel).drop(columns=["date", "available_at"])
    assert days[333] == {}
    carried = pd.DataFrame(days, index=range(560))[list(whole.columns)]
    pd.testing.assert_frame_equal(carried, whole, check_exact=True)


def test_a_state_made_of_a_panel_goes_on_where_the_panel_ends() -> None:
    panel = _panel(_walks(320, 60, 11))
    cut = replace(panel, dates=panel.dates[:-1], closes=panel.closes[:-1])
    day = BreadthState.of(cut).update(panel.dates[-1], panel.closes[-1])
    whole = breadth_table(panel).iloc[-1]
    assert all(np.array_equal(day[name], whole[name], equal_nan=True) for name in day)


def test_the_survivorship_meter_shows_what_the_dead_would_have_said() -> None:
    # Thirty names rise for ever; ten fall, and leave at session 300. Then 30 of 40 are above
    # their mean; among those who stayed all are: the meter says 0.75 - 1, and 0 afterwards.
    steps = np.concatenate([np.full(30, 0.01), np.full(10, -0.01)])
    closes = np.exp(np.outer(np.arange(400), steps))
    dates = pd.to_datetime(_dates(400))
    members = pd.DataFrame(
        {
            "symbol": [f"S{i}" for i in range(40)],
            "start": [OLD] * 40,
            "end": [pd.NaT] * 30 + [dates[300]] * 10,
        }
    ).astype({"start": "datetime64[us]", "end": "datetime64[us]"})
    meter = survivorship_meter(_panel(closes, members))
    assert meter["breadth_above_50s"].iloc[49:301].tolist() == pytest.approx([-0.25] * 252)
    assert (meter["breadth_above_50s"].iloc[301:] == 0.0).all()
    with pytest.raises(DataUnavailableError, match=r"needed constituents/members\.csv"):
        survivorship_meter(_panel(closes))


def test_the_group_hands_on_its_registered_features_and_the_table_says_the_coverage() -> None:
    table = breadth_table(_panel(_walks(300, 40, 12)))
    group = next(group for group in REGISTRY if group.name == "constituent_breadth")
    handed = constituent_breadth({"panel": table.set_index("date").drop(columns="available_at")})
    assert list(handed.columns) == [feature.name for feature in group.features]
    beside = {name for name in table if name.startswith("breadth_coverage_")}
    assert {f"breadth_coverage_{w}" for w in ("1s", "20s", "50s", "200s", "return_252s")} == beside


@pytest.mark.parametrize("rows", [1, 11, 12, 13, 253, 700])
@pytest.mark.parametrize("dated", [False, True])
def test_the_compiled_kernel_counts_the_same_to_the_last_one(rows, dated):
    members = None
    if dated:  # S1 is used twice, S2 joins late and leaves, the rest stay
        days = pd.DatetimeIndex(_dates(700))
        members = pd.DataFrame(
            {
                "symbol": ["S1", "S1", "S2", *(f"S{i}" for i in range(3, 60))],
                "start": [days[0], days[300], days[40], *[days[0]] * 57],
                "end": [days[200], pd.NaT, days[500], *[pd.NaT] * 57],
            }
        )
    panel = _panel(_walks(700, 60, seed=3)[:rows], members)
    universe = universe_of(panel)
    plain = participation(universe)
    for width in (7, 1024):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(fused, "WIDTH", width)
            compiled = fused.participation(universe)
        for name, counts in plain.items():
            np.testing.assert_array_equal(compiled[name], counts, err_msg=f"{name}, {width}")


def test_the_compiled_kernel_leaves_the_table_as_it_is_when_a_feed_fails():
    closes = _walks(400, 60, seed=5)
    closes[300] = np.nan  # no session: the universe is cut, and the kernel must follow
    panel = _panel(closes)
    pd.testing.assert_frame_equal(breadth_table(panel, fused.participation), breadth_table(panel))
