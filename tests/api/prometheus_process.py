"""A real Prometheus, and Windvane's own faces on a socket, for tests that ask both the same."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import httpx
from starlette.applications import Starlette

from windvane.app.web import WebListener
from windvane.kit.values import Address

T = TypeVar("T")

MISSING = "the programs prometheus and promtool are not installed"


def installed() -> bool:
    return shutil.which("prometheus") is not None and shutil.which("promtool") is not None


def until(get: Callable[[], T | None], seconds: float = 30.0) -> T:
    """The first true value of `get` before a deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = get()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"nothing after {seconds} seconds")


@contextlib.contextmanager
def prometheus(directory: Path, port: int, config: str, openmetrics: Iterable[str] = ()) -> Iterator[httpx.Client]:
    """A Prometheus with a configuration and with samples given as lines of OpenMetrics."""
    lines = list(openmetrics)
    if lines:
        text = directory / "samples.om"
        text.write_text("".join(lines) + "# EOF\n")
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(directory / "data")]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    file = directory / "prometheus.yml"
    file.write_text(config)
    command = [
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=100y",
        "--log.level=warn",
        "--enable-feature=promql-at-modifier,promql-negative-offset,exemplar-storage",
    ]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

                def ready() -> bool:
                    assert process.poll() is None, (directory / "log").read_text()
                    with contextlib.suppress(httpx.TransportError):
                        return client.get("/-/ready").status_code == 200
                    return False

                until(ready)
                yield client
        finally:
            process.terminate()
            process.wait(20)


@contextlib.contextmanager
def served(application: Starlette) -> Iterator[str]:
    """The base URL of an application that a thread of its own serves."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> WebListener:
        listener = WebListener(application, Address("127.0.0.1", 0))
        listener.start()
        return listener

    async def end(listener: WebListener) -> None:
        await listener.stop()

    try:
        listener = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
        try:
            yield f"http://{listener.address}"
        finally:
            asyncio.run_coroutine_threadsafe(end(listener), loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
