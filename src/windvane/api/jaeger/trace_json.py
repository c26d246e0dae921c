"""A trace in the JSON of Jaeger's UI model.

Span attributes come first, then what OTLP keeps in fields of its own (`span.kind`,
`otel.status_code`, …); equal processes are one entry, named p1, p2, … in order of appearance.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from windvane.tracing.model import Attributes, AttributeValue, Event, Link, Span, Trace

_EXACT = (1 << 53) - 1
_NO_SERVICE = "OTLPResourceNoServiceName"
CHILD_OF, FOLLOWS_FROM = "CHILD_OF", "FOLLOWS_FROM"


class Reference(NamedTuple):
    """A span that another one refers to, and how."""

    type: str
    trace_id: str
    span_id: str


def trace_id_text(trace_id: str) -> str:
    """The id as Jaeger prints it: 16 characters when the upper half is zero, else 32."""
    return trace_id[16:] if len(trace_id) == 32 and trace_id.startswith("0" * 16) else trace_id


def trace_json(trace: Trace) -> dict[str, Any]:
    """`{"traceID", "spans", "processes", "warnings"}` of one trace."""
    processes = _Processes()
    return {
        "traceID": trace_id_text(trace.trace_id),
        "spans": [_span(span, processes) for span in trace.spans],
        "processes": processes.entries,
        "warnings": None,
    }


class _Processes:
    def __init__(self) -> None:
        self.entries: dict[str, dict[str, Any]] = {}
        self._ids: dict[bytes, str] = {}

    def id_of(self, span: Span) -> str:
        service, tags = process_of(span)
        process = {"serviceName": service, "tags": _pairs(tags)}
        key = orjson.dumps(process)
        if key not in self._ids:
            self._ids[key] = f"p{len(self._ids) + 1}"
            self.entries[self._ids[key]] = process
        return self._ids[key]


def _span(span: Span, processes: _Processes) -> dict[str, Any]:
    return {
        "traceID": trace_id_text(span.trace_id),
        "spanID": span.span_id,
        "operationName": span.name,
        "references": [
            {"refType": reference.type, "traceID": trace_id_text(reference.trace_id), "spanID": reference.span_id}
            for reference in references(span)
        ],
        "startTime": span.start_ns // 1_000,
        "duration": span.duration_ns // 1_000,
        "tags": _pairs(tags_of(span)),
        "logs": [{"timestamp": event.time_ns // 1_000, "fields": _pairs(fields_of(event))} for event in span.events],
        "processID": processes.id_of(span),
        "warnings": list(span.warnings) or None,
    }


def references(span: Span) -> list[Reference]:
    """The parent first, then the links; a link to the parent itself only says of what type it is."""
    parent = (span.trace_id, span.parent_id)
    own = [link for link in span.links if (link.trace_id, link.span_id) == parent]
    first = [Reference(_type(own[-1]) if own else CHILD_OF, *parent)] if span.parent_id else []
    return first + [Reference(_type(link), link.trace_id, link.span_id) for link in span.links if link not in own]


def _type(link: Link) -> str:
    return CHILD_OF if link.attributes.get("opentracing.ref_type") == "child_of" else FOLLOWS_FROM


def tags_of(span: Span) -> list[tuple[str, AttributeValue]]:
    """A span's tags: its attributes between what OTLP keeps in fields of its own."""
    fields: Attributes = {
        "otel.scope.name": span.scope_name or None,
        "otel.scope.version": span.scope_version or None,
    }
    ending: Attributes = {
        "span.kind": None if span.kind in ("", "Unspecified") else span.kind.lower(),
        "otel.status_code": span.status.upper() if span.status in ("Ok", "Error") else None,
        "error": True if span.status == "Error" else None,
        "otel.status_description": span.status_message or None,
        "w3c.tracestate": span.trace_state or None,
    }
    return [*_present(fields), *span.attributes.items(), *_present(ending)]


def _present(attributes: Attributes) -> list[tuple[str, AttributeValue]]:
    return [(key, value) for key, value in attributes.items() if value is not None]


def process_of(span: Span) -> tuple[str, list[tuple[str, AttributeValue]]]:
    """The service's name and what else the resource tells."""
    tags = [(key, value) for key, value in span.resource.items() if key != "service.name"]
    return span.service or _NO_SERVICE, tags


def fields_of(event: Event) -> list[tuple[str, AttributeValue]]:
    """An event's fields: its name under `event`, unless it has such an attribute."""
    named = [("event", event.name)] if event.name and "event" not in event.attributes else []
    return [*named, *event.attributes.items()]


def flat_text(value: AttributeValue) -> str:
    """A list or map as the text that stands for it where there are only plain values."""
    return orjson.dumps(value, default=str).decode()


def _pairs(pairs: Iterable[tuple[str, AttributeValue]]) -> list[dict[str, Any]]:
    return [_pair(key, value) for key, value in pairs]


def _pair(key: str, value: AttributeValue) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"key": key, "type": "bool", "value": value}
    if isinstance(value, int):
        return {"key": key, "type": "int64", "value": value if abs(value) <= _EXACT else str(value)}
    if isinstance(value, float):
        return {"key": key, "type": "float64", "value": value if value - value == 0 else str(value)}
    if isinstance(value, bytes):
        return {"key": key, "type": "binary", "value": base64.b64encode(value).decode()}
    if isinstance(value, str):
        return {"key": key, "type": "string", "value": value}
    return {"key": key, "type": "string", "value": flat_text(value)}
