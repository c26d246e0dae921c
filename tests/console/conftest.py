"""A browser, and pages that watch its console. A module of tests gives the fixture `server`: a URL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from console_browser import CHROMIUM, QUIET
from page_complaints import complaints_of
from playwright.sync_api import Page, sync_playwright

NO_INCIDENTS = {
    "start": 0,
    "end": 0,
    "watching": {
        "since": None, "last": None, "services": 0, "scopes": 0, "days": 0, "learning": None, "trouble": None
    },
    "incidents": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def keeps_incidents() -> bool:
    """Whether the module's server has the incidents that every page asks for; else none are told to it."""
    return False


@pytest.fixture
def page(chromium: Any, server: str, keeps_incidents: bool) -> Iterator[Page]:
    """A page that fails its test when the browser's console saw an error or a warning it did not expect."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, locale="en-GB", base_url=server)
    if not keeps_incidents:
        context.route("**/api/windvane/v1/incidents?**", lambda route: route.fulfill(json=NO_INCIDENTS))
    shown = context.new_page()
    complaints = complaints_of(shown, expected="400 (Bad Request)")
    shown.set_default_timeout(20_000)
    yield shown
    context.close()
    assert complaints == []
