"""A browser, and pages that watch its console. A module of tests gives the fixture `server`: a URL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from console_browser import CHROMIUM, QUIET
from playwright.sync_api import ConsoleMessage, Page, sync_playwright


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, server: str) -> Iterator[Page]:
    """A page that fails its test when the browser's console saw an error or a warning it did not expect."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, locale="en-GB", base_url=server)
    shown = context.new_page()
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "400 (Bad Request)" not in message.text:
            complaints.append(message.text)

    shown.on("console", note)
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.set_default_timeout(20_000)
    yield shown
    context.close()
    assert complaints == []
