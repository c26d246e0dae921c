"""OTLP in by gRPC and HTTP, out by SQL: every attribute kind, errors, partial failures, accounting."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import httpx
import orjson
import pytest
from envoy_data_plane.google.rpc import Status
from otlp_messages import KINDS, SPAN, START, TEXTS, TRACE, VALUES, rich_logs, rich_traces, to_json, traces
from starlette.applications import Starlette

from windvane.api.otlp import routes
from windvane.ingest.accounting import Accounting
from windvane.ingest.grpc_server import GrpcServer, GrpcSettings, otlp_services
from windvane.ingest.otlp import JSON, PROTOBUF, OtlpReceiver, OtlpSettings, kinds
from windvane.ingest.otlp_spans import native_spans
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.store.api import Engine
from windvane.store.commit import CommitSettings, GroupCommit

EXPORT_TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
EXPORT_LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


class Parts:
    """A receiver on an engine, reached without a socket (HTTP) or over loopback (gRPC)."""

    def __init__(self, engine: Engine, commit: GroupCommit, metrics: Metrics, limit: int) -> None:
        self.engine, self.metrics = engine, metrics
        self.accounting = Accounting(metrics)
        self.receiver = OtlpReceiver(commit, self.accounting, OtlpSettings(message_bytes=limit))
        self.app = Starlette(routes=routes(self.receiver, body_bytes=limit))
        self.limit = limit

    async def post(self, path: str, body: bytes, kind: str = PROTOBUF, encoding: str = "") -> httpx.Response:
        headers = {"content-type": kind} | ({"content-encoding": encoding} if encoding else {})
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://windvane") as client:
            return await client.post(path, content=body, headers=headers)

    async def call(self, method: str, *bodies: bytes, compression: Any = None) -> list[bytes | grpc.aio.AioRpcError]:
        settings = GrpcSettings(message_bytes=self.limit)
        server = GrpcServer(Address("127.0.0.1", 0), otlp_services(self.receiver), settings)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                export = channel.unary_unary(method)
                calls = [_result(export(body, timeout=20, compression=compression)) for body in bodies]
                return await asyncio.gather(*calls)
        finally:
            await server.stop()


async def _result(call: Awaitable[bytes]) -> bytes | grpc.aio.AioRpcError:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        return error


def run(engine: Engine, scenario: Callable[[Parts], Awaitable[Any]], limit: int = 64 << 20, **settings: Any) -> Any:
    async def whole() -> Any:
        metrics = Metrics()
        commit = GroupCommit(engine, kinds(), metrics=metrics, settings=CommitSettings(delay=0.02, **settings))
        async with commit, asyncio.timeout(60):
            return await scenario(Parts(engine, commit, metrics, limit))

    return asyncio.run(whole())


def _prefixed(scope: str) -> dict[str, str]:
    return {f"{scope}.{key}": kind for key, kind in KINDS.items()}


def _check_rich_span(engine: Engine) -> None:
    row = engine.query("SELECT * FROM otel_traces").iloc[0]
    assert row["TraceId"] == TRACE.hex()
    assert row["SpanId"] == SPAN.hex()
    assert row["ParentSpanId"] == "0001020304050607"
    assert (row["TraceState"], row["SpanName"], row["SpanKind"]) == ("a=b", "GET /reviews", "Client")
    assert (row["StatusCode"], row["StatusMessage"], row["Duration"]) == ("Error", "boom", 1_500)
    assert row["Timestamp"].value == START
    assert (row["ServiceName"], row["ScopeName"], row["ScopeVersion"]) == ("reviews.shop", "envoy", "1.40")
    assert row["SpanAttributes"] == TEXTS
    assert row["ScopeAttributes"] == TEXTS
    assert row["ResourceAttributes"] == TEXTS | {"service.name": "reviews.shop"}
    assert list(row["Events.Name"]) == ["exception", "plain"]
    assert list(row["Events.Attributes"]) == [TEXTS, {}]
    assert list(row["Links.TraceId"]) == [TRACE[::-1].hex()]
    assert list(row["Links.SpanId"]) == [SPAN[::-1].hex()]
    assert list(row["Links.Attributes"]) == [TEXTS]
    scopes = ("resource", "scope", "span", "event.0", "link.0")
    assert row["AttributeTypes"] == {key: kind for scope in scopes for key, kind in _prefixed(scope).items()}
    moments = engine.query("SELECT arrayMap(t -> toUnixTimestamp64Nano(t), Events.Timestamp) AS t FROM otel_traces")
    assert list(moments["t"][0]) == [START + 7, START + 8]


def test_every_attribute_kind_survives_grpc(engine: Engine) -> None:
    answers = run(engine, lambda parts: parts.call(EXPORT_TRACES, rich_traces().SerializeToString()))
    assert answers == [b""]
    _check_rich_span(engine)


def test_every_attribute_kind_survives_json(engine: Engine) -> None:
    answer = run(engine, lambda parts: parts.post("/v1/traces", to_json(rich_traces()), JSON))
    assert (answer.status_code, answer.json()) == (200, {})
    _check_rich_span(engine)


@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_logs_keep_their_bodies(engine: Engine, kind: str) -> None:
    body = to_json(rich_logs()) if kind == JSON else rich_logs().SerializeToString()
    assert run(engine, lambda parts: parts.post("/v1/logs", body, kind)).status_code == 200
    frame = engine.query("SELECT * FROM otel_logs WHERE SeverityNumber = 17")
    assert sorted(frame["Body"]) == sorted(TEXTS.values())
    assert sorted(types.get("body", "string") for types in frame["AttributeTypes"]) == sorted(
        kind or "string" for _, _, kind in VALUES.values()
    )
    row = frame.iloc[0]
    assert row["LogAttributes"] == TEXTS
    assert {k: v for k, v in row["AttributeTypes"].items() if k != "body"} == _prefixed("log")
    assert (row["TraceId"], row["SpanId"], row["TraceFlags"]) == (TRACE.hex(), SPAN.hex(), 1)
    assert (row["SeverityText"], row["EventName"], row["ScopeName"]) == ("ERROR", "crash", "app")
    assert (row["ResourceSchemaUrl"], row["ScopeSchemaUrl"]) == ("https://example.org/1", "https://example.org/2")
    late = engine.query("SELECT Timestamp, TraceId, SpanId FROM otel_logs WHERE SeverityNumber = 0").iloc[0]
    assert (late["Timestamp"].value, late["TraceId"], late["SpanId"]) == (START + 5, "", "")


@pytest.mark.parametrize(
    ("encoding", "squeeze"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("", lambda body: body)]
)
def test_compressed_bodies(engine: Engine, encoding: str, squeeze: Callable[[bytes], bytes]) -> None:
    body = squeeze(traces(20).SerializeToString())
    assert run(engine, lambda parts: parts.post("/v1/traces", body, encoding=encoding)).status_code == 200
    assert engine.query("SELECT count() AS n FROM otel_traces")["n"][0] == 20


def test_gzip_over_grpc_and_many_at_once(engine: Engine) -> None:
    body = traces(7).SerializeToString()
    answers = run(engine, lambda parts: parts.call(EXPORT_TRACES, *[body] * 30, compression=grpc.Compression.Gzip))
    assert answers == [b""] * 30
    assert engine.query("SELECT count() AS n FROM otel_traces")["n"][0] == 210


def test_a_bad_request_does_not_hurt_its_neighbours(engine: Engine) -> None:
    good = traces(3).SerializeToString()
    bad = good[:-1]

    async def scenario(parts: Parts) -> tuple[list[Any], dict[str, Any]]:
        return await parts.call(EXPORT_TRACES, good, bad, good), parts.accounting.summary()

    (first, refused, last), summary = run(engine, scenario)
    assert (first, last) == (b"", b"")
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "reaches beyond" in refused.details()
    assert engine.query("SELECT count() AS n FROM otel_traces")["n"][0] == 6
    assert summary == {"traces": {"received": 7, "stored": 6, "refused": 1}}


def test_http_errors_are_rpc_statuses_in_the_senders_format(engine: Engine) -> None:
    async def scenario(parts: Parts) -> list[httpx.Response]:
        return [
            await parts.post("/v1/traces", b"\xff\xff"),
            await parts.post("/v1/traces", b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"kind": "x"}]}]}]}', JSON),
            await parts.post("/v1/traces", b"{", JSON),
            await parts.post("/v1/traces", b"", "text/plain"),
            await parts.post("/v1/traces", b"no gzip", encoding="gzip"),
            await parts.post("/v1/traces", b"", encoding="br"),
            await parts.post("/v1/traces", gzip.compress(b"\0" * 20_000), encoding="gzip"),
            await parts.post("/v1/traces", b"\0" * 20_000),
        ]

    answers = run(engine, scenario, limit=10_000)
    assert [answer.status_code for answer in answers] == [400, 400, 400, 415, 400, 400, 413, 413]
    assert Status.parse(answers[0].content).code == 3
    assert answers[1].json()["code"] == 3
    assert "request.resourceSpans[0].scopeSpans[0].spans[0].kind is 'x'" in answers[1].json()["message"]
    assert answers[1].headers["content-type"] == JSON


def test_overload_says_when_to_come_back(engine: Engine) -> None:
    body = traces(50).SerializeToString()

    async def scenario(parts: Parts) -> tuple[list[Any], list[httpx.Response]]:
        called = parts.call(EXPORT_TRACES, body, body)
        posted = [parts.post("/v1/traces", body), parts.post("/v1/traces", to_json(traces(50)), JSON)]
        filler = asyncio.create_task(parts.post("/v1/traces", body))
        await asyncio.sleep(0)
        answers = await asyncio.gather(called, *posted)
        await filler
        return answers[0], answers[1:]

    called, posted = run(engine, scenario, memory_bytes=len(native_spans(body, 50) or b"") + 10)
    refused = [answer for answer in called if not isinstance(answer, bytes)]
    assert refused[0].code() is grpc.StatusCode.UNAVAILABLE
    details = dict(refused[0].trailing_metadata())["grpc-status-details-bin"]
    info = Status.parse(details).details[0]
    assert info.type_url == "type.googleapis.com/google.rpc.RetryInfo"
    assert info.value == bytes([0x0A, 2, 0x08, 1])  # retry_delay { seconds: 1 }
    full = next(answer for answer in posted if answer.status_code == 503)
    assert full.headers["retry-after"] == "1"


def test_invalid_utf8_is_repaired_not_refused(engine: Engine) -> None:
    request = traces(1)
    request.resource_spans[0].scope_spans[0].spans[0].name = "GET /café/ABCD"
    body = request.SerializeToString().replace("é".encode(), b"\xc3(").replace(b"ABCD", b"\xff\xed\xa0\x80")
    assert run(engine, lambda parts: parts.post("/v1/traces", body)).status_code == 200
    assert engine.query("SELECT SpanName FROM otel_traces")["SpanName"][0] == "GET /caf?(/????"


def test_fifty_thousand_spans_in_one_request(engine: Engine) -> None:
    body = traces(50_000).SerializeToString()
    assert run(engine, lambda parts: parts.call(EXPORT_TRACES, body)) == [b""]
    frame = engine.query("SELECT count() AS n, uniqExact(SpanId) AS ids FROM otel_traces")
    assert (frame["n"][0], frame["ids"][0]) == (50_000, 50_000)


def test_accounting_is_on_the_metrics_page(engine: Engine) -> None:
    async def scenario(parts: Parts) -> str:
        await parts.post("/v1/traces", traces(5).SerializeToString())
        await parts.post("/v1/logs", orjson.dumps({}), JSON)
        await parts.post("/v1/traces", b"\xff")
        return parts.metrics.exposition().decode()

    page = run(engine, scenario)
    assert 'windvane_ingest_records_received_total{signal="traces",transport="http"} 6.0' in page
    assert 'windvane_ingest_records_stored_total{signal="traces"} 5.0' in page
    assert 'windvane_ingest_records_refused_total{reason="bad_input",signal="traces"} 1.0' in page


def test_json_of_protobufs_own_kind_is_read_as_well(engine: Engine) -> None:
    """Names of enum values, snake_case, 64-bit integers as numbers and texts, fields that nobody knows."""
    span = {
        "trace_id": TRACE.hex().upper(), "spanId": SPAN.hex(), "parent_span_id": "", "name": "GET /",
        "future": {"a": [1]},
        "kind": "SPAN_KIND_CLIENT", "start_time_unix_nano": START, "endTimeUnixNano": str(START + 5),
        "status": {"code": "STATUS_CODE_ERROR"}, "links": None,
        "attributes": [{"key": "n", "value": {"intValue": 7}}, {"key": "m", "value": {"int_value": "-8"}},
                       {"key": "b", "value": {"bytesValue": "-_8="}}],
    }  # fmt: skip
    body = orjson.dumps({"resource_spans": [{"scopeSpans": [{"spans": [span]}], "schemaUrl": "x"}]})
    answer = run(engine, lambda parts: parts.post("/v1/traces", body, JSON))
    assert answer.status_code == 200, answer.text
    row = engine.query("SELECT * FROM otel_traces").iloc[0]
    assert (row["TraceId"], row["SpanKind"], row["StatusCode"], row["Duration"]) == (TRACE.hex(), "Client", "Error", 5)
    assert row["SpanAttributes"] == {"n": "7", "m": "-8", "b": "+/8="}
    wrong = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span | {"kind": "CLIENT"}]}]}]})
    refused = run(engine, lambda parts: parts.post("/v1/traces", wrong, JSON))
    assert "spans[0].kind is 'CLIENT', expected an integer" in refused.text


@pytest.mark.parametrize("algorithm", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_grpc_messages_may_be_compressed(engine: Engine, algorithm: grpc.Compression) -> None:
    """By gzip and deflate, which are all that gRPC's core knows: others it answers with UNIMPLEMENTED itself."""
    answers = run(engine, lambda parts: parts.call(EXPORT_TRACES, traces(3).SerializeToString(), compression=algorithm))
    assert answers == [b""]
    assert len(engine.query("SELECT SpanId FROM otel_traces")) == 3
