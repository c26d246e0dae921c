"""OTLP traces end to end: spans a second over gRPC, against the bare engine on the same bytes.

    ./run bench ingest [--spans 400000] [--senders 16] [--request 1000]

Spans are what Envoy sidecars send: random ids, eight spans a trace over ten services, 17 attributes
(3 integers, 1 bool, a request id a trace) and 5 on the resource. Server and senders share the
machine; the clock runs from the first request to the last acknowledgement, which is when a span can
be queried.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import grpc
import psutil
from machine import machine
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from windvane.ingest import otlp_spans
from windvane.ingest.accounting import Accounting
from windvane.ingest.grpc_server import GrpcServer, otlp_services
from windvane.ingest.otlp import OtlpReceiver, kinds
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.signals.otlp import scan
from windvane.signals.otlp.wire import framed
from windvane.store.commit import GroupCommit
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.store.status import table_sizes

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SERVICES = [
    f"{name}.shop"
    for name in ("frontend", "checkout", "cart", "catalog", "reviews", "ratings", "payment", "shipping", "email", "ads")
]
TRACE_SPANS = 8
RATE = 100_000  # spans a second by their own clocks
GROUP = 16  # requests in one commit of the bare engine
START = 1_790_000_000_000_000_000


def requests_of(count: int, spans: int) -> list[bytes]:
    """Requests in the order of their time: each from one sidecar, each trace of eight spans over several."""
    chance = random.Random(7)
    sidecars: dict[str, list[Span]] = {service: [] for service in SERVICES}
    for number in range((count + len(SERVICES)) * spans // TRACE_SPANS):
        for service, span in _trace(chance, START + number * TRACE_SPANS * 10**9 // RATE):
            sidecars[service].append(span)
    batches = [
        (list_[at + spans - 1].start, service, list_[at : at + spans])
        for service, list_ in sidecars.items()
        for at in range(0, len(list_) - spans + 1, spans)
    ]
    batches.sort(key=lambda batch: batch[0])
    return [_request(chance, service, list_) for _, service, list_ in batches[:count]]


class Span(NamedTuple):
    """What spans of one trace share or refer to."""

    trace: bytes
    span: bytes
    parent: bytes
    request: str
    start: int


def _trace(chance: random.Random, start: int) -> Iterator[tuple[str, Span]]:
    trace, request, parent = chance.randbytes(16), str(uuid.UUID(bytes=chance.randbytes(16))), b""
    for _ in range(TRACE_SPANS):
        span = chance.randbytes(8)
        began = start + int(chance.expovariate(1 / 2e7))
        yield chance.choice(SERVICES), Span(trace, span, parent, request, began)
        parent = span if chance.random() < 0.7 else parent


def _request(chance: random.Random, service: str, spans: Sequence[Span]) -> bytes:
    request = ExportTraceServiceRequest()
    batch = request.resource_spans.add()
    described = {"k8s.namespace.name": "shop", "k8s.pod.name": f"{service}-7d9f5", "host.name": "node-1"}
    for key, value in {"service.name": service, "telemetry.sdk.language": "cpp", **described}.items():
        batch.resource.attributes.add(key=key).value.string_value = value
    scope = batch.scope_spans.add()
    scope.scope.name = "envoy"
    for span in spans:
        _add_span(scope, chance, service, span)
    return request.SerializeToString()


def _add_span(scope: ScopeSpans, chance: random.Random, service: str, source: Span) -> None:
    peer = chance.choice(SERVICES)
    span = scope.spans.add(
        trace_id=source.trace,
        span_id=source.span,
        parent_span_id=source.parent,
        name=f"{peer}.svc.cluster.local:9080/*",
        kind=chance.choice((2, 3)),  # type: ignore[arg-type]
        start_time_unix_nano=source.start,
        end_time_unix_nano=source.start + int(chance.lognormvariate(15, 1)),
    )
    texts = {
        "node_id": f"sidecar~10.0.0.{SERVICES.index(service)}~{service}-v1.shop~shop.svc.cluster.local",
        "component": "proxy",
        "upstream_cluster": f"outbound|9080|v{chance.randrange(3)}|{peer}.svc.cluster.local",
        "upstream_cluster.name": f"outbound|9080||{peer}.svc.cluster.local",
        "http.method": chance.choice(("GET", "POST")),
        "http.url": f"http://{service}:9080/item/{chance.randrange(2_000)}",
        "http.protocol": "HTTP/1.1",
        "response_flags": "-" if chance.random() < 0.98 else "UF",
        "user_agent": "windvane-traffic/1.0",
        "peer.address": f"127.0.{chance.randrange(4)}.{chance.randrange(250)}",
        "guid:x-request-id": source.request,
        "istio.mesh_id": "mesh1",
        "istio.canonical_service": service,
    }
    for key, value in texts.items():
        span.attributes.add(key=key).value.string_value = value
    span.attributes.add(key="http.status_code").value.int_value = chance.choice((200, 200, 200, 200, 404, 500))
    span.attributes.add(key="request_size").value.int_value = chance.randrange(500)
    span.attributes.add(key="response_size").value.int_value = chance.randrange(20_000)
    span.attributes.add(key="http.retried").value.bool_value = False


async def serve(directory: str) -> None:
    """The server's process: listen, tell the port, and at the end of input tell how it went."""
    engine = EmbeddedEngine.open(directory)
    migrate(engine, Retention(default=None))
    metrics = Metrics()
    async with GroupCommit(engine, kinds(), metrics=metrics) as commit:
        receiver = OtlpReceiver(commit, Accounting(metrics))
        await asyncio.to_thread(scan.warm)
        await asyncio.to_thread(otlp_spans.warm)
        server = GrpcServer(Address("127.0.0.1", 0), otlp_services(receiver))
        await server.start()
        before = sum(os.times()[:2])
        print(json.dumps({"port": server.port, "rest": psutil.Process().memory_info().rss}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        busy = sum(os.times()[:2]) - before
        await server.stop()
    commits = next(
        sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "windvane_commit_seconds_count" and sample.labels["kind"] == "otlp_spans"
    )
    told = {"peak": peak, "cpu": busy, "commits": commits}
    engine.command("OPTIMIZE TABLE otel_traces FINAL")
    table = next(size for size in table_sizes(engine) if size.name == "otel_traces")
    columns = engine.query(
        "SELECT sum(secondary_indices_compressed_bytes) AS bytes FROM system.parts "
        "WHERE active AND database = currentDatabase() AND table = 'otel_traces'"
    )
    told |= {"rows": table.rows, "bytes": table.bytes, "index": int(columns["bytes"][0])}
    print(json.dumps(told), flush=True)
    engine.close()


async def send(port: int, requests: Sequence[bytes], senders: int) -> float:
    """Seconds until every request is acknowledged, `senders` of them waiting at a time."""
    waiting = iter(requests)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        export = channel.unary_unary(EXPORT)

        async def sender() -> None:
            for request in waiting:
                await export(request, timeout=60)

        start = time.perf_counter()
        await asyncio.gather(*(sender() for _ in range(senders)))
        return time.perf_counter() - start


def bare(requests: Sequence[bytes], directory: str) -> float:
    """Seconds in which two threads insert the same bytes straight into an engine, in groups."""
    engine = EmbeddedEngine.open(directory)
    migrate(engine, Retention(default=None))
    insert = next(kind for kind in kinds() if kind.name == "otlp_plain_traces").insert(1)
    groups = [requests[at : at + GROUP] for at in range(0, len(requests), GROUP)]

    def store(group: Sequence[bytes]) -> int:
        return engine.insert_payload(insert, b"".join(map(framed, group)))

    start = time.perf_counter()
    with ThreadPoolExecutor(2) as threads:
        assert sum(threads.map(store, groups)) > 0
    seconds = time.perf_counter() - start
    engine.close()
    return seconds


def main() -> None:
    """Run and print one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=400_000)
    parser.add_argument("--request", type=int, default=1_000, help="spans a request")
    parser.add_argument("--senders", type=int, default=16)
    parser.add_argument("--server", metavar="DIR", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.server:
        asyncio.run(serve(options.server))
        return
    print(machine())
    requests = requests_of(options.spans // options.request, options.request)
    spans = len(requests) * options.request
    size = sum(map(len, requests)) / spans
    print(
        f"data: {spans} spans, {options.request} a request, {size:.0f} bytes a span in OTLP, {options.senders} senders"
    )
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--server", str(Path(folder) / "served")]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        ready = json.loads(server.stdout.readline())
        before = sum(os.times()[:2])
        seconds = asyncio.run(send(ready["port"], requests, options.senders))
        sending = sum(os.times()[:2]) - before
        told = json.loads(server.communicate("\n", timeout=300)[0])
        straight = bare(requests, str(Path(folder) / "bare"))
    assert told["rows"] == spans, f"{told['rows']} spans stored of {spans}"
    mib = 1 / 2**20
    print(f"end to end over gRPC: {spans / seconds:,.0f} spans/s ({told['commits']:.0f} commits)")
    print(f"bare engine, 2 threads, {GROUP} requests a group: {spans / straight:,.0f} spans/s")
    print(f"ratio: {straight / seconds:.2f}")
    print(
        f"processor: {told['cpu'] / spans * 1e6:.1f} µs a span in the server, merges so far included; senders "
        f"{sending / spans * 1e6:.1f}"
    )
    print(f"disk: {told['bytes'] / spans:.1f} bytes a span, of which indexes {told['index'] / spans:.1f}")
    print(f"resident: {ready['rest'] * mib:.0f} MiB at rest, {told['peak'] * mib:.0f} MiB at most")


if __name__ == "__main__":
    main()
