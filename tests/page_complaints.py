"""What a browser's console complained of while a page was shown."""

from __future__ import annotations

from playwright.sync_api import ConsoleMessage, Page


def complaints_of(page: Page, expected: str | None = None) -> list[str]:
    """Errors and warnings of a page from now on, without those that have the `expected` text; it grows."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and (expected is None or expected not in message.text):
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints
