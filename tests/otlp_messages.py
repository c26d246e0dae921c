"""OTLP requests for tests, built with the official generated classes."""

from __future__ import annotations

import base64
import json

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

START = 1_790_000_000_123_456_789
TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
SPAN = bytes.fromhex("00f067aa0ba902b7")

# Attribute → (value, text in the store, kind in AttributeTypes)
VALUES: dict[str, tuple[AnyValue, str, str | None]] = {
    "string": (AnyValue(string_value="it's 'é' \\ \n"), "it's 'é' \\ \n", None),
    "empty": (AnyValue(string_value=""), "", None),
    "none": (AnyValue(), "", None),
    "true": (AnyValue(bool_value=True), "true", "bool"),
    "false": (AnyValue(bool_value=False), "false", "bool"),
    "int": (AnyValue(int_value=-(1 << 63)), "-9223372036854775808", "int"),
    "zero": (AnyValue(int_value=0), "0", "int"),
    "double": (AnyValue(double_value=0.1), "0.1", "double"),
    "zero double": (AnyValue(double_value=0.0), "0", "double"),
    "infinite": (AnyValue(double_value=float("inf")), "inf", "double"),
    "bytes": (AnyValue(bytes_value=b"\0\xff'"), "AP8n", "bytes"),
    "no bytes": (AnyValue(bytes_value=b""), "", "bytes"),
}


def _add(target: AnyValue) -> None:
    """An array in a map in an array, with every kind of value."""
    array = target.array_value.values
    array.add(string_value="a\"b'")
    array.add(int_value=300)
    array.add(bool_value=False)
    array.add(double_value=1.5)
    array.add(bytes_value=b"\x01")
    array.add()
    array.add().kvlist_value.values.add(key="k").value.array_value.values.add(int_value=-1)


_ARRAY = AnyValue()
_add(_ARRAY)
_EMPTY_LIST, _EMPTY_MAP, _MAP = AnyValue(), AnyValue(), AnyValue()
_EMPTY_LIST.array_value.SetInParent()
_EMPTY_MAP.kvlist_value.SetInParent()
_MAP.kvlist_value.values.add(key="x").value.string_value = "y" * 300
VALUES |= {
    "array": (_ARRAY, '["a\\"b\'",300,false,1.5,"AQ==",null,{"k":[-1]}]', "array"),
    "empty array": (_EMPTY_LIST, "[]", "array"),
    "map": (_MAP, '{"x":"' + "y" * 300 + '"}', "kvlist"),
    "empty map": (_EMPTY_MAP, "{}", "kvlist"),
}

TEXTS = {key: text for key, (_, text, _) in VALUES.items()}
KINDS = {key: kind for key, (_, _, kind) in VALUES.items() if kind}


def attributes() -> list[KeyValue]:
    """One attribute of every kind."""
    return [KeyValue(key=key, value=value) for key, (value, _, _) in VALUES.items()]


def traces(spans: int = 1, service: str = "reviews.shop") -> ExportTraceServiceRequest:
    """Plain spans of one service."""
    request = ExportTraceServiceRequest()
    batch = request.resource_spans.add()
    batch.resource.attributes.add(key="service.name").value.string_value = service
    scope = batch.scope_spans.add()
    for number in range(spans):
        span = scope.spans.add(
            trace_id=TRACE,
            span_id=(number + 1).to_bytes(8, "big"),
            name="GET /",
            kind=2,
            start_time_unix_nano=START,
            end_time_unix_nano=START + 1_500,
        )
        span.attributes.add(key="http.status_code").value.int_value = 200
    return request


def rich_traces() -> ExportTraceServiceRequest:
    """One span with everything OTLP can say, and every attribute kind everywhere."""
    request = ExportTraceServiceRequest()
    batch = request.resource_spans.add(schema_url="https://example.org/1")
    batch.resource.attributes.add(key="service.name").value.string_value = "reviews.shop"
    batch.resource.attributes.extend(attributes())
    scope = batch.scope_spans.add()
    scope.scope.name, scope.scope.version = "envoy", "1.40"
    scope.scope.attributes.extend(attributes())
    span = scope.spans.add(
        trace_id=TRACE,
        span_id=SPAN,
        parent_span_id=bytes(range(8)),
        trace_state="a=b",
        name="GET /reviews",
        kind=3,
        start_time_unix_nano=START,
        end_time_unix_nano=START + 1_500,
        attributes=attributes(),
    )
    span.status.code, span.status.message = 2, "boom"
    span.events.add(time_unix_nano=START + 7, name="exception", attributes=attributes())
    span.events.add(time_unix_nano=START + 8, name="plain")
    span.links.add(trace_id=TRACE[::-1], span_id=SPAN[::-1], trace_state="c=d", attributes=attributes())
    return request


def rich_logs() -> ExportLogsServiceRequest:
    """Log records whose bodies have every kind."""
    request = ExportLogsServiceRequest()
    batch = request.resource_logs.add(schema_url="https://example.org/1")
    batch.resource.attributes.add(key="service.name").value.string_value = "reviews.shop"
    scope = batch.scope_logs.add(schema_url="https://example.org/2")
    scope.scope.name = "app"
    for value, _, _ in VALUES.values():
        scope.log_records.add(
            time_unix_nano=START,
            severity_number=17,
            severity_text="ERROR",
            body=value,
            attributes=attributes(),
            flags=1,
            trace_id=TRACE,
            span_id=SPAN,
            event_name="crash",
        )
    scope.log_records.add(observed_time_unix_nano=START + 5)
    return request


def to_json(request: ExportTraceServiceRequest | ExportLogsServiceRequest) -> bytes:
    """The request as OTLP/JSON, whose ids are hex where protobuf's own JSON has base64."""
    value = MessageToDict(request)
    _hex_ids(value)
    return json.dumps(value).encode()


def _hex_ids(value: object) -> None:
    if isinstance(value, list):
        for item in value:
            _hex_ids(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ("traceId", "spanId", "parentSpanId"):
                value[key] = base64.b64decode(item).hex()
            elif key in ("kind", "code", "severityNumber") and isinstance(item, str):
                value[key] = _ENUMS[item]
            else:
                _hex_ids(item)


_ENUMS = {"SPAN_KIND_CLIENT": 3, "SPAN_KIND_SERVER": 2, "STATUS_CODE_ERROR": 2, "SEVERITY_NUMBER_ERROR": 17}
