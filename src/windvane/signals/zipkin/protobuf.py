"""Zipkin v2 spans in protobuf (zipkin.proto: ListOfSpans)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import lru_cache

from windvane.signals import protobuf as wire
from windvane.signals.spans.encode import Translated, translated
from windvane.signals.spans.model import (
    CLIENT,
    CONSUMER,
    PRODUCER,
    SERVER,
    UNSPECIFIED,
    Span,
    enough,
    microseconds,
    parent_id_of,
    span_id_of,
    trace_id_of,
)
from windvane.signals.zipkin.common import NOWHERE, Endpoint, absent_start, describe, event

_KINDS = (UNSPECIFIED, CLIENT, SERVER, PRODUCER, CONSUMER)
_SHORT = 256


def read(body: bytes, now_ns: int) -> Translated:
    """The spans of a ListOfSpans; `BadInputError` when the bytes are no such message."""
    return translated(_spans(body), lambda raw: [_span(raw, now_ns)])


def _spans(body: bytes) -> Iterator[bytes]:
    for number, _, value in wire.fields(body):
        if number == 1:
            yield wire.block(value)


def _span(raw: bytes, now_ns: int) -> Span:  # noqa: C901, PLR0912 - one case a field
    trace_id = span_id = parent_id = b""
    span = Span(b"", b"", b"", "", UNSPECIFIED, 0, 0, {}, {}, [], [])
    local = remote = NOWHERE
    length = 0
    for count, (number, _, value) in enumerate(wire.fields(raw)):
        enough(count, "span")
        match number:
            case 1:
                trace_id = wire.block(value)
            case 2:
                parent_id = wire.block(value)
            case 3:
                span_id = wire.block(value)
            case 4:
                span.kind = _kind(wire.whole(value))
            case 5:
                span.name = wire.repaired(value)
            case 6:
                span.start = microseconds(wire.fixed64(value), "timestamp")
            case 7:
                length = microseconds(wire.whole(value), "duration")
            case 8:
                local = _endpoint(wire.block(value))
            case 9:
                remote = _endpoint(wire.block(value))
            case 10:
                time, text = _annotation(wire.block(value))
                span.events.append(event(time, text))
            case 11:
                entry = wire.block(value)
                key, tag = _entry(entry) if len(entry) <= _SHORT else _any_entry(entry)
                span.tags[key] = tag
    span.trace_id, span.span_id = trace_id_of(trace_id, "trace_id"), span_id_of(span_id, "id")
    span.parent_id = parent_id_of(parent_id, span_id, "parent_id")
    span.end = span.start + length
    if not span.start:
        absent_start(span, now_ns)
    describe(span, local, remote)
    return span


def _kind(number: int) -> int:
    return _KINDS[number] if number < len(_KINDS) else UNSPECIFIED  # as protobuf has it: new values may come


def _any_entry(raw: bytes) -> tuple[str, str]:
    key = value = ""
    for number, _, item in wire.fields(raw):
        if number == 1:
            key = wire.repaired(item)
        elif number == 2:
            value = wire.repaired(item)
    return key, value


_entry = lru_cache(maxsize=8_192)(_any_entry)


@lru_cache(maxsize=1_024)
def _endpoint(raw: bytes) -> Endpoint:
    service, addresses, port = "", {2: "", 3: ""}, 0
    for number, _, value in wire.fields(raw):
        if number == 1:
            service = wire.repaired(value)
        elif number in addresses:
            addresses[number] = _address(wire.block(value))
        elif number == 4:
            port = wire.whole(value) & 0xFFFF
    return Endpoint(service, addresses[2], addresses[3], port)


def _address(raw: bytes) -> str:
    if len(raw) == 4:
        return socket.inet_ntop(socket.AF_INET, raw)
    return socket.inet_ntop(socket.AF_INET6, raw) if len(raw) == 16 else ""


def _annotation(raw: bytes) -> tuple[int, str]:
    time, text = 0, ""
    for number, _, value in wire.fields(raw):
        if number == 1:
            time = microseconds(wire.fixed64(value), "annotation.timestamp")
        elif number == 2:
            text = wire.repaired(value)
    return time, text
