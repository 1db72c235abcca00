"""One table of lags and limits, and everything that reads it."""

from __future__ import annotations

from serving.freshness import STALE_AFTER_DAYS
from sources.calendars import PUBLICATION_LAGS
from sources.publication import PUBLICATIONS, publication


def test_every_row_says_who_publishes_and_how_old_it_may_grow() -> None:
    for name, row in PUBLICATIONS.items():
        assert row.stale_after_days > 0, name
        assert len(row.reference) > 10, name
        # The calendar, and not a lag, says when a bar closes.
        assert (row.lag is None) == (name in {"crypto", "prices"}), name


def test_calendars_and_the_scorer_read_the_same_table() -> None:
    assert {name for name in PUBLICATIONS if PUBLICATIONS[name].lag} == {
        *PUBLICATION_LAGS, "constituents"
    }  # fmt: skip
    assert {name: PUBLICATIONS[name].stale_after_days for name in STALE_AFTER_DAYS} == (
        STALE_AFTER_DAYS
    )


def test_a_series_without_a_row_of_its_own_has_that_of_its_folder() -> None:
    assert publication("macro", "UNRATE") is PUBLICATIONS["macro"]
    assert publication("macro", "WALCL") is PUBLICATIONS["WALCL"]
    assert publication("prices", "WALCL") is PUBLICATIONS["prices"]
    assert publication("prices", "BTC", is_crypto=True) is PUBLICATIONS["crypto"]
