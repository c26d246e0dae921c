"""What the tests of the console's pages share: when they run, and a server in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from windvane.api.console import built_console

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

NEEDS_BROWSER = [
    pytest.mark.browser,
    pytest.mark.timeout(180),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt install chromium)"),
    pytest.mark.skipif(not (built_console() / "index.html").is_file(), reason="the console is not built"),
]


@contextmanager
def in_thread(start: Callable[[contextlib.AsyncExitStack], Awaitable[str]]) -> Iterator[str]:
    """The URL that `start` tells; what it puts on the stack is undone at the end."""
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    url: list[str] = []
    stop = asyncio.Event()

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            url.append(await start(stack))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), name="console server")
    thread.start()
    try:
        assert ready.wait(60), "the server did not start"
        yield url[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
