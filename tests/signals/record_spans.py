"""Records what real exporters send, for `test_span_recordings.py`. Run by hand in an environment of its own:

    pip install py_zipkin jaeger-client opentelemetry-exporter-zipkin-json opentelemetry-exporter-zipkin-proto-http \
        opentelemetry-exporter-jaeger-thrift opentelemetry-exporter-jaeger-proto-grpc \
        opentelemetry-exporter-otlp-proto-http
    python tests/signals/record_spans.py tests/signals/recordings/spans opentelemetry
    python tests/signals/record_spans.py tests/signals/recordings/spans others

The exporters of OpenTelemetry all send one trace, with the same ids and times; the others cannot live
in one process with them.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

BODIES: list[bytes] = []
START = 1_790_000_000_123_456_000


class Capture(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        BODIES.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class GrpcCapture(grpc.GenericRpcHandler):
    def service(self, _: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda body, context: BODIES.append(body) or b"")


class Ids(IdGenerator):
    def __init__(self) -> None:
        self.spans = iter(range(0xA0, 0xFF))

    def generate_trace_id(self) -> int:
        return 0x0AF7651916CD43DD8448EB211C80319C

    def generate_span_id(self) -> int:
        return 0xB7AD6B7169203300 + next(self.spans)


def send(exporter: SpanExporter) -> None:
    resource = Resource({"service.name": "checkout", "service.version": "1.2", "k8s.pod.name": "checkout-1"})
    provider = TracerProvider(resource=resource, id_generator=Ids())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("lib", "3.1")
    other = SpanContext(0x1AF7651916CD43DD8448EB211C80319C, 0xC7AD6B7169203300, True, TraceFlags(1))
    root = tracer.start_span("GET /cart", kind=SpanKind.SERVER, start_time=START, links=[Link(other)],
                             attributes={"http.method": "GET", "n": 3, "share": 1.5, "hit": True})  # fmt: skip
    inside = trace.set_span_in_context(root)
    child = tracer.start_span("GET /stock", inside, SpanKind.CLIENT, start_time=START + 1_000_000)
    child.add_event("retry", {"attempt": 2, "who": "é"}, timestamp=START + 2_000_000)
    child.set_status(Status(StatusCode.ERROR, "no answer"))
    child.end(START + 3_000_000)
    inner = tracer.start_span("sum", inside, start_time=START + 4_000_000)
    inner.set_status(Status(StatusCode.OK))
    inner.end(START + 4_500_000)
    root.end(START + 5_000_000)
    provider.shutdown()


def exporters(http: str, grpc_address: str, datagrams: tuple[str, int]) -> Iterator[tuple[str, Any]]:
    from opentelemetry.exporter.jaeger.proto.grpc import JaegerExporter as JaegerGrpc  # noqa: PLC0415
    from opentelemetry.exporter.jaeger.thrift import JaegerExporter as JaegerThrift  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.exporter.zipkin.json import Protocol  # noqa: PLC0415
    from opentelemetry.exporter.zipkin.json import ZipkinExporter as ZipkinJson  # noqa: PLC0415
    from opentelemetry.exporter.zipkin.proto.http import ZipkinExporter as ZipkinProto  # noqa: PLC0415

    yield "otlp", OTLPSpanExporter(endpoint=http)
    yield "zipkin_json", ZipkinJson(endpoint=http)
    yield "zipkin_v1_json", ZipkinJson(version=Protocol.V1, endpoint=http, max_tag_value_length=128)
    yield "zipkin_proto", ZipkinProto(endpoint=http)
    yield "jaeger_thrift", JaegerThrift(collector_endpoint=http)
    yield "jaeger_udp", JaegerThrift(agent_host_name=datagrams[0], agent_port=datagrams[1])
    yield "jaeger_grpc", JaegerGrpc(collector_endpoint=grpc_address, insecure=True)


def jaeger_client(datagrams: tuple[str, int]) -> None:
    from jaeger_client import Config  # noqa: PLC0415

    config = Config(
        {"sampler": {"type": "const", "param": 1}, "logging": False,
         "local_agent": {"reporting_host": datagrams[0], "reporting_port": datagrams[1]}},
        service_name="legacy",
    )  # fmt: skip
    tracer = config.new_tracer()
    with tracer.start_span("root") as root:
        root.set_tag("span.kind", "server").set_tag("http.status_code", 503)
        root.log_kv({"event": "slow", "ms": 5})
        with tracer.start_span("child", child_of=root) as child:
            child.set_tag("error", True).set_tag("span.kind", "client")
    closed = tracer.close()
    while not closed.done():
        threading.Event().wait(0.1)


def py_zipkin(kind: str) -> None:
    from py_zipkin import Encoding, Kind  # noqa: PLC0415
    from py_zipkin.zipkin import zipkin_span  # noqa: PLC0415

    options = {"sample_rate": 100, "kind": Kind.SERVER, "port": 8080, "host": "10.1.2.3", "use_128bit_trace_id": True}
    options |= {"transport_handler": BODIES.append, "encoding": getattr(Encoding, kind)}
    tags = {"error": "refused"}
    with (
        zipkin_span("front", span_name="get /", **options),
        zipkin_span("front", span_name="query", kind=Kind.CLIENT, binary_annotations=tags) as query,
    ):
        query.add_sa_binary_annotation(port=5432, service_name="db", host="10.1.2.4")
        query.add_annotation("ws")


def opentelemetry(folder: Path, agent: socket.socket) -> None:
    http = HTTPServer(("127.0.0.1", 0), Capture)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((GrpcCapture(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    address = f"http://127.0.0.1:{http.server_port}/api/v2/spans"
    for name, exporter in exporters(address, f"127.0.0.1:{port}", agent.getsockname()):
        BODIES.clear()
        send(exporter)
        if name == "jaeger_udp":
            BODIES.extend(agent.recv(65_536) for _ in range(3))
        for number, body in enumerate(BODIES):
            (folder / f"{name}.{number}.bin").write_bytes(body)


def others(folder: Path, agent: socket.socket) -> None:
    for kind in ("V2_JSON", "V2_PROTO3", "V1_JSON"):
        BODIES.clear()
        py_zipkin(kind)
        (folder / f"py_{kind.lower()}.0.bin").write_bytes(
            BODIES[0] if isinstance(BODIES[0], bytes) else BODIES[0].encode()
        )
    jaeger_client(agent.getsockname())
    (folder / "jaeger_client.0.bin").write_bytes(agent.recv(65_536))


if __name__ == "__main__":
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent_socket:
        agent_socket.bind(("127.0.0.1", 0))
        agent_socket.settimeout(10)
        {"opentelemetry": opentelemetry, "others": others}[sys.argv[2]](Path(sys.argv[1]), agent_socket)
