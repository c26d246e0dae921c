"""A real Prometheus on a temporary directory, holding the same samples as the store under test."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cramjam
import httpx
import numpy as np
from promql_samples import TestSeries

from windvane.signals.remote_read.histograms import block, read_histogram

MISSING = "the programs prometheus and promtool are not installed"


def installed() -> bool:
    return shutil.which("prometheus") is not None and shutil.which("promtool") is not None


class Peer:
    """HTTP access to a running Prometheus."""

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(base_url=f"http://{address}/api/v1", timeout=30)

    def instant(self, query: str, time_ms: int) -> dict[str, Any]:
        return self._post("/query", {"query": query, "time": f"{time_ms / 1000:.3f}"})

    def range(self, query: str, start_ms: int, end_ms: int, step_ms: int) -> dict[str, Any]:
        bounds = {"start": f"{start_ms / 1000:.3f}", "end": f"{end_ms / 1000:.3f}", "step": f"{step_ms / 1000:.3f}"}
        return self._post("/query_range", {"query": query, **bounds})

    def write(self, body: bytes) -> None:
        """Take a compressed remote-write request."""
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        answer = self._client.post("/write", content=body, headers=headers)
        if answer.is_error:
            raise RuntimeError(f"prometheus refused samples: {answer.text}")

    def _post(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.post(path, data=form).json()
        return answer

    def close(self) -> None:
        self._client.close()


@contextmanager
def running(directory: Path, series: Iterable[TestSeries]) -> Iterator[Peer]:
    """Start a Prometheus that holds the floats of `series` and scrapes nothing."""
    _import(directory, directory / "data", series)
    features = "--enable-feature=promql-at-modifier,promql-negative-offset"
    with _started(directory, [features]) as peer:
        yield peer


@contextmanager
def running_native(directory: Path, series: Iterable[TestSeries]) -> Iterator[Peer]:
    """Start a Prometheus that holds the histograms of `series`: blocks are made of floats only, so they are sent."""
    with _started(directory, ["--enable-feature=native-histograms", "--web.enable-remote-write-receiver"]) as peer:
        for body in _written(list(series)):
            peer.write(body)
        yield peer


@contextmanager
def _started(directory: Path, options: Sequence[str]) -> Iterator[Peer]:
    config = directory / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1h}\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
        "--storage.tsdb.retention.time=100y",
        "--log.level=error",
        *options,
    ]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait(address, process)
            peer = Peer(address)
            yield peer
            peer.close()
        finally:
            process.terminate()
            process.wait(20)


_TOGETHER_MS = 600_000
"""A head of a Prometheus takes no samples an hour older than its youngest: they are sent in order of time."""


def _written(series: Sequence[TestSeries]) -> Iterator[bytes]:
    """Remote-write 1.0 requests."""
    first = min(min(one.histograms) for one in series)
    last = max(max(one.histograms) for one in series)
    for start in range(first, last + 1, _TOGETHER_MS):
        parts = []
        for one in series:
            inside = [(time, h) for time, h in one.histograms.items() if start <= time < start + _TOGETHER_MS]
            if inside:
                pairs = sorted(one.labels.items())
                labels = [block(1, block(1, k.encode()) + block(2, v.encode())) for k, v in pairs]
                parts.append(block(1, b"".join([*labels, *(block(4, read_histogram(h, time)) for time, h in inside)])))
        yield bytes(cramjam.snappy.compress_raw(b"".join(parts)))


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"prometheus ended with {process.returncode}")
        try:
            if httpx.get(f"http://{address}/-/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError("prometheus did not become ready")


def _import(directory: Path, data: Path, series: Iterable[TestSeries]) -> None:
    text = directory / "samples.om"
    with text.open("w") as file:
        for one in series:
            file.writelines(_lines(one))
        file.write("# EOF\n")
    command = [
        "promtool",
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--max-block-duration=24h",
        str(text),
        str(data),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


def _lines(one: TestSeries) -> Iterator[str]:
    labels = ",".join(f'{k}="{_escape(v)}"' for k, v in one.labels.items() if k != "__name__")
    for time_ms, value in zip(one.times.tolist(), one.values.tolist(), strict=True):
        shown = "NaN" if np.isnan(value) else repr(value).replace("inf", "Inf")
        yield f"{one.labels['__name__']}{{{labels}}} {shown} {time_ms / 1000:.3f}\n"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
