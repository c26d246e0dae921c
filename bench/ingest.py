"""OTLP traces end to end: spans a second over gRPC, against the bare engine on the same bytes.

    ./run bench ingest [--spans 400000] [--senders 16] [--request 1000]

Every request differs: random trace, span and request ids, times of its own. Spans are what an
Envoy sidecar sends: 17 attributes (3 integers, 1 bool, a request id a trace) and 5 on the resource,
about 720 bytes. Server and senders share the machine; the clock runs from the first request to the
last acknowledgement, which is when a span can be queried.
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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import psutil
from machine import machine
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

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
    f"{name}.shop" for name in "frontend checkout cart catalog reviews ratings payment shipping email ads".split()
]
TEMPLATES = 12
GROUP = 16  # requests in one commit of the bare engine
START = 1_790_000_000_000_000_000


class Template:
    """A serialized request whose ids are overwritten in place: distinct bytes at the price of a copy."""

    def __init__(self, spans: int, seed: int) -> None:
        self._chance = random.Random(seed)
        request = ExportTraceServiceRequest()
        self._ids: list[tuple[bytes, bytes]] = []
        for service in SERVICES:
            self._add_service(request, service, spans // len(SERVICES))
        self._data = request.SerializeToString()
        self._places = self._find_ids()

    def distinct(self) -> bytes:
        """The request with new random ids; spans of one trace keep sharing theirs."""
        data, traces = bytearray(self._data), [os.urandom(16) for _ in range(len(self._ids) // 8 + 1)]
        for trace_at, request_at, number in self._places:
            trace = traces[number % len(traces)]
            data[trace_at : trace_at + 16] = trace
            data[trace_at + 18 : trace_at + 26] = os.urandom(8)  # span id
            data[trace_at + 28 : trace_at + 36] = os.urandom(8)  # parent span id
            data[request_at : request_at + 32] = trace[::-1].hex().encode()
        return bytes(data)

    def _add_service(self, request: ExportTraceServiceRequest, service: str, spans: int) -> None:
        batch = request.resource_spans.add()
        described = {"k8s.namespace.name": "shop", "k8s.pod.name": f"{service}-7d9f5", "host.name": "node-1"}
        for key, value in {"service.name": service, "telemetry.sdk.language": "cpp", **described}.items():
            batch.resource.attributes.add(key=key).value.string_value = value
        scope = batch.scope_spans.add()
        scope.scope.name = "envoy"
        for _ in range(spans):
            self._add_span(scope, service)

    def _add_span(self, scope: object, service: str) -> None:
        chance = self._chance
        trace, marker = chance.randbytes(16), chance.randbytes(16).hex().encode()
        self._ids.append((trace, marker))
        start = START + chance.randrange(10**9)
        peer = chance.choice(SERVICES)
        span = scope.spans.add(  # type: ignore[attr-defined]
            trace_id=trace,
            span_id=bytes(8),
            parent_span_id=bytes(8),
            name=f"{peer}.svc.cluster.local:9080/*",
            kind=chance.choice((2, 3)),
            start_time_unix_nano=start,
            end_time_unix_nano=start + int(chance.lognormvariate(15, 1)),
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
            "guid:x-request-id": marker.decode(),
            "istio.mesh_id": "mesh1",
            "istio.canonical_service": service,
        }
        for key, value in texts.items():
            span.attributes.add(key=key).value.string_value = value
        span.attributes.add(key="http.status_code").value.int_value = chance.choice((200, 200, 200, 200, 404, 500))
        span.attributes.add(key="request_size").value.int_value = chance.randrange(500)
        span.attributes.add(key="response_size").value.int_value = chance.randrange(20_000)
        span.attributes.add(key="http.retried").value.bool_value = False

    def _find_ids(self) -> list[tuple[int, int, int]]:
        places, at = [], 0
        for number, (trace, marker) in enumerate(self._ids):
            at = self._data.index(trace, at)
            places.append((at, self._data.index(marker, at), number))
        return places


async def serve(directory: str) -> None:
    """The server's process: listen, tell the port, and at the end of input tell how it went."""
    engine = EmbeddedEngine.open(directory)
    migrate(engine, Retention(default=None))
    metrics = Metrics()
    async with GroupCommit(engine, kinds(), metrics=metrics) as commit:
        receiver = OtlpReceiver(commit, Accounting(metrics))
        await asyncio.to_thread(scan.warm)
        server = GrpcServer(Address("127.0.0.1", 0), otlp_services(receiver))
        await server.start()
        print(json.dumps({"port": server.port, "rest": psutil.Process().memory_info().rss}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        await server.stop()
    commits = next(
        sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "windvane_commit_seconds_count" and sample.labels["kind"] == "otlp_traces"
    )
    told = {"peak": peak, "cpu": sum(os.times()[:2]), "commits": commits}
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
    insert = next(kind for kind in kinds() if kind.name == "otlp_traces").insert(1)
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
    templates = [Template(options.request, seed) for seed in range(TEMPLATES)]
    requests = [templates[n % TEMPLATES].distinct() for n in range(options.spans // options.request)]
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
        seconds = asyncio.run(send(ready["port"], requests, options.senders))
        told = json.loads(server.communicate("\n", timeout=300)[0])
        straight = bare(requests, str(Path(folder) / "bare"))
    assert told["rows"] == spans, f"{told['rows']} spans stored of {spans}"
    mib = 1 / 2**20
    print(f"end to end over gRPC: {spans / seconds:,.0f} spans/s ({told['commits']:.0f} commits)")
    print(f"bare engine, 2 threads, {GROUP} requests a group: {spans / straight:,.0f} spans/s")
    print(f"ratio: {straight / seconds:.2f}")
    print(f"server: {told['cpu'] / spans * 1e6:.1f} µs of processor a span, merges so far included")
    print(f"disk: {told['bytes'] / spans:.1f} bytes a span, of which indexes {told['index'] / spans:.1f}")
    print(f"resident: {ready['rest'] * mib:.0f} MiB at rest, {told['peak'] * mib:.0f} MiB at most")


if __name__ == "__main__":
    main()
