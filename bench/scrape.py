"""Scraping: samples a second through the readers, and what a fleet of targets costs in CPU and memory.

    python bench/scrape.py [--targets 1000] [--series 500] [--interval 15] [--rounds 3]

Readers are compared with prometheus_client's parsers on the same body. The fleet is served by a process
of its own on loopback; printed is the CPU time of the scraping process alone, storing included.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection

from machine import machine
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as classic_families

from windvane.ingest.accounting import METRICS, Accounting
from windvane.ingest.scrape.config import loads
from windvane.ingest.scrape.manager import Scraper
from windvane.kit.metrics import Metrics
from windvane.signals.exposition import reader_for
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate


def text_body(series: int, name: str = "istio_requests_total") -> bytes:
    """A counter with Istio's labels."""
    lines = [f"# HELP {name} Requests.", f"# TYPE {name} counter"]
    lines += [
        f'{name}{{reporter="source",source_workload="web-{i % 50}",destination_workload="svc-{i}",'
        f'response_code="200",response_flags="-",request_protocol="http"}} {i * 3.25}'
        for i in range(series)
    ]
    return "\n".join(lines).encode() + b"\n"


def open_body(series: int) -> bytes:
    """The same as OpenMetrics."""
    body = text_body(series).replace(b"HELP istio_requests_total", b"HELP istio_requests")
    return body.replace(b"TYPE istio_requests_total", b"TYPE istio_requests") + b"# EOF\n"


def best(work: Callable[[], object], rounds: int = 5) -> float:
    """Seconds of the fastest run."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def readers(series: int) -> None:
    """First and repeated bodies, and what prometheus_client takes."""
    for protocol, body, families in (
        ("PrometheusText0.0.4", text_body(series), classic_families),
        ("OpenMetricsText1.0.0", open_body(series), open_families),
    ):
        first = best(lambda protocol=protocol, body=body: reader_for(protocol).read(body, ()), 3)
        reader = reader_for(protocol)
        known = set(reader.read(body, ()).keys)
        again = best(lambda reader=reader, body=body, known=known: reader.read(body, known))
        text = body.decode()
        peer = best(lambda families=families, text=text: sum(len(one.samples) for one in families(text)), 2)
        print(
            f"{protocol}: {series} series, first {first * 1e3:.1f} ms, repeated {again * 1e3:.2f} ms "
            f"= {series / again / 1e3:,.0f} k samples/s; prometheus_client {peer * 1e3:.0f} ms ({peer / again:.0f} x)"
        )


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bodies: list[bytes]) -> None:
    try:
        count = 0
        while await reader.readuntil(b"\r\n\r\n"):
            body = bodies[count % len(bodies)]
            count += 1
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n" % len(body)
            )
            writer.write(body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def serve(series: int, to: Connection) -> None:
    """Targets: every path answers the same families."""

    async def run() -> None:
        bodies = [text_body(series), text_body(series).replace(b".25\n", b".75\n")]
        server = await asyncio.start_server(lambda r, w: _answer(r, w, bodies), "127.0.0.1", 0, backlog=4096)
        to.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


async def fleet(targets: int, series: int, interval: float, rounds: int) -> None:
    """CPU and memory of scraping so many targets."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(series, there), daemon=True)
    process.start()
    port = here.recv()
    paths = "\n".join(
        f'    - {{targets: ["127.0.0.1:{port}"], labels: {{pod: p{i}, __metrics_path__: /{i}}}}}'
        for i in range(targets)
    )
    config = loads(
        f"global: {{scrape_interval: {int(interval)}s, scrape_timeout: {min(int(interval), 10)}s}}\n"
        f"scrape_configs:\n- job_name: fleet\n  static_configs:\n{paths}\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        engine = EmbeddedEngine.open(folder)
        migrate(engine, Retention(default=None))
        accounting = Accounting(Metrics())
        scraper = Scraper(engine, accounting=accounting)
        running = asyncio.create_task(scraper.run())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        await scraper.apply(config)
        await asyncio.sleep(interval + 2)
        print(f"first round of {targets} x {series}: {time.process_time() - start:.1f} s of CPU")
        stored, start, began = accounting.summary()[METRICS]["stored"], time.process_time(), time.monotonic()
        await asyncio.sleep(interval * rounds)
        cpu, wall = time.process_time() - start, time.monotonic() - began
        count = accounting.summary()[METRICS]["stored"] - stored
        states = [loop.state for loop in scraper.pools["fleet"].loops.values()]
        down = Counter(state.last_error.partition('": ')[2] for state in states if state.health != "up")
        print(
            f"{targets} targets x {series} series every {interval:g} s: {cpu / wall:.2f} cores, "
            f"{count / wall:,.0f} samples/s stored, {cpu / max(count, 1) * 1e6:.2f} us a sample, "
            f"targets down: {dict(down) or 0}, "
            f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB (before {before / 1024:.0f})"
        )
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await scraper.close()
        engine.close()
    process.terminate()
    process.join(5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--series", type=int, default=500)
    parser.add_argument("--interval", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    print(machine(), f"load {os.getloadavg()[0]:.1f}")
    readers(10_000)
    asyncio.run(fleet(wanted.targets, wanted.series, wanted.interval, wanted.rounds))


if __name__ == "__main__":
    main()
