"""Spans a second into a whole server by every format it takes, beside OTLP over gRPC, in one run.

    ./run bench receivers [--spans 40000] [--senders 8] [--request 500]

The spans are those of `bench ingest` (17 attributes, 5 on the resource), the same in every format.
Server and senders share the machine; the clock runs from the first request to the last answer,
which is when a span can be queried.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import httpx
from ingest import EXPORT, requests_of
from machine import machine
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from windvane.signals.otlp.wire import block, fixed64, integer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import thrift_writer as thrift

JSON, PROTOBUF, THRIFT = "application/json", "application/x-protobuf", "application/x-thrift"
POST_SPANS = "/jaeger.api_v2.CollectorService/PostSpans"
ZIPKIN_KINDS = {2: "SERVER", 3: "CLIENT"}
Send = Callable[[bytes], Awaitable[Any]]


def _batch(request: bytes) -> ResourceSpans:
    return ExportTraceServiceRequest.FromString(request).resource_spans[0]


def _values(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in attributes}


def _spans(batch: ResourceSpans) -> Sequence[Span]:
    return batch.scope_spans[0].spans


def _texts(attributes: Any) -> dict[str, str]:
    return {key: str(value) for key, value in _values(attributes).items()}


def zipkin_json(request: bytes) -> bytes:
    """Resource attributes as tags, as exporters to Zipkin have it."""
    batch = _batch(request)
    process = _texts(batch.resource.attributes)
    endpoint = {"serviceName": process["service.name"], "ipv4": "10.0.0.1", "port": 9080}
    return json.dumps([_zipkin_span(span, endpoint, process) for span in _spans(batch)]).encode()


def _zipkin_span(span: Span, endpoint: dict[str, Any], process: dict[str, str]) -> dict[str, Any]:
    return {
        "traceId": span.trace_id.hex(),
        "id": span.span_id.hex(),
        **({"parentId": span.parent_span_id.hex()} if span.parent_span_id else {}),
        "name": span.name,
        "kind": ZIPKIN_KINDS[span.kind],
        "timestamp": span.start_time_unix_nano // 1_000,
        "duration": (span.end_time_unix_nano - span.start_time_unix_nano) // 1_000,
        "localEndpoint": endpoint,
        "tags": _texts(span.attributes) | process,
    }


def zipkin_v1(request: bytes) -> bytes:
    """The same with annotations for the kind."""
    spans = json.loads(zipkin_json(request))
    for span in spans:
        endpoint, start = span.pop("localEndpoint"), span["timestamp"]
        first, last = ("sr", "ss") if span.pop("kind") == "SERVER" else ("cs", "cr")
        span["annotations"] = [
            {"timestamp": time_, "value": value, "endpoint": endpoint}
            for time_, value in ((start, first), (start + span["duration"], last))
        ]
        span["binaryAnnotations"] = [
            {"key": key, "value": value, "endpoint": endpoint} for key, value in span.pop("tags").items()
        ]
    return json.dumps(spans).encode()


def zipkin_proto(request: bytes) -> bytes:
    """ListOfSpans."""
    out = []
    for span in json.loads(zipkin_json(request)):
        fields = [
            block(1, bytes.fromhex(span["traceId"])),
            block(2, bytes.fromhex(span.get("parentId", ""))),
            block(3, bytes.fromhex(span["id"])),
            integer(4, 1 if span["kind"] == "CLIENT" else 2),
            block(5, span["name"].encode()),
            fixed64(6, span["timestamp"]),
            integer(7, span["duration"]),
            block(8, block(1, span["localEndpoint"]["serviceName"].encode()) + block(2, b"\x0a\0\0\1")),
            *(block(11, block(1, key.encode()) + block(2, value.encode())) for key, value in span["tags"].items()),
        ]
        out.append(block(1, b"".join(fields)))
    return b"".join(out)


def _jaeger_tags(span: Span) -> dict[str, Any]:
    return _values(span.attributes) | {"span.kind": "server" if span.kind == 2 else "client"}


def jaeger_proto(request: bytes) -> bytes:
    """PostSpansRequest."""
    batch = _batch(request)
    resource = _values(batch.resource.attributes)
    process = block(1, resource.pop("service.name").encode())
    process += b"".join(block(2, _key_value(key, value)) for key, value in resource.items())
    return block(1, b"".join(block(1, _jaeger_span(span)) for span in _spans(batch)) + block(2, process))


def _jaeger_span(span: Span) -> bytes:
    reference = block(1, span.trace_id) + block(2, span.parent_span_id)
    fields = [
        block(1, span.trace_id),
        block(2, span.span_id),
        block(3, span.name.encode()),
        block(4, reference) if span.parent_span_id else b"",
        block(6, _moment(span.start_time_unix_nano)),
        block(7, _moment(span.end_time_unix_nano - span.start_time_unix_nano)),
        *(block(8, _key_value(key, value)) for key, value in _jaeger_tags(span).items()),
    ]
    return b"".join(fields)


def _moment(nanos: int) -> bytes:
    return integer(1, nanos // 10**9) + integer(2, nanos % 10**9)


def _key_value(key: str, value: Any) -> bytes:
    if isinstance(value, str):
        return block(1, key.encode()) + block(3, value.encode())
    field = 4 if isinstance(value, bool) else 5
    return block(1, key.encode()) + integer(2, 1 if field == 4 else 2) + integer(field, value)


def jaeger_thrift(request: bytes) -> bytes:
    """A Batch in the binary protocol."""
    batch = _batch(request)
    resource = _values(batch.resource.attributes)
    process = {1: (thrift.STRING, resource.pop("service.name").encode()), 2: thrift.tags(resource)}
    spans = [
        thrift.span(
            f1=(thrift.I64, _signed(span.trace_id[8:])),
            f2=(thrift.I64, _signed(span.trace_id[:8])),
            f3=(thrift.I64, _signed(span.span_id)),
            f4=(thrift.I64, _signed(span.parent_span_id)),
            f5=(thrift.STRING, span.name.encode()),
            f8=(thrift.I64, span.start_time_unix_nano // 1_000),
            f9=(thrift.I64, (span.end_time_unix_nano - span.start_time_unix_nano) // 1_000),
            f10=thrift.tags(_jaeger_tags(span)),
        )
        for span in _spans(batch)
    ]
    return thrift.binary(thrift.STRUCT, {1: (thrift.STRUCT, process), 2: (thrift.LIST, (thrift.STRUCT, spans))})


def _signed(raw: bytes) -> int:
    return int.from_bytes(raw, "big", signed=True)


async def seconds_of(send: Send, bodies: Sequence[bytes], senders: int) -> float:
    """Until every body is answered, `senders` of them waiting at a time."""
    waiting = iter(bodies)

    async def sender() -> None:
        for body in waiting:
            await send(body)

    start = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(senders)))
    return time.perf_counter() - start


async def measure(http: str, grpc_address: str, requests: Sequence[bytes], senders: int, spans: int) -> None:
    """Each format in turn, and OTLP over gRPC once more at the end."""
    async with (
        grpc.aio.insecure_channel(grpc_address) as channel,
        httpx.AsyncClient(base_url=http, timeout=120) as client,
    ):

        def posted(path: str, kind: str) -> Send:
            async def send(body: bytes) -> None:
                (await client.post(path, content=body, headers={"content-type": kind})).raise_for_status()

            return send

        otlp = channel.unary_unary(EXPORT)
        await otlp(requests[0], timeout=120)  # compiled kernels
        rounds: list[tuple[str, Callable[[bytes], bytes], Send]] = [
            ("OTLP, gRPC", bytes, otlp),
            ("OTLP, HTTP protobuf", bytes, posted("/v1/traces", PROTOBUF)),
            ("Zipkin v2 protobuf", zipkin_proto, posted("/api/v2/spans", PROTOBUF)),
            ("Zipkin v2 JSON", zipkin_json, posted("/api/v2/spans", JSON)),
            ("Zipkin v1 JSON", zipkin_v1, posted("/api/v1/spans", JSON)),
            ("Jaeger gRPC", jaeger_proto, channel.unary_unary(POST_SPANS)),
            ("Jaeger thrift, HTTP", jaeger_thrift, posted("/api/traces", THRIFT)),
            ("OTLP, gRPC, again", bytes, otlp),
        ]
        best = 0.0
        for name, translate, send in rounds:
            bodies = [translate(request) for request in requests]
            rate = spans / await seconds_of(send, bodies, senders)
            best = best or rate
            size = sum(map(len, bodies)) / spans
            print(f"{name:<22} {rate:>9,.0f} spans/s   {rate / best:5.2f} of OTLP over gRPC   {size:5.0f} bytes a span")


def main() -> None:
    """Run and print one line a format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=40_000)
    parser.add_argument("--request", type=int, default=500, help="spans a request")
    parser.add_argument("--senders", type=int, default=8)
    options = parser.parse_args()
    print(machine())
    requests = requests_of(options.spans // options.request, options.request)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "windvane", "serve", "--data", folder, "--retention", "none"]
        command += ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--otlp-http", "none", "--zipkin", "none"]
        command += ["--jaeger-query", "none", "--jaeger-grpc-query", "none", "--tempo", "none"]
        command += ["--sampling-http", "none", "--sampling-grpc", "none"]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        told = ""
        for line in server.stderr:
            told += line
            if "console and APIs on" in line:
                break
        over_grpc = re.search(r"over gRPC on ([\d.:]+)", told)
        http = re.search(r"console and APIs on (http://[\d.:]+)", told)
        assert over_grpc is not None, told
        assert http is not None, told
        count = len(requests) * options.request
        try:
            asyncio.run(measure(http[1], over_grpc[1], requests, options.senders, count))
        finally:
            server.terminate()
            server.communicate(timeout=120)


if __name__ == "__main__":
    main()
