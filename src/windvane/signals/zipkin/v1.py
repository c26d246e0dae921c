"""Zipkin v1 spans, in JSON (https://zipkin.io/zipkin-api/zipkin-api.yaml) and thrift (zipkinCore.thrift).

Kind, times and service of a v1 span follow from its core annotations: cs and cr are a client's, sr and
ss a server's, ms a producer's, mr a consumer's. A span that holds both sides of a call becomes two.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from windvane.signals.spans.encode import Translated, translated
from windvane.signals.spans.model import (
    CLIENT,
    CONSUMER,
    PRODUCER,
    SERVER,
    UNSPECIFIED,
    Span,
    Value,
    microseconds,
    parent_id_of,
    span_id_of,
    trace_id_of,
    wrong,
)
from windvane.signals.thrift import LIST, Binary, Reader, Struct, items, number, text
from windvane.signals.zipkin.common import (
    NOWHERE,
    Endpoint,
    absent_start,
    decoded,
    describe,
    endpoint,
    event,
    hexadecimal,
    ip,
)
from windvane.signals.zipkin.json_v2 import name_of

_CORE = {"cs": CLIENT, "cr": CLIENT, "sr": SERVER, "ss": SERVER, "ms": PRODUCER, "mr": CONSUMER}
_ENDS = ("cr", "ss")
_ADDRESSES = {"sa": (CLIENT, PRODUCER), "ca": (SERVER, CONSUMER), "ma": (PRODUCER, CONSUMER)}


@dataclass(frozen=True, slots=True)
class Annotation:
    """An event; `time` in ns since the epoch."""

    time: int
    value: str
    host: Endpoint


@dataclass(frozen=True, slots=True)
class Binary1:
    """A tag, or with the keys `sa`, `ca` and `ma` the address of the other side."""

    key: str
    value: Value
    host: Endpoint


@dataclass(slots=True)
class SpanV1:
    """A span as both encodings give it; times in ns, 0 when absent."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    start: int
    length: int
    annotations: list[Annotation] = field(default_factory=list)
    binaries: list[Binary1] = field(default_factory=list)


def read_json(body: bytes, now_ns: int) -> Translated:
    """The spans of a JSON list; `BadInputError` when it is none."""
    return translated(decoded(body), lambda item: converted(_from_json(item), now_ns))


def read_thrift(body: bytes, now_ns: int) -> Translated:
    """The spans of a thrift list in the binary protocol; `BadInputError` when the bytes are none."""
    reader = Binary(body)
    return translated(reader.elements(LIST, 0), lambda item: converted(from_thrift(item), now_ns))


def read_agent(reader: Reader, at: int, now_ns: int) -> Translated:
    """The spans of an agent's `emitZipkinBatch`, whose arguments begin at `at`."""
    kind, number_, at = reader.field(at, 0)
    if number_ != 1:
        return Translated()
    return translated(reader.elements(kind, at), lambda item: converted(from_thrift(item), now_ns))


def converted(span: SpanV1, now_ns: int) -> list[Span]:
    """One span of OTLP's, or two when this one holds a client's and a server's side."""
    kinds = list(dict.fromkeys(_CORE[each.value] for each in span.annotations if each.value in _CORE))
    if CLIENT in kinds and SERVER in kinds:
        server = _hosts(span, SERVER)
        client = _one(span, CLIENT, lambda host: host not in server, now_ns)
        return [client, _one(span, SERVER, lambda host: host in server, now_ns)]
    return [_one(span, kinds[0] if kinds else UNSPECIFIED, lambda _: True, now_ns)]


def _hosts(span: SpanV1, kind: int) -> set[Endpoint]:
    return {each.host for each in span.annotations if _CORE.get(each.value) == kind}


def _one(span: SpanV1, kind: int, ours: Callable[[Endpoint], bool], now_ns: int) -> Span:
    core = [each for each in span.annotations if _CORE.get(each.value) == kind]
    others = [each for each in span.annotations if each.value not in _CORE and ours(each.host)]
    start, length = _times(span, kind, core, [*core, *others])
    made = Span(
        span.trace_id, span.span_id, span.parent_id, span.name, kind, start, start + length, {}, {}, [], [], True
    )
    made.events = [event(each.time, each.value) for each in others]
    local = next((each.host for each in core if each.host.service), NOWHERE)
    remote = NOWHERE
    for each in span.binaries:
        if each.key in _ADDRESSES:
            if kind == UNSPECIFIED or kind in _ADDRESSES[each.key]:
                remote = each.host
        elif ours(each.host):
            made.tags["component" if each.key == "lc" else each.key] = each.value
            local = local if local.service or not each.host.service else each.host
    if not local.service and isinstance(component := made.tags.get("component", ""), str):
        local = local._replace(service=component if any(each.key == "lc" for each in span.binaries) else "")
    if not made.start:
        absent_start(made, now_ns)
    describe(made, local, remote)
    return made


def _times(span: SpanV1, kind: int, core: Sequence[Annotation], all_: Iterable[Annotation]) -> tuple[int, int]:
    """Start and length: as told, else from the annotations; a server that shares its span has its own."""
    times = [each.time for each in all_ if each.time]
    shared = kind == SERVER and any(_CORE.get(each.value) == CLIENT for each in span.annotations)
    if span.start and not shared:
        return span.start, span.length or _core_length(core)
    if not times:
        return 0, span.length
    begin = min((each.time for each in core if each.time and each.value not in _ENDS), default=min(times))
    return begin, (0 if shared else span.length) or _core_length(core) or max(times) - begin


def _core_length(core: Sequence[Annotation]) -> int:
    ends = [each.time for each in core if each.value in _ENDS]
    begins = [each.time for each in core if each.value not in _ENDS]
    return max(0, max(ends) - min(begins)) if ends and begins else 0


def _from_json(item: Any) -> SpanV1:
    if not isinstance(item, dict):
        raise wrong("it", item, "an object")
    span_id = span_id_of(hexadecimal(item.get("id"), 8, "id"), "id")
    parent = item.get("parentId")
    return SpanV1(
        trace_id_of(hexadecimal(item.get("traceId"), 16, "traceId"), "traceId"),
        span_id,
        parent_id_of(hexadecimal(parent, 8, "parentId"), span_id) if parent else b"",
        name_of(item.get("name")),
        microseconds(item.get("timestamp"), "timestamp"),
        microseconds(item.get("duration"), "duration"),
        [_annotation(each) for each in _objects(item.get("annotations"), "annotations")],
        [_binary(each) for each in _objects(item.get("binaryAnnotations"), "binaryAnnotations")],
    )


def _objects(value: Any, name: str) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise wrong(name, value, "a list of objects")
    return value


def _annotation(item: dict[str, Any]) -> Annotation:
    value = item.get("value")
    if not isinstance(value, str):
        raise wrong("annotation.value", value, "a string")
    time = microseconds(item.get("timestamp"), "annotation.timestamp")
    return Annotation(time, value, endpoint(item.get("endpoint"), "annotation.endpoint"))


def _binary(item: dict[str, Any]) -> Binary1:
    key, value = item.get("key"), item.get("value")
    if not isinstance(key, str):
        raise wrong("binaryAnnotation.key", key, "a string")
    if not isinstance(value, str | bool | int | float):
        raise wrong("binaryAnnotation.value", value, "a string, a number or a truth value")
    return Binary1(key, value, endpoint(item.get("endpoint"), "binaryAnnotation.endpoint"))


def from_thrift(item: Struct) -> SpanV1:
    """A span from its thrift fields."""
    span_id = _id(number(item, 4, "id"))
    parent = number(item, 5, "parent_id", 0)
    return SpanV1(
        trace_id_of(_id(number(item, 12, "trace_id_high", 0)) + _id(number(item, 1, "trace_id")), "trace_id"),
        span_id_of(span_id, "id"),
        parent_id_of(_id(parent), span_id),
        text(item, 3, "name", ""),
        microseconds(number(item, 10, "timestamp", 0), "timestamp"),
        microseconds(number(item, 11, "duration", 0), "duration"),
        [_thrift_annotation(each) for each in items(item, 6, "annotations")],
        [_thrift_binary(each) for each in items(item, 8, "binary_annotations")],
    )


def _id(value: int) -> bytes:
    return struct.pack(">q", value)


def _thrift_annotation(item: Struct) -> Annotation:
    time = microseconds(number(item, 1, "annotation.timestamp", 0), "annotation.timestamp")
    return Annotation(time, text(item, 2, "annotation.value", ""), _thrift_endpoint(item.get(3)))


def _thrift_endpoint(item: Any) -> Endpoint:
    if not isinstance(item, dict):
        return NOWHERE
    ipv4, ipv6 = number(item, 1, "endpoint.ipv4", 0), item.get(4)
    return Endpoint(
        text(item, 3, "endpoint.service_name", ""),
        socket.inet_ntoa(struct.pack(">i", ipv4)) if ipv4 and -(1 << 31) <= ipv4 < 1 << 31 else "",
        ip(socket.inet_ntop(socket.AF_INET6, ipv6)) if isinstance(ipv6, bytes) and len(ipv6) == 16 else "",
        number(item, 2, "endpoint.port", 0) & 0xFFFF,
    )


def _thrift_binary(item: Struct) -> Binary1:
    key, raw = text(item, 1, "binary_annotation.key"), item.get(2, b"")
    if not isinstance(raw, bytes):
        raise wrong("binary_annotation.value", raw, "bytes")
    kind = number(item, 3, "binary_annotation.annotation_type", 6)
    return Binary1(key, _typed(raw, kind), _thrift_endpoint(item.get(4)))


def _typed(raw: bytes, kind: int) -> Value:
    """The value of an AnnotationType: BOOL, BYTES, I16, I32, I64, DOUBLE, STRING; big-endian."""
    sizes = {2: 2, 3: 4, 4: 8}
    if kind == 0:
        return raw == b"\x01"
    if kind in sizes and len(raw) == sizes[kind]:
        return int.from_bytes(raw, "big", signed=True)
    if kind == 5 and len(raw) == 8:
        value: float = struct.unpack(">d", raw)[0]
        return value
    return raw.decode(errors="replace") if kind == 6 else raw
