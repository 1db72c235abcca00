"""What the tests of live sources share."""

from __future__ import annotations

from pathlib import Path

import pytest
from patience import Patience


@pytest.fixture
def patience() -> Patience:
    """Return a clock that stands at NOW and never makes a test wait."""
    return Patience()


@pytest.fixture(scope="session")
def yfinance_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Have yfinance keep its cookies in a folder of the tests, never at home; return it."""
    import yfinance

    folder = tmp_path_factory.mktemp("yfinance")
    yfinance.set_tz_cache_location(str(folder))
    return folder
