"""Spans in by Zipkin's and Jaeger's faces, out by SQL: every transport, partial refusals, limits, accounting."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import cramjam
import grpc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from thrift_writer import I64, STRUCT, batch, binary, compact_call, span

from windvane.api import jaeger, otlp
from windvane.api.jaeger import http as jaeger_http
from windvane.api.span_receivers import jaeger_routes, zipkin_routes
from windvane.ingest.accounting import Accounting
from windvane.ingest.agent import AgentListener
from windvane.ingest.grpc_server import GrpcServer, otlp_services
from windvane.ingest.otlp import OtlpReceiver, kinds
from windvane.ingest.spans import SpanReceiver, span_services
from windvane.kit.clock import SystemClock
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.store.api import Engine
from windvane.store.commit import CommitSettings, GroupCommit

RECORDINGS = Path(__file__).parents[1] / "signals" / "recordings" / "spans"
TRACE = "0af7651916cd43dd8448eb211c80319c"
JSON, PROTOBUF, THRIFT = "application/json", "application/x-protobuf", "application/x-thrift"
POST_SPANS = "/jaeger.api_v2.CollectorService/PostSpans"
REPORT = "/zipkin.proto3.SpanService/Report"


class Parts:
    """The receivers on an engine, reached without a socket (HTTP) or over loopback."""

    def __init__(self, engine: Engine, commit: GroupCommit, metrics: Metrics, limit: int) -> None:
        self.engine, self.metrics = engine, metrics
        self.accounting = Accounting(metrics)
        self.otlp = OtlpReceiver(commit, self.accounting)
        self.receiver = SpanReceiver(self.otlp, self.accounting, message_bytes=limit)
        queries = jaeger.JaegerQueries(engine, SystemClock())
        faces = [jaeger_http.routes(queries), zipkin_routes(self.receiver), jaeger_routes(self.receiver)]
        self.app = Starlette(routes=[*otlp.routes(self.otlp), *(route for face in faces for route in face)])

    async def post(self, path: str, body: bytes, kind: str, encoding: str = "") -> httpx.Response:
        headers = {"content-type": kind} | ({"content-encoding": encoding} if encoding else {})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://windvane") as client:
            return await client.post(path, content=body, headers=headers)

    async def get(self, path: str) -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://windvane") as client:
            return (await client.get(path)).json()

    async def call(self, method: str, *bodies: bytes) -> list[Any]:
        """Each call's error, or its trailing metadata."""
        server = GrpcServer(Address("127.0.0.1", 0), [*otlp_services(self.otlp), *span_services(self.receiver)])
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                return [await _result(channel.unary_unary(method)(body, timeout=60)) for body in bodies]
        finally:
            await server.stop()

    async def datagrams(self, *bodies: bytes, until: int) -> None:
        """Send, and stop listening when `until` records were received."""
        agent = AgentListener(self.receiver, Address("127.0.0.1", 0))
        await agent.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for body in bodies:
                sender.sendto(body, (agent.address.host, agent.address.port))
            while self.accounting.summary().get("traces", {}).get("received", 0) < until:
                await asyncio.sleep(0.01)
        await agent.stop()

    def counted(self, metric: str, label: str) -> dict[str, int]:
        families = text_string_to_metric_families(self.metrics.exposition().decode())
        samples = [sample for family in families for sample in family.samples]
        wanted = [sample for sample in samples if sample.name == f"windvane_ingest_{metric}_total" and sample.value]
        return {sample.labels[label]: int(sample.value) for sample in wanted}


async def _result(call: Any) -> Any:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error
    return dict(await call.trailing_metadata())


def run(engine: Engine, scenario: Callable[[Parts], Awaitable[Any]], limit: int = 64 << 20) -> Any:
    async def whole() -> Any:
        metrics = Metrics()
        commit = GroupCommit(engine, kinds(), metrics=metrics, settings=CommitSettings(delay=0.02))
        async with commit, asyncio.timeout(120):
            parts = Parts(engine, commit, metrics, limit)
            try:
                return await scenario(parts)
            finally:
                await parts.receiver.close()

    return asyncio.run(whole())


def bodies(name: str) -> list[bytes]:
    return [file.read_bytes() for file in sorted(RECORDINGS.glob(f"{name}.*.bin"))]


def rows(engine: Engine) -> Any:
    return engine.query("SELECT * FROM otel_traces ORDER BY Timestamp, SpanId")


async def _http(parts: Parts, name: str, path: str, kind: str) -> None:
    for body in bodies(name):
        assert (await parts.post(path, body, kind)).status_code in (200, 202)


async def _send(parts: Parts, name: str) -> None:
    match name:
        case "otlp":
            await _http(parts, name, "/v1/traces", PROTOBUF)
        case "zipkin_json":
            await _http(parts, name, "/api/v2/spans", JSON)
        case "zipkin_proto":
            await _http(parts, name, "/api/v2/spans", PROTOBUF)
        case "jaeger_thrift":
            await _http(parts, name, "/api/traces?format=jaeger.thrift", THRIFT)
        case "jaeger_grpc":
            assert await parts.call(POST_SPANS, *bodies(name)) == [{}, {}, {}]
        case "jaeger_udp":
            await parts.datagrams(*bodies(name), until=3)


def _told(trace: dict[str, Any]) -> list[Any]:
    """What of a trace of Jaeger's API must not depend on how it was sent."""
    services = {key: process["serviceName"] for key, process in trace["processes"].items()}
    shown = []
    for each in trace["spans"]:
        tags = {tag["key"]: tag["value"] for tag in each["tags"]}
        kept = {key: tags.get(key) for key in ("error", "otel.status_code", "otel.status_description", "http.method")}
        parents = [ref["spanID"] for ref in each["references"] if ref["traceID"] == trace["traceID"]]
        logs = [field["value"] for log in each["logs"] for field in log["fields"] if field["key"] == "event"]
        times = (round(each["startTime"], -1), round(each["duration"], -1))  # Jaeger's exporter counts in floats
        shown.append((each["spanID"], each["operationName"], services[each["processID"]], parents, kept, logs, times))
    return sorted(shown, key=str)


def test_one_trace_is_shown_alike_however_it_was_sent(engine: Engine) -> None:
    shown = {}
    for name in ("otlp", "zipkin_json", "zipkin_proto", "jaeger_thrift", "jaeger_grpc", "jaeger_udp"):
        engine.command("TRUNCATE TABLE otel_traces")

        async def scenario(parts: Parts, name: str = name) -> Any:
            await _send(parts, name)
            return (await parts.get(f"/api/traces/{TRACE}"))["data"]

        (trace,) = run(engine, scenario)
        shown[name] = _told(trace)
        kinds_ = list(rows(engine)["SpanKind"])
        assert kinds_ == ["Server", "Client", "Unspecified" if name.startswith("zipkin") else "Internal"]
    for name, told in shown.items():
        assert told == shown["otlp"], name


def test_zipkin_over_grpc_is_taken_too(engine: Engine) -> None:
    assert run(engine, lambda parts: parts.call(REPORT, *bodies("zipkin_proto"))) == [{}, {}, {}]
    assert list(rows(engine)["SpanName"]) == ["GET /cart", "GET /stock", "sum"]


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", lambda body: bytes(cramjam.zstd.compress(body))),
    ],
)
def test_bodies_may_be_compressed(engine: Engine, encoding: str, compress: Callable[[bytes], bytes]) -> None:
    async def scenario(parts: Parts) -> None:
        sent = [
            ("/api/v2/spans", bodies("zipkin_json")[0], JSON),
            ("/api/v2/spans", bodies("zipkin_proto")[1], PROTOBUF),
            ("/api/v1/spans", bodies("zipkin_v1_json")[2], JSON),
            ("/api/traces", bodies("jaeger_thrift")[0], "application/vnd.apache.thrift.binary"),
            ("/v1/traces", bodies("otlp")[0], PROTOBUF),
        ]
        for path, body, kind in sent:
            answer = await parts.post(path, compress(body), kind, encoding)
            assert answer.status_code in (200, 202), answer.text
            assert (await parts.post(path, b"\x1f\x8bnot", kind, encoding)).status_code == 400
        refused = await parts.post("/api/v2/spans", b"x", JSON, "br")
        assert (refused.status_code, "'br'" in refused.text) == (415, True)

    run(engine, scenario)
    assert len(rows(engine)) == 5


def test_good_spans_are_kept_beside_refused_ones_and_all_are_counted(engine: Engine) -> None:
    good = json.loads(bodies("zipkin_json")[0])[0]

    async def scenario(parts: Parts) -> None:
        body = json.dumps([good, good | {"id": "nothing"}, good | {"timestamp": "soon"}]).encode()
        some = await parts.post("/api/v2/spans", body, JSON)
        assert some.status_code == 202
        assert some.text.startswith("2 of 3 records refused (1 invalid_field, 1 invalid_id): span 1: id is 'nothing'")
        none = await parts.post("/api/v2/spans", json.dumps([{"traceId": "1"}]).encode(), JSON)
        assert (none.status_code, "span 0: id is None" in none.text) == (400, True)
        undecodable = await parts.post("/api/v2/spans", b"[{", JSON)
        assert (undecodable.status_code, "not Zipkin's JSON" in undecodable.text) == (400, True)
        assert (await parts.post("/api/v2/spans", b"[]", JSON)).status_code == 202
        thrift = binary(STRUCT, batch(span(), span(f3=(I64, 0))))
        mixed = await parts.post("/api/traces", thrift, THRIFT)
        assert (mixed.status_code, "1 of 2 records refused (1 invalid_id): span 1: spanId" in mixed.text) == (202, True)
        (metadata, error) = await parts.call(
            POST_SPANS, bodies("jaeger_grpc")[0] * 2 + b"\x0a\x04\x0a\x02\x1a\x00", b"\xff"
        )
        assert metadata["windvane-refused"].startswith("1 of 3 records refused (1 invalid_id): span 2: trace_id")
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        received = {"zipkin_json": 5, "jaeger_thrift": 2, "jaeger_grpc": 4}
        assert parts.counted("records_received", "transport") == received
        assert parts.counted("records_refused", "reason") == {"invalid_id": 4, "invalid_field": 1, "bad_input": 2}
        assert parts.accounting.summary()["traces"] == {"received": 11, "stored": 4, "refused": 7}

    run(engine, scenario)
    assert len(rows(engine)) == 4


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        ("/api/traces", JSON, "content type 'application/json' is not application/x-thrift or"),
        ("/api/traces", "", "content type '(none)'"),
        ("/api/traces?format=zipkin", THRIFT, "format 'zipkin' is not jaeger.thrift"),
    ],
)
def test_jaegers_collector_takes_thrift_alone(engine: Engine, path: str, kind: str, text: str) -> None:
    answer = run(engine, lambda parts: parts.post(path, b"", kind))
    assert answer.status_code == 400
    assert text in answer.text


def test_a_body_beyond_the_limit_is_refused(engine: Engine) -> None:
    async def scenario(parts: Parts) -> None:
        body = b"[" + b" " * 5_000 + b"]"
        assert (await parts.post("/api/v2/spans", body, JSON)).status_code == 413
        assert (await parts.post("/api/v2/spans", gzip.compress(body), JSON, "gzip")).status_code == 413

    run(engine, scenario, limit=4_096)


def test_fifty_thousand_spans_and_a_large_tag_in_one_request(engine: Engine) -> None:
    spans = [
        {"traceId": "a", "id": f"{number:x}", "timestamp": 1_790_000_000_000_000 + number}
        for number in range(1, 50_001)
    ]
    spans[7]["tags"] = {"body": "x" * (1 << 20)}
    answer = run(engine, lambda parts: parts.post("/api/v2/spans", json.dumps(spans).encode(), JSON))
    assert answer.status_code == 202
    found = engine.query("SELECT count() AS n, max(length(SpanAttributes['body'])) AS size FROM otel_traces")
    assert (int(found["n"][0]), int(found["size"][0])) == (50_000, 1 << 20)


def test_a_shared_span_of_zipkin_is_shown_as_two(engine: Engine) -> None:
    both = [
        {"traceId": "a", "id": "1", "kind": "CLIENT", "timestamp": 1_790_000_000_000_000, "duration": 9,
         "localEndpoint": {"serviceName": "web"}},
        {"traceId": "a", "id": "1", "kind": "SERVER", "timestamp": 1_790_000_000_000_002, "duration": 5, "shared": True,
         "localEndpoint": {"serviceName": "db"}},
    ]  # fmt: skip

    async def scenario(parts: Parts) -> Any:
        await parts.post("/api/v2/spans", json.dumps(both).encode(), "text/plain")
        return (await parts.get("/api/traces/a"))["data"]

    (trace,) = run(engine, scenario)
    client, server = sorted(trace["spans"], key=lambda each: each["startTime"])
    assert client["spanID"] != server["spanID"]
    assert [ref["spanID"] for ref in server["references"]] == [client["spanID"]]


def test_datagrams_that_cannot_be_read_are_counted_and_do_no_harm(engine: Engine) -> None:
    good = compact_call("emitBatch", {1: (STRUCT, batch(span()))})

    async def scenario(parts: Parts) -> None:
        await parts.datagrams(b"", b"\x82", b"\x82\x81\0\xff\xff\xff\xff\x0f", b"junk", good, until=5)
        assert parts.accounting.summary()["traces"] == {"received": 5, "stored": 1, "refused": 4}

    run(engine, scenario)


def test_datagrams_beyond_what_may_wait_are_refused(engine: Engine) -> None:
    good = compact_call("emitBatch", {1: (STRUCT, batch(span()))})

    async def scenario(parts: Parts) -> None:
        agent = AgentListener(parts.receiver, Address("127.0.0.1", 0), waiting=2)
        for _ in range(5):
            agent.datagram_received(good, ("127.0.0.1", 1))
        await agent.stop()
        assert parts.counted("records_refused", "reason") == {"overloaded": 3}
        assert parts.accounting.summary()["traces"]["stored"] == 2

    run(engine, scenario)
