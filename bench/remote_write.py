"""Remote write over HTTP: samples a second, bytes a sample and memory, against Prometheus and VictoriaMetrics.

    ./run bench remote_write [--series 16000] [--steps 240] [--senders 1 8] [--request 500 2000 240000]

For every number of senders and size of request, the same requests (1.0, snappy) go to each server in turn; each
sender has series of its own and waits for every answer. A request holds one sample a TimeSeries, as Prometheus
sends them, or, once it is larger than the series of its sender, as many of each as fit. Announcing new series is
not timed: the first of their samples are sent before. Labels are those of Istio's request metrics; values are
counters, histogram buckets and gauges. Windvane is the whole server. Servers and senders share the machine.
Bytes a sample: Windvane after all merges; VictoriaMetrics as it is found, as it merges at times of its own. The
bound is the engine alone, which inserts the columns of the same requests one after the other in one thread.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cramjam
import httpx
import numpy as np
import psutil
from machine import machine

from windvane.ingest.compression import decompress
from windvane.signals.remote_write.scan import V1, scan
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.store.series import SAMPLES, sample_block
from windvane.store.status import table_sizes

STEP_MS = 15_000
ANSWER = 60.0


@dataclass(frozen=True)
class Case:
    """What is sent to each server: requests by sender, the first ones apart, and how many samples they hold."""

    senders: int
    request: int
    first: list[list[bytes]]
    rest: list[list[bytes]]
    samples: int
    every: int

    @classmethod
    def made(cls, senders: int, request: int, series: int, steps: int) -> Case:
        own, end = series // senders, time.time_ns() // 1_000_000
        at_once = max(1, request // own)
        steps = max(2, steps // at_once) * at_once
        if request < 1_000:
            steps = max(2, steps // 4)
        jobs = [(sender, own, steps, request, end) for sender in range(senders)]
        with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            made = list(pool.map(requests_of, *zip(*jobs, strict=True)))
        first = -(-own // request)  # requests of the first step
        samples = senders * own * steps
        early = senders * min(own * steps, first * max(request, at_once * own) if at_once > 1 else first * request)
        return cls(senders, request, [one[:first] for one in made], [one[first:] for one in made], samples - early,
                   samples)  # fmt: skip


def requests_of(sender: int, series: int, steps: int, size: int, end_ms: int) -> list[bytes]:
    """What one sender sends, in order: `size` samples a request, time after time."""
    chance = np.random.default_rng(sender)
    prefixes = [_labels(sender, number) for number in range(series)]
    values = np.stack([_values(chance, number, steps) for number in range(series)])
    times = [int(one) for one in end_ms - STEP_MS * np.arange(steps - 1, -1, -1)]
    at_once = max(1, size // series)
    entries: list[bytes] = []
    requests, held = [], 0
    for step in range(0, steps, at_once):
        stamps = [_varint(one) for one in times[step : step + at_once]]
        for number in range(series):
            body = prefixes[number]
            for value, stamp in zip(values[number, step : step + at_once].tolist(), stamps, strict=True):
                sample = b"\x09" + struct.pack("<d", value) + b"\x10" + stamp
                body += b"\x12" + _varint(len(sample)) + sample
            entries.append(b"\x0a" + _varint(len(body)) + body)
            held += at_once
            if held >= size if at_once == 1 else number == series - 1:
                requests.append(bytes(cramjam.snappy.compress_raw(b"".join(entries))))
                entries, held = [], 0
    if entries:
        requests.append(bytes(cramjam.snappy.compress_raw(b"".join(entries))))
    return requests


def _labels(sender: int, number: int) -> bytes:
    kind = ("istio_requests_total", "istio_request_duration_milliseconds_bucket", "process_resident_memory_bytes")[
        0 if number % 10 < 3 else 1 if number % 10 < 9 else 2
    ]
    pod = f"reviews-v{sender}-{number // 20:05d}"
    labels = {
        "__name__": kind,
        "connection_security_policy": "mutual_tls",
        "destination_canonical_service": "reviews",
        "destination_service": "reviews.bookinfo.svc.cluster.local",
        "instance": f"10.{sender}.{number // 250}.{number % 250}:15020",
        "job": "kubernetes-pods",
        "le": f"{number % 20}",
        "namespace": "bookinfo",
        "pod": pod,
        "reporter": "destination",
        "response_code": "200",
        "source_workload": "productpage-v1",
    }
    return b"".join(_block(_field(b"\x0a", name) + _field(b"\x12", value)) for name, value in labels.items())


def _values(chance: np.random.Generator, number: int, steps: int) -> np.ndarray:
    if number % 10 == 9:
        return np.round(2e8 + np.cumsum(chance.normal(0, 1e5, steps)) / 4096) * 4096
    rate = 10 ** chance.uniform(-2, 3)
    return np.cumsum(chance.poisson(rate, steps)).astype(float) + chance.integers(0, 10**6)


def _field(tag: bytes, text: str) -> bytes:
    return tag + _varint(len(text)) + text.encode()


def _block(body: bytes) -> bytes:
    return b"\x0a" + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


async def _sender(port: int, requests: Sequence[bytes], path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-protobuf\r\n"
        "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: "
    ).encode()
    for body in requests:
        writer.write(head + str(len(body)).encode() + b"\r\n\r\n" + body)
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER)
        if answer.split(b" ", 2)[1] not in (b"204", b"200"):
            raise RuntimeError(answer + await reader.read(2_000))
    writer.close()


def send(port: int, shards: Sequence[Sequence[bytes]], path: str) -> float:
    """Seconds until every request of every sender is answered."""

    async def all_of_them() -> float:
        start = time.perf_counter()
        await asyncio.gather(*(_sender(port, shard, path) for shard in shards))
        return time.perf_counter() - start

    return asyncio.run(all_of_them())


@contextmanager
def running(command: Sequence[str], ready: Callable[[], bool], log: Path) -> Iterator[psutil.Process]:
    """A peer's process once it answers."""
    with log.open("wb") as file:
        process = psutil.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file)
    try:
        deadline = time.monotonic() + 300
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start: {log.read_text()[-2_000:]}")
            time.sleep(0.1)
        yield process
    finally:
        if process.is_running() and process.poll() is None:
            process.terminate()
            process.wait(60)


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _measured(process: psutil.Process, port: int, case: Case) -> dict[str, float]:
    send(port, case.first, "/api/v1/write")
    before = process.cpu_times()
    seconds = send(port, case.rest, "/api/v1/write")
    after = process.cpu_times()
    busy = after.user + after.system - before.user - before.system
    return {
        "rate": case.samples / seconds,
        "cpu": busy / case.samples * 1e6,
        "resident": process.memory_info().rss,
    }


def windvane(folder: Path, case: Case) -> dict[str, float]:
    port, data = _port(), folder / "windvane"
    command = [sys.executable, "-m", "windvane", "serve", "--data", str(data), "--http", f"127.0.0.1:{port}"]
    command += ["--grpc", "none", "--otlp-http", "none", "--zipkin", "none", "--tempo", "none", "--retention", "none"]
    command += ["--jaeger-query", "none", "--jaeger-grpc-query", "none"]
    command += ["--sampling-http", "none", "--sampling-grpc", "none"]
    with running(command, _ready(port), folder / "windvane.log") as process:
        figures = _measured(process, port, case)
    engine = EmbeddedEngine.open(data / "store")
    engine.command("OPTIMIZE TABLE samples FINAL")
    told = next(size for size in table_sizes(engine) if size.name == "samples")
    rows = engine.query("SELECT count() AS n FROM samples WHERE Id IN (SELECT Id FROM series WHERE Name LIKE 'istio_%' "
                        "OR Name = 'process_resident_memory_bytes')")["n"][0]  # fmt: skip
    engine.close()
    assert rows >= case.every, f"{rows} samples stored of {case.every}"
    return figures | {"bytes": told.bytes / told.rows}


def _ready(port: int) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": "1"}).status_code == 200
        except httpx.TransportError:
            return False

    return ask


def prometheus(folder: Path, case: Case) -> dict[str, float]:
    port, data = _port(), folder / "prometheus"
    config = folder / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1h}\n")
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}"]
    command += ["--web.enable-remote-write-receiver", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with running(command, _ready(port), folder / "prometheus.log") as process:
        return _measured(process, port, case)


def victoria(folder: Path, case: Case) -> dict[str, float]:
    port, data = _port(), folder / "victoria"
    command = ["victoria-metrics", f"-storageDataPath={data}", f"-httpListenAddr=127.0.0.1:{port}"]
    command += ["-loggerLevel=ERROR"]
    with running(command, _ready(port), folder / "victoria.log") as process:
        figures = _measured(process, port, case)
    size = sum(file.stat().st_size for file in (data / "data").rglob("*") if file.is_file())
    return figures | {"bytes": size / case.every}


def bare(folder: Path, case: Case) -> float:
    """Samples a second that the engine alone stores, a request's columns after the other's."""
    blocks = []
    for request in (request for shard in case.rest for request in shard):
        told = scan(decompress(request, "snappy", 1 << 30), V1)
        blocks.append((np.repeat(np.sort(told.keys[:, 0]), np.diff(told.ends)), told.times, told.values))
    engine = EmbeddedEngine.open(folder / "bare")
    migrate(engine, Retention(default=None))
    start = time.perf_counter()
    for ids, times, values in blocks:
        engine.insert_payload(SAMPLES, sample_block(ids, times, values))
    seconds = time.perf_counter() - start
    engine.close()
    return case.samples / seconds


def _told(figures: dict[str, float], ratio: float) -> str:
    parts = [f"{figures['rate']:,.0f} samples/s", f"{figures['cpu']:.2f} µs of processor a sample"]
    parts += [f"{figures['bytes']:.2f} bytes a sample"] if "bytes" in figures else []
    return ", ".join([*parts, f"{figures['resident'] / 2**20:.0f} MiB resident"]) + f"; ratio {ratio:.2f}"


def compare(case: Case) -> None:
    """One line a server, and the bound."""
    servers = {"Windvane": windvane, "Prometheus": prometheus, "VictoriaMetrics": victoria}
    programs = {"Prometheus": "prometheus", "VictoriaMetrics": "victoria-metrics"}
    size = sum(len(one) for shard in case.rest for one in shard) / case.samples
    print(f"{case.senders} senders, {case.request} samples a request ({size:.1f} bytes each), {case.samples} samples")
    own = 0.0
    for name, server in servers.items():
        if name in programs and shutil.which(programs[name]) is None:
            print(f"  {name}: not installed")
            continue
        with tempfile.TemporaryDirectory() as folder:
            figures = server(Path(folder), case)
        own = own or figures["rate"]
        print(f"  {name}: {_told(figures, own / figures['rate'])}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        rate = bare(Path(folder), case)
    print(f"  the engine alone: {rate:,.0f} samples/s; ratio {own / rate:.2f}", flush=True)


def main() -> None:
    """Run and print one line a server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=16_000)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--senders", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--request", type=int, nargs="+", default=[500, 2_000, 240_000], help="samples a request")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    print(machine())
    for _ in range(options.rounds):
        for size in options.request:
            for senders in options.senders:
                compare(Case.made(senders, size, options.series, options.steps))


if __name__ == "__main__":
    main()
