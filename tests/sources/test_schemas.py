"""What the schemas say of whole frames, whoever built them."""

from __future__ import annotations

import pandas as pd
import pytest

from sources import SchemaError, check_table
from sources.schemas import LAYOUTS, schema


def _table(kind: str) -> pd.DataFrame:
    dates = pd.DatetimeIndex(["2024-05-30", "2024-05-31"], dtype="datetime64[us]")
    columns = dict.fromkeys(LAYOUTS[kind].bounds, 1.0)
    known = dates.tz_localize("UTC") + pd.Timedelta(days=1)
    return pd.DataFrame({"date": dates, **columns, "available_at": known})


@pytest.mark.parametrize("kind", list(LAYOUTS))
def test_a_frame_as_the_layout_says_passes(kind: str) -> None:
    check_table(_table(kind), kind, "here")
    assert tuple(schema(kind).columns) == LAYOUTS[kind].columns == tuple(_table(kind).columns)


@pytest.mark.parametrize("kind", list(LAYOUTS))
def test_every_bound_of_every_column_is_kept(kind: str) -> None:  # A22
    for column, (low, high) in LAYOUTS[kind].bounds.items():
        for value in (low - abs(low) / 2 - 1e-11, high * 1.01, float("inf"), float("-inf")):
            table = _table(kind)
            table.loc[1, column] = value
            with pytest.raises(SchemaError) as caught:
                check_table(table, kind, "here", first_row=2)
            assert (caught.value.column, caught.value.row) == (column, 3)
            assert caught.value.found == repr(value)


@pytest.mark.parametrize("kind", list(LAYOUTS))
@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda t: t.drop(columns="available_at"), id="column-missing"),
        pytest.param(lambda t: t.assign(extra=1.0), id="column-too-many"),
        pytest.param(lambda t: t[t.columns[::-1]], id="A13-columns-reordered"),
        pytest.param(lambda t: t.astype({"date": "datetime64[ns]"}), id="B04-nanoseconds"),
        pytest.param(lambda t: t.astype({t.columns[1]: "float32"}), id="single-precision"),
        pytest.param(
            lambda t: t.assign(available_at=t["available_at"].dt.tz_localize(None)), id="A18-naive"
        ),
        pytest.param(lambda t: t.assign(date=t["date"].where(t.index > 0)), id="no-date"),
        pytest.param(lambda t: t.iloc[::-1].reset_index(drop=True), id="A16-unsorted"),
    ],
)
def test_a_frame_of_another_shape_is_refused_in_one_line(kind: str, broken: object) -> None:
    assert callable(broken)
    with pytest.raises(SchemaError) as caught:
        check_table(broken(_table(kind)), kind, "here")
    assert str(caught.value).startswith("here")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200
