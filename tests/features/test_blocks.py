"""Each block against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.breadth import breadth_table
from features.flows import fund_flows
from features.highs import build_highs, is_all_time_high, sessions_since
from features.labels import forward_labels
from features.momentum import small_cap_momentum
from sources import Panel


def _prices(values: list[float], start: str = "2020-01-01") -> pd.DataFrame:
    index = pd.date_range(start, periods=len(values), freq="D", unit="us", name="date")
    return pd.DataFrame({"close": values, "adj_close": np.nan}, index)


def test_an_all_time_high_is_above_every_earlier_close_and_needs_a_year_before_it() -> None:
    # 252 rows of 100 are no high; then 101 is one, an equal 101 is not, 102 is, 101.5 is not.
    price = pd.Series([100.0] * 252 + [101.0, 101.0, 102.0, 101.5])
    flag = is_all_time_high(price)
    assert flag.iloc[:252].isna().all()
    assert flag.iloc[252:].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert sessions_since(flag).iloc[252:].tolist() == [0.0, 1.0, 0.0, 1.0]


def test_the_first_high_is_the_one_after_sixty_quiet_sessions() -> None:
    # A high at row 252 (the first ever), at 253 (not quiet), and at 253 + 61 (60 rows without).
    closes = [100.0] * 252 + [101.0, 102.0] + [90.0] * 60 + [103.0, 104.0]
    built = build_highs(pd.Series(closes))
    assert built["high_first"].iloc[252:254].tolist() == [1.0, 0.0]
    assert built["high_first"].iloc[314:].tolist() == [1.0, 0.0]
    # Ten sessions after the high of row 253, freshness is exp(-10/20).
    assert built["high_freshness"].iloc[263] == pytest.approx(np.exp(-0.5))
    assert built["nearness_all_time"].iloc[263] == pytest.approx(90 / 102)


def test_momentum_is_the_log_return_over_its_sessions() -> None:
    closes = [100 * 1.01**i for i in range(260)]
    built = small_cap_momentum({"small": _prices(closes)})
    assert built["small_return_20s"].iloc[-1] == pytest.approx(20 * np.log(1.01))
    assert built["small_return_252s"].first_valid_index() == built.index[252]
    # A steady rise stands above its 200-session mean by the mean lag, 99.5 steps.
    assert built["small_mean_distance_200s"].iloc[-1] == pytest.approx(99.5 * np.log(1.01))


def test_a_constant_price_has_no_scaled_return_and_no_infinity() -> None:
    built = small_cap_momentum({"small": _prices([100.0] * 260)})
    assert built["small_scaled_return_60s"].isna().all()
    assert built["small_return_60s"].iloc[-1] == 0.0


def test_flows_are_over_the_assets_before_them() -> None:
    fund = pd.DataFrame({"flow_usd": [5.0, 10.0, -4.0], "aum_usd": [100.0, 110.0, 106.0]})
    built = fund_flows({"fund": fund})
    # 10 into 100, then 4 out of 110.
    assert built["flow_1s"].tolist()[1:] == pytest.approx([0.1, -4 / 110])


def test_breadth_counts_only_symbols_with_a_full_window_and_says_its_coverage() -> None:
    # 30 symbols: 20 rise steadily, 9 fall, one lists late and never has 50 sessions.
    rows, up, down = 260, 20, 9
    steps = np.concatenate([np.full(up, 0.01), np.full(down, -0.01), [0.01]])
    closes = 50 * np.exp(np.outer(np.arange(rows), steps))
    closes[: rows - 10, -1] = np.nan
    dates = pd.date_range("2020-01-01", periods=rows, unit="us").to_numpy("datetime64[us]")
    panel = Panel(dates, tuple(f"S{i}" for i in range(30)), closes, dates)
    last = breadth_table(panel).iloc[-1]
    assert last["breadth_above_50s"] == pytest.approx(20 / 29)
    assert last["breadth_negative_252s"] == pytest.approx(9 / 29)
    assert last["breadth_high_minus_low"] == pytest.approx((20 - 9) / 29)
    assert last["breadth_coverage"] == pytest.approx(29 / 30)


def test_A28_a_member_counts_from_its_start_to_its_end() -> None:
    rows = 60
    dates = pd.date_range("2020-01-01", periods=rows, unit="us").to_numpy("datetime64[us]")
    closes = 50 * np.exp(np.outer(np.arange(rows), np.full(25, 0.01)))
    members = pd.DataFrame(
        {
            "symbol": [f"S{i}" for i in range(25)],
            "start": pd.Timestamp("2020-01-01"),
            # Five names leave before the last day and drop out of the count.
            "end": [pd.Timestamp("2020-02-20")] * 5 + [pd.NaT] * 20,
        }
    )
    panel = Panel(dates, tuple(f"S{i}" for i in range(25)), closes, dates, members)
    built = breadth_table(panel)
    assert built["breadth_above_50s"].iloc[-1] == 1.0
    fewer = Panel(dates, panel.symbols[:24], closes[:, :24], dates, members)
    assert np.isnan(breadth_table(fewer)["breadth_above_50s"].iloc[-1])  # 19 left, 20 needed


@pytest.mark.parametrize("symbols", [0, 1])
def test_B15_a_panel_of_none_or_one_has_no_breadth_and_raises_nothing(symbols: int) -> None:
    dates = pd.date_range("2020-01-01", periods=300, unit="us").to_numpy("datetime64[us]")
    panel = Panel(dates, ("S0",)[:symbols], np.full((300, symbols), 5.0), dates)
    assert breadth_table(panel).drop(columns=["date", "available_at"]).isna().all(axis=None)


def test_a_label_is_one_above_the_threshold_and_ends_h_days_later() -> None:
    closes = [100.0, 103.0, 100.0, 110.0]
    table = _prices(closes).reset_index()
    stamps = (table["date"] + pd.Timedelta(days=1)).dt.tz_localize("UTC")
    table["available_at"] = stamps.astype("datetime64[us, UTC]")
    days = pd.date_range("2020-01-01", periods=4, freq="D", unit="us")
    labels = forward_labels(table, days, 2, 0.05)
    # 100 -> 100 is not above 5 %, 103 -> 110 is (6.8 %); the last two are not known yet.
    np.testing.assert_array_equal(labels.outcome, [0.0, 1.0, np.nan, np.nan])
    assert labels.label_end.astype(str).tolist() == [f"2020-01-0{i}" for i in (3, 4, 5, 6)]
    assert labels.known_on.astype(str).tolist()[:2] == ["2020-01-03", "2020-01-04"]


def test_a_missing_bar_at_either_end_leaves_no_label_and_a_late_one_delays_it() -> None:
    table = _prices([100.0, 101.0, 102.0, 103.0]).reset_index()
    stamps = (table["date"] + pd.Timedelta(days=1)).dt.tz_localize("UTC")
    stamps.iloc[2] += pd.Timedelta(days=5)
    table["available_at"] = stamps.astype("datetime64[us, UTC]")
    late = table.drop(index=1)
    days = pd.date_range("2020-01-01", periods=4, freq="D", unit="us")
    labels = forward_labels(late, days, 1, 0.0)
    # Day 1 lacks its end, day 2 its beginning; day 3 (bar known on the 8th) ends on day 4.
    np.testing.assert_array_equal(np.isnan(labels.outcome), [True, True, False, True])
    assert str(labels.known_on[2]) == "2020-01-08"


def test_a_restated_close_does_not_rewrite_a_label_that_was_known() -> None:
    table = _prices([100.0, 101.0]).reset_index()
    stamps = (table["date"] + pd.Timedelta(days=1)).dt.tz_localize("UTC")
    table["available_at"] = stamps.astype("datetime64[us, UTC]")
    restated = table.iloc[[1]].assign(
        close=90.0, available_at=pd.Timestamp("2020-02-01", tz="UTC").as_unit("us")
    )
    days = pd.date_range("2020-01-01", periods=2, freq="D", unit="us")
    labels = forward_labels(pd.concat([table, restated], ignore_index=True), days, 1, 0.0)
    assert labels.outcome[0] == 1.0
