"""A whole demo as a test drives it: the command a user runs, its events, and its APIs."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

SERVICES = {
    "frontend", "catalog", "reviews", "cart", "checkout", "recommendation", "search",
    "payment", "fraud", "shipping", "ledger-db",
}  # fmt: skip


def until(condition: Callable[[], Any], within: float, what: str) -> Any:
    """The first true value of `condition`; fails with `what` when there is none in time."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within:g} s: {what}")
        threading.Event().wait(0.2)


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Demo:
    """`windvane demo` as a child process, on ports the system chose; it looks for incidents if told `--watch`."""

    def __init__(self, run_dir: Path, *options: str) -> None:
        self.run_dir = run_dir
        command = [
            sys.executable, "-m", "windvane", "demo", "--run-dir", str(run_dir), "--output", "json", "--day", "none",
            "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--ads", "127.0.0.1:0",
            "--gateway", f"127.0.0.1:{free_port()}", "--no-browser", "--no-watch", *options,
        ]  # fmt: skip
        self.events: list[dict[str, Any]] = []
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._stderr = (run_dir.parent / f"{run_dir.name}.stderr").open("w+")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._stderr, text=True, start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def wait_for(self, event: str, within: float = 60.0, having: str = "event") -> dict[str, Any]:
        """The first event of that name with the field `having`."""
        for known in self.events:
            if known["event"] == event and having in known:
                return known
        deadline = time.monotonic() + within
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                break
            self.events.append(line)
            if line["event"] == event and having in line:
                return line
        pytest.fail(f"no event {event!r}; had {self.events[-8:]}\n{self.stderr()}\n{self.logs()}")

    def in_sync(self) -> bool:
        """Whether every sidecar has acknowledged the newest configuration."""
        return all(proxy["synced"] for proxy in self.get("/api/windvane/v1/mesh/proxies")["proxies"])

    def drain(self) -> list[dict[str, Any]]:
        """All events so far, without waiting."""
        while not self._lines.empty():
            line = self._lines.get()
            if line is not None:
                self.events.append(line)
        return self.events

    def stderr(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read()[-3000:]

    def logs(self) -> str:
        """The end of the server's log, for a failed test."""
        log = self.run_dir / "logs" / "server.log"
        return log.read_text(errors="replace")[-3000:] if log.exists() else ""

    @property
    def url(self) -> str:
        return str(self.wait_for("ready", having="console")["console"]).rstrip("/")

    @property
    def gateway(self) -> str:
        return str(self.wait_for("ready", having="gateway")["gateway"]).rstrip("/")

    def get(self, path: str, **parameters: Any) -> Any:
        """JSON of the server's answer; fails on an error status."""
        answer = httpx.get(self.url + path, params=parameters, timeout=30, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    def promql(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """An instant query: value by sorted labels."""
        result = self.get("/api/v1/query", query=expression)["data"]["result"]
        return {tuple(sorted(item["metric"].items())): float(item["value"][1]) for item in result}

    def scalar(self, expression: str) -> float:
        """The sum over an instant query's values; 0 for an empty result."""
        return sum(self.promql(expression).values())

    def stop(self) -> dict[str, Any]:
        """Ctrl-C; the `traffic` event (what the generator sent)."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(90)
        self._reader.join(5)
        return next((event for event in self.drain() if event["event"] == "traffic"), {})

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._stderr.close()


@contextmanager
def with_graph(folder: Path, rate: int, *options: str) -> Iterator[Demo]:
    """A running demo whose graph has traffic; stopped in order at the end, whatever happened."""
    demo = Demo(folder / "shop", "--rate", str(rate), *options)
    try:
        demo.wait_for("graph", within=90)
        yield demo
    finally:
        demo.stop()
        demo.kill()
