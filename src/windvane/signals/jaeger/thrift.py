"""Jaeger's thrift (jaeger.thrift, agent.thrift): a Batch over HTTP, a call of the agent in a datagram."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from windvane.kit.errors import BadInputError
from windvane.signals.jaeger.common import Reference, event_of, links_of, parent_of, resource_of, started
from windvane.signals.spans.encode import Translated, translated
from windvane.signals.spans.model import (
    UNSPECIFIED,
    Event,
    Span,
    Tags,
    Value,
    microseconds,
    parent_id_of,
    span_id_of,
    trace_id_of,
    wrong,
)
from windvane.signals.thrift import STOP, Binary, Compact, Reader, Struct, items, number, text
from windvane.signals.zipkin import v1

_STRING, _DOUBLE, _BOOL, _LONG, _BINARY = range(5)
_TYPES: dict[int, type] = {_DOUBLE: float, _BOOL: bool, _BINARY: bytes}
_IDS = struct.Struct(">qq").pack
_ID = struct.Struct(">q").pack


def read_batch(body: bytes) -> Translated:
    """The spans of a Batch in the binary protocol; `BadInputError` when the bytes are none."""
    return _batch(Binary(body), 0)


def read_datagram(body: bytes, now_ns: int) -> Translated:
    """The spans of an agent's `emitBatch` or `emitZipkinBatch`, in the compact or the binary protocol."""
    reader = Compact(body) if body[:1] == b"\x82" else Binary(body)
    method, at = reader.message()
    if method == "emitZipkinBatch":
        return v1.read_agent(reader, at, now_ns)
    if method != "emitBatch":
        raise BadInputError(f"a call of {method[:40]!r}, expected emitBatch or emitZipkinBatch")
    _, number_, at = reader.field(at, 0)
    return _batch(reader, at) if number_ == 1 else Translated()


def _batch(reader: Reader, at: int) -> Translated:
    resource: Tags = {}
    return translated(_spans(reader, at, resource), lambda item: [_span(item, resource)])


def _spans(reader: Reader, at: int, resource: Tags) -> Iterator[Struct]:
    """The spans of a batch; `resource` is filled first, wherever the process is."""
    last, waiting, told = 0, None, False
    while True:
        kind, last, at = reader.field(at, last)
        if kind == STOP:
            break
        if last == 2 and told:
            yield from reader.elements(kind, at)
            at = reader.at
            continue
        if last == 2:
            waiting = (kind, at)
            for _ in reader.elements(kind, at):
                pass
            at = reader.at
            continue
        value, at = reader.value(kind, at)
        if last == 1:
            resource.update(_resource(value))
            told = True
    if waiting is not None:
        yield from reader.elements(*waiting)


def _resource(process: Any) -> Tags:
    if not isinstance(process, dict):
        raise BadInputError("a batch's process is no struct")
    return resource_of(text(process, 1, "process.serviceName", ""), _tags(process, 2))


def _span(item: Struct, resource: Tags) -> Span:
    trace_id = trace_id_of(_IDS(number(item, 2, "traceIdHigh", 0), number(item, 1, "traceIdLow")), "traceId")
    span_id = span_id_of(_ID(number(item, 3, "spanId")), "spanId")
    references = [_reference(each) for each in items(item, 6, "references")]
    told = parent_id_of(_ID(number(item, 4, "parentSpanId", 0)), span_id)
    parent = parent_of(told, trace_id, references)
    start = started(microseconds(number(item, 8, "startTime"), "startTime"))
    return Span(
        trace_id,
        span_id,
        parent,
        text(item, 5, "operationName", ""),
        UNSPECIFIED,
        start,
        start + microseconds(number(item, 9, "duration", 0), "duration"),
        _tags(item, 10),
        resource,
        [_event(each) for each in items(item, 11, "logs")],
        links_of(parent, trace_id, references),
        True,
    )


def _reference(item: Struct) -> Reference:
    trace_id = _IDS(number(item, 3, "reference.traceIdHigh", 0), number(item, 2, "reference.traceIdLow", 0))
    return Reference(number(item, 1, "reference.refType", 0), trace_id, _ID(number(item, 4, "reference.spanId", 0)))


def _event(item: Struct) -> Event:
    return event_of(microseconds(number(item, 1, "log.timestamp", 0), "log.timestamp"), _tags(item, 2))


def _tags(item: Struct, key: int) -> Tags:
    return {text(each, 1, "tag.key"): _tag(each) for each in items(item, key, "tags")}


def _tag(item: Struct) -> Value:
    kind = item.get(2, _STRING)
    if kind == _STRING:
        return text(item, 3, "tag.vStr", "")
    if kind == _LONG:
        return number(item, 6, "tag.vLong", 0)
    value = item.get({_DOUBLE: 4, _BOOL: 5, _BINARY: 7}.get(kind, 0))
    if isinstance(value, float | bool | bytes) and type(value) is _TYPES.get(kind):
        return value
    raise wrong("tag", value, f"a value of the tag's type ({kind})")
