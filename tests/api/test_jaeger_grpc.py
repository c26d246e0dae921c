"""Jaeger's query services over gRPC, as generated clients call them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaeger_messages import HEALTH, V2, V3, in_ns, set_ns
from jaeger_traces import NOW, SECOND, SHOP, SHORT, TRACES, span
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from telemetry_rows import store_spans

from windvane.api import jaeger
from windvane.api.jaeger import messages
from windvane.api.jaeger.grpc_service import health_service
from windvane.ingest.grpc_server import GrpcServer
from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError
from windvane.kit.values import Address
from windvane.store.api import Engine

Call = Callable[..., Any]


@pytest.fixture
def channel(engine: Engine) -> Iterator[grpc.Channel]:
    """A channel to a server of both services over the traces of `jaeger_traces`."""
    store_spans(engine, TRACES)
    services = [*jaeger.query_services(jaeger.JaegerQueries(engine, ManualClock(NOW))), health_service()]
    server, loop = GrpcServer(Address("127.0.0.1", 0), services), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(60)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        yield opened
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    loop.close()


def stream(channel: grpc.Channel, method: str, request: Any, answer: Any) -> list[Any]:
    call = channel.unary_stream(method)
    return [answer.FromString(part) for part in call(request.SerializeToString(), timeout=60)]


def unary(channel: grpc.Channel, method: str, request: Any, answer: Any) -> Any:
    return answer.FromString(channel.unary_unary(method)(request.SerializeToString(), timeout=60))


def v2(channel: grpc.Channel, method: str, request: Any, answer: Any = V2.SpansResponseChunk) -> list[Any]:
    return stream(channel, f"/jaeger.api_v2.QueryService/{method}", request, answer)


def v3(channel: grpc.Channel, method: str, request: Any, answer: Any = TracesData) -> list[Any]:
    return stream(channel, f"/jaeger.api_v3.QueryService/{method}", request, answer)


def search(messages: Any, **given: Any) -> Any:
    """A FindTracesRequest over all of the day; a time or duration of None is left out."""
    request = messages.FindTracesRequest()
    times = {"start_time_min": NOW - 3_600 * SECOND, "start_time_max": NOW}
    for name, value in {**times, **given}.items():
        if name == "tags":
            for key, text in value.items():
                request.query.tags.add(key=key, value=text)
        elif name.startswith(("start_", "duration_")):
            if value is not None:
                set_ns(getattr(request.query, name), value)
        else:
            setattr(request.query, name, value)
    request.query.SetInParent()
    return request


def spans_of(chunks: list[Any]) -> list[Any]:
    return [span for chunk in chunks for span in chunk.spans]


def otlp_spans(chunks: list[TracesData]) -> list[Any]:
    return [s for chunk in chunks for r in chunk.resource_spans for scope in r.scope_spans for s in scope.spans]


def ids(spans: list[Any]) -> list[str]:
    return list(dict.fromkeys(span.trace_id.hex() for span in spans))


def refused(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as error:
        call()
    return error.value.code().name, error.value.details()


def test_a_trace_in_jaegers_model(channel: grpc.Channel) -> None:
    spans = spans_of(v2(channel, "GetTrace", V2.GetTraceRequest(trace_id=bytes.fromhex(SHOP), raw_traces=True)))
    assert len(spans) == 6
    root, _, reviews = spans[:3]
    assert (root.trace_id.hex(), root.span_id.hex(), root.operation_name) == (SHOP, f"{1:016x}", "GET /")
    assert in_ns(root.start_time) == TRACES[0].start_ns
    assert in_ns(root.duration) == TRACES[0].duration_ns
    assert (root.process.service_name, root.process.tags[0].key, root.process.tags[0].v_str) == (
        "gateway.shop", "host.name", "h1",
    )  # fmt: skip
    tags = {tag.key: tag for tag in root.tags}
    assert (tags["big"].v_type, tags["big"].v_int64) == (2, 2**60)
    assert (tags["ratio"].v_type, tags["ratio"].v_float64) == (3, 0.25)
    assert (tags["cached"].v_type, tags["cached"].v_bool) == (1, False)
    assert (tags["blob"].v_type, tags["blob"].v_binary) == (4, b"\x01\x02")
    assert (tags["list"].v_type, tags["list"].v_str) == (0, '["a",1]')
    assert (tags["map"].v_str, tags["empty"].v_str) == ('{"k":true}', "")
    assert (tags["otel.scope.name"].v_str, tags["span.kind"].v_str, tags["otel.status_code"].v_str) == (
        "envoy", "server", "OK",
    )  # fmt: skip
    parent, link = reviews.references
    assert (parent.trace_id.hex(), parent.span_id.hex(), parent.ref_type) == (SHOP, f"{2:016x}", 0)
    assert (link.trace_id.hex(), link.ref_type) == ("c" * 32, 1)
    assert [[field.key for field in log.fields] for log in reviews.logs] == [["event", "attempt"], ["event"]]
    assert in_ns(reviews.logs[0].timestamp) == NOW - 9 * SECOND


def test_spans_come_ten_a_chunk_and_adjusted_unless_raw(channel: grpc.Channel, engine: Engine) -> None:
    long = "7" * 32
    store_spans(engine, [span(long, number, 0, "batch", "step", "Internal") for number in range(1, 24)])
    chunks = v2(channel, "GetTrace", V2.GetTraceRequest(trace_id=bytes.fromhex(long)))
    assert [len(chunk.spans) for chunk in chunks] == [10, 10, 3]
    shop = V2.GetTraceRequest(trace_id=bytes.fromhex(SHOP))
    assert any(one.warnings for one in spans_of(v2(channel, "GetTrace", shop)))
    shop.raw_traces = True
    assert not any(one.warnings for one in spans_of(v2(channel, "GetTrace", shop)))


def test_an_id_of_eight_bytes_and_a_window(channel: grpc.Channel) -> None:
    assert ids(spans_of(v2(channel, "GetTrace", V2.GetTraceRequest(trace_id=b"\0" * 7 + b"\xab")))) == [SHORT]
    request = V2.GetTraceRequest(trace_id=bytes.fromhex(SHOP))
    set_ns(request.end_time, NOW - 10 * SECOND + 2 * 10**6)
    assert len(spans_of(v2(channel, "GetTrace", request))) == 2


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, [SHORT, SHOP]),
        ({"start_time_min": None, "start_time_max": None}, [SHORT, SHOP]),
        ({"start_time_min": -62_135_596_800 * SECOND, "start_time_max": -62_135_596_800 * SECOND}, [SHORT, SHOP]),
        ({"service_name": "gateway.shop"}, [SHOP]),
        ({"operation_name": "query"}, [SHOP]),
        ({"tags": {"http.status_code": "200"}}, [SHOP]),
        ({"tags": {"error": "true", "span.kind": "server"}}, [SHOP]),
        ({"duration_min": 50 * 10**6}, [SHOP]),
        ({"duration_max": 20 * 10**6, "service_name": "gateway"}, [SHOP]),
        ({"search_depth": 1}, [SHORT]),
        ({"start_time_max": NOW - 6 * SECOND}, [SHOP]),
        ({"service_name": "nobody"}, []),
    ],
)
def test_search(channel: grpc.Channel, given: dict[str, Any], found: list[str]) -> None:
    assert ids(spans_of(v2(channel, "FindTraces", search(V2, **given)))) == found
    unbounded = given.get("start_time_min", 1) is None or given.get("start_time_min", 1) < 0
    if unbounded:
        told = ("INVALID_ARGUMENT", "start time min and max are required parameters")
        assert refused(lambda: v3(channel, "FindTraces", search(V3, **given))) == told
    else:
        assert ids(otlp_spans(v3(channel, "FindTraces", search(V3, **given)))) == found
        chunks = v3(channel, "FindTraceSummaries", search(V3, **given), V3.FindTraceSummariesResponse)
        assert [summary.trace_id for chunk in chunks for summary in chunk.summaries] == found


def test_lists(channel: grpc.Channel) -> None:
    for package, own in (("jaeger.api_v2", V2), ("jaeger.api_v3", V3)):
        service = f"/{package}.QueryService"
        names = unary(channel, f"{service}/GetServices", own.GetServicesRequest(), own.GetServicesResponse)
        assert names.services == ["gateway.shop", "ratings", "reviews.shop"]
        request = own.GetOperationsRequest(service="gateway.shop", span_kind="client")
        found = unary(channel, f"{service}/GetOperations", request, own.GetOperationsResponse)
        assert [(one.name, one.span_kind) for one in found.operations] == [("call reviews", "client")]
        if own is V2:
            assert found.operationNames == ["call reviews"]
        window = own.GetDependenciesRequest()
        set_ns(window.start_time, NOW - 3_600 * SECOND)
        set_ns(window.end_time, NOW)
        links = unary(channel, f"{service}/GetDependencies", window, own.GetDependenciesResponse)
        assert ("reviews.shop", "ratings", 2) in [(one.parent, one.child, one.call_count) for one in links.dependencies]


def test_a_trace_as_otlp(channel: grpc.Channel) -> None:
    (data,) = v3(channel, "GetTrace", V3.GetTraceRequest(trace_id=SHOP))
    names = [pair.value.string_value for r in data.resource_spans for pair in r.resource.attributes]
    assert {"gateway.shop", "reviews.shop", "ratings"} <= set(names)
    assert len(otlp_spans([data])) == 6
    assert any(pair.key == "@jaeger@warnings" for one in otlp_spans([data]) for pair in one.attributes)
    (raw,) = v3(channel, "GetTrace", V3.GetTraceRequest(trace_id="ab", raw_traces=True))
    assert ids(otlp_spans([raw])) == [SHORT]


def test_a_summary(channel: grpc.Channel) -> None:
    request = search(V3, service_name="gateway.shop")
    (chunk,) = v3(channel, "FindTraceSummaries", request, V3.FindTraceSummariesResponse)
    (summary,) = chunk.summaries
    assert (summary.root_service_name, summary.root_operation_name) == ("gateway.shop", "GET /")
    assert (summary.span_count, summary.error_span_count, summary.orphan_span_count) == (6, 2, 1)
    assert (summary.min_start_time_unix_nano, summary.max_end_time_unix_nano) == (
        TRACES[0].start_ns, TRACES[0].end_ns,
    )  # fmt: skip
    assert [(one.name, one.span_count, one.error_span_count) for one in summary.services] == [
        ("gateway.shop", 2, 1), ("ratings", 3, 0), ("reviews.shop", 1, 1),
    ]  # fmt: skip


def test_an_archived_trace_stays(channel: grpc.Channel, engine: Engine) -> None:
    method = "/jaeger.api_v2.QueryService/ArchiveTrace"
    unary(channel, method, V2.ArchiveTraceRequest(trace_id=bytes.fromhex(SHOP)), V2.ArchiveTraceResponse)
    engine.command("TRUNCATE TABLE otel_traces")
    assert len(spans_of(v2(channel, "GetTrace", V2.GetTraceRequest(trace_id=bytes.fromhex(SHOP))))) == 6
    missing = V2.ArchiveTraceRequest(trace_id=b"9" * 16)
    assert refused(lambda: unary(channel, method, missing, V2.ArchiveTraceResponse)) == ("NOT_FOUND", "trace not found")


class Raw:
    """Bytes that are no message."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def SerializeToString(self) -> bytes:  # noqa: N802 - as generated classes name it
        return self._raw


def test_errors(channel: grpc.Channel) -> None:
    bad, missing = "INVALID_ARGUMENT", "NOT_FOUND"
    unknown, backwards = b"9" * 16, {"start_time_min": NOW, "start_time_max": NOW - SECOND}
    old = "/jaeger.api_v2.QueryService/GetDependencies"
    new = "/jaeger.api_v3.QueryService/GetDependencies"
    window = V3.GetDependenciesRequest()
    set_ns(window.start_time, NOW)
    set_ns(window.end_time, NOW - SECOND)
    cases: list[tuple[Callable[[], object], tuple[str, str]]] = [
        (lambda: v2(channel, "GetTrace", V2.GetTraceRequest(trace_id=unknown)), (missing, "trace not found")),
        (lambda: v2(channel, "GetTrace", V2.GetTraceRequest()), (bad, "uninitialized TraceID is not allowed")),
        (lambda: v2(channel, "GetTrace", V2.GetTraceRequest(trace_id=b"abc")), (bad, "invalid length for TraceID")),
        (lambda: v2(channel, "FindTraces", V2.FindTracesRequest()), (bad, "missing query")),
        (lambda: v2(channel, "FindTraces", search(V2, search_depth=-1)), (bad, "search depth must be greater than 0")),
        (lambda: v2(channel, "FindTraces", Raw(b"\xff")), (bad, "a varint does not end or is longer than 64 bits")),
        (lambda: unary(channel, old, V2.GetDependenciesRequest(), V2.GetDependenciesResponse),
         (bad, "StartTime and EndTime must be initialized.")),
        (lambda: v3(channel, "GetTrace", V3.GetTraceRequest(trace_id="00ff")), (missing, "trace not found")),
        (lambda: v3(channel, "FindTraces", V3.FindTracesRequest()), (bad, "missing query")),
        (lambda: v3(channel, "FindTraces", search(V3, **backwards)),
         (bad, "start_time_min must be before start_time_max")),
        (lambda: v3(channel, "FindTraces", search(V3, search_depth=-1)), (bad, "search depth must be greater than 0")),
        (lambda: v3(channel, "FindTraces", search(V3, filter=b"\n\x00")), (bad, "query.filter is not supported")),
        (lambda: v3(channel, "FindTraceSummaries", search(V3, pagination=b"\x08\x05")),
         (bad, "query.pagination is not supported")),
        (lambda: unary(channel, new, V3.GetDependenciesRequest(), V3.GetDependenciesResponse),
         (bad, "startTime and endTime must be non-zero")),
        (lambda: unary(channel, new, window, V3.GetDependenciesResponse),
         (bad, "startTime must be less than or equal to endTime")),
    ]  # fmt: skip
    for call, told in cases:
        assert refused(call) == told
    code, details = refused(lambda: v3(channel, "GetTrace", V3.GetTraceRequest(trace_id="xyz")))
    assert code == bad
    assert details.startswith("malform trace ID: ")


@given(st.binary(max_size=120))
def test_any_bytes_are_a_request_or_refused(raw: bytes) -> None:
    for read in (messages.Search.read, messages.fields, lambda data: messages.window_ns(messages.fields(data), 2, 3)):
        with contextlib.suppress(BadInputError):
            read(raw)


@given(st.integers(1, 2**63 - 1), st.text(), st.dictionaries(st.text(), st.text(), max_size=3))
def test_a_request_is_read_as_it_was_meant(moment: int, name: str, tags: dict[str, str]) -> None:
    request = search(V3, start_time_min=moment, duration_min=moment, service_name=name, tags=tags, raw_traces=True)
    read = messages.Search.read(request.SerializeToString())
    assert (read.start_ns, read.min_duration_ns, read.service, read.tags, read.raw) == (
        moment,
        moment,
        name,
        tags,
        True,
    )
    assert (read.max_duration_ns, read.depth, read.unsupported) == (None, 0, "")


def test_capabilities(channel: grpc.Channel) -> None:
    method = "/jaeger.api_v3.Capabilities/GetCapabilities"
    search = unary(channel, method, V3.GetCapabilitiesRequest(), V3.GetCapabilitiesResponse).search
    assert (search.without_service_name, search.same_span_conjunction) == (True, True)


def test_health(channel: grpc.Channel) -> None:
    method = "/grpc.health.v1.Health/Check"
    for service in ("", "jaeger.api_v2.QueryService", "jaeger.api_v3.QueryService"):
        answer = unary(channel, method, HEALTH.HealthCheckRequest(service=service), HEALTH.HealthCheckResponse)
        assert answer.status == 1
    request = HEALTH.HealthCheckRequest(service="nobody")
    assert refused(lambda: unary(channel, method, request, HEALTH.HealthCheckResponse))[0] == "NOT_FOUND"
