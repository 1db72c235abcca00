"""Errors keep what they know, across processes and into messages."""

from __future__ import annotations

import pickle

import pytest

from sources import (
    DataUnavailableError,
    EmptyFeedError,
    InsufficientHistoryError,
    ProviderUnavailableError,
    RiskonError,
    SchemaError,
    StaleDataError,
    TrackingUnavailableError,
    UnknownNameError,
)

ERRORS = [
    SchemaError("prices/BTC.csv", column="close", row=3, expected="a price", found="'x'"),
    DataUnavailableError("market: needed a, found b", source="market"),
    StaleDataError("flows", as_of="2024-01-02", age_days=12, limit_days=10),
    ProviderUnavailableError("fred", found="HTTP 429", attempts=2, status=429, retry_at="x"),
    EmptyFeedError("stooq IWM", expected="at least one row", found="none"),
    InsufficientHistoryError("BTC_5d: labels", needed=365, found=12, unit="labels"),
    UnknownNameError("asset", "PEPE", ["BTC", "ETH"]),
    TrackingUnavailableError("http://h", "refused"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_an_error_of_a_worker_process_is_the_same_error_here(error: RiskonError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.__dict__ == error.__dict__
    assert again.exit_code == error.exit_code


def test_F03_a_password_in_a_url_is_never_in_the_message() -> None:
    detail = "HTTPConnectionPool: http://user:s3cret@host:1/api failed"
    said = str(TrackingUnavailableError("http://user:s3cret@host:1", detail))
    assert "s3cret" not in said
    assert "http://***@host:1" in said
