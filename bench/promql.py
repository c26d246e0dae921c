"""Twenty PromQL queries over HTTP: Windvane, Prometheus and VictoriaMetrics on the same samples.

    ./run bench promql [--series 10000] [--hours 24] [--step 15] [--only windvane]

All three take the same remote-write requests and hold recent times. Counters, histogram buckets and gauges of
fifty hosts that are scraped every `step` seconds, each at a moment of its own. A query is asked when nothing of
it has been asked before in this list ("first"), then three times again (best: "again"), and once more after
another minute of samples, with its end a minute later ("moved"). Answers of Windvane and Prometheus are
compared number by number. Servers and the bench share the machine; each answers alone, once all have come to rest
after what was written.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cramjam
import httpx
import numpy as np
import psutil
from machine import machine

HOSTS = 50
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
CODES = ("200", "302", "404", "500", "503")
AT_ONCE = 24
C, B, M = "http_requests_total", "http_duration_seconds_bucket", "memory_bytes"
QUERIES: tuple[tuple[int, int, str], ...] = (  # hours (0: instant), step in seconds, query
    (0, 0, f"sum by (path, code) (rate({C}[5m]))"),
    (0, 0, f"count({C})"),
    (0, 0, f"topk(10, rate({C}[5m]))"),
    (0, 0, f"histogram_quantile(0.99, sum by (le) (rate({B}[5m])))"),
    (0, 0, f'{C}{{code="500"}}'),
    (0, 0, f"max_over_time({M}[1h])"),
    (1, 15, f"sum(rate({C}[5m]))"),
    (1, 15, f"histogram_quantile(0.9, sum by (path, le) (rate({B}[5m])))"),
    (1, 15, f"topk(5, sum by (path) (rate({C}[5m])))"),
    (1, 15, f'sum by (path) (rate({C}{{code="500"}}[5m])) / sum by (path) (rate({C}[5m]))'),
    (1, 15, f'{M}{{kind="k3"}}'),
    (1, 15, f'avg_over_time({M}{{kind="k1"}}[10m])'),
    (1, 15, f"sum by (version) ({M} * on (instance) group_left (version) build_info)"),
    (6, 60, f'sum by (instance) (increase({C}{{path="/p/1"}}[10m]))'),
    (6, 60, f"max by (kind) ({M})"),
    (6, 60, f"topk(10, rate({C}[5m]))"),
    (24, 300, f"sum(rate({C}[5m]))"),
    (24, 300, f"histogram_quantile(0.99, sum by (le) (rate({B}[5m])))"),
    (24, 300, f'quantile_over_time(0.95, {M}{{kind="k5"}}[1h])'),
    (24, 300, f"count by (code) (rate({C}[1h]) > 0.1)"),
)


def label_sets(series: int) -> list[dict[str, str]]:
    """Two fifths counters, about half buckets, the rest gauges, and an info series a host."""
    paths, groups = max(1, series * 2 // 5 // (HOSTS * len(CODES))), max(1, series * 12 // 25 // (HOSTS * len(BOUNDS)))
    kinds = max(6, (series - HOSTS * (len(CODES) * paths + len(BOUNDS) * groups + 1)) // HOSTS)
    sets: list[dict[str, str]] = []
    for host in range(HOSTS):
        api = {"job": "api", "instance": f"host-{host}"}
        sets += [{"__name__": C, **api, "path": f"/p/{p}", "code": code} for p in range(paths) for code in CODES]
        sets += [{"__name__": B, **api, "path": f"/p/{p}", "le": bound} for p in range(groups) for bound in BOUNDS]
        sets += [{"__name__": M, **api, "job": "node", "kind": f"k{k}"} for k in range(kinds)]
        sets.append({"__name__": "build_info", **api, "version": f"1.{host % 3}"})
    return sets


class Samples:
    """Remote-write requests of all series, `AT_ONCE` samples of each in one, in order of time."""

    def __init__(self, sets: Sequence[dict[str, str]], start_ms: int, step_ms: int) -> None:
        self._labels = [_labels(one) for one in sets]
        self._next, self._step = start_ms, step_ms
        # No sample at a window's very edge: Prometheus 2 counts it in, Prometheus 3 and Windvane do not.
        self._phase = np.array([int(one["instance"][5:]) * step_ms // (HOSTS + 3) + 7 for one in sets])
        self._kinds = np.array([one["__name__"] for one in sets])
        self._buckets = (np.array([one.get("le", "") for one in sets])[:, None] == np.array(BOUNDS)) @ np.arange(12) + 1
        self._random = np.random.default_rng(7)
        self._last = np.where(self._kinds == M, 1e9, np.where(self._kinds == "build_info", 1.0, 1000.0))

    def take(self, count: int) -> bytes:
        """The next `count` samples of every series, compressed."""
        grown = self._random.poisson(5, (len(self._labels), count)).astype(float)
        grown[self._kinds == B] *= self._buckets[self._kinds == B][:, None]
        gauges = self._kinds == M
        grown[gauges] = 4096 * np.round(self._random.normal(0, 250, (int(gauges.sum()), count)))
        grown[self._kinds == "build_info"] = 0
        values = self._last[:, None] + np.cumsum(grown, axis=1)
        self._last = values[:, -1]
        times = self._next + self._phase[:, None] + self._step * np.arange(count)
        self._next += self._step * count
        samples = _encoded(times, values)
        series = [
            _field(1, labels + samples[row].tobytes()) for row, labels in enumerate(self._labels)
        ]  # fmt: skip
        return bytes(cramjam.snappy.compress_raw(b"".join(series)))


def _encoded(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Messages `Sample`, 18 bytes each: times of our day take six bytes."""
    out = np.zeros((*times.shape, 18), np.uint8)
    out[..., 0], out[..., 1], out[..., 2], out[..., 11] = 0x12, 16, 0x09, 0x10
    out[..., 3:11] = np.ascontiguousarray(values).view(np.uint8).reshape(*times.shape, 8)
    for byte in range(6):
        out[..., 12 + byte] = (times >> (7 * byte)) & 0x7F | (0x80 if byte < 5 else 0)
    return out


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _labels(labels: dict[str, str]) -> bytes:
    return b"".join(_field(1, _field(1, k.encode()) + _field(2, v.encode())) for k, v in sorted(labels.items()))


@dataclass(slots=True)
class Server:
    """One of the three, running."""

    name: str
    directory: Path
    process: psutil.Process
    client: httpx.Client
    written: float = 0.0
    asked: list[tuple[float, float, float]] = field(default_factory=list)

    def write(self, body: bytes) -> None:
        """Send one request."""
        headers = {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
        started = time.perf_counter()
        self.client.post("/api/v1/write", content=body, headers=headers).raise_for_status()
        self.written += time.perf_counter() - started

    def ask(self, hours: float, step: int, query: str, end: float) -> tuple[float, dict[str, Any]]:
        """Milliseconds to the whole answer, and the answer."""
        form = {"query": query, "time": str(end)}
        if hours:
            form = {"query": query, "start": str(end - 3600 * hours), "end": str(end), "step": str(step)}
        started = time.perf_counter()
        answer = self.client.post(f"/api/v1/query{'_range' if hours else ''}", data=form)
        spent = (time.perf_counter() - started) * 1e3
        answer.raise_for_status()
        return spent, json.loads(answer.content)["data"]

    def resident(self) -> int:
        """Memory of the process and its children."""
        return sum(one.memory_info().rss for one in (self.process, *self.process.children(recursive=True)))

    def stored(self) -> int:
        """Bytes below its directory."""
        return sum(path.stat().st_size for path in self.directory.rglob("*") if path.is_file())


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(name: str, directory: Path, options: Sequence[str] = ()) -> Iterator[Server]:
    """A server that takes remote write and answers queries, with more options than it always has."""
    port, data = _free(), directory / name
    data.mkdir()
    address = f"127.0.0.1:{port}"
    (directory / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")
    command = {
        "windvane": [sys.executable, "-m", "windvane", "serve", "--data", str(data), "--http", address,
                     "--grpc", "none", "--otlp-http", "none", "--zipkin", "none", "--tempo", "none",
                     "--jaeger-query", "none", "--jaeger-grpc-query", "none",
                     "--sampling-http", "none", "--sampling-grpc", "none",
                     "--retention", "none", "--memory", "4GiB"],
        "prometheus": ["prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={data}",
                       f"--web.listen-address={address}", "--web.enable-remote-write-receiver", "--log.level=error",
                       "--storage.tsdb.retention.time=100y"],
        "victoria-metrics": ["victoria-metrics", f"-storageDataPath={data}", f"-httpListenAddr={address}",
                             "-retentionPeriod=100y", "-search.latencyOffset=0s", "-loggerLevel=ERROR"],
    }[name]  # fmt: skip
    with (directory / f"{name}.log").open("wb") as log:
        process = psutil.Popen([*command, *options], stdout=log, stderr=log)
    try:
        client = httpx.Client(base_url=f"http://{address}", timeout=300)
        _wait(client, process, directory / f"{name}.log")
        yield Server(name, data, process, client)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            process.kill()


def _wait(client: httpx.Client, process: psutil.Process, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/api/v1/query", params={"query": "1"}).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"a server did not start: {log.read_text()[-2000:]}")


def load(servers: Sequence[Server], samples: Samples, count: int) -> None:
    """Write `count` samples of every series to all servers."""
    for first in range(0, count, AT_ONCE):
        body = samples.take(min(AT_ONCE, count - first))
        for server in servers:
            server.write(body)
    for server in servers:
        if server.name == "victoria-metrics":
            server.client.get("/internal/force_flush")


def settle(servers: Sequence[Server]) -> float:
    """Wait until no server works any more (merges, compaction), five minutes at most; the seconds that took."""
    started = time.monotonic()
    while time.monotonic() - started < 300:
        before = [sum(server.process.cpu_times()[:2]) for server in servers]
        time.sleep(3)
        if all(sum(server.process.cpu_times()[:2]) - own < 0.15 for server, own in zip(servers, before, strict=True)):
            break
    return time.monotonic() - started


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """What two answers disagree on, '' for nothing; sums may differ in the last bits."""
    sides = []
    for data in (ours, theirs):
        rows = {
            json.dumps(one["metric"], sort_keys=True): one.get("values") or [one["value"]] for one in data["result"]
        }
        sides.append(rows)
    if sides[0].keys() != sides[1].keys():
        return f"{len(sides[0])} series and {len(sides[1])}"
    for metric, values in sides[0].items():
        a, b = (np.array(side, float) for side in (values, sides[1][metric]))
        if a.shape != b.shape or not np.allclose(a, b, rtol=1e-9, atol=0, equal_nan=True):
            return f"values of {metric}"
    return ""


def first_and_again(servers: Sequence[Server], end: float) -> None:
    """Every query of the list, asked of one server after the other."""
    for hours, step, query in QUERIES:
        answers = {}
        for server in servers:
            first, answers[server.name] = server.ask(hours, step, query, end)
            again = min(server.ask(hours, step, query, end)[0] for _ in range(3))
            server.asked.append((first, again, math.nan))
        ranked = "topk" in query  # sums that are equal but for rounding change places
        if {"windvane", "prometheus"} <= answers.keys() and not ranked:
            differs = difference(answers["windvane"], answers["prometheus"])
            if differs:
                print(f"DIFFERENT: {query}: {differs}")


def moved(servers: Sequence[Server], end: float) -> None:
    """Every query again, a minute later."""
    for number, (hours, step, query) in enumerate(QUERIES):
        for server in servers:
            first, again, _ = server.asked[number]
            server.asked[number] = (first, again, server.ask(hours, step, query, end)[0])


def report(servers: Sequence[Server], samples: int) -> None:
    """The tables."""
    for server in servers:
        rate, stored = samples / server.written / 1e6, server.stored() / samples
        print(f"{server.name:17} wrote {rate:5.2f} M samples/s (one sender), {stored:5.2f} bytes a sample with logs, "
              f"{server.resident() / 1e6:6.0f} MB resident")  # fmt: skip
    print("milliseconds first / again / moved; × is how often Windvane's time goes into the peer's")
    for number, (hours, _, query) in enumerate(QUERIES):
        cells = []
        for server in servers:
            times = " ".join(f"{value:8.1f}" for value in server.asked[number])
            ratios = [
                theirs / ours for theirs, ours in zip(server.asked[number], servers[0].asked[number], strict=True)
            ]
            cells.append(
                times if server is servers[0] else f"{times} × {' '.join(f'{ratio:6.1f}' for ratio in ratios)}"
            )
        print(f"{' | '.join(cells)} | {f'{hours} h' if hours else 'instant':8}{query}")
    for server in servers[1:]:
        ratios = np.array(server.asked) / np.array(servers[0].asked)
        for column, name in enumerate(("first", "again", "moved")):
            median, least = statistics.median(ratios[:, column]), ratios[:, column].min()
            total = np.array(server.asked)[:, column].sum() / np.array(servers[0].asked)[:, column].sum()
            print(f"{server.name} / windvane, {name}: median {median:.1f} ×, least {least:.2f} ×, all {total:.1f} ×")


def main() -> None:
    """Load the servers, ask them, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--step", type=int, default=15, help="seconds between two samples of a series")
    parser.add_argument("--only", action="append", choices=("windvane", "prometheus", "victoria-metrics"))
    options = parser.parse_args()
    names = options.only or ["windvane", *(one for one in ("prometheus", "victoria-metrics") if shutil.which(one))]
    count = int(options.hours * 3600 / options.step)
    sets = label_sets(options.series)
    end = int(time.time()) // 300 * 300 - 300
    samples = Samples(sets, 1000 * (end - count * options.step), 1000 * options.step)
    print(machine())
    print(f"{len(sets)} series × {count} samples ({options.hours:g} h at {options.step} s); pid {os.getpid()}")
    with tempfile.TemporaryDirectory(prefix="windvane-bench-") as name, ExitStack() as stack:
        servers = [stack.enter_context(running(one, Path(name))) for one in names]
        load(servers, samples, count)
        written = [server.written for server in servers]
        print(f"at rest after {settle(servers):.0f} s")
        first_and_again(servers, end)
        load(servers, samples, max(1, 60 // options.step))
        moved(servers, end + 60)
        for server, seconds in zip(servers, written, strict=True):
            server.written = seconds
        report(servers, len(sets) * count)


if __name__ == "__main__":
    main()
