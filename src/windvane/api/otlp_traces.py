"""Stored spans as OTLP: JSON in the two spellings that clients read, and protobuf.

Spans are grouped under equal resources and equal scopes, in the order of their first span; nothing
else is reordered. OTLP's own JSON has hex ids and numbers for enums; protobuf's generic JSON, which
Tempo sends, has base64 ids and names for enums. Field numbers are those of opentelemetry-proto
(https://opentelemetry.io/docs/specs/otlp/).
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from windvane.signals.otlp.wire import block, double, fixed64, integer
from windvane.tracing.model import Attributes, AttributeValue, Event, Link, Span

KIND_NUMBERS = {"Internal": 1, "Server": 2, "Client": 3, "Producer": 4, "Consumer": 5}
STATUS_NUMBERS = {"Ok": 1, "Error": 2}


@dataclass(frozen=True, slots=True)
class Scoped:
    """Spans of one instrumentation scope."""

    name: str
    version: str
    attributes: Attributes
    spans: Sequence[Span]


@dataclass(frozen=True, slots=True)
class Batch:
    """Spans of one resource."""

    resource: Attributes
    scopes: Sequence[Scoped]


def batches(spans: Iterable[Span]) -> list[Batch]:
    """Spans by resource and scope, in the order of appearance."""
    groups: dict[bytes, tuple[Attributes, dict[bytes, Scoped]]] = {}
    for span in spans:
        _, scopes = groups.setdefault(_key(span.resource), (span.resource, {}))
        scope_key = _key({"name": span.scope_name, "version": span.scope_version, "attributes": dict(span.scope)})
        scope = scopes.setdefault(scope_key, Scoped(span.scope_name, span.scope_version, span.scope, []))
        assert isinstance(scope.spans, list)
        scope.spans.append(span)
    return [Batch(resource, list(scopes.values())) for resource, scopes in groups.values()]


def _key(attributes: Any) -> bytes:
    return orjson.dumps(dict(attributes), default=repr)


class JsonWriter:
    """OTLP as JSON values. `generic`: protobuf's generic mapping (base64, names) instead of OTLP's own."""

    def __init__(self, *, generic: bool = False) -> None:
        self._generic = generic

    def resource_spans(self, spans: Iterable[Span]) -> list[dict[str, Any]]:
        """The list of ResourceSpans."""
        return [
            {
                "resource": {"attributes": attributes_json(batch.resource)},
                "scopeSpans": [self._scoped(scope) for scope in batch.scopes],
            }
            for batch in batches(spans)
        ]

    def _scoped(self, scoped: Scoped) -> dict[str, Any]:
        scope: dict[str, Any] = _filled(name=scoped.name, version=scoped.version)
        if scoped.attributes:
            scope["attributes"] = attributes_json(scoped.attributes)
        return {"scope": scope, "spans": [self.span(span) for span in scoped.spans]}

    def span(self, span: Span) -> dict[str, Any]:
        """One Span; fields with protobuf's default are left out."""
        kind, code = KIND_NUMBERS.get(span.kind, 0), STATUS_NUMBERS.get(span.status, 0)
        return {
            "traceId": self._id(span.trace_id),
            "spanId": self._id(span.span_id),
            **_filled(traceState=span.trace_state, parentSpanId=self._id(span.parent_id), name=span.name),
            **({"kind": self._enum("SPAN_KIND_", span.kind, kind)} if kind else {}),
            "startTimeUnixNano": str(span.start_ns),
            "endTimeUnixNano": str(span.end_ns),
            **_filled(
                attributes=attributes_json(span.attributes),
                events=[_event_json(event) for event in span.events],
                links=[self._link(link) for link in span.links],
            ),
            "status": {
                **_filled(message=span.status_message),
                **({"code": self._enum("STATUS_CODE_", span.status, code)} if code else {}),
            },
        }

    def _link(self, link: Link) -> dict[str, Any]:
        return {
            "traceId": self._id(link.trace_id),
            "spanId": self._id(link.span_id),
            **_filled(traceState=link.trace_state, attributes=attributes_json(link.attributes)),
        }

    def _id(self, text: str) -> str:
        return base64.b64encode(id_bytes(text)).decode() if self._generic else text

    def _enum(self, prefix: str, name: str, number: int) -> str | int:
        return prefix + name.upper() if self._generic else number


def _event_json(event: Event) -> dict[str, Any]:
    return {
        "timeUnixNano": str(event.time_ns),
        **_filled(name=event.name, attributes=attributes_json(event.attributes)),
    }


def _filled(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def attributes_json(attributes: Attributes) -> list[dict[str, Any]]:
    """`[{"key", "value": AnyValue}]`."""
    return [{"key": key, "value": value_json(value)} for key, value in attributes.items()]


def value_json(value: AttributeValue) -> dict[str, Any]:  # noqa: PLR0911 - a case a type
    """One AnyValue: 64-bit integers as text, bytes as base64; `{}` for no value."""
    match value:
        case str():
            return {"stringValue": value}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value if math.isfinite(value) else _not_finite(value)}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case list():
            return {"arrayValue": {"values": [value_json(item) for item in value]}}
        case dict():
            return {"kvlistValue": {"values": attributes_json(value)}}
    return {}


def _not_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def traces_protobuf(spans: Iterable[Span]) -> bytes:
    """A TracesData message, which is also the body of an ExportTraceServiceRequest."""
    return b"".join(block(1, _batch_bytes(batch)) for batch in batches(spans))


def _batch_bytes(batch: Batch) -> bytes:
    scopes = b"".join(block(2, _scoped_bytes(scope)) for scope in batch.scopes)
    return block(1, attributes_bytes(1, batch.resource)) + scopes


def _scoped_bytes(scoped: Scoped) -> bytes:
    scope = _text(1, scoped.name) + _text(2, scoped.version) + attributes_bytes(3, scoped.attributes)
    return block(1, scope) + b"".join(block(2, span_bytes(span)) for span in scoped.spans)


def span_bytes(span: Span) -> bytes:
    """One Span message."""
    kind, code = KIND_NUMBERS.get(span.kind, 0), STATUS_NUMBERS.get(span.status, 0)
    parts = [
        block(1, id_bytes(span.trace_id)),
        block(2, id_bytes(span.span_id)),
        _text(3, span.trace_state),
        block(4, id_bytes(span.parent_id)) if span.parent_id else b"",
        _text(5, span.name),
        integer(6, kind) if kind else b"",
        fixed64(7, span.start_ns),
        fixed64(8, span.end_ns),
        attributes_bytes(9, span.attributes),
        *(block(11, _event_bytes(event)) for event in span.events),
        *(block(13, _link_bytes(link)) for link in span.links),
        block(15, _text(2, span.status_message) + (integer(3, code) if code else b"")),
    ]
    return b"".join(parts)


def _event_bytes(event: Event) -> bytes:
    return fixed64(1, event.time_ns) + _text(2, event.name) + attributes_bytes(3, event.attributes)


def _link_bytes(link: Link) -> bytes:
    ids = block(1, id_bytes(link.trace_id)) + block(2, id_bytes(link.span_id))
    return ids + _text(3, link.trace_state) + attributes_bytes(4, link.attributes)


def _text(field: int, text: str) -> bytes:
    return block(field, text.encode()) if text else b""


def attributes_bytes(field: int, attributes: Attributes) -> bytes:
    """A repeated KeyValue."""
    return b"".join(block(field, _pair_bytes(key, value)) for key, value in attributes.items())


def _pair_bytes(key: str, value: AttributeValue) -> bytes:
    return block(1, key.encode()) + block(2, value_bytes(value))


def value_bytes(value: AttributeValue) -> bytes:  # noqa: PLR0911 - a case a type
    """One AnyValue message; empty for no value."""
    match value:
        case str():
            return block(1, value.encode())
        case bool():
            return integer(2, int(value))
        case int():
            return integer(3, value)
        case float():
            return double(4, value)
        case bytes():
            return block(7, value)
        case list():
            return block(5, b"".join(block(1, value_bytes(item)) for item in value))
        case dict():
            return block(6, attributes_bytes(1, value))
    return b""


def id_bytes(text: str) -> bytes:
    """The bytes of a hex id; empty for what is no id."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
