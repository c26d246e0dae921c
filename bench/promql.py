"""Range and instant queries over 5,000 series x 720 samples: this engine against a real Prometheus.

Both hold the same samples (Prometheus by remote write, in its head block, in memory) and answer one
after the other on the same machine, over HTTP for Prometheus and to encoded JSON for Windvane.
Prints the best of several runs and the ratio; run with `python bench/promql.py`.
"""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from machine import machine

from windvane.api.prometheus_json import query_data, success
from windvane.promql.engine import QueryEngine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.store.series import SampleWriter

SERIES, SAMPLES, STEP = 5000, 720, 15_000
START = 1_700_000_000_000
END = START + SAMPLES * STEP
BATCH = 30
RUNS = 5
RANGE_STEP = 60_000
QUERIES = (
    ("range", "sum(rate(x_total[5m]))"),
    ("range", "sum by (path) (rate(x_total[5m]))"),
    ("range", "max_over_time(x_total[30m])"),
    ("range", "topk(5, sum by (path) (increase(x_total[10m])))"),
    ("range", 'sum(rate(x_total{code="500"}[5m])) / sum(rate(x_total[5m]))'),
    ("instant", "sum by (path, code) (rate(x_total[5m]))"),
    ("instant", "count(x_total)"),
)

Batches = Iterator[tuple[np.ndarray, np.ndarray]]


def label_sets() -> list[dict[str, str]]:
    """Counters of 50 instances, 20 paths, 5 codes."""
    return [
        {"__name__": "x_total", "job": "api", "instance": f"host-{i % 50}", "path": f"/p/{i // 50 % 20}", "code": code}
        for i in range(SERIES // 5)
        for code in ("200", "302", "404", "500", "503")
    ]


def batches() -> Batches:
    """Times and (time, series) values, in order of time."""
    rng = np.random.default_rng(7)
    last = np.full(SERIES, 1000.0)
    for first in range(0, SAMPLES, BATCH):
        values = last + np.cumsum(rng.poisson(5, (BATCH, SERIES)), axis=0)
        last = values[-1]
        yield START + STEP * np.arange(first + 1, first + BATCH + 1), values


def load_windvane(directory: Path, labels: list[dict[str, str]]) -> tuple[EmbeddedEngine, float]:
    """A store with all samples, and how long writing took."""
    engine = EmbeddedEngine.open(directory)
    migrate(engine, Retention(default=None))
    writer = SampleWriter(engine)
    started = time.perf_counter()
    for times, values in batches():
        ids = writer.ids(labels, np.full(SERIES, times[0]))
        writer.write_ids(np.tile(ids, len(times)), np.repeat(times, SERIES), values.ravel())
    return engine, time.perf_counter() - started


@contextmanager
def prometheus(directory: Path) -> Iterator[httpx.Client]:
    """A Prometheus that scrapes nothing and takes remote write."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    (directory / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")
    command = ["prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data"]
    command += [f"--web.listen-address={address}", "--web.enable-remote-write-receiver", "--log.level=error"]
    command += ["--storage.tsdb.retention.time=100y"]
    with subprocess.Popen(command) as process:
        try:
            client = httpx.Client(base_url=f"http://{address}", timeout=120)
            _wait(client)
            yield client
        finally:
            process.terminate()


def _wait(client: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if client.get("/-/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError("prometheus did not become ready")


def load_prometheus(client: httpx.Client, labels: list[dict[str, str]]) -> float:
    """Send all samples by remote write; how long it took."""
    headers = {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
    encoded = [_labels(one) for one in labels]
    spent = 0.0
    for times, values in batches():
        body = _snappy(_write_request(encoded, times, values))
        started = time.perf_counter()
        client.post("/api/v1/write", content=body, headers=headers).raise_for_status()
        spent += time.perf_counter() - started
    return spent


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _labels(labels: dict[str, str]) -> bytes:
    pairs = sorted(labels.items())
    return b"".join(_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in pairs)


def _write_request(labels: list[bytes], times: np.ndarray, values: np.ndarray) -> bytes:
    stamps = [_varint(int(time)) for time in times]
    series = []
    for row, column in zip(labels, values.T.tolist(), strict=True):
        samples = [_field(2, b"\x09" + struct.pack("<d", v) + b"\x10" + t) for v, t in zip(column, stamps, strict=True)]
        series.append(_field(1, row + b"".join(samples)))
    return b"".join(series)


def _snappy(data: bytes) -> bytes:
    """Snappy's block format with literals only."""
    parts = [_varint(len(data))]
    for start in range(0, len(data), 1 << 16):
        chunk = data[start : start + (1 << 16)]
        parts += [b"\xf4" + struct.pack("<H", len(chunk) - 1), chunk]
    return b"".join(parts)


def best(ask: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the first run, and of the best of several."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        ask()
        times.append(time.perf_counter() - started)
    return times[0], min(times)


def ask_windvane(queries: QueryEngine, kind: str, query: str) -> bytes:
    """One query, to the bytes of its answer."""
    if kind == "range":
        return success(query_data(queries.range(query, START, END, RANGE_STEP).value))
    return success(query_data(queries.instant(query, END).value))


def ask_prometheus(client: httpx.Client, kind: str, query: str) -> bytes:
    """The same, over HTTP."""
    form = {"query": query, "time": str(END / 1000)}
    if kind == "range":
        form = {"query": query, "start": str(START / 1000), "end": str(END / 1000), "step": str(RANGE_STEP / 1000)}
    answer = client.post(f"/api/v1/query{'_range' if kind == 'range' else ''}", data=form)
    answer.raise_for_status()
    return answer.content


def main() -> None:
    """Load both, ask both, print."""
    print(machine())
    labels = label_sets()
    with tempfile.TemporaryDirectory(prefix="windvane-bench-") as name:
        directory = Path(name)
        engine, written = load_windvane(directory / "store", labels)
        queries = QueryEngine(engine)
        queries.warm()
        samples = SERIES * SAMPLES
        print(f"{SERIES} series x {SAMPLES} samples; written in {written:.2f} s ({samples / written / 1e6:.1f} M/s)")
        if shutil.which("prometheus") is None:
            print("prometheus is not installed: no comparison")
            for kind, query in QUERIES:
                first, again = best(lambda k=kind, q=query: ask_windvane(queries, k, q))  # type: ignore[misc]
                print(f"{first * 1e3:8.1f} {again * 1e3:8.1f} ms  {kind:8}{query}")
            return
        with prometheus(directory) as client:
            spent = load_prometheus(client, labels)
            print(f"prometheus took the same in {spent:.2f} s ({samples / spent / 1e6:.1f} M/s)")
            print(f"{'windvane':>17} ms {'prometheus':>13} ms   ratio  query (first run, best of {RUNS})")
            for kind, query in QUERIES:
                ours = best(lambda k=kind, q=query: ask_windvane(queries, k, q))  # type: ignore[misc]
                theirs = best(lambda k=kind, q=query: ask_prometheus(client, k, q))  # type: ignore[misc]
                shown = f"{ours[0] * 1e3:9.1f} {ours[1] * 1e3:9.1f} {theirs[0] * 1e3:9.1f} {theirs[1] * 1e3:9.1f}"
                print(f"{shown}  {theirs[1] / ours[1]:5.1f} x  {kind:8}{query}")
        engine.close()


if __name__ == "__main__":
    sys.exit(main())
