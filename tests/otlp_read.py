"""OTLP requests read back for tests: each span as plain values, with what its resource and scope say."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUS = ("unset", "ok", "error")


def spans_of(payload: bytes) -> list[dict[str, Any]]:
    """The spans of a request, in the order of their start."""
    found = [
        _span(span)
        | {"scope": f"{scoped.scope.name} {scoped.scope.version}".strip(), "resource": _map(batch.resource.attributes)}
        for batch in ExportTraceServiceRequest.FromString(payload).resource_spans
        for scoped in batch.scope_spans
        for span in scoped.spans
    ]
    return sorted(found, key=lambda span: span["start"])


def _span(span: Span) -> dict[str, Any]:
    return {
        "trace": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "name": span.name,
        "kind": KINDS[span.kind],
        "start": span.start_time_unix_nano,
        "length": span.end_time_unix_nano - span.start_time_unix_nano,
        "status": (STATUS[span.status.code], span.status.message),
        "state": span.trace_state,
        "attributes": _map(span.attributes),
        "events": [(each.time_unix_nano, each.name, _map(each.attributes)) for each in span.events],
        "links": [(each.trace_id.hex(), each.span_id.hex(), _map(each.attributes)) for each in span.links],
    }


def _map(attributes: Any) -> dict[str, Any]:
    return {pair.key: _value(pair) for pair in attributes}


def _value(pair: KeyValue) -> Any:
    value: AnyValue = pair.value
    return getattr(value, str(value.WhichOneof("value")))
