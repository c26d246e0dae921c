"""Rows for tests of the reading rooms: spans, access-log entries and samples, put into a real engine."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from windvane.store.api import Engine, PayloadInsert
from windvane.tracing.model import Attributes, AttributeValue, Span

_SPAN_COLUMNS = {
    "Timestamp": "DateTime64(9, 'UTC')",
    "TraceId": "String",
    "SpanId": "String",
    "ParentSpanId": "String",
    "TraceState": "String",
    "SpanName": "String",
    "SpanKind": "String",
    "ServiceName": "String",
    "ResourceAttributes": "Map(String, String)",
    "ScopeName": "String",
    "ScopeVersion": "String",
    "SpanAttributes": "Map(String, String)",
    "Duration": "UInt64",
    "StatusCode": "String",
    "StatusMessage": "String",
    "Events.Timestamp": "Array(DateTime64(9, 'UTC'))",
    "Events.Name": "Array(String)",
    "Events.Attributes": "Array(Map(String, String))",
    "Links.TraceId": "Array(String)",
    "Links.SpanId": "Array(String)",
    "Links.TraceState": "Array(String)",
    "Links.Attributes": "Array(Map(String, String))",
    "ScopeAttributes": "Map(String, String)",
    "AttributeTypes": "Map(String, String)",
}

_LOG_COLUMNS = {
    "Timestamp": "DateTime64(9, 'UTC')",
    **dict.fromkeys(("TraceId", "SpanId", "SeverityText", "ServiceName", "Body", "ScopeName", "EventName"), "String"),
    "SeverityNumber": "UInt8",
    **dict.fromkeys(
        ("ResourceAttributes", "ScopeAttributes", "LogAttributes", "AttributeTypes"), "Map(String, String)"
    ),
}


def store_spans(engine: Engine, spans: Iterable[Span], commit: int = 0) -> None:
    """Insert spans as the OTLP decoder would, in a group commit of this number."""
    columns = {**_SPAN_COLUMNS, "Commit": "UInt64"}
    _insert(engine, "otel_traces", columns, [{**_span_row(span), "Commit": commit} for span in spans])


def store_entries(engine: Engine, entries: Iterable[Mapping[str, Any]]) -> None:
    """Insert access-log entries; a column that is not given has its default. `Timestamp` is nanoseconds."""
    rows = [{**entry, "Timestamp": moment(entry["Timestamp"])} for entry in entries]
    names = sorted({name for row in rows for name in row})
    types = engine.query(
        "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = 'envoy_access_logs'"
    )
    known = dict(zip(types["name"], types["type"], strict=True))
    _insert(engine, "envoy_access_logs", {name: known[name] for name in names}, rows)


def store_logs(engine: Engine, records: Iterable[Mapping[str, Any]]) -> None:
    """Insert OTLP log records; a column that is not given has its default. `Timestamp` is nanoseconds."""
    rows = [{**record, "Timestamp": moment(record["Timestamp"])} for record in records]
    names = sorted({name for row in rows for name in row})
    _insert(engine, "otel_logs", {name: _LOG_COLUMNS[name] for name in names}, rows)


def moment(nanoseconds: int) -> str:
    """A time as ClickHouse reads it in JSON."""
    whole = datetime.datetime.fromtimestamp(nanoseconds // 10**9, datetime.UTC)
    return f"{whole:%Y-%m-%d %H:%M:%S}.{nanoseconds % 10**9:09d}"


def text_of(value: AttributeValue) -> tuple[str, str]:
    """An attribute as the store keeps it: its text and its type ('' for a string)."""
    if isinstance(value, bool):
        return str(value).lower(), "bool"
    if isinstance(value, int):
        return str(value), "int"
    if isinstance(value, float):
        return (str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)), "double"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode(), "bytes"
    if isinstance(value, str):
        return value, ""
    return orjson.dumps(value).decode(), "array" if isinstance(value, list) else "kvlist"


def _span_row(span: Span) -> dict[str, Any]:
    scopes = {"resource.": span.resource, "scope.": span.scope, "span.": span.attributes}
    scopes |= {f"event.{i}.": event.attributes for i, event in enumerate(span.events)}
    scopes |= {f"link.{i}.": link.attributes for i, link in enumerate(span.links)}
    types = {p + k: t for p, attributes in scopes.items() for k, v in attributes.items() if (t := text_of(v)[1])}
    return {
        "Timestamp": moment(span.start_ns),
        "TraceId": span.trace_id,
        "SpanId": span.span_id,
        "ParentSpanId": span.parent_id,
        "TraceState": span.trace_state,
        "SpanName": span.name,
        "SpanKind": span.kind,
        "ServiceName": span.service,
        "ResourceAttributes": _texts(span.resource),
        "ScopeName": span.scope_name,
        "ScopeVersion": span.scope_version,
        "SpanAttributes": _texts(span.attributes),
        "Duration": span.duration_ns,
        "StatusCode": span.status,
        "StatusMessage": span.status_message,
        "Events.Timestamp": [moment(event.time_ns) for event in span.events],
        "Events.Name": [event.name for event in span.events],
        "Events.Attributes": [_texts(event.attributes) for event in span.events],
        "Links.TraceId": [link.trace_id for link in span.links],
        "Links.SpanId": [link.span_id for link in span.links],
        "Links.TraceState": [link.trace_state for link in span.links],
        "Links.Attributes": [_texts(link.attributes) for link in span.links],
        "ScopeAttributes": _texts(span.scope),
        "AttributeTypes": types,
    }


def _texts(attributes: Attributes) -> dict[str, str]:
    return {key: text_of(value)[0] for key, value in attributes.items()}


def _insert(engine: Engine, table: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    names = ", ".join(f"`{name}`" for name in columns)
    structure = ", ".join(f"`{name}` {type_}" for name, type_ in columns.items())
    payload = b"\n".join(orjson.dumps(row) for row in rows)
    if rows:
        insert = PayloadInsert(table, list(columns), f"SELECT {names} FROM {{source}}", "JSONEachRow", structure)
        engine.insert_payload(insert, payload)
