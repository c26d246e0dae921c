"""Remote write where it matters: a server killed in the middle, and a real Prometheus sent the same."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from remote_write_messages import request_v1, snappy
from starlette.applications import Starlette

from windvane.api.remote_write import routes
from windvane.ingest.accounting import Accounting
from windvane.ingest.metric_commit import MetricStore, kinds
from windvane.ingest.remote_write import RemoteWriteReceiver
from windvane.ingest.series_book import SeriesBook
from windvane.ingest.series_rules import MetricLimits, SeriesBudget
from windvane.kit.metrics import Metrics
from windvane.promql.engine import QueryEngine
from windvane.promql.value import MatrixResult
from windvane.store.commit import GroupCommit
from windvane.store.embedded import EmbeddedEngine
from windvane.store.metric_facts import MetadataWriter

SERVER = Path(__file__).parent.parent / "remote_write_server.py"
HEADERS = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
SENDERS, WANTED = 4, 40


async def _send(port: int, acknowledged: set[tuple[str, int]], enough: asyncio.Event) -> None:
    """Senders that count up, each in a series of its own (and now and then a new one), until the server is gone."""
    now = time.time_ns() // 1_000_000

    async def sender(name: str, client: httpx.AsyncClient) -> None:
        for number in range(100_000):
            labels = {"__name__": "n", "sender": name, "generation": str(number // 5)}
            body = snappy(request_v1([{"labels": labels, "samples": [(now + number, float(number))]}]))
            answer = await client.post("/api/v1/write", content=body, headers=HEADERS)
            if answer.status_code == 204:
                acknowledged.add((name, number))
            if len(acknowledged) >= WANTED:
                enough.set()

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        results = await asyncio.gather(*(sender(f"s{i}", client) for i in range(SENDERS)), return_exceptions=True)
    assert all(isinstance(result, httpx.TransportError) for result in results), results


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    acknowledged: set[tuple[str, int]] = set()

    async def scenario() -> None:
        command = [sys.executable, str(SERVER), "serve", str(tmp_path)]
        server = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=tmp_path)
        try:
            assert server.stdout is not None
            port = int(await asyncio.wait_for(server.stdout.readline(), 60))
            enough = asyncio.Event()
            sending = asyncio.create_task(_send(port, acknowledged, enough))
            await asyncio.wait_for(enough.wait(), 60)
            server.kill()
            await asyncio.wait_for(sending, 60)
        finally:
            if server.returncode is None:
                server.kill()
            await server.wait()

    asyncio.run(scenario())
    told = subprocess.run(
        [sys.executable, str(SERVER), "dump", str(tmp_path)], capture_output=True, check=True, timeout=100, cwd=tmp_path
    )
    kept = {(sender, number) for sender, number in json.loads(told.stdout)}
    assert len(acknowledged) >= WANTED
    assert acknowledged <= kept


@contextmanager
def prometheus(directory: Path, port: int) -> Iterator[httpx.Client]:
    config = directory / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1h}\n")
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver", "--log.level=error"]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
            deadline = time.monotonic() + 60
            while not _ready(client):
                assert process.poll() is None
                assert time.monotonic() < deadline
            yield client
            client.close()
        finally:
            process.terminate()
            process.wait(20)


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def _requests(start_ms: int) -> list[bytes]:
    """Counters that restart, gauges, gaps with staleness markers and odd labels, in several requests."""
    chance = random.Random(5)
    stale = np.frombuffer((0x7FF0000000000002).to_bytes(8, "little"), "<f8")[0]
    requests = []
    totals = [0.0] * 12
    for part in range(6):
        series = []
        for number in range(12):
            samples = []
            for step in range(part * 20, part * 20 + 20):
                if chance.random() < 0.15:
                    continue
                totals[number] = 0.0 if chance.random() < 0.02 else totals[number] + chance.expovariate(0.1)
                value = totals[number] if number % 2 else chance.gauss(0, 5)
                samples.append((start_ms + step * 15_000 + number * 7, stale if chance.random() < 0.05 else value))
            labels = {"__name__": "c_total" if number % 2 else "g", "i": str(number), "job": "ü"}
            series.append({"labels": labels, "samples": samples})
        requests.append(snappy(request_v1(series)))
    return requests


QUERIES = (
    "c_total", "g", "irate(c_total[5m])", "delta(g[5m])", "sum by (i) (g)", "avg_over_time(g[3m])", "count({i!=''})",
    "resets(c_total[10m])", "changes(g[4m])", "quantile_over_time(0.9, g[5m])", "absent(c_total{i='1'})",
    "last_over_time(c_total[1m])", "count_over_time(c_total[7m])",
)  # fmt: skip
# Prometheus 2.x closes windows on the left, 3.x and Windvane do not: no sample stands on a step's edge.
OFF_THE_GRID_MS = 3


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="the program prometheus is not installed")
def test_a_real_prometheus_sent_the_same_answers_the_same(
    engine: EmbeddedEngine, tmp_path: Path, free_port: object
) -> None:
    start = time.time_ns() // 1_000_000 - 120 * 15_000
    requests = _requests(start)
    _store(engine, requests)
    queries = QueryEngine(engine)
    assert callable(free_port)
    with prometheus(tmp_path, free_port()) as peer:
        for body in requests:
            answer = peer.post("/api/v1/write", content=body, headers=HEADERS)
            assert answer.status_code == 204, answer.text
        first, last = start + OFF_THE_GRID_MS, start + 1_790_000
        for query in QUERIES:
            bounds = {"start": f"{first / 1_000:.3f}", "end": f"{last / 1_000:.3f}", "step": "37"}
            wanted = peer.post("/api/v1/query_range", data={"query": query, **bounds}).json()["data"]["result"]
            got = queries.range(query, first, last, 37_000).value
            assert isinstance(got, MatrixResult)
            assert wanted
            assert _ours(got) == {_key(one["metric"]): _points(one["values"]) for one in wanted}, query


Series = dict[tuple[tuple[str, str], ...], list[tuple[int, object]]]


def _key(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _points(values: list[tuple[float, str]]) -> list[tuple[int, object]]:
    return [
        (round(time * 1_000), pytest.approx(float(value), rel=1e-9, abs=1e-12, nan_ok=True)) for time, value in values
    ]


def _ours(found: MatrixResult) -> Series:
    made: Series = {}
    for number, labels in enumerate(found.metrics):
        times, values = found.points(number)
        made[_key(labels)] = list(zip(times.tolist(), values.tolist(), strict=True))
    return made


def _store(engine: EmbeddedEngine, requests: list[bytes]) -> None:
    async def scenario() -> None:
        async with GroupCommit(engine, kinds()) as commit:
            book = SeriesBook(SeriesBudget(engine, None), MetricLimits())
            receiver = RemoteWriteReceiver(MetricStore(commit, book, MetadataWriter(engine)), Accounting(Metrics()))
            transport = httpx.ASGITransport(Starlette(routes=routes(receiver)))
            async with httpx.AsyncClient(transport=transport, base_url="http://windvane") as client:
                for body in requests:
                    assert (await client.post("/api/v1/write", content=body, headers=HEADERS)).status_code == 204

    asyncio.run(scenario())
