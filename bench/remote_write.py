"""Remote write over HTTP: samples a second, bytes a sample and memory, against Prometheus and VictoriaMetrics.

    ./run bench remote_write [--series 8000] [--steps 240] [--senders 8] [--request 2000]

The same requests (1.0, snappy, one sample a TimeSeries as Prometheus sends them) go to each server in turn;
each sender has series of its own and waits for every answer. Labels are those of Istio's request metrics;
values are counters, histogram buckets and gauges. Servers and senders share the machine. Bytes a sample:
Windvane after all merges; the others are told where they are found, as each merges at times of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
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
from pathlib import Path

import cramjam
import numpy as np
import psutil
import uvicorn
from machine import machine
from starlette.applications import Starlette

from windvane.api.remote_write import routes
from windvane.ingest.accounting import Accounting
from windvane.ingest.metric_commit import MetricStore, kinds
from windvane.ingest.remote_write import RemoteWriteReceiver, warm
from windvane.ingest.series_book import SeriesBook
from windvane.ingest.series_rules import MetricLimits, SeriesBudget
from windvane.kit.metrics import Metrics
from windvane.store.commit import GroupCommit
from windvane.store.embedded import EmbeddedEngine
from windvane.store.metric_facts import MetadataWriter
from windvane.store.migrate import Retention, migrate
from windvane.store.status import table_sizes

STEP_MS = 15_000
ANSWER = 60.0


def requests_of(sender: int, series: int, steps: int, size: int, end_ms: int) -> list[bytes]:
    """What one sender sends, in order: `size` samples a request, time after time."""
    chance = np.random.default_rng(sender)
    prefixes = [_labels(sender, number) for number in range(series)]
    values = np.stack([_values(chance, number, steps) for number in range(series)])
    times = end_ms - STEP_MS * np.arange(steps - 1, -1, -1)
    entries: list[bytes] = []
    requests = []
    for step in range(steps):
        stamp = _varint(int(times[step]))
        for number, value in enumerate(values[:, step].tolist()):
            sample = b"\x09" + struct.pack("<d", value) + b"\x10" + stamp
            body = prefixes[number] + b"\x12" + _varint(len(sample)) + sample
            entries.append(b"\x0a" + _varint(len(body)) + body)
            if len(entries) == size:
                requests.append(bytes(cramjam.snappy.compress_raw(b"".join(entries))))
                entries = []
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


async def serve(directory: str, port: int) -> None:
    """The server's process: answer until the end of input, then tell how it went."""
    engine = EmbeddedEngine.open(directory)
    migrate(engine, Retention(default=None))
    warm()
    metrics, limits = Metrics(), MetricLimits()
    async with GroupCommit(engine, kinds(), metrics=metrics) as commit:
        store = MetricStore(commit, SeriesBook(SeriesBudget(engine, None), limits), MetadataWriter(engine))
        receiver = RemoteWriteReceiver(store, Accounting(metrics))
        config = uvicorn.Config(
            Starlette(routes=routes(receiver)), "127.0.0.1", port, log_level="warning", access_log=False, loop="uvloop"
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve())
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        server.should_exit = True
        await running
    commits = {
        sample.labels["kind"]: sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "windvane_commit_seconds_count"
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    engine.command("OPTIMIZE TABLE samples FINAL")
    sizes = {size.name: size for size in table_sizes(engine)}
    told = {"rows": sizes["samples"].rows, "bytes": sizes["samples"].bytes, "peak": peak, "commits": commits}
    print(json.dumps(told), flush=True)
    engine.close()


@contextmanager
def running(command: Sequence[str], ready: Callable[[], bool], log: Path) -> Iterator[psutil.Process]:
    """A peer's process once it answers."""
    with log.open("wb") as file:
        process = psutil.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file)
    try:
        deadline = time.monotonic() + 90
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start: {log.read_text()[-2_000:]}")
            time.sleep(0.1)
        yield process
    finally:
        if process.is_running() and process.poll() is None:
            process.terminate()
            process.wait(60)


def _answers(port: int) -> Callable[[], bool]:
    def ask() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return ask


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _measured(process: psutil.Process, port: int, shards: Sequence[Sequence[bytes]], samples: int) -> dict[str, float]:
    before = process.cpu_times()
    seconds = send(port, shards, "/api/v1/write")
    after = process.cpu_times()
    busy = after.user + after.system - before.user - before.system
    return {
        "rate": samples / seconds,
        "cpu": busy / samples * 1e6,
        "resident": process.memory_info().rss,
    }


def windvane(folder: Path, shards: Sequence[Sequence[bytes]], samples: int) -> dict[str, float]:
    port = _port()
    command = [sys.executable, __file__, "--serve", str(folder / "windvane"), "--port", str(port)]
    with running(command, _answers(port), folder / "windvane.log") as process:
        figures = _measured(process, port, shards, samples)
        told = json.loads(process.communicate(b"\n", timeout=300)[0])
    assert told["rows"] == samples, f"{told['rows']} samples stored of {samples}"
    return figures | {"bytes": told["bytes"] / samples, "peak": told["peak"], "commits": sum(told["commits"].values())}


def prometheus(folder: Path, shards: Sequence[Sequence[bytes]], samples: int) -> dict[str, float]:
    port, data = _port(), folder / "prometheus"
    config = folder / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1h}\n")
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--web.enable-remote-write-receiver",
    ]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with running(command, _answers(port), folder / "prometheus.log") as process:
        time.sleep(2)
        return _measured(process, port, shards, samples)


def victoria(folder: Path, shards: Sequence[Sequence[bytes]], samples: int) -> dict[str, float]:
    port, data = _port(), folder / "victoria"
    command = [
        "victoria-metrics",
        f"-storageDataPath={data}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-loggerLevel=ERROR",
    ]
    with running(command, _answers(port), folder / "victoria.log") as process:
        time.sleep(2)
        figures = _measured(process, port, shards, samples)
    size = sum(file.stat().st_size for file in (data / "data").rglob("*") if file.is_file())
    return figures | {"bytes": size / samples}


def main() -> None:
    """Run and print one line a server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=8_000)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--senders", type=int, default=8)
    parser.add_argument("--request", type=int, default=2_000, help="samples a request")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--serve", metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve, options.port))
        return
    print(machine())
    own = options.series // options.senders
    end = time.time_ns() // 1_000_000
    jobs = [(sender, own, options.steps, options.request, end) for sender in range(options.senders)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        shards = list(pool.map(requests_of, *zip(*jobs, strict=True)))
    samples = own * options.senders * options.steps
    size = sum(len(request) for shard in shards for request in shard) / samples
    print(
        f"data: {samples} samples of {own * options.senders} series, {options.request} a request, "
        f"{size:.1f} bytes a sample sent"
    )
    servers = {"Windvane": windvane, "Prometheus": prometheus, "VictoriaMetrics": victoria}
    programs = {"Prometheus": "prometheus", "VictoriaMetrics": "victoria-metrics"}
    for _ in range(options.rounds):
        rates = {}
        for name, server in servers.items():
            if name in programs and shutil.which(programs[name]) is None:
                print(f"{name}: not installed")
                continue
            with tempfile.TemporaryDirectory() as folder:
                figures = server(Path(folder), shards, samples)
            rates[name] = figures["rate"]
            parts = [f"{figures['rate']:,.0f} samples/s", f"{figures['cpu']:.2f} µs of processor a sample"]
            parts += [f"{figures['bytes']:.2f} bytes a sample"] if "bytes" in figures else []
            parts += [f"{figures['resident'] / 2**20:.0f} MiB resident"]
            parts += [f"{figures['commits']:.0f} commits"] if "commits" in figures else []
            print(f"{name}: {', '.join(parts)}; ratio {rates['Windvane'] / figures['rate']:.2f}")


if __name__ == "__main__":
    main()
