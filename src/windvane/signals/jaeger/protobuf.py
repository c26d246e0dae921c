"""Jaeger's api_v2 in protobuf (collector.proto, model.proto): PostSpansRequest."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from windvane.signals import protobuf as wire
from windvane.signals.jaeger.common import Reference, event_of, links_of, parent_of, resource_of, started
from windvane.signals.spans.encode import Translated, translated
from windvane.signals.spans.model import (
    LATEST_US,
    UNSPECIFIED,
    Event,
    Span,
    Tags,
    Value,
    enough,
    span_id_of,
    trace_id_of,
    wrong,
)

_SHORT = 256
_STRING, _BOOL, _INT64, _FLOAT64, _BINARY = range(5)


def read(body: bytes) -> Translated:
    """The spans of a PostSpansRequest; `BadInputError` when the bytes are no such message."""
    resource: Tags = {}
    return translated(_spans(body, resource), lambda raw: [_span(raw, resource)])


def _spans(body: bytes, resource: Tags) -> Iterator[bytes]:
    """The spans of the request's batch; `resource` is filled first: the process may come last."""
    batches = [wire.block(value) for number, _, value in wire.fields(body) if number == 1]
    for batch in batches:
        for number, _, value in wire.fields(batch):
            if number == 2:
                resource.update(_process(wire.block(value)))
    for batch in batches:
        for number, _, value in wire.fields(batch):
            if number == 1:
                yield wire.block(value)


def _span(raw: bytes, resource: Tags) -> Span:  # noqa: C901 - one case a field
    trace_id = span_id = b""
    span = Span(b"", b"", b"", "", UNSPECIFIED, 0, 0, {}, resource, [], [], True)
    references: list[Reference] = []
    warnings: list[str] = []
    length = 0
    for count, (number, _, value) in enumerate(wire.fields(raw)):
        enough(count, "span")
        match number:
            case 1:
                trace_id = wire.block(value)
            case 2:
                span_id = wire.block(value)
            case 3:
                span.name = wire.repaired(value)
            case 4:
                references.append(_reference(wire.block(value)))
            case 6:
                span.start = started(_moment(wire.block(value), "start_time"))
            case 7:
                length = max(0, _moment(wire.block(value), "duration"))
            case 8:
                key, tag = _key_value(wire.block(value))
                span.tags[key] = tag
            case 9:
                span.events.append(_event(wire.block(value)))
            case 10:
                span.resource = _process(wire.block(value))
            case 12:
                warnings.append(wire.repaired(value))
    span.trace_id, span.span_id = trace_id_of(trace_id, "trace_id"), span_id_of(span_id, "span_id")
    span.parent_id = parent_of(b"", span.trace_id, references)
    span.links = links_of(span.parent_id, span.trace_id, references)
    span.end = started(span.start) + length
    if warnings:
        span.tags["@jaeger@warnings"] = "; ".join(warnings)
    return span


def _reference(raw: bytes) -> Reference:
    trace_id = span_id = b""
    kind = 0
    for number, _, value in wire.fields(raw):
        if number == 1:
            trace_id = trace_id_of(wire.block(value), "reference.trace_id")
        elif number == 2:
            span_id = span_id_of(wire.block(value), "reference.span_id")
        elif number == 3:
            kind = wire.whole(value)
    return Reference(kind, trace_id_of(trace_id, "reference.trace_id"), span_id_of(span_id, "reference.span_id"))


def _moment(raw: bytes, name: str) -> int:
    """Nanoseconds of a google.protobuf Timestamp or Duration."""
    seconds = nanos = 0
    for number, _, value in wire.fields(raw):
        if number == 1:
            seconds = wire.signed(value)
        elif number == 2:
            nanos = wire.signed(value)
    total = seconds * 10**9 + nanos
    if total > LATEST_US * 1_000:
        raise wrong(name, total, f"at most {LATEST_US * 1_000} ns")
    return total


def _event(raw: bytes) -> Event:
    time, tags = 0, {}
    for count, (number, _, value) in enumerate(wire.fields(raw)):
        enough(count, "log")
        if number == 1:
            time = max(0, _moment(wire.block(value), "log.timestamp"))
        elif number == 2:
            key, tag = _key_value(wire.block(value))
            tags[key] = tag
    return event_of(time, tags)


@lru_cache(maxsize=64)
def _kept_process(raw: bytes) -> Tags:
    service, tags = "", {}
    for number, _, value in wire.fields(raw):
        if number == 1:
            service = wire.repaired(value)
        elif number == 2:
            key, tag = _key_value(wire.block(value))
            tags[key] = tag
    return resource_of(service, tags)


def _process(raw: bytes) -> Tags:
    return _kept_process(raw) if len(raw) <= 1 << 14 else _kept_process.__wrapped__(raw)


def _any_key_value(raw: bytes) -> tuple[str, Value]:
    key, kind = "", _STRING
    values: dict[int, Value] = {_STRING: "", _BOOL: False, _INT64: 0, _FLOAT64: 0.0, _BINARY: b""}
    for number, _, value in wire.fields(raw):
        match number:
            case 1:
                key = wire.repaired(value)
            case 2:
                kind = wire.whole(value)
            case 3:
                values[_STRING] = wire.repaired(value)
            case 4:
                values[_BOOL] = bool(wire.whole(value))
            case 5:
                values[_INT64] = wire.signed(value)
            case 6:
                values[_FLOAT64] = wire.double(value)
            case 7:
                values[_BINARY] = wire.block(value)
    if kind not in values:
        raise wrong("v_type", kind, "a type from 0 to 4")
    return key, values[kind]


_kept_key_value = lru_cache(maxsize=8_192)(_any_key_value)


def _key_value(raw: bytes) -> tuple[str, Value]:
    return _kept_key_value(raw) if len(raw) <= _SHORT else _any_key_value(raw)
