"""What the tests of live sources share."""

from __future__ import annotations

import pytest
from patience import Patience


@pytest.fixture
def patience() -> Patience:
    """Return a clock that stands at NOW and never makes a test wait."""
    return Patience()
