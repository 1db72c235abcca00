"""A real Chromium, for the tests that look at pages as a person does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = Path(os.environ.get("RISKON_CHROMIUM", "/usr/bin/chromium"))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium; fail, with what to install, where it is absent and nobody said to skip."""
    if not CHROMIUM.is_file():
        said = (
            f"needed Chromium at {CHROMIUM} (Debian's package chromium, or RISKON_CHROMIUM says "
            "where); found none; RISKON_SKIP_BROWSER=1 skips these tests"
        )
        if os.environ.get("RISKON_SKIP_BROWSER") == "1":
            pytest.skip(said)
        pytest.fail(said)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()
